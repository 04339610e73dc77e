"""The daemon leaves when it is to, whatever goes wrong in telling of it."""

from types import SimpleNamespace
from typing import Any

import pytest

from unitd.model.effects import Leave
from unitd.model.events import Leaving
from unitd.runtime.daemon import Daemon


class Left:
    """A future."""

    result: Leave | None = None

    def done(self) -> bool:
        return self.result is not None

    def set_result(self, result: Leave) -> None:
        self.result = result


def test_a_bus_that_cannot_tell_of_it_does_not_keep_the_daemon() -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    left = Left()
    daemon: Any = SimpleNamespace(_left=left, _bus=SimpleNamespace(tell=fail, flush=fail))
    leave = Leave(Leaving.EXIT, 0, (), 1)
    with pytest.raises(RuntimeError):
        Daemon._perform(daemon, leave)
    assert left.result == leave
