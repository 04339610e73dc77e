"""STATE/last-shutdown: the report of the latest shutdown, for the next start.

Written beside and renamed (rename(2)), so that there is always a whole one: at the beginning of a shutdown one that
says it was interrupted, at its end the true one in its place. It reaches the disk with the sync(2) that precedes
reboot(2); before any other end of the daemon the kernel has it. What cannot be written is said once and let go: the
end does not wait for a disk.
"""

import contextlib
import os
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from unitd.host import processes
from unitd.model.report import Report

NAME = "last-shutdown"
_MOST = 16 << 20


class LastShutdown:
    """`offset()`: from monotonic to wall clock time, in microseconds; `warn` gets what went wrong.

    There are lines of logs in it: like those, it is for `group` to read (a gid; -1: for nobody else).
    """

    def __init__(
        self,
        state_dir: str,
        boot_id: str,
        version: str,
        offset: Callable[[], int],
        warn: Callable[[str], None],
        group: int = -1,
    ) -> None:
        self._directory, self._path = state_dir, f"{state_dir}/{NAME}"
        self._boot_id, self._version, self._offset, self._warn = boot_id, version, offset, warn
        self._group = group
        self._is_told = False

    def keep(self, report: Report) -> None:
        """Put it in the place of the one before."""
        began = report.began_us + self._offset()
        whole = replace(report, began_us=began, boot_id=self._boot_id, version=self._version)
        temporary = f"{self._path}.tmp"
        try:
            os.makedirs(self._directory, mode=0o755, exist_ok=True)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
            with os.fdopen(fd, "wb") as file:
                with contextlib.suppress(OSError):
                    os.fchown(fd, -1, self._group)
                file.write(msgspec.json.encode(whole) + b"\n")
            os.replace(temporary, self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            if not self._is_told:
                self._is_told = True
                self._warn(f"cannot keep the report of this shutdown in {self._path}: {error.strerror}")

    def read(self) -> str:
        """The JSON text; "" when there is none."""
        return processes.read_file(self._path, _MOST).decode(errors="replace").strip()
