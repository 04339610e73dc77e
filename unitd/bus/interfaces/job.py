"""The interface of a queued job."""

from typing import Final

from unitd.bus.calls import Call, Outcome
from unitd.bus.interfaces import requests
from unitd.bus.interfaces.table import Emits, Interface, Method, Property, interface
from unitd.bus.interfaces.values import constant
from unitd.bus.policy import Action
from unitd.bus.ports import Job, World


def _cancel(call: Call, world: World, job: Job) -> Outcome:
    return requests.cancel(call, job.id)


JOB: Final[Interface] = interface(
    "Job",
    (Method("Cancel", (), (), _cancel, "Take the job out of the queue; its result is then canceled.", Action.CHANGE),),
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
