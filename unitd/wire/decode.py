"""D-Bus bytes -> values, of either byte order; whatever is not by the specification raises Malformed.

The values are those that encode takes: struct -> tuple, `ay` -> bytes, array -> list, dict -> dict, variant ->
(signature, value). Nothing is read beyond the buffer, and nesting stops at DEEPEST.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from struct import Struct, error
from typing import Any, Final, TypeAlias

from unitd.wire.encode import ALIGNMENT, FORMATS
from unitd.wire.signature import Malformed, fields, split

Reader: TypeAlias = Callable[[bytes, int, int], tuple[Any, int]]
"""(buffer, position, depth) -> (value, position behind it)."""

DEEPEST: Final = 64
LONGEST_ARRAY: Final = 2**26
_PATH = re.compile(r"/|(?:/[A-Za-z0-9_]+)+")


def decode(buffer: bytes, position: int, signature: str, order: str) -> tuple[Any, ...]:
    """All values of a body that fills the rest of the buffer; `order` is "<" or ">"."""
    values = []
    try:
        for type in split(signature):
            value, position = reader(type, order)(buffer, position, 0)
            values.append(value)
    except (error, UnicodeDecodeError, TypeError) as problem:
        raise Malformed(f"cannot read a message body: {problem}") from problem
    if position != len(buffer):
        raise Malformed("cannot read a message body: its length is not that of its signature")
    return tuple(values)


def path_valid(text: str) -> bool:
    """True for a valid object path."""
    return _PATH.fullmatch(text) is not None


@lru_cache(2048)
def reader(type: str, order: str) -> Reader:
    """The reader of one complete type."""
    kind = type[0]
    if kind == "b":
        return _boolean(order)
    if kind in FORMATS:
        return _fixed(kind, order)
    if kind in "so":
        return _text(order, path=kind == "o")
    if kind == "g":
        return _read_signature
    if kind == "v":
        return _variant(order)
    if kind == "a":
        return _bytes(order) if type == "ay" else _array(type[1:], order)
    return _struct(fields(type), order)


def _fixed(kind: str, order: str) -> Reader:
    layout = Struct(order + FORMATS[kind])
    size = layout.size

    def read(buffer: bytes, position: int, depth: int) -> tuple[Any, int]:
        position += -position & (size - 1)
        return layout.unpack_from(buffer, position)[0], position + size

    return read


def _boolean(order: str) -> Reader:
    read_number = _fixed("u", order)

    def read(buffer: bytes, position: int, depth: int) -> tuple[Any, int]:
        number, position = read_number(buffer, position, depth)
        if number > 1:
            raise Malformed(f"cannot read a boolean: it is {number}")
        return bool(number), position

    return read


def _text(order: str, *, path: bool) -> Reader:
    read_length = _fixed("u", order)

    def read(buffer: bytes, position: int, depth: int) -> tuple[Any, int]:
        length, start = read_length(buffer, position, depth)
        end = start + length
        raw = buffer[start:end]
        if buffer[end : end + 1] != b"\0" or b"\0" in raw:
            raise Malformed("cannot read a string: it is cut short or has a NUL")
        text = raw.decode()
        if path and not path_valid(text):
            raise Malformed(f"cannot read an object path: {text[:80]!r}")
        return text, end + 1

    return read


def _read_signature(buffer: bytes, position: int, depth: int) -> tuple[str, int]:
    if position >= len(buffer):
        raise Malformed("cannot read a signature: it is cut short")
    end = position + 1 + buffer[position]
    if buffer[end : end + 1] != b"\0":
        raise Malformed("cannot read a signature: it is cut short")
    text = buffer[position + 1 : end].decode("ascii")
    split(text)
    return text, end + 1


def _variant(order: str) -> Reader:
    def read(buffer: bytes, position: int, depth: int) -> tuple[Any, int]:
        if depth >= DEEPEST:
            raise Malformed("cannot read a variant: nested too deep")
        type, position = _read_signature(buffer, position, depth)
        if len(split(type)) != 1:
            raise Malformed(f"cannot read a variant: {type!r} is not one type")
        value, position = reader(type, order)(buffer, position, depth + 1)
        return (type, value), position

    return read


def _bytes(order: str) -> Reader:
    read_length = _fixed("u", order)

    def read(buffer: bytes, position: int, depth: int) -> tuple[Any, int]:
        length, start = read_length(buffer, position, depth)
        return buffer[start : _stop(buffer, start, length)], start + length

    return read


def _stop(buffer: bytes, start: int, length: int) -> int:
    if length > LONGEST_ARRAY or start + length > len(buffer):
        raise Malformed("cannot read an array: it is cut short or too long")
    return start + length


def _array(element: str, order: str) -> Reader:
    read_element = reader(element, order) if element[0] != "{" else _struct(fields(element), order)
    read_length = _fixed("u", order)
    mask = ALIGNMENT[element[0]] - 1
    is_dict = element[0] == "{"

    def read(buffer: bytes, position: int, depth: int) -> tuple[Any, int]:
        if depth >= DEEPEST:
            raise Malformed("cannot read an array: nested too deep")
        length, position = read_length(buffer, position, depth)
        position += -position & mask
        stop = _stop(buffer, position, length)
        items = []
        while position < stop:
            item, position = read_element(buffer, position, depth + 1)
            items.append(item)
        if position != stop:
            raise Malformed("cannot read an array: its length cuts an element")
        return (dict(items) if is_dict else items), position

    return read


def _struct(types: tuple[str, ...], order: str) -> Reader:
    readers = tuple(reader(type, order) for type in types)

    def read(buffer: bytes, position: int, depth: int) -> tuple[Any, int]:
        if depth >= DEEPEST:
            raise Malformed("cannot read a struct: nested too deep")
        position += -position & 7
        values = []
        for read_field in readers:
            value, position = read_field(buffer, position, depth + 1)
            values.append(value)
        return tuple(values), position

    return read
