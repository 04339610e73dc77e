"""Floor 1: text to values and back. Pure functions that know no directive, no file and no clock."""
