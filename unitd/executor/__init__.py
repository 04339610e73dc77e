"""The fork server and what its children do between clone and exec: the standard library only, nothing of unitd.

Run as `python -I -S .../unitd/executor FD SHELF DOOR SECONDS PATH`, it takes 10 MB and starts in the time of the
interpreter.
"""
