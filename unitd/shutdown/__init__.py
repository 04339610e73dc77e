"""The plan of a shutdown: who stops when, and for how long each may take at most. Pure."""
