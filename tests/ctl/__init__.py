"""unitctl against a peer that answers from a script."""
