"""The only mutable core: events in, effects out, at an instant that is handed in."""
