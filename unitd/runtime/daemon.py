"""What the daemon is made of, put together once: the engine, the host's parts, the bus, and the pump between them."""

import asyncio
import contextlib
import os
import traceback
from collections.abc import Sequence

from unitd import __version__
from unitd.bus.bus import Bus
from unitd.bus.ports import About, World
from unitd.engine.engine import Engine
from unitd.engine.snapshot import Snapshot
from unitd.host import accounts, clock, conditions, config_file, facts, keeper, trees, virtualization
from unitd.host.facts import Place
from unitd.host.gauges import Gauges
from unitd.host.inotify import Inotify
from unitd.host.last_shutdown import LastShutdown
from unitd.host.listen import Sockets
from unitd.host.logs import Logs
from unitd.host.notify import Notify
from unitd.host.perform import Host
from unitd.host.pid_files import PidFiles
from unitd.host.start_record import FORMAT, Head, StartRecord
from unitd.host.unit_dirs import UnitDirs, search_path
from unitd.host.watch import UnitFileWatch
from unitd.model.dependencies import Dep
from unitd.model.effects import Adopt, Effect, KeepReport, Leave, Log, Reexec, StartupFinished, WatchBusName
from unitd.model.events import Caller, Leaving, ShutdownAsked, Tick, UnitFilesChanged
from unitd.model.states import SECOND, Load
from unitd.runtime import lock, readiness, signals
from unitd.runtime.console import Console
from unitd.runtime.environment import service_environment
from unitd.runtime.handover import Handover, Work
from unitd.runtime.journal import Journal
from unitd.runtime.options import Options
from unitd.runtime.ports import BusClock, BusLogs
from unitd.runtime.pump import Pump
from unitd.runtime.recovery import Recovery, completed
from unitd.runtime.reexec import Renewal
from unitd.runtime.remembering import Memory, recall
from unitd.wire.dialects import PYZINIT

_WITHOUT_A_TARGET = ("rescue.target", "emergency.target")
"""What a machine starts when its first target cannot be: nobody else could help there."""

_NOTIFY = "notify"
"""The notification socket's name on the shelf."""


class Daemon:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: Options,
        place: Place,
        journal: Journal,
        handed: Handover | None = None,
    ) -> None:
        """Take the runtime directory, or take it over; raises lock.Taken, OSError. `handed`: by an earlier image."""
        self._loop, self._options, self._place, self._journal = loop, options, place, journal
        self._handed = handed
        os.makedirs(options.runtime_dir, mode=0o755, exist_ok=True)
        self._lock = lock.take(options.runtime_dir) if handed is None else handed.lock
        self._left: asyncio.Future[Leave] = loop.create_future()
        self._clock = clock.Clock()
        self._console: Console | None = None
        self._has_begun = False
        """Units are started, or taken over."""
        self._is_over = False
        """Everything is stopped, and no daemon has to know of it."""
        self._make()

    def _make(self) -> None:
        options, warn = self._options, self._journal.warn
        config, problems = config_file.read(options.config, user=options.user)
        for problem in problems:
            warn(str(problem))
        self._config = config
        self._level = options.log_level or config.log_level
        self._journal.set_level(self._level)
        host_facts = facts.host_facts(options.user)
        path = search_path(config, host_facts, options.unit_path, os.environ)
        self._dirs = UnitDirs(path, host_facts, config)
        now = self._clock.monotonic()
        may_exit = self._place is not Place.MACHINE
        self.engine = Engine(self._dirs, config, host_facts.bases, lambda: os.urandom(16).hex(), now, may_exit=may_exit)
        self.pump = Pump(self._loop, self.engine, self._note, self._perform, self._flush, self._clock.monotonic, warn)
        self._make_host()
        self._make_memory()
        self._make_bus(path, host_facts.machine_id)
        work = Work(
            self.engine,
            self.pump,
            self._host,
            self._bus,
            self._logs,
            self._shelf,
            self._journal,
            self._lock,
            self._level,
        )
        self._renewal = Renewal(self._loop, work, signals.OBEYED, self._journal.say)
        self._signals = signals.Signals(self._loop, self._place, self.pump.post, self._clock, warn)
        self._watch = UnitFileWatch(self._inotify, self._loop, path, self._files_changed, warn)

    def _make_host(self) -> None:
        options, warn = self._options, self._journal.warn
        self._inotify = Inotify(self._loop)
        handed = self._handed
        self._kept = keeper.take(options.runtime_dir) if handed is None else keeper.Kept(dict(handed.shelf))
        # Whom nobody could ask must not start anything any more.
        alone = handed is None and not self._kept.is_whole
        killed = keeper.end_executors(options.runtime_dir) if alone else ()
        self._shelf = keeper.Shelf(options.runtime_dir)
        self._logs = Logs(options.runtime_dir, options.state_dir, self._loop, self._clock, warn)
        self._sockets = Sockets(self._loop, self.pump.post, warn, self._shelf, self._served_by)
        self._pid_files = PidFiles(self._inotify, self.pump.post, self._unit_of, self._claim)
        self._host = Host(
            self._loop,
            self.pump.post,
            self._inotify,
            runtime_dir=options.runtime_dir,
            logs=self._logs,
            sockets=self._sockets,
            pid_files=self._pid_files,
            conditions=conditions.check,
            environment=service_environment(options),
            notify=f"{options.runtime_dir}/notify",
            warn=warn,
            shelf=self._shelf,
            cgroup=options.cgroup,
            boot_id=clock.boot_id(),
        )
        self._recovery = Recovery(self._host, self.pump.post, self._kept.started, killed, alone=alone)

    def _make_memory(self) -> None:
        """What the next daemon goes by, and what this one goes on with; only then anything is started or heard."""
        options, warn, handed = self._options, self._journal.warn, self._handed
        head = Head(FORMAT, clock.boot_id(), options.runtime_dir)
        self._record = f"{options.state_dir}/started", head
        self._memory = Memory(self.engine, StartRecord(*self._record, self._loop, warn))
        if handed is not None:
            self._journal.set_level(handed.level or self._journal.level)
            self._logs.take_up(handed.logs)
            self._host.take_up(handed.host)
        self._host.spawner.start()
        given = self._kept.fds.pop(_NOTIFY, -1)
        self._sockets.give(self._kept.fds)
        host, path = self._host, f"{options.runtime_dir}/notify"
        self._notify = Notify(path, self._loop, self.pump.post, host.unit_of, warn, host.is_unborn, given)
        self._shelf.hold(_NOTIFY, self._notify.fileno())
        self._host.reaper.hear = self._notify.read

    def _make_bus(self, path: tuple[str, ...], machine_id: str) -> None:
        gauges = Gauges(self._host.groups)
        about = About(
            version=__version__,
            uid=os.geteuid(),
            architecture=facts.architecture(),
            cgroup=gauges.cgroup,
            virtualization=virtualization.virtualization(),
            unit_path=path,
            environment=tuple(f"{name}={value}" for name, value in service_environment(self._options).items()),
            machine_id=machine_id,
            adm_gid=accounts.log_readers(),
        )
        logs, clock_of_bus = BusLogs(self._logs), BusClock(self._clock)
        self._reports = LastShutdown(
            self._options.state_dir, clock.boot_id(), __version__, self._clock.offset, self._journal.warn, about.adm_gid
        )
        world = World(
            self.engine.view,
            gauges,
            logs,
            clock_of_bus,
            self._dirs,
            self._journal,
            about,
            PYZINIT,
            last_shutdown=self._reports.read,
        )
        if self._place is not Place.BESIDE or self._journal.is_terminal:
            self._console = Console(self._loop, world, self._journal)
        kept = self._handed.bus if self._handed is not None else None
        self._bus = Bus(self._loop, world, self.pump.post, lambda level, text: self._journal.say(level, text), kept)
        self._host.kinship.spared = self._bus.peers

    # --- life -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen, obey signals, and start the first target, or go on; raises what went wrong before anything was begun.

        What goes wrong later ends like any other shutdown, in wait().
        """
        self._signals.obey()
        try:
            self._begin()
        except Exception as fault:
            if self._handed is not None:
                raise
            self._give_up(fault)

    def _begin(self) -> None:
        self._bus.listen(f"{self._options.runtime_dir}/private")
        if self._handed is not None:
            self._go_on_with(self._handed.units, resend=False)
            self._taken_over()
        else:
            self._recover()
        if self._options.bus != "none":
            self._bus.join(self._options.bus)
        if self._handed is not None:
            keeper.dismiss(self._handed.door, self._handed.host.server)
            self._journal.say("info", f"went on as unitd {__version__}, before unitd {self._handed.version}")
            self._handed = None
        self._renewal.obey()
        readiness.tell("READY=1")

    def _give_up(self, fault: Exception) -> None:
        """Stop what was started; what an earlier daemon started is not touched before it is taken over."""
        if self._place is Place.MACHINE:
            self._journal.say("crit", f"cannot do all of the start: {''.join(traceback.format_exception(fault))}")
            return
        if not self._has_begun and self._host.groups.everyone():
            self._host.spawner.close()
            self._shelf.close()
            raise fault
        self._journal.say("err", f"cannot start: {fault}")
        self.pump.post(ShutdownAsked(0, Leaving.EXIT, 1, by=Caller(what="a start that failed")))

    def _recover(self) -> None:
        """Go on where a daemon stopped that was killed, and start the first target unless that one did."""
        warn, now = self._journal.warn, self._clock.monotonic()
        recalled = recall(*self._record, warn)
        past = completed(recalled or Snapshot(), self._host, self._is_loadable, now, warn)
        self._go_on_with(past, resend=True)
        if past.units:
            number = self._recovery.adopted
            taken = f"{number} process{'' if number == 1 else 'es'}"
            self._journal.say("notice", f"went on after a crash: took over {taken}, {len(past.units)} units are known")
            self.pump.post(Tick(), self._taken_over)
        if past.units and self._config.on_restart == "stop":
            self.pump.post(ShutdownAsked(0, Leaving.STAY, by=Caller(what="OnRestart=stop")))
        elif past.life.first_target != self._options.target or past.life.leaving:
            self._boot()
        if not past.units and self._options.target == "none":
            self._taken_over()

    def _go_on_with(self, past: Snapshot, *, resend: bool) -> None:
        """Written down before anything is done."""
        self._has_begun = True
        effects = self.engine.restore(past, self._clock.monotonic(), resend=resend)
        self._memory.begin()
        self.pump.begin(effects)

    def _boot(self) -> None:
        if self._options.target != "none":
            self.pump.boot(self._options.target, _WITHOUT_A_TARGET if self._place is Place.MACHINE else ())

    def _is_loadable(self, unit: str) -> bool:
        return self._dirs.load(unit).load is Load.LOADED

    # --- the end --------------------------------------------------------------------------------------------

    async def wait(self) -> Leave:
        """Until everything is stopped and the daemon may leave."""
        leave = await self._left
        self._is_over = not leave.survivors
        readiness.tell("STOPPING=1")
        await self._host.close()
        await self._bus.drain((leave.until - self._clock.monotonic()) / SECOND)
        return leave

    def close(self) -> None:
        """Give everything back; what goes with the daemon is removed, unless a next one needs it."""
        if self._console is not None:
            self._console.close()
        self._bus.close()
        self._watch.close()
        self._notify.close()
        self._sockets.close()
        self._pid_files.close()
        self._logs.close()
        self._inotify.close()
        self._memory.close(remove=self._is_over)
        if self._is_over:
            self._shelf.close()
            self._kept.done()
            _clean(self._options)
        os.close(self._lock)

    # --- what happens -----------------------------------------------------------------------------------

    def _files_changed(self, event: UnitFilesChanged) -> None:
        if self._config.auto_reload:
            self.pump.post(event)

    def _unit_of(self, pid: int) -> str:
        return self._host.unit_of(pid)

    def _served_by(self, socket: str) -> list[int]:
        """The processes of the service that a socket unit is for."""
        services = self.engine.view.deps(socket, Dep.TRIGGERS)
        return [pid for service in services for pid in self._host.groups.members(service)]

    def _claim(self, unit: str, pid: int) -> bool:
        return self._host.groups.claim(unit, pid)

    def _note(self, effects: Sequence[Effect]) -> None:
        self._memory.note(effects)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Log(level=level, text=text, unit=unit):
                self._journal.say(level, text)
                if unit and level != "debug":
                    self._logs.say(unit, text)
            case KeepReport(report=report):
                self._reports.keep(report)
            case Leave(leaving=Leaving.STAY):
                self.pump.post(Tick(), self._boot)
            case Adopt():
                self._recovery.adopt(effect)
            case Leave(report=report):
                # First of all: whatever goes wrong in telling of it, the daemon leaves.
                if not self._left.done():
                    self._left.set_result(effect)
                if report is not None:
                    self._reports.keep(report)
                self._bus.tell(effect)
                self._bus.flush()
            case Reexec(token=token):
                self._renewal.ask(token)
            case WatchBusName(name=name):
                self._bus.watch_name(name)
            case StartupFinished(userspace=spent):
                self._taken_over()
                self._journal.say("info", f"start-up finished in {spent / 1_000_000:.3f} s")
                self._bus.tell(effect)
            case _ if not self._host.perform(effect):
                self._bus.tell(effect)

    def _taken_over(self) -> None:
        """What earlier daemons left is in use again, or nobody wants it."""
        self._sockets.close_given()
        self._kept.done()

    def _flush(self) -> None:
        self._bus.flush()
        if self._console is not None:
            self._console.look()
        if not self.engine.view.has_jobs():
            self._host.jobs_done()


def _clean(options: Options) -> None:
    """Remove what goes with the daemon; the state directory stays, also when it lies inside."""
    runtime = options.runtime_dir
    for name in ("notify", "private", "cgroup", "lock"):
        with contextlib.suppress(OSError):
            os.unlink(f"{runtime}/{name}")
    keeper.forget(runtime)
    for name in ("log", "units"):
        trees.remove(f"{runtime}/{name}")
    with contextlib.suppress(OSError):
        os.rmdir(runtime)
