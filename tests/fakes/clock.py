"""Time that passes only when somebody says so; microseconds."""


class Clock:
    """`now` never goes back. It starts late, so that 0 still means never."""

    def __init__(self, now: int = 1_000_000) -> None:
        self.now = now

    def advance_to(self, instant: int) -> None:
        self.now = max(self.now, instant)
