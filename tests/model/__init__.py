"""Floor 2: what things are."""
