"""The last descriptors are kept for looking at processes and for ending them.

Clients, logs and sockets may take all that the soft limit allows; the soft limit stays below the hard one, and who has
to look or to kill may go beyond it for the moment of one call (setrlimit(2): the limit is for new descriptors only).
"""

import errno
import resource
from collections.abc import Callable
from typing import Any, Final, TypeVar

KEPT: Final = 16
T = TypeVar("T")


def limit() -> tuple[int, int]:
    """Raise the soft limit on descriptors to all but the last ones; the limits before, which services inherit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = before[1]
    give_back((hard if hard == resource.RLIM_INFINITY else max(hard - KEPT, hard // 2), hard))
    return before


def give_back(limits: tuple[int, int]) -> None:
    """Set the limits, as far as the kernel lets us: somebody may have lowered the hard one (prlimit(1))."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    except (ValueError, OSError):
        return


def sure(call: Callable[..., T], *arguments: Any) -> T:
    """Call what opens a descriptor; where none is left, once more with those that are kept."""
    try:
        return call(*arguments)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    give_back((hard, hard))
    try:
        return call(*arguments)
    finally:
        give_back((soft, hard))
