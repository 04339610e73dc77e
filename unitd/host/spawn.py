"""Starts processes through the fork server, and tells what became of each: Spawned, then Execed or SpawnFailed.

The daemon never forks while the fork server lives. At most WINDOW requests are under way that have not been answered
by a pid; the others wait here. When the fork server dies it is started again: a child that had not execed is killed
and reported, one that had is taken over, and a request that started nothing is sent once more. Where the server does
not live, os.fork takes its place. When the daemon is killed it stays for a while, as the keeper (host/keeper).
"""

import asyncio
import errno
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from unitd.executor import child as child_side
from unitd.executor import server as server_side
from unitd.host import processes, reserve
from unitd.host.children import Child, Children
from unitd.host.fork_server import WINDOW, ForkServer
from unitd.host.keeper import EXECUTOR, Shelf
from unitd.host.ports import Post, Surroundings
from unitd.host.processes import Process
from unitd.host.request import Unusable, request_of
from unitd.model.events import Execed, Spawned, SpawnFailed
from unitd.model.exec_plan import ExecPlan

_COMMAND = 200
"""As much of a command line is remembered."""


@dataclass(slots=True, eq=False)
class _Flight:
    """One request from asking to exec. `child`: set once there is a pid; `asked`: when sent, in clock ticks since boot;
    `losses`: how often the fork server died before it answered."""

    key: int
    plan: ExecPlan
    procs: str
    child: Child | None = None
    sent: bool = False
    losses: int = 0
    asked: int = 0
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def prints(self) -> bool:
        """It prints to the unit's log."""
        return "log" in (self.plan.stdio.output, self.plan.stdio.error)


class Spawner:
    """The daemon's side of the fork server. `joined(unit)`, `settled()`: called when a child is in, or was told of.

    `patience`: how many seconds the fork server waits at the shelf's door for the daemon that follows one killed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        post: Post,
        children: Children,
        around: Surroundings,
        *,
        joined: Callable[[str], None],
        settled: Callable[[], None],
        shelf: Shelf,
        python: str = sys.executable,
        patience: float = server_side.PATIENCE_S,
    ) -> None:
        self._loop, self._post, self._children, self._around = loop, post, children, around
        self._joined, self._settled = joined, settled
        self._flights: dict[int, _Flight] = {}
        self._queue: deque[_Flight] = deque()
        self._next = 0
        self._unspawned = 0
        self._idle: tuple[int, int] | None = None
        self._resting = False
        self._pipes: dict[int, _Flight] = {}
        self.fork_server = ForkServer(loop, shelf, self._receive, python, patience)
        self.nofile = reserve.limit()
        """The limits that the daemon was started with: what services get, whatever the daemon itself needs."""

    # --- asking ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Have a fork server from now on: what the daemon is killed with before has no keeper."""
        self.fork_server.start()

    def spawn(self, plan: ExecPlan, procs: str) -> None:
        """Start what the plan says; it joins the cgroup of `procs` ("": none)."""
        self._next += 1
        flight = _Flight(self._next, plan, procs)
        self._flights[flight.key] = flight
        self._queue.append(flight)
        self._pump()

    def rest(self) -> None:
        """Start nothing more until go_on: what is asked for waits. Who waits for its turn (Type=idle) waits no more."""
        self._resting = True
        self.jobs_done()

    def go_on(self) -> None:
        """Start what waits."""
        self._resting = False
        self._pump()

    @property
    def under_way(self) -> str:
        """A unit for which a process is between asking and exec; "" when there is none."""
        flying = (each.plan.unit for each in self._flights.values() if each.sent or each.child is not None)
        return next(flying, "")

    @property
    def is_waiting(self) -> bool:
        """A request is under way, and its pid is not known yet."""
        return self._unspawned > 0

    async def joined(self, unit: str) -> None:
        """Return once every process that was asked for the unit until now is in its cgroup, or failed."""
        flights = [flight for flight in self._flights.values() if flight.plan.unit == unit and flight.child is None]
        waiting = []
        for flight in flights:
            waiting.append(self._loop.create_future())
            flight.waiting.append(waiting[-1])
        for future in waiting:
            await future

    def jobs_done(self) -> None:
        """No job is waiting: the processes of Type=idle services may go on."""
        if self._idle is not None:
            os.close(self._idle[0])
            os.close(self._idle[1])
            self._idle = None

    def close(self) -> None:
        """End the fork server, which thus keeps nothing, and forget what is under way; its zombie is the reaper's."""
        self.jobs_done()
        self._queue.clear()
        self.fork_server.end()
        for pipe in list(self._pipes):
            self._loop.remove_reader(pipe)
            os.close(pipe)
        self._pipes.clear()
        reserve.give_back(self.nofile)

    # --- sending --------------------------------------------------------------------------------------

    def _pump(self) -> None:
        while self._queue and self._unspawned < WINDOW and not self._resting:
            flight = self._queue.popleft()
            try:
                request, fds = request_of(flight.plan, flight.procs, self._around, self.nofile)
            except Unusable as fault:
                self._fail(flight, fault.stage, fault.number, fault.detail)
                continue
            except Exception as error:
                self._fail(flight, "exception", getattr(error, "errno", None) or errno.EIO, str(error))
                continue
            request["key"] = flight.key
            request["about"] = (flight.plan.unit, flight.plan.serial, flight.plan.invocation)
            if flight.prints:
                self._around.logs.expect(flight.plan.unit, True)
            if flight.plan.idle:
                fds.append(self._idle_pipe())
            self._unspawned += 1
            flight.sent = True
            flight.asked = processes.ticks()
            if flight.losses > 1 or not self.fork_server.send(flight.key, request, fds):
                self._fork(flight, request, fds)

    def _idle_pipe(self) -> int:
        if self._idle is None:
            self._idle = os.pipe2(os.O_CLOEXEC)
        return self._idle[0]

    def _fork(self, flight: _Flight, request: dict[str, Any], fds: list[int]) -> None:
        """Without a fork server: fork the daemon itself, which costs it some milliseconds."""
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            pid = os.fork()
        except OSError as error:
            os.close(read)
            os.close(write)
            self._fail(flight, "fork", error.errno or errno.EAGAIN, "")
            return
        if pid == 0:
            server_side.reset_signals()
            child_side.run_child(request, fds, write)
        os.close(write)
        self._pipes[read] = flight
        self._loop.add_reader(read, self._hear, read, pid)

    # --- hearing --------------------------------------------------------------------------------------

    def _receive(self) -> None:
        """Take the answers that are there."""
        for answer in self.fork_server.answers():
            self._take(answer)
        if not self.fork_server.is_up:
            self._lost()
        self._pump()
        self._settled()

    def _hear(self, pipe: int, pid: int) -> None:
        """What the child of os.fork tells."""
        flight = self._pipes[pipe]
        told = os.read(pipe, 65536)
        for answer in server_side.outcome(flight.key, pid, told, joined=flight.child is not None):
            self._take(answer)
            if answer[1] != "spawned":
                self._loop.remove_reader(pipe)
                os.close(pipe)
                del self._pipes[pipe]
        self._pump()
        self._settled()

    def _take(self, answer: tuple[Any, ...]) -> None:
        key, what, *details = answer
        flight = self._flights.get(key)
        if flight is None:
            return
        if what == "spawned":
            self._spawned(flight, *details)
        elif what == "execed":
            self._execed(flight)
        else:
            self._fail(flight, *details)

    def _spawned(self, flight: _Flight, pid: int, birth: int) -> None:
        plan = flight.plan
        flight.child = Child(plan.unit, pid, birth, plan.serial, plan.invocation, " ".join(plan.argv)[:_COMMAND])
        self._children.add(flight.child)
        self._joined(plan.unit)
        if flight.prints:
            self._around.logs.label(plan.unit, plan.log_name or os.path.basename(plan.path), pid)
        self._post(Spawned(plan.unit, plan.serial, pid, birth))
        self._landed(flight)

    def _execed(self, flight: _Flight) -> None:
        del self._flights[flight.key]
        if flight.child is not None:
            flight.child.settled = True
            self._post(Execed(flight.plan.unit, flight.plan.serial))

    def _fail(self, flight: _Flight, stage: str, number: int, detail: str) -> None:
        del self._flights[flight.key]
        if flight.child is not None:
            flight.child.settled = flight.child.failed = True
        elif flight.prints:
            self._around.logs.expect(flight.plan.unit, False)
        self._landed(flight)
        about = "" if detail == flight.plan.path else detail
        self._post(SpawnFailed(flight.plan.unit, flight.plan.serial, stage, number, in_words(number, about)))

    def _landed(self, flight: _Flight) -> None:
        """It is known whether there is a pid."""
        if flight.sent:
            flight.sent = False
            self._unspawned -= 1
        for future in flight.waiting:
            if not future.done():
                future.set_result(None)
        flight.waiting.clear()

    # --- when the fork server dies ----------------------------------------------------------------------

    def _lost(self) -> None:
        """Account for everything that was under way; children between clone and exec die with their server."""
        forked = set(self._pipes.values())
        started = self._unknown_children()
        for flight in [flight for flight in self._flights.values() if flight not in forked]:
            if flight.child is not None:
                self._after_loss(flight, flight.child)
            elif flight.sent:
                found = [child for child in started.get(flight.plan.invocation, ()) if child.birth >= flight.asked]
                if found:
                    self._spawned(flight, found[0].pid, found[0].birth)
                    self._execed(flight)
                else:
                    flight.losses += 1
                    flight.sent = False
                    self._unspawned -= 1
                    self._queue.append(flight)
        self.start()

    def _after_loss(self, flight: _Flight, child: Child) -> None:
        if _is_executor(child.pid):
            os.kill(child.pid, signal.SIGKILL)
            self._fail(flight, "fork", errno.ECONNRESET, "the fork server died")
        else:
            self._execed(flight)

    def _unknown_children(self) -> dict[str, list[Process]]:
        """Kill our children that have not execed and that nobody told us of; those that have, by invocation id.

        What leads a session was started by us; an orphan that came to us seldom does.
        """
        ourselves = os.getpid()
        started: dict[str, list[Process]] = {}
        for process in processes.everyone().values():
            known = process.pid == self.fork_server.pid or self._children.get(process.pid) is not None
            if process.parent != ourselves or known or not process.is_alive:
                continue
            if _is_executor(process.pid):
                processes.send(process.pid, process.birth, signal.SIGKILL)
            elif process.session == process.pid:
                started.setdefault(processes.invocation(process.pid), []).append(process)
        return started


def in_words(number: int, about: str) -> str:
    """The kernel's word for an errno, behind what it is about; just that where it says so itself."""
    word = os.strerror(number)
    return about if word in about else f"{about}: {word}" if about else word


def _is_executor(pid: int) -> bool:
    """The process is a child of the fork server that has not execed yet."""
    return EXECUTOR in processes.command_line(pid)
