"""Values -> D-Bus bytes, little-endian (D-Bus specification, "Marshaling").

A struct is a tuple, an array a sequence (`ay`: bytes), a dict a mapping, a variant the tuple
(signature, value). Text that D-Bus cannot carry (NUL, what is not UTF-8) is sent with U+FFFD in its place.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from struct import Struct
from typing import Any, Final, TypeAlias

from unitd.wire.signature import fields, split

Writer: TypeAlias = Callable[[bytearray, Any], None]
"""Appends one value at the end of the buffer, which begins on an 8-byte boundary."""

PADDING: Final = tuple(bytes(n) for n in range(8))
ALIGNMENT: Final = {
    **dict.fromkeys("ygv", 1),
    **dict.fromkeys("nq", 2),
    **dict.fromkeys("biusoah", 4),
    **dict.fromkeys("xtd({", 8),
}
FORMATS: Final = {
    "y": "B",
    "b": "I",
    "n": "h",
    "q": "H",
    "i": "i",
    "u": "I",
    "x": "q",
    "t": "Q",
    "d": "d",
    "h": "I",
}
_LENGTH = Struct("<I")


def encode(signature: str, values: tuple[Any, ...]) -> bytes:
    """A message body; ValueError, TypeError or struct.error when a value does not fit its type."""
    out = bytearray()
    for type, value in zip(split(signature), values, strict=True):
        writer(type)(out, value)
    return bytes(out)


@lru_cache(1024)
def writer(type: str) -> Writer:
    """The writer of one complete type."""
    kind = type[0]
    if kind in FORMATS:
        return _fixed(kind)
    if kind in "so":
        return _write_text
    if kind == "g":
        return _write_signature
    if kind == "v":
        return _write_variant
    if kind == "a":
        return _BY_TYPE.get(type) or _array(type[1:])
    return _struct(fields(type))


def _fixed(kind: str) -> Writer:
    pack = Struct("<" + FORMATS[kind]).pack
    mask = ALIGNMENT[kind] - 1

    def write(out: bytearray, value: Any) -> None:
        padding = -len(out) & mask
        if padding:
            out += PADDING[padding]
        out += pack(value)

    return write


def _raw(text: str) -> bytes:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raw = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()
    return raw.replace(b"\0", "\ufffd".encode()) if b"\0" in raw else raw


def _write_text(out: bytearray, value: str) -> None:
    raw = _raw(value)
    padding = -len(out) & 3
    if padding:
        out += PADDING[padding]
    out += _LENGTH.pack(len(raw)) + raw + b"\0"


def _write_signature(out: bytearray, value: str) -> None:
    out.append(len(value))
    out += value.encode("ascii")
    out += b"\0"


def _write_variant(out: bytearray, value: tuple[str, Any]) -> None:
    type, inner = value
    out.append(len(type))
    out += type.encode("ascii")
    out += b"\0"
    writer(type)(out, inner)


def _write_bytes(out: bytearray, value: bytes) -> None:
    out += PADDING[-len(out) & 3]
    out += _LENGTH.pack(len(value))
    out += value


def _array(element: str) -> Writer:
    write_element = writer(element)
    mask = ALIGNMENT[element[0]] - 1

    def write(out: bytearray, value: Any) -> None:
        out += PADDING[-len(out) & 3]
        place = len(out)
        out += b"\0\0\0\0"
        out += PADDING[-len(out) & mask]
        start = len(out)
        for item in value.items() if isinstance(value, Mapping) else value:
            write_element(out, item)
        _LENGTH.pack_into(out, place, len(out) - start)

    return write


def _struct(types: tuple[str, ...]) -> Writer:
    writers = tuple(writer(type) for type in types)

    def write(out: bytearray, value: Any) -> None:
        out += PADDING[-len(out) & 7]
        for write_field, item in zip(writers, value, strict=True):
            write_field(out, item)

    return write


@lru_cache(4096)
def _entry(key: str, type: str) -> tuple[bytes, Writer]:
    """All that precedes the value in an entry of a{sv}, which begins on an 8-byte boundary; and the value's writer."""
    raw = _raw(key)
    return _LENGTH.pack(len(raw)) + raw + b"\0" + bytes((len(type),)) + type.encode("ascii") + b"\0", writer(type)


def _write_properties(out: bytearray, value: Mapping[str, tuple[str, Any]]) -> None:
    """a{sv}: most of what is ever sent, and the same keys again and again."""
    out += PADDING[-len(out) & 3]
    place = len(out)
    out += b"\0\0\0\0"
    out += PADDING[-len(out) & 7]
    start = len(out)
    for key, (type, inner) in value.items():
        before, write_value = _entry(key, type)
        out += PADDING[-len(out) & 7] + before
        write_value(out, inner)
    _LENGTH.pack_into(out, place, len(out) - start)


_BY_TYPE: Final[dict[str, Writer]] = {"ay": _write_bytes, "a{sv}": _write_properties}
