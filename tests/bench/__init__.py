"""Benchmarks with their budgets; not timed tests. `python -m tests.bench [NAME...]` runs all, or those named."""
