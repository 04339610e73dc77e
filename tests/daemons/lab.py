"""A small world in which unitd runs real daemons: own root, /run, network, pids and cgroups; gone without a trace.

Nothing in it is seen by the machine, and nothing of the machine's is changed: the root is an overlay, the network has
a loopback only, and the processes die with the first of them (pid_namespaces(7)). Everything that waits is bounded.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pytest

from tests.conftest import ROOT

BOUND_S = 60.0
"""No single command, and no end, takes longer."""
UNITS = "/run/lab/units"
STATUS = "/run/lab/status"
PACKAGED = Path("/lib/systemd/system")
NAMESPACES = ("--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup")
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UNITCTL = "import sys; from unitd.ctl.main import main; sys.exit(main())"
_STEP_S = 0.01
_WENT_ON = "went on after a crash"


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command in the lab came to."""

    code: int
    out: str


def packaged(*names: str) -> dict[str, str]:
    """The text of unit files as their installed packages ship them; skips the test where one is missing."""
    missing = [name for name in names if not (PACKAGED / name).is_file()]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (UNITD_TEST_DAEMONS=1 make test installs the daemons)")
    return {name: (PACKAGED / name).read_text() for name in names}


class Lab:
    """unitd on `units` (name -> text), and nothing else.

    `role`: "beside" another first process, or "init". `cgroups`: "writable", "read-only" or "none". `files`: more
    files, by path. `arguments` are added to the daemon's; without --target nothing is started.
    """

    def __init__(
        self,
        where: Path,
        cgroup: Path,
        units: Mapping[str, str],
        *,
        role: str = "beside",
        cgroups: str = "writable",
        uid: int = 0,
        files: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        if os.getuid() != 0:
            pytest.skip("namespaces with several users in them need root")
        self._scratch = where / "scratch"
        self._scratch.mkdir()
        self._log = where / "daemon.log"
        self._runtime = "/run/lab/unitd" if uid else "/run/unitd"
        self._argv = [*self._python("unitd.runtime"), *self._arguments(arguments)]
        self._order = {
            "scratch": str(self._scratch),
            "kept": sorted({str(ROOT), sys.prefix, sys.base_prefix}),
            "cgroups": cgroups,
            "role": role,
            "uid": uid,
            "status": STATUS,
            "folders": {UNITS: 0o755, "/run/lab": 0o1777},
            "files": {**{f"{UNITS}/{name}": text for name, text in units.items()}, **(files or {})},
            "argv": self._argv,
            "environment": {"PATH": SEARCH, "PYTHONPATH": str(ROOT), "HOME": "/run/lab", "LANG": "C.UTF-8"},
        }
        self._cgroup, self.first = cgroup, 0
        self._outer: subprocess.Popen[bytes] | None = None

    @staticmethod
    def _python(module: str) -> list[str]:
        return [sys.executable, "-s", "-m", module]

    def _arguments(self, arguments: Sequence[str]) -> list[str]:
        found = ["--unit-path", UNITS, "--bus", "none", "--runtime-dir", self._runtime, *arguments]
        if "--target" not in arguments:
            found += ["--target", "none"]
        return found

    def command(self) -> list[str]:
        """The daemon's command line."""
        return list(self._argv)

    # --- life -----------------------------------------------------------------------------------------

    def __enter__(self) -> Lab:
        join = 'echo 0 >"$1/cgroup.procs"; shift; exec "$@"'
        unshare = ["unshare", "--fork", "--kill-child", *NAMESPACES, "--propagation", "private"]
        inside = [sys.executable, "-I", str(Path(__file__).with_name("inside.py")), json.dumps(self._order)]
        with self._log.open("wb") as log:
            self._outer = subprocess.Popen(
                ["sh", "-c", join, "sh", str(self._cgroup), *unshare, *inside],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._end(failed=True)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._end(failed=kind is not None)

    def _wait_until_ready(self) -> None:
        assert self._outer is not None
        deadline = time.monotonic() + BOUND_S
        while not self.first or not self.path(f"{self._runtime}/private").exists():
            if self._outer.poll() is not None or time.monotonic() > deadline or self.daemon_code() is not None:
                raise AssertionError("cannot start the daemon in the lab")
            time.sleep(_STEP_S)
            children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
            self.first = int(children[0]) if children else 0

    def _end(self, *, failed: bool) -> None:
        """Say what happened if it failed; kill the first process, and with it all others."""
        if failed:
            print(self.report())
        assert self._outer is not None
        if self._outer.poll() is None:
            if self.first:
                os.kill(self.first, signal.SIGKILL)
            else:
                self._outer.kill()
        self._outer.wait(BOUND_S)

    def report(self) -> str:
        """The daemon's log and the units', as far as they can still be read."""
        parts = [f"--- log of the daemon\n{self.log()}"]
        for folder in (f"{self._runtime}/state/logs", "/var/lib/unitd/logs"):
            for path in sorted(self.path(folder).glob("*.log")):
                parts.append(f"--- {path.name}\n{path.read_text(errors='replace')}")
        parts.append(f"--- processes: {self.processes()}")
        return "\n".join(parts)

    # --- looking ----------------------------------------------------------------------------------------

    def path(self, inside: str) -> Path:
        """A path inside, as it is reached from outside."""
        return Path(f"/proc/{self.first}/root{inside}")

    def log(self) -> str:
        """What the daemon said so far."""
        return self._log.read_text(errors="replace")

    def processes(self) -> dict[int, str]:
        """The command lines of all processes inside by their pid outside, but for the first and for zombies."""
        found = {}
        for pid, status in self._statuses():
            if "State:\tZ" not in status and pid != self.first:
                try:
                    words = Path(f"/proc/{pid}/cmdline").read_bytes()
                except OSError:
                    continue
                found[pid] = words.replace(b"\0", b" ").decode(errors="replace").strip()
        return found

    def zombies(self) -> list[int]:
        """The zombies that wait for the first process to reap them, by their pid outside."""
        return [pid for pid, text in self._statuses() if "State:\tZ" in text and f"PPid:\t{self.first}\n" in text]

    def _statuses(self) -> Iterator[tuple[int, str]]:
        """/proc/PID/status of every process inside."""
        try:
            ours = os.readlink(f"/proc/{self.first}/ns/pid")
        except OSError:
            return
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(entry / "ns/pid") == ours:
                    yield int(entry.name), (entry / "status").read_text(errors="replace")
            except OSError:
                continue

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until it holds; `what` says what did not come."""
        deadline = time.monotonic() + BOUND_S
        while not true():
            assert time.monotonic() < deadline, f"not within {BOUND_S} s: {what}"
            time.sleep(_STEP_S)

    def daemon_code(self) -> int | None:
        """The daemon's exit status once it has ended; negative: a signal."""
        assert self._outer is not None
        if self._order["role"] == "init":
            return self._outer.poll()
        try:
            return int(self.path(STATUS).read_text())
        except (OSError, ValueError):
            return None

    def wait_for_end(self) -> int:
        """The daemon's exit status, waited for."""
        self.until(lambda: self.daemon_code() is not None, "the end of the daemon")
        code = self.daemon_code()
        assert code is not None
        return code

    # --- doing ------------------------------------------------------------------------------------------

    def begin(self, *argv: str) -> subprocess.Popen[bytes]:
        """A command inside, as root, foreign to the daemon; its output and errors together. It ends with the lab."""
        enter = ["nsenter", "--target", str(self.first), *NAMESPACES, "--root", "env", "--chdir=/"]
        return subprocess.Popen(
            [*enter, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": SEARCH, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "HOME": "/root"},
        )

    def run(self, *argv: str, bound: float = BOUND_S) -> Finished:
        """The same, to its end."""
        with self.begin(*argv) as running:
            try:
                out, _ = running.communicate(timeout=bound)
            except BaseException:
                running.kill()
                raise
        return Finished(running.returncode, out.decode(errors="replace"))

    def unitctl(self, *words: str) -> Finished:
        """unitctl, aimed at the daemon."""
        return self.run(sys.executable, "-s", "-c", UNITCTL, "--runtime-dir", self._runtime, *words)

    def must(self, *words: str) -> str:
        """The output of unitctl, which must succeed."""
        done = self.unitctl(*words)
        assert done.code == 0, f"unitctl {' '.join(words)}: exit {done.code}\n{done.out}"
        return done.out

    def probe(self, *words: str) -> Finished:
        """Ask a daemon something (tests/daemons/probes.py)."""
        return self.run(*self._python("tests.daemons.probes"), *words)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.must("show", unit, "-p", name, "--value").strip()

    def signal_daemon(self, number: int) -> None:
        """A signal to the daemon itself."""
        os.kill(self.daemon_pid(), number)

    def crash(self) -> None:
        """SIGKILL to the daemon, which has to be "beside", and its end; what it started lives on."""
        self.signal_daemon(signal.SIGKILL)
        assert self.wait_for_end() == -signal.SIGKILL

    def start_again(self) -> None:
        """Start the next daemon, until it has gone on with what there is."""
        told = self.log().count(_WENT_ON)
        self.path(STATUS).unlink()
        os.kill(self.first, signal.SIGUSR1)
        self.until(lambda: self.log().count(_WENT_ON) > told or self.daemon_code() is not None, "the next daemon")
        assert self.daemon_code() is None

    def daemon_pid(self) -> int:
        """The daemon's pid outside."""
        if self._order["role"] == "init":
            return self.first
        return next(pid for pid, words in self.processes().items() if "-m unitd.runtime" in words)
