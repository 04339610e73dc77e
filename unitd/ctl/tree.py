"""The verb list-dependencies: what units need, as a tree; what needs them with --reverse; or what is ordered."""

from typing import Final, NamedTuple

from unitd.ctl.connection import Refused, unit_path
from unitd.ctl.pager import page
from unitd.ctl.session import Session
from unitd.ctl.table import dot, state_colour
from unitd.ctl.terminal import paint

_NEEDS: Final = ("Requires", "Requisite", "Wants", "ConsistsOf", "BindsTo", "Upholds")
_NEEDED_BY: Final = ("RequiredBy", "RequisiteOf", "WantedBy", "PartOf", "BoundBy", "UpheldBy")


_LONGEST: Final = 20_000
"""Lines after which a unit that was opened before is not opened again: a graph can have endlessly many paths."""


class Node(NamedTuple):
    """A line of the tree: how deep the unit is, whether it is the last below the one above it, or is above itself."""

    unit: str
    depth: int
    last: bool
    ring: bool = False


def list_dependencies(session: Session, words: list[str]) -> int:
    """Print the tree below each unit; targets are opened, with --all every unit."""
    lines: list[str] = []
    found = []
    for unit in session.names(words or ["default.target"]):
        nodes = _walk(session, unit)
        found.append(
            {"unit": unit, "tree": [{"unit": node.unit, "depth": node.depth, "ring": node.ring} for node in nodes]}
        )
        if not session.options.json:
            lines += ([""] if lines else []) + _drawn(session, nodes)
    if session.options.json:
        session.json(found)
    else:
        page(session, lines)
    return 0


def _walk(session: Session, root: str) -> list[Node]:
    """The tree in the order of printing; a unit that is above itself is shown as "...", and not opened."""
    known: dict[str, list[str]] = {}
    nodes: list[Node] = []
    path: list[str] = []
    stack = [Node(root, 0, True)]
    while stack:
        node = stack.pop()
        del path[node.depth :]
        ring = node.unit in path
        nodes.append(node._replace(ring=ring))
        opened = node.depth == 0 or session.options.all or node.unit.endswith(".target")
        if ring or not opened or (len(nodes) > _LONGEST and node.unit in known):
            continue
        path.append(node.unit)
        if node.unit not in known:
            known[node.unit] = _neighbours(session, node.unit)
        below = known[node.unit]
        stack.extend(Node(unit, node.depth + 1, unit == below[-1]) for unit in reversed(below))
    return nodes


def _neighbours(session: Session, unit: str) -> list[str]:
    options = session.options
    kinds = (
        ("After",) if options.after else ("Before",) if options.before else _NEEDED_BY if options.reverse else _NEEDS
    )
    try:
        seen = session.link.properties(unit_path(unit))
    except Refused:
        return []
    names = {name for kind in kinds for name in seen.get(kind, ("as", []))[1]}
    return sorted(names, key=lambda name: (name.endswith(".target"), name.lower(), name))


def _drawn(session: Session, nodes: list[Node]) -> list[str]:
    units = sorted({node.unit for node in nodes})
    states = dict(zip(units, session.get_each(units, "ActiveState"), strict=True))
    lines, lasts = [], [True]
    for node in nodes:
        if session.options.plain or not node.depth:
            lines += [] if node.ring else [("  " if node.depth else "") + node.unit]
            continue
        lasts[node.depth :] = [node.last]
        state = states[node.unit]
        state = "inactive" if isinstance(state, Refused) else state
        sign = " " if node.ring else paint(dot("loaded", state), state_colour("loaded", state))
        branches = "".join("  " if last else "│ " for last in lasts[1 : node.depth])
        lines.append(f"{sign} {branches}{'└─' if node.last else '├─'}{'...' if node.ring else node.unit}")
    return lines
