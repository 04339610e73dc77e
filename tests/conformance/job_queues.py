"""Topics job_engine and job_test_engine: requests one after another, and the jobs that are queued after each."""

from pathlib import Path
from typing import Any

from unitd.jobs.algebra import is_expected, outcome
from unitd.jobs.retroactive import asks
from unitd.model.refusals import Refusal
from unitd.model.states import Active

from .comparison import Case, Comparison, Document
from .job_units import LoadedUnits, load

STATES = {
    "dead": Active.INACTIVE,
    "failed": Active.FAILED,
    "exited": Active.ACTIVE,
    "running": Active.ACTIVE,
    "active": Active.ACTIVE,
    "listening": Active.ACTIVE,
    "start": Active.ACTIVATING,
    "auto-restart": Active.ACTIVATING,
    "stop": Active.DEACTIVATING,
    "reload": Active.RELOADING,
}


def run(case: Case, folder: Path, document: Document) -> Comparison:
    """Forces the states, then compares the error and the queue after every request; nothing runs in between."""
    wanted = [*case["states"], *(step["unit"] for step in case["steps"])]
    units = LoadedUnits(load(document["sets"][case["set"]], wanted))
    for unit, state in case["states"].items():
        _force(units, units.find(unit).name, STATES[state])
    expected: list[Any] = []
    got: list[Any] = []
    for step in case["steps"]:
        expected.append([step["error"], step["queue"]])
        error = None
        try:
            units.ask(step["job"], step["unit"], step["mode"])
        except Refusal as refusal:
            error = str(refusal.kind)
        got.append([error, _queue(units)])
    return Comparison(expected, got)


def _force(units: LoadedUnits, name: str, state: Active) -> None:
    """What happens when a unit changes by itself: its job ends, or related units follow."""
    old = units.active(name)
    units.states[name] = state
    job = units.job(name)
    if job is not None:
        running = not job.is_waiting
        result = outcome(job.type, state, running=running)
        if result is not None:
            units.queue.finish(job.id, result, units)
        if is_expected(job.type, state, running=running):
            return
    for ask in asks(units, name, old, state):
        try:
            units.ask(ask.type, ask.unit, ask.mode)
        except Refusal:
            continue


def _queue(units: LoadedUnits) -> dict[str, str]:
    return {
        job.unit: job.type + "!" * job.irreversible
        for job in units.queue
        if not job.unit.endswith((".slice", ".mount"))
    }
