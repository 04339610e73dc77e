"""Floor 3, wire: names and bytes."""
