"""Tests, one folder per floor."""
