"""One pure step per unit type: what a unit does when something happens to it. Knows no jobs."""
