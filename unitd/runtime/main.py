"""Where the daemon begins and ends: read what it was told, run it, and leave as it was asked to.

Exit status: what `exit CODE` or a unit asked for, 1 when something survived or the start failed, 2 for bad usage.
"""

import asyncio
import contextlib
import gc
import os
import sys
import traceback
from collections.abc import Sequence

from unitd.host import facts, power, reserve
from unitd.host.facts import Place
from unitd.model.events import Leaving
from unitd.runtime import pid1, reexec
from unitd.runtime.daemon import Daemon
from unitd.runtime.handover import Handover
from unitd.runtime.journal import Journal
from unitd.runtime.lock import Taken
from unitd.runtime.options import Options, Usage, parse


def main(argv: Sequence[str] | None = None) -> int:
    """The daemon, from start to end; as PID 1 of a machine there is no return, for the kernel would panic."""
    place = facts.place()
    journal = Journal()
    given = sys.argv[1:] if argv is None else argv
    if place is not Place.MACHINE:
        return _serve(given, place, journal)
    try:
        pid1.prepare(journal.warn)
        with contextlib.suppress(OSError):
            power.take_ctrl_alt_del()
        _serve(given, place, journal)
    except BaseException:
        journal.say("crit", f"cannot go on: {traceback.format_exc()}")
    pid1.linger(journal.warn, lambda: power.leave(Leaving.REBOOT))


def _serve(given: Sequence[str], place: Place, journal: Journal) -> int:
    try:
        options = _options(given, place, journal)
    except Usage as fault:
        print(f"unitd: {fault}\nTry 'unitd --help'.", file=sys.stderr)
        return 2
    for warning in options.warnings:
        journal.warn(warning)
    try:
        return _run(options, place, journal)
    except (Taken, OSError) as fault:
        journal.say("err", f"cannot start: {fault}" if not isinstance(fault, Taken) else str(fault))
        return 1


def _options(given: Sequence[str], place: Place, journal: Journal) -> Options:
    if place is not Place.MACHINE:
        return parse(given, os.environ, pid1=place is Place.CONTAINER)
    kernel = facts.kernel_words()
    try:
        return parse(given, os.environ, pid1=True, kernel=kernel)
    except Usage as fault:
        journal.warn(f"all arguments are ignored: {fault}")
        return parse((), {}, pid1=True, kernel=kernel)


def _run(options: Options, place: Place, journal: Journal) -> int:
    handed = reexec.receive(journal.warn)
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        # What is loaded at the start stays; looking through it again and again would only cost time.
        gc.disable()
        daemon = _begun(loop, options, place, journal, handed)
        try:
            gc.freeze()
            gc.enable()
            leaving = runner.run(daemon.wait())
        finally:
            with contextlib.suppress(OSError):
                daemon.close()
    if place is Place.MACHINE and leaving.leaving != "exit":
        power.leave(leaving.leaving)
    return 1 if leaving.survivors else leaving.code


def _begun(
    loop: asyncio.AbstractEventLoop, options: Options, place: Place, journal: Journal, handed: Handover | None
) -> Daemon:
    """The daemon, at work. What it was handed and cannot go on with is not worth its end: it starts anew then."""
    try:
        daemon = Daemon(loop, options, place, journal, handed)
        try:
            daemon.start()
        except BaseException:
            if handed is None:
                with contextlib.suppress(OSError):
                    daemon.close()
            raise
    except Exception:
        if handed is None:
            raise
        journal.say("crit", f"cannot go on where unitd {handed.version} stopped: {traceback.format_exc()}")
        reserve.give_back(handed.host.nofile)
        reexec.start_anew()
    return daemon
