"""The whole core against chance."""
