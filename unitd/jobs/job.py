"""A job, as it is queued: a plain frozen value. A change of a job is a new value with the same id."""

from msgspec import Struct

from unitd.model.events import Caller
from unitd.model.states import INFINITY, JobResult, JobState, JobType


class Job(Struct, frozen=True, omit_defaults=True):
    """One thing to be done to one unit. `by`: who asked for it, if anybody did; instants are monotonic microseconds."""

    id: int
    unit: str
    type: JobType
    state: JobState = JobState.WAITING
    irreversible: bool = False
    ignore_order: bool = False
    by: Caller | None = None
    running_timeout: int = INFINITY
    expires_at: int = INFINITY

    @property
    def is_waiting(self) -> bool:
        return self.state is JobState.WAITING


class Finished(Struct, frozen=True):
    """A job that left the queue; `because` is the unit whose job took it along, if one did."""

    job: Job
    result: JobResult
    because: str = ""
