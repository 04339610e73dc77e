"""Machines, one step at a time."""
