"""The daemon put together: what it is told, what it is made of, and the loop between kernel, engine and bus."""
