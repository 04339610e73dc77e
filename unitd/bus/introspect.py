"""Interfaces as introspection XML (D-Bus specification, "Introspection Data Format").

The same writer serves Introspect and dbus/*.xml; the latter has prose, in the annotation that GDBus defined for it.
"""

from collections.abc import Iterable, Iterator

from unitd.bus.interfaces.table import Arguments, Emits, Interface, Method, Property, Signal
from unitd.wire.dialects import Dialect

HEAD = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)
_EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"
_DOC = "org.gtk.GDBus.DocString"

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;"})


def node(dialect: Dialect, interfaces: Iterable[Interface], children: Iterable[str]) -> str:
    """The XML of an object with these interfaces and child nodes."""
    body = [_written(each, dialect) for each in interfaces]
    body += [f"  <node name={_quoted(child)}/>\n" for child in children]
    return f"{HEAD}<node>\n{''.join(body)}</node>\n"


def contract(dialect: Dialect, interface: Interface) -> str:
    """The XML of one interface, with prose."""
    return f"{HEAD}<node>\n{_interface(interface, dialect, True)}</node>\n"


_WRITTEN: dict[tuple[str, str], str] = {}
"""Interfaces never change, and are long."""


def _written(interface: Interface, dialect: Dialect) -> str:
    key = (dialect.prefix, interface.name)
    if key not in _WRITTEN:
        _WRITTEN[key] = _interface(interface, dialect, False)
    return _WRITTEN[key]


def _interface(interface: Interface, dialect: Dialect, prose: bool) -> str:
    name = interface.name if interface.own_name else dialect.interface(interface.name)
    lines = list(_doc(interface.doc, prose, 4))
    for method in interface.methods.values():
        lines += _method(method, prose)
    for signal in interface.signals.values():
        lines += _signal(signal, prose)
    for row in interface.properties.values():
        lines += _property(row, prose)
    return f"  <interface name={_quoted(name)}>\n{''.join(lines)}  </interface>\n"


def _doc(text: str, prose: bool, indent: int) -> Iterator[str]:
    if prose and text:
        yield f"{' ' * indent}<annotation name={_quoted(_DOC)} value={_quoted(text)}/>\n"


def _arguments(names: Arguments, direction: str) -> Iterator[str]:
    way = f" direction={_quoted(direction)}" if direction else ""
    for name, type in names:
        yield f"      <arg name={_quoted(name)} type={_quoted(type)}{way}/>\n"


def _element(kind: str, name: str, inside: list[str], more: str = "") -> Iterator[str]:
    if inside:
        yield f"    <{kind} name={_quoted(name)}{more}>\n"
        yield from inside
        yield f"    </{kind}>\n"
    else:
        yield f"    <{kind} name={_quoted(name)}{more}/>\n"


def _method(method: Method, prose: bool) -> Iterator[str]:
    inside = [*_doc(method.doc, prose, 6), *_arguments(method.takes, "in"), *_arguments(method.gives, "out")]
    return _element("method", method.name, inside)


def _signal(signal: Signal, prose: bool) -> Iterator[str]:
    return _element("signal", signal.name, [*_doc(signal.doc, prose, 6), *_arguments(signal.gives, "")])


def _property(row: Property, prose: bool) -> Iterator[str]:
    inside = list(_doc(row.doc, prose, 6))
    if row.emits is not Emits.CHANGE:
        inside.append(f"      <annotation name={_quoted(_EMITS)} value={_quoted(row.emits)}/>\n")
    access = "readwrite" if row.set else "read"
    return _element("property", row.name, inside, f' type={_quoted(row.type)} access="{access}"')


def _quoted(text: str) -> str:
    """A value of an attribute (XML 1.0, 2.3)."""
    return f'"{text.translate(_ESCAPES)}"'
