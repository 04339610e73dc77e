#!/usr/bin/env python3
"""From start to power-off in a few seconds: start the demo units, look at them, stop them as planned, prove that none
is left, and read what the next daemon tells of it.

The proof does not rest on unitd: every process of the demo, the daemon included, carries UNITD_DEMO_RUN with a value
of this run in its environment (proc(5), /proc/PID/environ). Exit 0 when all of it went as it should, else 1.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNITS = ROOT / "units" / "demo"
BIN = Path(sys.executable).parent
BOUND_S = 20.0
"""How long all of it may take."""


class DemoFailed(Exception):
    """Something is not as it should be; the text says what."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process by pid and start time (clock ticks since boot), so that a pid used again is not taken for it."""

    pid: int
    born: int
    command: str
    cgroup: str


def read(pid: int | str, name: str) -> str:
    """The text of /proc/PID/NAME; OSError when the process is gone or another user's."""
    return Path("/proc", str(pid), name).read_bytes().decode(errors="replace")


def marked(mark: str) -> list[Process]:
    """All living processes with `mark` in their environment, in order of pid; a zombie is not alive."""
    found = []
    for pid in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdecimal()):
        with contextlib.suppress(OSError):
            if mark not in read(pid, "environ").split("\0"):
                continue
            fields = read(pid, "stat").rsplit(")", 1)[1].split()
            group = next((line[3:] for line in read(pid, "cgroup").splitlines() if line.startswith("0::")), "")
            command = read(pid, "cmdline").replace("\0", " ").strip()
            if fields[0] not in "ZX":
                found.append(Process(pid, int(fields[19]), command, group))
    return found


def still_alive(process: Process) -> bool:
    """Whether this very process still lives."""
    try:
        fields = read(process.pid, "stat").rsplit(")", 1)[1].split()
    except OSError:
        return False
    return fields[0] not in "ZX" and int(fields[19]) == process.born


def subtree(processes: list[Process]) -> Path | None:
    """The daemon's own part of the cgroup2 tree, from where its processes sit; None when it has none."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    mount = next((Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"), None)
    for process in processes:
        parts = process.cgroup.strip("/").split("/")
        for depth, part in enumerate(parts):
            if part.startswith("unitd-") and mount is not None:
                return mount.joinpath(*parts[: depth + 1])
    return None


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Demo:
    """One run: the daemon, its runtime directory, and the time by which all must be over."""

    def __init__(self, scratch: Path) -> None:
        self.deadline = time.monotonic() + BOUND_S
        self.mark = f"UNITD_DEMO_RUN={uuid.uuid4().hex}"
        self.port = free_port()
        self.runtime = scratch / "run"
        self.log = scratch / "log"
        self.daemon = self.start("demo.target")

    def start(self, target: str) -> subprocess.Popen[bytes]:
        """A daemon that starts this target."""
        role = "--system" if os.getuid() == 0 else "--user"
        name, value = self.mark.split("=")
        command = [
            f"{BIN}/unitd", role, "--unit-path", str(UNITS), "--runtime-dir", str(self.runtime),
            "--bus", "none", "--target", target, "--log-level", "warning",
        ]  # fmt: skip
        say(command)
        with self.log.open("w") as log:
            return subprocess.Popen(
                command,
                env={**os.environ, name: value, "UNITD_DEMO_DIR": str(UNITS), "UNITD_DEMO_PORT": str(self.port)},
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def left(self) -> float:
        """Seconds until the bound; DemoFailed when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise DemoFailed(f"cannot finish the demo within {BOUND_S:.0f} s")
        return left

    def ready(self) -> None:
        """Wait until the private socket is there: from then on the daemon answers."""
        while not (self.runtime / "private").exists():
            if self.daemon.poll() is not None:
                raise DemoFailed(f"cannot start unitd: it left with exit status {self.daemon.returncode}")
            self.left()
            time.sleep(0.01)

    def ask(self, *words: str, succeeds: bool = True) -> None:
        """Run unitctl with its output shown."""
        say(["unitctl", *words])
        command = [f"{BIN}/unitctl", "--runtime-dir", str(self.runtime), "--no-pager", *words]
        status = subprocess.run(command, timeout=self.left(), stdin=subprocess.DEVNULL, check=False).returncode
        print(flush=True)
        if succeeds and status != 0:
            raise DemoFailed(f"cannot go on: `unitctl {' '.join(words)}` ended with exit status {status}")

    def fetch(self) -> None:
        """Ask the web server for its page and show the answer."""
        url = f"http://127.0.0.1:{self.port}/"
        say(["curl", url])
        with urllib.request.urlopen(url, timeout=self.left()) as answer:
            print(answer.read().decode(), flush=True)

    def end(self) -> None:
        """Kill what is left of this run, by pid; nothing is when all went well."""
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.daemon.wait(5)
        for process in marked(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        self.daemon.wait(5)


def say(command: list[str]) -> None:
    """Print a command as one would type it."""
    print(f"$ {shlex.join(word.removeprefix(f'{BIN}/') for word in command)}", flush=True)


def warnings_of(demo: Demo) -> None:
    """Print what the daemon had to say, for instance that it works without a cgroup tree of its own."""
    for line in demo.log.read_text(errors="replace").splitlines():
        print(f"  {line}")


def play(demo: Demo) -> None:
    """Start, look, plan, power off, prove, look back; DemoFailed when one of them goes wrong."""
    demo.ready()
    demo.ask("start", "demo.target")
    warnings_of(demo)
    demo.ask("list-units", "--type=service")
    demo.ask("status", "web.service", succeeds=False)
    demo.fetch()

    before = marked(demo.mark)
    tree = subtree(before)
    if len(before) < 8:
        raise DemoFailed(f"cannot find the processes of the demo: only {[p.command for p in before]} carry its mark")
    print(f"{len(before)} processes belong to this run, says /proc:")
    for process in before:
        print(f"  {process.pid:>7} {process.command[:100]}")
    print(flush=True)

    demo.ask("plan", "poweroff")
    took = power_off(demo, before, tree)
    place = f", and {tree} is gone" if tree is not None else ""
    print(f"all {len(before)} processes are gone after {took:.1f} s, says /proc{place}.\n", flush=True)

    demo.daemon = demo.start("none")
    demo.ready()
    demo.ask("last-shutdown")
    again = marked(demo.mark)
    power_off(demo, again, subtree(again))


def power_off(demo: Demo, before: list[Process], tree: Path | None) -> float:
    """Stop everything, and prove it; how long it took (s)."""
    asked = time.monotonic()
    demo.ask("poweroff")
    status = demo.daemon.wait(demo.left())
    took = time.monotonic() - asked
    left = [p for p in before if still_alive(p)]
    left += [p for p in marked(demo.mark) if p not in left]
    if left:
        raise DemoFailed(f"cannot call it done: alive are {', '.join(f'{p.pid} ({p.command})' for p in left)}")
    if status != 0:
        raise DemoFailed(f"cannot call it done: unitd left with exit status {status}")
    if tree is not None and tree.exists():
        raise DemoFailed(f"cannot call it done: {tree} is still there")
    if (demo.runtime / "private").exists():
        raise DemoFailed(f"cannot call it done: {demo.runtime}/private is still there")
    return took


def main() -> int:
    """Run the demo in a scratch directory, which is removed."""
    with scratch_directory() as scratch:
        demo = Demo(scratch)
        try:
            play(demo)
        except (DemoFailed, OSError, subprocess.TimeoutExpired) as error:
            print(f"{error}", file=sys.stderr)
            warnings_of(demo)
            return 1
        finally:
            demo.end()
    return 0


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory of this run's own below the temporary one."""
    path = Path(tempfile.mkdtemp(prefix="unitd-demo-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
