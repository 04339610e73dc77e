"""A real daemon beside another init, in a cgroup of the test's own: started, driven, and looked at from outside.

Whatever the daemon claims, what lives is read from the kernel: the cgroup that the daemon was put into holds all that
it ever started, wherever that went (cgroup-v2.rst, "Processes"). Everything that waits is bounded, and waits for an
event: a datagram (READY=1), a D-Bus signal, a line of the log, the end of a process (pidfd).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import pytest

from tests.conftest import ROOT, cgroup2_mount
from unitd.ctl.connection import PROPERTIES, Connection, Reconnected, open_path, unit_path
from unitd.ctl.connection import UNIT as UNIT_INTERFACE

BOUND_S = 60.0
"""Nothing that is waited for takes longer."""
NOBODY = 65534
PYTHON = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin") or sys.executable
"""One that every user may run; the one of these tests may lie in somebody's home."""
PROGRAMS = Path(__file__).with_name("programs.py")
UNITCTL = "import sys; from unitd.ctl.main import main; sys.exit(main())"
_STAMP = re.compile(r"(\d\d):(\d\d):(\d\d)\.(\d{3}) ")
_SENT = re.compile(r"SIG(\w+) to (\S+): (.*)")
_JOIN = 'echo 0 >"$1/cgroup.procs" && shift && exec "$@"'
_LINES_SHOWN = 80
_PR_SET_CHILD_SUBREAPER = 36


def program(name: str, *words: object) -> str:
    """The command line, for a unit file, of one of programs.py."""
    argv = [PYTHON, "-I", "-S", str(PROGRAMS), name, *map(str, words)]
    return " ".join('"' + word.replace("%", "%%").replace("$", "$$") + '"' for word in argv)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command came to, its output and errors together."""

    code: int
    out: str


@dataclass(frozen=True, slots=True)
class Signals:
    """One line of the log about signals sent: at which second of the day, which line, to whom in which order."""

    at: float
    line: int
    name: str
    unit: str
    pids: tuple[int, ...]


class Daemon:
    """unitd on `units` (file name -> text) in `where`; a context. Without `target` it starts nothing.

    `uid`: who it runs as. `config`: the text of its configuration file. `below`: "" for a sub-tree in `cgroup`, else
    a --cgroup that need not exist. `descriptors`: how many it may have.
    """

    def __init__(
        self,
        where: Path,
        cgroup: Path,
        units: Mapping[str, str],
        *,
        uid: int = 0,
        config: str = "",
        target: str = "none",
        below: str = "",
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
        descriptors: int = 0,
    ) -> None:
        self.cgroup = cgroup
        self.units = where / "units"
        self.units.mkdir(exist_ok=True)
        self.runtime = where / "run"
        self.add(units)
        file = where / "unitd.conf"
        file.write_text(config)
        self._notify = where / "ready"
        argv = [python, "-s", "-m", "unitd.runtime", "--unit-path", str(self.units), "--bus", "none"]
        argv += ["--runtime-dir", str(self.runtime), "--config", str(file), "--target", target]
        argv += ["--log-level", "debug", *(["--cgroup", below] if below else []), *arguments]
        as_user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        limited = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
        self._argv = ["sh", "-c", _JOIN, "sh", str(cgroup), *limited, *as_user, *argv]
        self._environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NOTIFY_SOCKET": str(self._notify),
            **(environment or {}),
        }
        self._lines: list[str] = []
        self._grown = threading.Condition()
        self._link: Connection | None = None

    def add(self, units: Mapping[str, str]) -> None:
        """Write unit files; the daemon may be running."""
        for name, text in units.items():
            (self.units / name).write_text(text)

    # --- life -----------------------------------------------------------------------------------------

    def __enter__(self) -> Daemon:
        self._notify.unlink(missing_ok=True)
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(str(self._notify))
        self._notify.chmod(0o777)
        self._process = subprocess.Popen(
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            text=True,
            errors="replace",
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._collect, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        try:
            with ready:
                self._wait_until_ready(ready)
        except BaseException:
            self._end(failed=True)
            raise
        return self

    def _wait_until_ready(self, ready: socket.socket) -> None:
        ended = os.pidfd_open(self.pid)
        try:
            readable, _, _ = select.select([ready.fileno(), ended], [], [], BOUND_S)
        finally:
            os.close(ended)
        assert ready.fileno() in readable, (
            "the daemon ended" if readable else f"the daemon is not ready after {BOUND_S} s"
        )
        assert ready.recv(4096) == b"READY=1"

    def _collect(self, output: IO[str]) -> None:
        with output:
            for line in output:
                with self._grown:
                    self._lines.append(line.rstrip("\n"))
                    self._grown.notify_all()

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._end(failed=kind is not None)

    def _end(self, *, failed: bool) -> None:
        """The daemon's end, by force if need be; the rest of its cgroup is ended by the fixture that made it."""
        living = self._process.poll() is None
        if living:
            self._process.kill()
            self._process.wait(BOUND_S)
        if self._link is not None:
            self._link.close()
        if failed:
            print(f"--- the daemon {'lived' if living else f'left with {self._process.returncode}'}; its log:")
            print("\n".join(self.lines()[-_LINES_SHOWN:]))
            print(f"--- left: {self.living()}")
        # A service that the daemon forked may hold the pipe until the cgroup is killed.
        with contextlib.suppress(OSError):
            (self.cgroup / "cgroup.kill").write_text("1")
        self._reader.join(BOUND_S)

    def crash(self) -> None:
        """SIGKILL to the daemon, and its end; what it started lives on. Enter the context again for the next one."""
        self._process.kill()
        self._process.wait(BOUND_S)
        if self._link is not None:
            self._link.close()
            self._link = None

    def is_alive(self) -> bool:
        """Whether the daemon is still there."""
        return self._process.poll() is None

    def wait_for_end(self, bound: float = BOUND_S) -> int:
        """The daemon's exit status, waited for; the log is whole then."""
        code = self._process.wait(bound)
        self._reader.join(10.0)
        return code

    def send(self, number: int) -> None:
        """A signal to the daemon itself."""
        os.kill(self.pid, number)

    def shut_down(self, number: int = signal.SIGTERM, bound: float = BOUND_S) -> float:
        """Ask by a signal, wait for a clean exit, prove that nothing is left; the seconds that it took."""
        began = time.monotonic()
        self.send(number)
        code = self.wait_for_end(bound)
        took = time.monotonic() - began
        assert self.living() == {}
        assert code == 0
        return took

    # --- looking ----------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """What the daemon said so far."""
        with self._grown:
            return list(self._lines)

    def log(self) -> str:
        """The same in one piece."""
        return "\n".join(self.lines())

    def until_line(self, text: str, count: int = 1) -> None:
        """Wait until `text` occurs in so many lines of the log."""

        def said() -> bool:
            return sum(text in line for line in self._lines) >= count

        with self._grown:
            assert self._grown.wait_for(said, BOUND_S), f"not said within {BOUND_S} s: {text}"

    def signals(self) -> list[Signals]:
        """All signals that the log tells of, in its order."""
        found = []
        for number, line in enumerate(self.lines()):
            stamp, sent = _STAMP.match(line), _SENT.search(line)
            if stamp is None or sent is None:
                continue
            hours, minutes, seconds, thousandths = map(int, stamp.groups())
            pids = tuple(int(pid) for pid in re.findall(r"(\d+) \(", sent[3]))
            at = hours * 3600 + minutes * 60 + seconds + thousandths / 1000
            found.append(Signals(at, number, sent[1], sent[2], pids))
        return found

    def line_of(self, text: str) -> int:
        """The number of the first line of the log with this text."""
        return next(number for number, line in enumerate(self.lines()) if text in line)

    def groups(self) -> Path:
        """The directory of the daemon's sub-tree."""
        return next(path for path in self.cgroup.iterdir() if path.name.startswith("unitd-"))

    def members(self, unit: str) -> list[int]:
        """The processes in a unit's cgroup, below system.slice."""
        try:
            return [int(word) for word in (self.groups() / "system.slice" / unit / "cgroup.procs").read_text().split()]
        except (OSError, StopIteration):
            return []

    def living(self) -> dict[int, str]:
        """All that lives in the cgroup that the daemon was started in, but for daemon and fork server."""
        found = {}
        for pid in pids_below(self.cgroup):
            words = command_line(pid)
            if pid and pid != self.pid and "unitd/executor" not in words and is_alive(pid):
                found[pid] = words
        return found

    # --- doing ------------------------------------------------------------------------------------------

    def start(self, *words: str) -> subprocess.Popen[str]:
        """unitctl, under way."""
        return subprocess.Popen(
            [sys.executable, "-s", "-c", UNITCTL, "--runtime-dir", str(self.runtime), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"},
            text=True,
        )

    def ctl(self, *words: str) -> Finished:
        """unitctl, to its end."""
        with self.start(*words) as running:
            try:
                out, _ = running.communicate(timeout=BOUND_S)
            except BaseException:
                running.kill()
                raise
        return Finished(running.returncode, out)

    def must(self, *words: str) -> str:
        """The output of unitctl, which must succeed."""
        done = self.ctl(*words)
        assert done.code == 0, f"unitctl {' '.join(words)}: exit {done.code}\n{done.out}"
        return done.out

    @property
    def link(self) -> Connection:
        """A connection of the test's own."""
        if self._link is None:
            self._link = self.connect()
        return self._link

    def connect(self) -> Connection:
        """Another one."""
        return open_path(str(self.runtime / "private"), "the daemon")

    def state(self, unit: str) -> str:
        """ActiveState and SubState, with a slash between."""
        asked = [(unit_path(unit), PROPERTIES, "Get", "ss", UNIT_INTERFACE, n) for n in ("ActiveState", "SubState")]
        return "/".join(str(self.link.ask(*words)[0][1]) for words in asked)

    def until(self, unit: str, state: str) -> None:
        """Wait until the unit's state begins with `state`, by the signals about it."""
        deadline = time.monotonic() + BOUND_S
        while not (found := self.state(unit)).startswith(state):
            while True:
                try:
                    told = self.link.signal(deadline - time.monotonic())
                except Reconnected:
                    break
                assert told is not None, f"{unit} is {found} instead of {state} after {BOUND_S} s"
                if told.path == unit_path(unit):
                    break


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Who loses its parent comes to this process, which can reap it then (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@contextlib.contextmanager
def small_file_system(where: Path, options: str) -> Iterator[Path]:
    """A tmpfs of its own, made there with these options, and gone afterwards with all that was mounted over it."""
    where.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", str(where)], check=False)
    if done.returncode != 0:
        pytest.skip("cannot mount a file system here")
    try:
        yield where
    finally:
        while where.is_mount():
            subprocess.run(["umount", "--lazy", str(where)], check=True)


def until_gone(pid: int, bound: float = BOUND_S) -> None:
    """Wait for the end of any process."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([pidfd], [], [], bound)[0], f"{pid} ({command_line(pid)}) lives on after {bound} s"
    finally:
        os.close(pidfd)


def watch_for(true: Callable[[], bool], what: str, bound: float = BOUND_S) -> None:
    """Wait for what the kernel tells nobody of, such as the members of a cgroup."""
    deadline = time.monotonic() + bound
    while not true():
        assert time.monotonic() < deadline, f"not within {bound} s: {what}"
        time.sleep(0.005)


def pids_below(cgroup: Path) -> list[int]:
    """Who is in it and below it; one that goes meanwhile is passed over, which rglob() does not bear."""
    found: list[int] = []
    for directory, _, _ in os.walk(cgroup):
        with contextlib.suppress(OSError):
            found += map(int, Path(directory, "cgroup.procs").read_text().split())
    return found


def command_line(pid: int) -> str:
    """Its words with blanks between; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Whether it exists and is no zombie; one whose first thread alone has ended looks like one, but has others."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in "ZX" or (fields[0] == "Z" and int(fields[17]) > 1)


def parent(pid: int) -> int:
    """Its parent's pid; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def relative(cgroup: Path) -> str:
    """A cgroup as --cgroup names it."""
    mount = cgroup2_mount()
    assert mount is not None
    return f"/{cgroup.relative_to(mount)}"
