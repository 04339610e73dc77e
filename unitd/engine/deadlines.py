"""Who waits for which instant: one instant a name, the first one found without looking at all of them.

Invariant: every pair of `_at` is in the heap; pairs of the heap that are not in `_at` are stale, and never outnumber
the others by much.
"""

from heapq import heapify, heappop, heappush

from unitd.model.states import INFINITY

SLACK = 64
"""Stale pairs that are not worth tidying."""


class Deadlines:
    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._at)

    def put(self, name: str, instant: int) -> None:
        """The name waits for this instant now (us); INFINITY: for none."""
        if self._at.get(name, INFINITY) == instant:
            return
        if instant >= INFINITY:
            del self._at[name]
            return
        self._at[name] = instant
        heappush(self._heap, (instant, name))
        if len(self._heap) > 2 * len(self._at) + SLACK:
            self._heap = [(instant, name) for name, instant in self._at.items()]
            heapify(self._heap)

    def first(self) -> int:
        """The next instant, INFINITY when nobody waits."""
        heap = self._heap
        while heap and self._at.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else INFINITY

    def due(self, now: int) -> list[str]:
        """The names whose instant has come, sorted; each goes on waiting until it is put elsewhere."""
        found = set()
        while self.first() <= now:
            found.add(heappop(self._heap)[1])
        for name in found:
            heappush(self._heap, (self._at[name], name))
        return sorted(found)
