"""The engine on a make-believe kernel."""
