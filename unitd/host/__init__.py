"""Linux, one family of system calls a file: values in, events out."""
