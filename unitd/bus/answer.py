"""A call and the world -> what becomes of it. Pure: nothing is changed here, nothing is awaited.

Every call is authorized here, whichever way it came. An object path is turned into its object first; the path of a
unit that is not loaded loads it. Properties, Introspectable and Peer are answered for every object alike.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct

from unitd.bus import introspect
from unitd.bus.calls import Ask, Call, Fault, Outcome, Reply
from unitd.bus.interfaces.job import JOB
from unitd.bus.interfaces.manager import MANAGER
from unitd.bus.interfaces.standard import STANDARD
from unitd.bus.interfaces.table import Interface, Property
from unitd.bus.interfaces.types import TYPES
from unitd.bus.interfaces.unit import UNIT
from unitd.bus.policy import may
from unitd.bus.ports import World
from unitd.model.events import LoadAsked
from unitd.model.refusals import Kind
from unitd.syntax import unit_name
from unitd.wire import dialects, labels

_INVOCATION: Final = frozenset("0123456789abcdef")
_STANDARD: Final = {each.name: each for each in STANDARD}


class Object(Struct, frozen=True):
    """What a path stands for: `target` is given to the functions of the tables."""

    interfaces: tuple[Interface, ...]
    target: Any = None


NOTHING: Final = Object(())
_DAEMON: Final = Object((MANAGER,))
Found: TypeAlias = Object | Ask | Fault


def answer(call: Call, world: World) -> Outcome:
    """The outcome of a call."""
    found = find(call, world)
    if not isinstance(found, Object):
        return found
    if call.interface == dialects.PEER:
        return _peer(call, world)
    if call.interface == dialects.INTROSPECTABLE or (not call.interface and call.member == "Introspect"):
        return _introspect(call, world, found)
    if not found.interfaces:
        return Fault(Kind.UNKNOWN_OBJECT, f"Unknown object {call.path!r}.")
    if call.interface == dialects.PROPERTIES or (not call.interface and call.member in ("Get", "GetAll", "Set")):
        return _properties(call, world, found)
    return _method(call, world, found)


# --- paths ----------------------------------------------------------------------------------------


def find(call: Call, world: World) -> Found:
    """The object at a path: a Fault when there is none, an Ask when it has to be loaded first."""
    path, dialect = call.path, world.dialect
    if path == dialect.object:
        return _DAEMON
    if path.startswith(f"{dialect.root}/unit/"):
        return _unit(call, world, path[len(dialect.root) + 6 :])
    if path.startswith(f"{dialect.root}/job/"):
        return _job(world, path[len(dialect.root) + 5 :])
    if path in (f"{dialect.root}/unit", f"{dialect.root}/job") or children(path, world):
        return NOTHING
    return Fault(Kind.UNKNOWN_OBJECT, f"Unknown object {path!r}.")


def _unit(call: Call, world: World, label: str) -> Found:
    name = _unit_name(call, world, label)
    status = world.view.status(name) if name else None
    if status is not None:
        return Object((UNIT, TYPES[status.unit.type]), status)
    if name is None or not unit_name.valid(name):
        return Fault(Kind.UNKNOWN_OBJECT, f"Unknown object {call.path!r}.")

    def again(_: Any) -> Outcome:
        if world.view.status(name) is None:
            return Fault(Kind.UNKNOWN_OBJECT, f"Unknown object {call.path!r}.")
        return answer(call, world)

    return Ask(lambda token: LoadAsked(token, name), again)


def _unit_name(call: Call, world: World, label: str) -> str | None:
    if label == "self":
        return world.gauges.unit_of(call.by.pid) or None
    if len(label) == 32 and _INVOCATION.issuperset(label):
        return world.view.unit_of_invocation(label)
    return None if "/" in label else labels.unescape(label)


def _job(world: World, text: str) -> Found:
    job = world.view.job(int(text)) if text.isdecimal() and text.isascii() and len(text) < 11 else None
    if job is None:
        return Fault(Kind.UNKNOWN_OBJECT, f"cannot find job {text[:40]}: it does not exist, or is done")
    return Object((JOB,), job)


def children(path: str, world: World) -> Sequence[str]:
    """The names of the nodes below a path, as far as they exist now."""
    dialect = world.dialect
    if path == f"{dialect.root}/unit":
        return sorted(labels.escape(name) for name in world.view.units())
    if path == f"{dialect.root}/job":
        return [str(id) for id in sorted(job.id for job in world.view.jobs())]
    above = path.rstrip("/") + "/"
    known = (dialect.object, f"{dialect.root}/unit", f"{dialect.root}/job")
    return sorted({each[len(above) :].partition("/")[0] for each in known if each.startswith(above)})


# --- the interfaces of the tables -----------------------------------------------------------------


def _interface(world: World, found: Object, name: str) -> Interface | None:
    for each in found.interfaces:
        if world.dialect.prefix + each.name == name:
            return each
    return None


def _method(call: Call, world: World, found: Object) -> Outcome:
    if call.interface:
        named = _interface(world, found, call.interface)
        if named is None:
            return Fault(Kind.UNKNOWN_INTERFACE, f"cannot call {call.member}: no interface {call.interface!r} here")
        interfaces: tuple[Interface, ...] = (named,)
    else:
        interfaces = found.interfaces
    for interface in interfaces:
        method = interface.methods.get(call.member)
        if method is None:
            continue
        if method.signature != call.signature:
            return _wrong_arguments(call, method.signature)
        if not may(call.by, method.action, world.about):
            return Fault(Kind.ACCESS_DENIED, f"cannot call {call.member}: only root and uid {world.about.uid} may")
        return method.run(call, world, found.target)
    return Fault(Kind.UNKNOWN_METHOD, f"cannot call {call.member}: there is no such method")


def _wrong_arguments(call: Call, wanted: str) -> Fault:
    return Fault(
        Kind.INVALID_ARGS, f"cannot call {call.member}: it takes the arguments {wanted!r}, not {call.signature!r}"
    )


# --- the standard interfaces ----------------------------------------------------------------------


def _peer(call: Call, world: World) -> Outcome:
    match call.member:
        case "Ping":
            return Reply()
        case "GetMachineId":
            return Reply("s", (world.about.machine_id,))
        case _:
            return Fault(Kind.UNKNOWN_METHOD, f"cannot call {call.member}: there is no such method")


def _introspect(call: Call, world: World, found: Object) -> Outcome:
    if call.member != "Introspect":
        return Fault(Kind.UNKNOWN_METHOD, f"cannot call {call.member}: there is no such method")
    interfaces = (*found.interfaces, *STANDARD) if found.interfaces else STANDARD[1:]
    return Reply("s", (introspect.node(world.dialect, interfaces, children(call.path, world)),))


def _properties(call: Call, world: World, found: Object) -> Outcome:
    method = _STANDARD[dialects.PROPERTIES].methods.get(call.member)
    if method is None:
        return Fault(Kind.UNKNOWN_METHOD, f"cannot call {call.member}: there is no such method")
    if method.signature != call.signature:
        return _wrong_arguments(call, method.signature)
    if not may(call.by, method.action, world.about):
        return Fault(Kind.ACCESS_DENIED, f"cannot set {call.body[1]}: only root and uid {world.about.uid} may")
    name = call.body[0]
    interfaces = found.interfaces
    if name:
        named = _interface(world, found, name)
        if named is None and name not in _STANDARD:
            return Fault(Kind.UNKNOWN_INTERFACE, f"cannot read properties: no interface {name!r} here")
        interfaces = (named,) if named else ()
    if call.member == "GetAll":
        return Reply("a{sv}", (values(world, found.target, interfaces),))
    row = next((each.properties[call.body[1]] for each in interfaces if call.body[1] in each.properties), None)
    if row is None:
        return Fault(Kind.UNKNOWN_PROPERTY, f"cannot find the property {call.body[1]!r} in {name or 'any interface'}")
    if call.member == "Set":
        return _set(row, *call.body[2])
    return Reply("v", ((row.type, row.get(world, found.target)),))


def _set(row: Property, type: str, value: Any) -> Outcome:
    if row.set is None:
        return Fault(Kind.PROPERTY_READ_ONLY, f"cannot set {row.name}: it is read-only")
    if type != row.type:
        return Fault(Kind.INVALID_ARGS, f"cannot set {row.name}: its type is {row.type!r}, not {type!r}")
    return row.set(value)


def values(world: World, target: Any, interfaces: tuple[Interface, ...]) -> dict[str, tuple[str, Any]]:
    """All properties of the interfaces, as variants."""
    rows: list[Property] = [row for each in interfaces for row in each.properties.values()]
    return {row.name: (row.type, row.get(world, target)) for row in rows}
