"""A make-believe kernel: carries out the engine's effects on processes that do as their Program says.

Invariants: every answer comes later than its effect, in the order of instants; Spawned and Execed come before
ProcessExited, and CgroupEmpty once per edge from one process to none (the host's promises). What KillEverything and
Verify look at is every process ever started, whatever cgroup it is in.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush

from unitd.model.effects import (
    CheckConditions,
    CloseSockets,
    Effect,
    GuessMain,
    Kill,
    KillEverything,
    Listen,
    Scope,
    Spawn,
    UnwatchPidFile,
    UnwatchSockets,
    Verify,
    WatchBusName,
    WatchPidFile,
    WatchSockets,
)
from unitd.model.events import (
    BusNameChanged,
    CgroupEmpty,
    ConditionsChecked,
    Event,
    Execed,
    Exit,
    How,
    Incoming,
    ListenFailed,
    Listening,
    MainGuessed,
    Notified,
    PidFileRead,
    ProcessExited,
    Signalled,
    Spawned,
    SpawnFailed,
    Survivors,
)
from unitd.model.exec_plan import ExecPlan
from unitd.model.processes import Evidence, Left, Straggler, Target
from unitd.model.states import INFINITY

SIGKILL = 9
SIGCONT = 18
STEP = 100
"""Microseconds that the kernel takes for anything."""


WELL = Exit(How.EXITED, 0)


@dataclass(frozen=True, slots=True)
class Program:
    """What a process does from exec on; instants are microseconds after exec, spans are microseconds.

    `life`: when it ends by itself, with `exit`. `ignores`: signals without effect. `slow`: from a signal to the end.
    `caught`: the exit when a signal ends it; None: by the signal. `leaves`: it moves out of its cgroup.
    """

    life: int = INFINITY
    exit: Exit = WELL
    ignores: frozenset[int] = frozenset()
    slow: int = 0
    caught: Exit | None = None
    children: tuple["Program", ...] = ()
    orphans: bool = False
    """The children are double-forked: their parent is the daemon."""
    leaves: bool = False
    says: tuple[tuple[int, str], ...] = ()
    """(instant, "READY=1 STATUS=x") notifications."""
    writes_pid: tuple[int, str] | None = None
    """(instant, path): a PID file with the pid of the first child, or its own without children."""
    owns: tuple[int, str] | None = None
    """(instant, bus name)."""
    spawning: int = STEP
    execing: int = STEP
    fails: tuple[str, int, str] | None = None
    """(stage, errno, detail): no program runs. Stage "fork": there is not even a process."""
    immortal: bool = False
    """Not even SIGKILL ends it (uninterruptible sleep)."""


DAEMON = Program()
DONE = Program(life=STEP)
FAILING = Program(life=STEP, exit=Exit(How.EXITED, 1))


@dataclass(slots=True)
class Living:
    pid: int
    unit: str
    """Whose cgroup it is in; "" for none of ours."""
    program: Program
    parent: int
    owner: str
    """The unit that started it or an ancestor of it."""
    ending: bool = False


@dataclass(slots=True)
class Kernel:
    """`programs` by path of the executable or by "unit path"; what is not named is a DAEMON.

    `true`: the conditions that hold, as "Kind parameter"; `busy`: addresses that cannot be bound.
    """

    programs: Mapping[str, Program] = field(default_factory=dict)
    true: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    now: int = 0
    living: dict[int, Living] = field(default_factory=dict)
    signals: list[tuple[int, str, int, int]] = field(default_factory=list)
    """(instant, unit, pid, signal), in the order of sending."""
    next_pid: int = 100
    _due: list[tuple[int, int, Callable[[], Iterable[Event]]]] = field(default_factory=list)
    _counter: int = 0
    _pid_files: dict[str, int] = field(default_factory=dict)
    _watched_files: dict[str, str] = field(default_factory=dict)
    _watched_sockets: set[str] = field(default_factory=set)
    _traffic: set[str] = field(default_factory=set)
    open_sockets: set[str] = field(default_factory=set)
    _names: dict[str, int] = field(default_factory=dict)
    _looked_at: set[int] = field(default_factory=set)

    # --- time -----------------------------------------------------------------------------------------

    def next_instant(self) -> int:
        return self._due[0][0] if self._due else INFINITY

    def run_due(self) -> list[Event]:
        """What happens first among the things that are due now."""
        if self.next_instant() > self.now:
            return []
        return list(heappop(self._due)[2]())

    def later(self, span: int, action: Callable[[], Iterable[Event]]) -> None:
        """Let something happen `span` from now."""
        self._counter += 1
        heappush(self._due, (self.now + span, self._counter, action))

    # --- effects --------------------------------------------------------------------------------------

    def perform(self, effect: Effect) -> None:
        """Carry out one effect; answers come from run_due()."""
        match effect:
            case Spawn():
                program = self.program(effect.plan)
                self.later(program.spawning, lambda: self._spawn(effect.plan, program))
            case Kill():
                self.later(STEP, lambda: self._kill(effect))
            case CheckConditions():
                self.later(0, lambda: self._check(effect))
            case GuessMain(unit=unit):
                self.later(STEP, lambda: self._guess(unit))
            case WatchPidFile(unit=unit, path=path):
                self._watched_files[path] = unit
                self.later(STEP, lambda: self._read_pid_file(path))
            case UnwatchPidFile(path=path, remove=remove):
                self._watched_files.pop(path, None)
                if remove:
                    self._pid_files.pop(path, None)
            case WatchBusName(name=name):
                self.later(STEP, lambda: self._name_owner(name))
            case Listen(plan=plan):
                self.later(STEP, lambda: self._listen(plan.unit, plan.addresses))
            case WatchSockets(unit=unit):
                self._watched_sockets.add(unit)
                self.later(STEP, lambda: self._incoming(unit))
            case UnwatchSockets(unit=unit):
                self._watched_sockets.discard(unit)
            case CloseSockets(unit=unit):
                self.open_sockets.discard(unit)
                self._traffic.discard(unit)
            case KillEverything(signal=signal):
                self.later(STEP, lambda: self._kill_everything(signal))
            case Verify():
                self.later(STEP, self._survivors)
            case _:
                pass

    def program(self, plan: ExecPlan) -> Program:
        return self.programs.get(f"{plan.unit} {plan.path}") or self.programs.get(plan.path, DAEMON)

    # --- processes ------------------------------------------------------------------------------------

    def of(self, unit: str) -> list[int]:
        """The living pids in the unit's cgroup."""
        return [pid for pid, living in self.living.items() if living.unit == unit]

    def _new(self, unit: str, program: Program, parent: int, owner: str) -> Living:
        self.next_pid += 1
        cgroup = "" if program.leaves else unit
        living = self.living[self.next_pid] = Living(self.next_pid, cgroup, program, parent, owner)
        return living

    def adopt(self, unit: str, program: Program) -> int:
        """A process that some process of the unit forks off; its pid."""
        living = self._new(unit, program, 1, unit)
        self._begin(living)
        return living.pid

    def _spawn(self, plan: ExecPlan, program: Program) -> Iterable[Event]:
        if program.fails is not None and program.fails[0] == "fork":
            yield SpawnFailed(plan.unit, plan.serial, *program.fails)
            return
        living = self._new(plan.unit, program, 1, plan.unit)
        self.later(program.execing, lambda: self._exec(plan, living))
        yield Spawned(plan.unit, plan.serial, living.pid, living.pid * 10)

    def _exec(self, plan: ExecPlan, living: Living) -> Iterable[Event]:
        program = living.program
        if living.pid not in self.living:
            return
        if program.fails is not None:
            del self.living[living.pid]
            yield SpawnFailed(plan.unit, plan.serial, *program.fails)
            yield from self._emptied(living.unit)
            return
        yield Execed(plan.unit, plan.serial)
        self._begin(living)

    def _begin(self, living: Living) -> None:
        """The program runs: everything that it does by itself is laid down now."""
        program, pid = living.program, living.pid
        born = [
            self._new(living.unit, child, 1 if program.orphans else pid, living.owner) for child in program.children
        ]
        for child in born:
            self._begin(child)
        for instant, text in program.says:
            self.later(instant, partial(self._notify, living, text))
        if program.writes_pid is not None:
            instant, path = program.writes_pid
            written = born[0].pid if born else pid
            self.later(instant, lambda: self.write_pid_file(path, written))
        if program.owns is not None:
            instant, name = program.owns
            self.later(instant, lambda: self._own(name, pid))
        if program.life < INFINITY:
            self.later(program.life, lambda: self.end(pid, program.exit))

    def end(self, pid: int, exit: Exit) -> Iterable[Event]:
        """The process ends; its children become orphans."""
        living = self.living.pop(pid, None)
        if living is None:
            return
        for other in self.living.values():
            if other.parent == pid:
                other.parent = 1
        for name, owner in list(self._names.items()):
            if owner == pid:
                del self._names[name]
                yield BusNameChanged(name, "")
        if living.owner:
            yield ProcessExited(living.owner, pid, exit)
        yield from self._emptied(living.unit)

    def _emptied(self, unit: str) -> Iterable[Event]:
        if unit and not self.of(unit):
            yield CgroupEmpty(unit)

    def _notify(self, living: Living, text: str) -> Iterable[Event]:
        if living.pid in self.living:
            fields = tuple((k, v) for k, _, v in (word.partition("=") for word in text.split()))
            yield Notified(living.owner, living.pid, fields)

    # --- signals --------------------------------------------------------------------------------------

    def _depth(self, pid: int) -> int:
        depth = 0
        while (living := self.living.get(pid)) is not None and living.parent in self.living:
            depth, pid = depth + 1, living.parent
        return depth

    def _kill(self, kill: Kill) -> Iterable[Event]:
        wanted = self.of(kill.unit) if kill.scope is Scope.ALL else []
        wanted = sorted(set(wanted) | {pid for pid in kill.pids if pid in self.living})
        order = sorted(wanted, key=lambda pid: (pid in kill.pids, -self._depth(pid), pid))
        seen = tuple(self._seen(pid) for pid in order)
        evidence = Evidence(seen) if kill.examine else None
        sent = []
        for pid in order:
            sent.append(Target(pid, self._depth(pid), self.living[pid].owner))
            self._send(pid, kill.signal)
            if kill.hup:
                self._send(pid, 1)
        if kill.sure:
            for pid in self.of(kill.unit):
                if pid not in order:
                    self._send(pid, SIGKILL)
        yield Signalled(kill.unit, kill.signal, tuple(sent), evidence=evidence)

    def _seen(self, pid: int) -> Straggler:
        living = self.living[pid]
        if living.program.immortal:
            stack = ("io_schedule+0x12/0x40", "nfs_wait+0x1/0x2")
            return Straggler(pid, pid * 10, living.owner, "D (disk sleep)", "io_schedule", stack)
        return Straggler(pid, pid * 10, living.owner, "S (sleeping)", "do_wait")

    def _send(self, pid: int, signal: int) -> None:
        living = self.living.get(pid)
        if living is None:
            return
        self.signals.append((self.now, living.owner, pid, signal))
        program = living.program
        kills = signal == SIGKILL
        if living.ending and not kills:
            return
        if program.immortal or signal == SIGCONT or (signal in program.ignores and not kills):
            return
        living.ending = True
        exit = Exit(How.KILLED, signal) if kills or program.caught is None else program.caught
        self.later(STEP if kills else STEP + program.slow, lambda: self.end(pid, exit))

    def _kill_everything(self, signal: int) -> Iterable[Event]:
        order = sorted(self.living, key=lambda pid: (-self._depth(pid), pid))
        fresh = [pid for pid in order if signal == SIGKILL and pid not in self._looked_at]
        self._looked_at.update(fresh)
        for unit in sorted({self.living[pid].owner for pid in fresh}):
            of = [pid for pid in fresh if self.living[pid].owner == unit]
            sent = tuple(Target(pid, self._depth(pid), unit) for pid in of)
            yield Signalled(unit, signal, sent, evidence=Evidence(tuple(self._seen(pid) for pid in of)))
        for pid in order:
            self._send(pid, signal)

    def _survivors(self) -> Iterable[Event]:
        yield Survivors(tuple(Left(pid, unit=living.owner) for pid, living in sorted(self.living.items())))

    # --- conditions, files, names, sockets --------------------------------------------------------------

    def _check(self, asked: CheckConditions) -> Iterable[Event]:
        def states(conditions: Iterable[object]) -> tuple[int, ...]:
            return tuple(
                1 if (f"{c.kind} {c.parameter}" in self.true) != c.negate else -1  # type: ignore[attr-defined]
                for c in conditions
            )

        yield ConditionsChecked(asked.unit, asked.serial, states(asked.conditions), states(asked.asserts))

    def _guess(self, unit: str) -> Iterable[Event]:
        pids = self.of(unit)
        yield MainGuessed(unit, pids[0] if len(pids) == 1 else 0, 1)

    def write_pid_file(self, path: str, pid: int) -> Iterable[Event]:
        """Some process writes the file; whoever watches it is told."""
        self._pid_files[path] = pid
        self.later(STEP, lambda: self._read_pid_file(path))
        return ()

    def _read_pid_file(self, path: str) -> Iterable[Event]:
        unit = self._watched_files.get(path)
        if unit is None:
            return
        pid = self._pid_files.get(path, 0)
        if pid in self.living:
            yield PidFileRead(unit, pid, pid * 10)
        else:
            yield PidFileRead(unit, 0, reason="there is no such process" if pid else "there is no such file")

    def _own(self, name: str, pid: int) -> Iterable[Event]:
        if pid in self.living:
            self._names[name] = pid
            yield BusNameChanged(name, ":1.1", pid)

    def _name_owner(self, name: str) -> Iterable[Event]:
        yield BusNameChanged(name, ":1.1" if name in self._names else "", self._names.get(name, 0))

    def _listen(self, unit: str, addresses: Iterable[tuple[str, str]]) -> Iterable[Event]:
        for _, address in addresses:
            if address in self.busy:
                yield ListenFailed(unit, address, 98, "Address already in use")
                return
        self.open_sockets.add(unit)
        yield Listening(unit)

    def connect(self, unit: str) -> None:
        """A client connects to the socket unit; the traffic stays until accept()."""
        self._traffic.add(unit)
        self.later(STEP, lambda: self._incoming(unit))

    def accept(self, unit: str) -> None:
        """The service has taken all that waited at the socket."""
        self._traffic.discard(unit)

    def _incoming(self, unit: str) -> Iterable[Event]:
        if unit in self._traffic and unit in self._watched_sockets:
            self._watched_sockets.discard(unit)
            yield Incoming(unit)
