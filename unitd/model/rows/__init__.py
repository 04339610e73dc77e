"""The rows of the table of directives, one module per man page."""
