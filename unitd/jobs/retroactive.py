"""What a unit's change of state asks of other units when no job of its own asked for that change.

Rests on systemd.unit(5): Requires=, Wants=, Conflicts=, BindsTo=, PropagatesStopTo=.
"""

from msgspec import Struct

from unitd.jobs.algebra import DOWN, FALLING, RISING
from unitd.jobs.port import Graph
from unitd.model.dependencies import Atom
from unitd.model.states import Active, JobMode, JobType


class Ask(Struct, frozen=True):
    """A job to be asked for; that it is refused is of no consequence."""

    unit: str
    type: JobType
    mode: JobMode


def asks(graph: Graph, name: str, old: Active, new: Active) -> list[Ask]:
    """The jobs that follow from a change of state that no job asked for, in the order in which to ask.

    Units that `name` is ordered after are left alone: they have had their chance.
    """
    if old in DOWN and new in RISING:
        ordered = frozenset(graph.related(name, Atom.AFTER))
        starts = (
            (Atom.RETROACTIVE_START_REPLACE, JobMode.REPLACE),
            (Atom.RETROACTIVE_START_FAIL, JobMode.FAIL),
        )
        found = [
            Ask(other, JobType.START, mode)
            for atom, mode in starts
            for other in graph.related(name, atom)
            if other not in ordered and graph.active(other) not in RISING
        ]
        return found + _stops(graph, name, Atom.RETROACTIVE_STOP_ON_START)
    if old in RISING and new in FALLING:
        return _stops(graph, name, Atom.RETROACTIVE_STOP_ON_STOP)
    return []


def _stops(graph: Graph, name: str, atom: Atom) -> list[Ask]:
    return [
        Ask(other, JobType.STOP, JobMode.REPLACE)
        for other in graph.related(name, atom)
        if graph.active(other) not in FALLING
    ]
