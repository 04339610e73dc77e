"""Daemons from Debian's packages, run by unitd from their own unit files, each in a small world of its own."""
