"""What is mounted where, as the daemon sees it, in the order of mounting (proc_pid_mountinfo(5))."""

import os
import re
from collections.abc import Iterator

from msgspec import Struct

from unitd.host.processes import read_file

_LONGEST = 1 << 26


class Mounted(Struct, frozen=True):
    """`root`: the directory of the file system that is seen at `point`; `kind`: its type ("cgroup2", "ext4")."""

    root: str
    point: str
    kind: str


def mounted() -> Iterator[Mounted]:
    """All mounts; none where /proc is not there."""
    return parse(os.fsdecode(read_file("/proc/self/mountinfo", _LONGEST)))


def parse(mountinfo: str) -> Iterator[Mounted]:
    """The mounts that the text of such a file tells of."""
    for line in mountinfo.split("\n"):
        place, _, source = line.partition(" - ")
        if source:
            fields = place.split(" ")
            yield Mounted(_unescaped(fields[3]), _unescaped(fields[4]), source.split(" ", 1)[0])


def _unescaped(field: str) -> str:
    """Blanks and backslashes are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
