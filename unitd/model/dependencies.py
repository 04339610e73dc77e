"""The kinds of dependency, their inverses, and the behaviour atoms that each kind is made of.

Everything that acts on dependencies asks for an atom ("whom does this pull in?"), never for a kind; so a kind is
one row of ATOMS. The rows are systemd's (systemd.unit(5), "Mapping of unit properties to their inverses").
"""

from enum import Enum, StrEnum, auto


class Dep(StrEnum):
    REQUIRES = "Requires"
    REQUISITE = "Requisite"
    WANTS = "Wants"
    BINDS_TO = "BindsTo"
    PART_OF = "PartOf"
    UPHOLDS = "Upholds"
    REQUIRED_BY = "RequiredBy"
    REQUISITE_OF = "RequisiteOf"
    WANTED_BY = "WantedBy"
    BOUND_BY = "BoundBy"
    CONSISTS_OF = "ConsistsOf"
    UPHELD_BY = "UpheldBy"
    CONFLICTS = "Conflicts"
    CONFLICTED_BY = "ConflictedBy"
    BEFORE = "Before"
    AFTER = "After"
    ON_SUCCESS = "OnSuccess"
    ON_SUCCESS_OF = "OnSuccessOf"
    ON_FAILURE = "OnFailure"
    ON_FAILURE_OF = "OnFailureOf"
    TRIGGERS = "Triggers"
    TRIGGERED_BY = "TriggeredBy"
    PROPAGATES_RELOAD_TO = "PropagatesReloadTo"
    RELOAD_PROPAGATED_FROM = "ReloadPropagatedFrom"
    PROPAGATES_STOP_TO = "PropagatesStopTo"
    STOP_PROPAGATED_FROM = "StopPropagatedFrom"
    JOINS_NAMESPACE_OF = "JoinsNamespaceOf"
    IN_SLICE = "InSlice"
    SLICE_OF = "SliceOf"


_PAIRS = (
    (Dep.REQUIRES, Dep.REQUIRED_BY),
    (Dep.REQUISITE, Dep.REQUISITE_OF),
    (Dep.WANTS, Dep.WANTED_BY),
    (Dep.BINDS_TO, Dep.BOUND_BY),
    (Dep.PART_OF, Dep.CONSISTS_OF),
    (Dep.UPHOLDS, Dep.UPHELD_BY),
    (Dep.CONFLICTS, Dep.CONFLICTED_BY),
    (Dep.BEFORE, Dep.AFTER),
    (Dep.ON_SUCCESS, Dep.ON_SUCCESS_OF),
    (Dep.ON_FAILURE, Dep.ON_FAILURE_OF),
    (Dep.TRIGGERS, Dep.TRIGGERED_BY),
    (Dep.PROPAGATES_RELOAD_TO, Dep.RELOAD_PROPAGATED_FROM),
    (Dep.PROPAGATES_STOP_TO, Dep.STOP_PROPAGATED_FROM),
    (Dep.JOINS_NAMESPACE_OF, Dep.JOINS_NAMESPACE_OF),
    (Dep.IN_SLICE, Dep.SLICE_OF),
)

INVERSE: dict[Dep, Dep] = dict(_PAIRS) | {b: a for a, b in _PAIRS}
"""a KIND b holds exactly when b INVERSE[KIND] a."""


class Atom(Enum):
    """One thing that a dependency does."""

    PULL_IN_START = auto()
    PULL_IN_START_IGNORED = auto()
    PULL_IN_VERIFY = auto()
    PULL_IN_STOP = auto()
    PULL_IN_STOP_IGNORED = auto()
    RETROACTIVE_START_REPLACE = auto()
    RETROACTIVE_START_FAIL = auto()
    RETROACTIVE_STOP_ON_START = auto()
    RETROACTIVE_STOP_ON_STOP = auto()
    CANNOT_BE_ACTIVE_WITHOUT = auto()
    START_STEADILY = auto()
    STARTED_STEADILY_BY = auto()
    PROPAGATE_STOP = auto()
    PROPAGATE_RESTART = auto()
    PROPAGATE_START_FAILURE = auto()
    PROPAGATE_STOP_FAILURE = auto()
    PROPAGATE_INACTIVE_START_AS_FAILURE = auto()
    PROPAGATES_RELOAD_TO = auto()
    PINS_STOP_WHEN_UNNEEDED = auto()
    MAY_BECOME_UNNEEDED = auto()
    DEFAULT_TARGET_ORDER = auto()
    BEFORE = auto()
    AFTER = auto()
    ON_SUCCESS = auto()
    ON_FAILURE = auto()
    TRIGGERS = auto()
    TRIGGERED_BY = auto()
    JOINS_NAMESPACE_OF = auto()
    SLICE_OF = auto()


_A = Atom
ATOMS: dict[Dep, frozenset[Atom]] = {
    Dep.REQUIRES: frozenset(
        {_A.PULL_IN_START, _A.RETROACTIVE_START_REPLACE, _A.MAY_BECOME_UNNEEDED, _A.DEFAULT_TARGET_ORDER}
    ),
    Dep.REQUISITE: frozenset({_A.PULL_IN_VERIFY, _A.MAY_BECOME_UNNEEDED, _A.DEFAULT_TARGET_ORDER}),
    Dep.WANTS: frozenset(
        {_A.PULL_IN_START_IGNORED, _A.RETROACTIVE_START_FAIL, _A.MAY_BECOME_UNNEEDED, _A.DEFAULT_TARGET_ORDER}
    ),
    Dep.BINDS_TO: frozenset(
        {
            _A.PULL_IN_START,
            _A.RETROACTIVE_START_REPLACE,
            _A.CANNOT_BE_ACTIVE_WITHOUT,
            _A.MAY_BECOME_UNNEEDED,
            _A.DEFAULT_TARGET_ORDER,
        }
    ),
    Dep.UPHOLDS: frozenset(
        {
            _A.PULL_IN_START_IGNORED,
            _A.RETROACTIVE_START_REPLACE,
            _A.START_STEADILY,
            _A.MAY_BECOME_UNNEEDED,
            _A.DEFAULT_TARGET_ORDER,
        }
    ),
    Dep.PART_OF: frozenset(),
    Dep.REQUIRED_BY: frozenset(
        {
            _A.PROPAGATE_STOP,
            _A.PROPAGATE_RESTART,
            _A.PROPAGATE_START_FAILURE,
            _A.PINS_STOP_WHEN_UNNEEDED,
            _A.DEFAULT_TARGET_ORDER,
        }
    ),
    Dep.REQUISITE_OF: frozenset(
        {
            _A.PROPAGATE_STOP,
            _A.PROPAGATE_RESTART,
            _A.PROPAGATE_START_FAILURE,
            _A.PROPAGATE_INACTIVE_START_AS_FAILURE,
            _A.PINS_STOP_WHEN_UNNEEDED,
            _A.DEFAULT_TARGET_ORDER,
        }
    ),
    Dep.WANTED_BY: frozenset({_A.PINS_STOP_WHEN_UNNEEDED, _A.DEFAULT_TARGET_ORDER}),
    Dep.BOUND_BY: frozenset(
        {
            _A.RETROACTIVE_STOP_ON_STOP,
            _A.PROPAGATE_STOP,
            _A.PROPAGATE_RESTART,
            _A.PROPAGATE_START_FAILURE,
            _A.PINS_STOP_WHEN_UNNEEDED,
            _A.DEFAULT_TARGET_ORDER,
        }
    ),
    Dep.UPHELD_BY: frozenset({_A.STARTED_STEADILY_BY, _A.PINS_STOP_WHEN_UNNEEDED, _A.DEFAULT_TARGET_ORDER}),
    Dep.CONSISTS_OF: frozenset({_A.PROPAGATE_STOP, _A.PROPAGATE_RESTART}),
    Dep.CONFLICTS: frozenset({_A.PULL_IN_STOP, _A.RETROACTIVE_STOP_ON_START}),
    Dep.CONFLICTED_BY: frozenset({_A.PULL_IN_STOP_IGNORED, _A.RETROACTIVE_STOP_ON_START, _A.PROPAGATE_STOP_FAILURE}),
    Dep.PROPAGATES_STOP_TO: frozenset({_A.RETROACTIVE_STOP_ON_STOP, _A.PROPAGATE_STOP}),
    Dep.STOP_PROPAGATED_FROM: frozenset(),
    Dep.BEFORE: frozenset({_A.BEFORE}),
    Dep.AFTER: frozenset({_A.AFTER}),
    Dep.ON_SUCCESS: frozenset({_A.ON_SUCCESS}),
    Dep.ON_SUCCESS_OF: frozenset(),
    Dep.ON_FAILURE: frozenset({_A.ON_FAILURE}),
    Dep.ON_FAILURE_OF: frozenset(),
    Dep.TRIGGERS: frozenset({_A.TRIGGERS}),
    Dep.TRIGGERED_BY: frozenset({_A.TRIGGERED_BY}),
    Dep.PROPAGATES_RELOAD_TO: frozenset({_A.PROPAGATES_RELOAD_TO}),
    Dep.RELOAD_PROPAGATED_FROM: frozenset(),
    Dep.JOINS_NAMESPACE_OF: frozenset({_A.JOINS_NAMESPACE_OF}),
    Dep.IN_SLICE: frozenset(),
    Dep.SLICE_OF: frozenset({_A.SLICE_OF}),
}

KINDS: dict[Atom, tuple[Dep, ...]] = {
    atom: tuple(kind for kind, atoms in ATOMS.items() if atom in atoms) for atom in Atom
}
"""The kinds of dependency that have an atom, in the order of Dep."""
