"""A daemon kept busy: units that stay, die, restart, fork, and are asked to start and stop; and what must hold.

Every main process writes down (unit, invocation, pid) before anything else, so that a start too many is seen whatever
the daemon says. What lives is read from the kernel.
"""

from __future__ import annotations

import random
import threading
from pathlib import Path

from tests.torture.daemon import Daemon, is_alive, program, watch_for
from unitd.ctl.connection import Connection, Disconnected, Refused, Unreachable

SECTION = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nEnvironment=LIFE_S=1800\n"
PROPERTIES = ("ActiveState", "SubState", "MainPID", "InvocationID", "Result", "NRestarts")


def units(where: Path) -> dict[str, str]:
    """The unit files; each kind appears several times."""

    def run(name: str, *words: object) -> str:
        return program("counted", where / "starts", name, *words)

    found = {}
    for number in range(6):
        name = f"stay{number}.service"
        found[name] = f"{SECTION}Type=exec\nExecStart={run(name, 'rest')}\n"
        name = f"watch{number}.service"
        found[name] = f"{SECTION}Type=notify\nWatchdogSec=20\nExecStart={run(name, 'alive')}\n"
        name = f"once{number}.service"
        found[name] = f"{SECTION}Type=oneshot\nRemainAfterExit=yes\nExecStart={run(name, 'exit', 0)}\n"
        name = f"fork{number}.service"
        file = where / f"{name}.pid"
        found[name] = f"{SECTION}Type=forking\nPIDFile={file}\nExecStart={run(name, 'daemonize', file)}\n"
        name = f"dying{number}.service"
        found[name] = f"{SECTION}Type=exec\nRestart=always\nRestartSec=30ms\nExecStart={run(name, 'die')}\n"
    for number in range(12):
        name = f"churn{number}.service"
        kind, what = (("exec", "rest"), ("notify", "alive"))[number % 2]
        found[name] = f"{SECTION}Type={kind}\nTimeoutStopSec=20\nExecStart={run(name, what)}\n"
        if number % 4 == 0:
            found[name] += "ExecStartPre=/bin/sleep 0.05\nExecStop=/bin/sleep 0.05\n"
        if number % 4 == 1:
            found[name] = found[name].replace("[Unit]\n", "[Unit]\nRequires=churn0.service\nAfter=churn0.service\n")
    found["all.target"] = "[Unit]\nWants=" + " ".join(n for n in found if not n.startswith("churn")) + "\n"
    return found


class Load:
    """Asks for starts and stops of the churn units from a thread of its own, over a connection of its own."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self.daemon = daemon
        self.chance = random.Random(seed)
        self.names = [name for name in sorted(units(daemon.runtime)) if name.endswith(".service")]
        self.churn = [name for name in self.names if name.startswith("churn")]
        self.asked = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pids: dict[str, int] = {}

    # --- asking -------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Ask until paused, or until the daemon is gone."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._ask, args=(random.Random(self.chance.random()),))
        self._thread.start()

    def pause(self) -> None:
        """Ask no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)
            assert not self._thread.is_alive(), "the daemon does not answer"
            self._thread = None

    def _ask(self, chance: random.Random) -> None:
        link: Connection | None = None
        while not self._stop.wait(chance.uniform(0, 0.02)):
            try:
                link = link or self.daemon.connect()
                verb = chance.choice(("StartUnit", "StartUnit", "StopUnit", "RestartUnit"))
                link.manager(verb, "ss", chance.choice(self.churn), "replace")
                link._signals.clear()
                self.asked += 1
            except (Disconnected, Unreachable, OSError):
                if link is not None:
                    link.close()
                link = None
            except Refused:
                # A stop of what another job needs started, or the other way round.
                continue
        if link is not None:
            link.close()

    # --- looking ------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until only those that die on purpose have jobs."""

        jobs: list[tuple[str, ...]] = []

        def quiet() -> bool:
            jobs[:] = [job[:4] for job in self.daemon.link.manager("ListJobs")[0] if not job[1].startswith("dying")]
            self.daemon.link._signals.clear()
            return not jobs

        try:
            watch_for(quiet, "all jobs done", 60)
        except AssertionError:
            stuck = {job[1] for job in jobs}
            print("\n".join(line for line in self.daemon.lines() if any(unit in line for unit in stuck)))
            raise AssertionError(f"jobs left: {[(*job, self.shown(job[1])) for job in jobs]}") from None

    def shown(self, name: str) -> dict[str, str]:
        """Some properties of a unit."""
        lines = self.daemon.must("show", name, *(f"-p{each}" for each in PROPERTIES)).splitlines()
        return dict(line.partition("=")[::2] for line in lines)

    def check(self) -> None:
        """What the daemon says is what the kernel shows, nobody was lost, and nobody was started twice."""
        everything = self.daemon.must("show", *self.names, *(f"-p{each}" for each in (*PROPERTIES, "Id")))
        for block in everything.strip().split("\n\n"):
            shown: dict[str, str] = dict(line.partition("=")[::2] for line in block.splitlines())
            self._check_unit(shown["Id"], shown)
        self._check_starts()
        for line in self.daemon.lines():
            assert "internal error" not in line, line
            assert "Traceback" not in line, line

    def _check_unit(self, name: str, shown: dict[str, str]) -> None:
        if name.startswith("dying"):
            return
        state, pid = f"{shown['ActiveState']}/{shown['SubState']}", int(shown["MainPID"])
        members = [pid for pid in self.daemon.members(name) if is_alive(pid)]
        allowed = {"once": ("active/exited",), "churn": ("active/running", "inactive/dead")}
        kind = name.partition(".")[0].rstrip("0123456789")
        assert state in allowed.get(kind, ("active/running",)), (name, shown, members)
        assert members == ([pid] if state == "active/running" else []), (name, shown, members)
        if kind not in allowed:
            assert shown["NRestarts"] == "0", (name, shown)
            assert self._pids.setdefault(name, pid) == pid, (name, shown, self._pids[name])

    def starts(self) -> list[tuple[str, str, int]]:
        """(unit, invocation, pid) of every main process that ever began."""
        lines = (self.daemon.runtime.parent / "starts").read_text().splitlines()
        return [(unit, invocation, int(pid)) for unit, invocation, pid in map(str.split, lines)]

    def _check_starts(self) -> None:
        seen: dict[tuple[str, str], int] = {}
        living: dict[str, set[int]] = {}
        for unit, invocation, pid in self.starts():
            assert (unit, invocation) not in seen, f"{unit} was started twice: {seen[unit, invocation]} and {pid}"
            seen[unit, invocation] = pid
            if is_alive(pid) and pid in self.daemon.members(unit):
                living.setdefault(unit, set()).add(pid)
        for unit, pids in living.items():
            assert len(pids) <= 1 or unit.startswith("fork"), f"{unit} runs more than once: {pids}"
