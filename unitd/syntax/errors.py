"""The one error of a value that cannot be read."""


class Bad(ValueError):
    """A value that cannot be read; its text says why, without naming file or setting."""
