"""Floor 1 held against its rules, with cases of our own."""
