"""The interface of a queued job."""

from collections.abc import Iterable
from typing import Final

from unitd.bus.calls import Call, Outcome, Reply
from unitd.bus.interfaces import requests
from unitd.bus.interfaces.table import Emits, Interface, Method, Property, arguments, interface
from unitd.bus.interfaces.values import constant
from unitd.bus.policy import Action
from unitd.bus.ports import Job, World

ROWS: Final = "a(usssoo)"
BEFORE: Final = "The jobs that this one waits for, as ListJobs tells them."
AFTER: Final = "The jobs that wait for this one, as ListJobs tells them."


def rows(world: World, jobs: Iterable[Job]) -> Reply:
    """Jobs by id: id, unit, type, state, job object, unit object."""
    path = world.dialect
    told = [
        (job.id, job.unit, job.type.value, job.state.value, path.job_path(job.id), path.unit_path(job.unit))
        for job in sorted(jobs, key=lambda job: job.id)
    ]
    return Reply(ROWS, (told,))


def _cancel(call: Call, world: World, job: Job) -> Outcome:
    return requests.cancel(call, job.id)


JOB: Final[Interface] = interface(
    "Job",
    (
        Method("Cancel", (), (), _cancel, "Take the job out of the queue; its result is then canceled.", Action.CHANGE),
        Method(
            "GetBefore",
            (),
            arguments(f"jobs:{ROWS}"),
            lambda call, world, job: rows(world, world.view.jobs_before(job.id)),
            BEFORE,
            Action.LOOK,
        ),
        Method(
            "GetAfter",
            (),
            arguments(f"jobs:{ROWS}"),
            lambda call, world, job: rows(world, world.view.jobs_after(job.id)),
            AFTER,
            Action.LOOK,
        ),
    ),
    (
        Property("Id", "u", Emits.CONST, lambda world, job: job.id, "Its number."),
        Property(
            "Unit",
            "(so)",
            Emits.CONST,
            lambda world, job: (job.unit, world.dialect.unit_path(job.unit)),
            "Name and object.",
        ),
        Property("JobType", "s", Emits.CONST, lambda world, job: job.type.value, "start, stop, reload, restart ..."),
        Property("State", "s", Emits.CHANGE, lambda world, job: job.state.value, "waiting or running."),
        constant("ActivationDetails", "a(ss)", (), doc="What triggered it; not kept."),
    ),
    doc="A job, as long as it is queued.",
)
