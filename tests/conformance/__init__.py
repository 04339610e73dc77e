"""unitd held against recorded facts of systemd 252: `python -m tests.conformance DIR [TOPIC...] [-v]`."""
