"""Who may do what: the one place that decides, for every call.

Everybody may look. Root and the daemon's own user may change things. Log lines are for those two and the group adm.
"""

from enum import Enum, auto

from unitd.bus.calls import Credentials
from unitd.bus.ports import About


class Action(Enum):
    """What a method does, as far as its permission goes."""

    LOOK = auto()
    READ_LOGS = auto()
    CHANGE = auto()


def may(by: Credentials, action: Action, about: About) -> bool:
    """True when the caller is allowed the action."""
    if by.uid in (0, about.uid) and by.uid >= 0:
        return True
    match action:
        case Action.LOOK:
            return True
        case Action.READ_LOGS:
            return about.adm_gid >= 0 and about.adm_gid in by.gids
        case Action.CHANGE:
            return False
