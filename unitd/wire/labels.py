"""Escaping of unit names into object paths, and back.

A label keeps ASCII letters and digits, but not a digit in the first place; every other byte (of UTF-8) becomes `_xx`;
the empty name is `_` (sd_bus_path_encode(3)).
"""

import re
from functools import lru_cache
from typing import Final

_DIGITS: Final = frozenset(b"0123456789")
_KEPT: Final = _DIGITS | frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_LABELS: Final = tuple(chr(byte) if byte in _KEPT else f"_{byte:02x}" for byte in range(256))
_ESCAPED = re.compile(rb"_([0-9a-fA-F]{2})")


@lru_cache(8192)
def escape(name: str) -> str:
    """The label of a name; escape("a@1.service") == "a_401_2eservice"."""
    raw = name.encode("utf-8", "surrogateescape")
    if not raw:
        return "_"
    text = "".join([_LABELS[byte] for byte in raw])
    return f"_{raw[0]:02x}{text[1:]}" if raw[0] in _DIGITS else text


def unescape(label: str) -> str:
    """The name of a label; a `_` that begins no escape stays. Not UTF-8: surrogates, which no unit name has."""
    if label == "_":
        return ""
    raw = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), label.encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")
