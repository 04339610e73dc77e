"""The interfaces that every object of every D-Bus service has (D-Bus specification, "Standard Interfaces").

Their methods are answered by unitd.bus.answer itself; here they are only described.
"""

from typing import Any, Final

from unitd.bus.calls import Call, Fault, Outcome
from unitd.bus.interfaces.table import Interface, Method, Signal, arguments, interface
from unitd.bus.policy import Action
from unitd.bus.ports import World
from unitd.model.refusals import Kind
from unitd.wire import dialects


def _elsewhere(call: Call, world: World, target: Any) -> Outcome:
    return Fault(Kind.UNKNOWN_METHOD, f"cannot call {call.member}: it is answered before the tables are asked")


def _method(name: str, takes: str, gives: str, doc: str, action: Action = Action.LOOK) -> Method:
    return Method(name, arguments(takes), arguments(gives), _elsewhere, doc, action)


PROPERTIES: Final[Interface] = interface(
    dialects.PROPERTIES,
    (
        _method("Get", "interface:s property:s", "value:v", 'One property; the interface "" stands for all.'),
        _method("GetAll", "interface:s", "properties:a{sv}", 'All properties of an interface; "" stands for all.'),
        _method("Set", "interface:s property:s value:v", "", "Change a property.", Action.CHANGE),
    ),
    signals=(
        Signal(
            "PropertiesChanged",
            arguments("interface:s changed:a{sv} invalidated:as"),
            "Told once per turn of the daemon's loop, for all changes together.",
        ),
    ),
    own_name=True,
)
INTROSPECTABLE: Final[Interface] = interface(
    dialects.INTROSPECTABLE,
    (_method("Introspect", "", "xml:s", "What the object has, as XML."),),
    own_name=True,
)
PEER: Final[Interface] = interface(
    dialects.PEER,
    (
        _method("Ping", "", "", "Nothing but a reply."),
        _method("GetMachineId", "", "machine_id:s", "The id of the machine (machine-id(5))."),
    ),
    own_name=True,
)
STANDARD: Final = (PROPERTIES, INTROSPECTABLE, PEER)
