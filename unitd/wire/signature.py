"""D-Bus signatures cut into complete types (D-Bus specification, "Type System").

At most 255 bytes, 32 arrays deep and 32 structs deep; what breaks a rule raises Malformed.
"""

from functools import lru_cache
from typing import Final

BASIC: Final = frozenset("ybnqiuxtdsogh")
LONGEST: Final = 255
DEEPEST: Final = 32


class Malformed(ValueError):
    """Bytes that are no D-Bus message, or a signature that is none."""


@lru_cache(1024)
def split(signature: str) -> tuple[str, ...]:
    """The complete types in a signature, in order: split("sa{sv}u") == ("s", "a{sv}", "u")."""
    if len(signature) > LONGEST:
        raise Malformed("cannot take a signature of more than 255 bytes")
    types = []
    position = 0
    while position < len(signature):
        end = _end(signature, position, 0, 0)
        types.append(signature[position:end])
        position = end
    return tuple(types)


def fields(type: str) -> tuple[str, ...]:
    """The types inside a struct or dict entry: fields("(ss)") == ("s", "s")."""
    return split(type[1:-1])


def _end(text: str, start: int, arrays: int, structs: int) -> int:
    """Where the complete type that starts here ends. Its depth is bounded by DEEPEST."""
    if start >= len(text) or arrays > DEEPEST or structs > DEEPEST:
        raise Malformed(f"cannot take the signature {text!r}: it is cut short or too deep")
    letter = text[start]
    if letter in BASIC or letter == "v":
        return start + 1
    if letter == "a":
        if text[start + 1 : start + 2] == "{":
            return _entry_end(text, start + 2, arrays + 1, structs + 1)
        return _end(text, start + 1, arrays + 1, structs)
    if letter == "(":
        position = _end(text, start + 1, arrays, structs + 1)
        while text[position : position + 1] != ")":
            position = _end(text, position, arrays, structs + 1)
        return position + 1
    raise Malformed(f"cannot take the signature {text!r}: {letter!r} does not belong there")


def _entry_end(text: str, start: int, arrays: int, structs: int) -> int:
    """Where a dict entry ends whose key starts here."""
    if text[start : start + 1] not in BASIC or not text[start : start + 1]:
        raise Malformed(f"cannot take the signature {text!r}: a dict entry needs a basic key")
    end = _end(text, start + 1, arrays, structs)
    if text[end : end + 1] != "}":
        raise Malformed(f"cannot take the signature {text!r}: a dict entry has one key and one value")
    return end + 1
