"""Units that exist without files: the root slice and mount, system.slice, user.slice and the daemon's own scope."""

from typing import Final

from unitd.graph.draft import Draft

NAMES: Final = frozenset(("-.slice", "system.slice", "user.slice", "init.scope", "-.mount"))

PERPETUAL: Final = frozenset(("-.slice", "system.slice", "init.scope", "-.mount"))
"""Always active; they can be neither started nor stopped."""

_DESCRIPTIONS: Final = {
    "-.slice": "Root Slice",
    "system.slice": "System Slice",
    "user.slice": "User and Session Slice",
    "init.scope": "System and Service Manager",
    "-.mount": "Root Mount",
}


def complete(draft: Draft) -> None:
    """What is known of these units, and of slices by their names, where no file says otherwise."""
    if draft.type == "slice" and draft.name not in NAMES:
        draft.settings.setdefault("Description", f"Slice /{draft.name.removesuffix('.slice').replace('-', '/')}")
    if draft.name not in NAMES:
        return
    draft.settings.setdefault("Description", _DESCRIPTIONS[draft.name])
    if draft.name in PERPETUAL:
        draft.settings["DefaultDependencies"] = False
        draft.settings["RefuseManualStart"] = True
        draft.settings["RefuseManualStop"] = True
    if draft.name == "-.mount":
        draft.settings["Where"] = "/"
