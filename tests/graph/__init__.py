"""Floor 3: which units exist and how they hang together."""
