"""A process that stands for a daemon: a shelf and a fork server, told what to do by lines, and killed by the test.

Run as `python -m tests.host.left_alone RUNTIME PATIENCE`. Lines: `spawn UNIT ARGV...`, `blind UNIT ARGV...` (the same,
and then hear nothing any more), `hang UNIT FIFO`, `listen`, `end`. It says what it hears, and what it was given.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from tests.host.host import PATH, Parts, invocation_of
from unitd.host.children import Children
from unitd.host.keeper import Shelf
from unitd.host.ports import Surroundings
from unitd.host.spawn import Spawner
from unitd.model.exec_plan import ExecPlan, Role, Stdio

_kept_open: list[socket.socket] = []


def say(*words: object) -> None:
    print(*words, flush=True)


class Daemon:
    def __init__(self, loop: asyncio.AbstractEventLoop, runtime: str, patience: float) -> None:
        self.loop, self.runtime = loop, runtime
        self.shelf = Shelf(runtime)
        parts = Parts()
        self.spawner = Spawner(
            loop,
            self.post,
            Children(),
            Surroundings(parts, parts, {"PATH": PATH}),
            joined=lambda unit: None,
            settled=lambda: None,
            shelf=self.shelf,
            patience=patience,
        )
        self.spawner.start()
        say("server", self.spawner.fork_server.pid)

    def post(self, event: Any, then: Callable[[], None] | None = None) -> None:
        say(type(event).__name__, event.unit, getattr(event, "pid", 0))

    def obey(self) -> None:
        for line in os.read(0, 65536).decode().splitlines():
            what, *words = line.split()
            getattr(self, what)(*words)

    def spawn(self, unit: str, *argv: str, source: str = "null") -> None:
        plan = ExecPlan(
            unit=unit,
            serial=7,
            role=Role.MAIN,
            cgroup="",
            argv=argv,
            path=argv[0],
            invocation=invocation_of(unit),
            stdio=Stdio(input=source, output="null"),
        )
        self.spawner.spawn(plan, "")
        say("asked", unit, 0)

    def hang(self, unit: str, fifo: str) -> None:
        self.spawn(unit, "/bin/true", source=f"file:{fifo}")

    def blind(self, *words: str) -> None:
        self.spawn(*words)
        signal.pause()

    def listen(self) -> None:
        notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notes.bind(f"{self.runtime}/notify")
        calls = socket.create_server(("127.0.0.1", 0))
        for name, made in (("notify", notes), ("calls", calls)):
            self.shelf.hold(name, made.fileno())
            _kept_open.append(made)
        say("port", calls.getsockname()[1])

    def end(self) -> None:
        self.spawner.close()
        self.shelf.close()
        self.loop.stop()


def main() -> None:
    loop = asyncio.new_event_loop()
    daemon = Daemon(loop, sys.argv[1], float(sys.argv[2]))
    loop.add_reader(0, daemon.obey)
    loop.run_forever()


if __name__ == "__main__":
    main()
