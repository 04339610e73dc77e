"""Backslash escapes as in C, and text that may hold single bytes.

Bytes that are not UTF-8 travel in strings as lone surrogates U+DC80..U+DCFF (surrogateescape, PEP 383).
"""

import re
from typing import Final

_SIMPLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "s": " ",
}
_LETTERS: Final = {meant: "\\" + letter for letter, meant in _SIMPLE.items() if meant != " "}
_SHOWN: Final = tuple(
    _LETTERS.get(chr(byte), chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in range(256)
)
_HEXADECIMAL: Final = frozenset("0123456789abcdefABCDEF")
_OCTAL: Final = frozenset("01234567")
_UNCLEAN = re.compile(
    "[\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


def is_clean(text: str) -> bool:
    """False when the text holds lone surrogates, thus bytes that are not UTF-8, or non-characters."""
    return text.isascii() or _UNCLEAN.search(text) is None


def unescape_one(text: str, position: int) -> tuple[str, int] | None:
    """The character meant by what follows a backslash, and the position after it; None when it means nothing.

    A byte above 127 comes as a lone surrogate; NUL, bytes above 255 and invalid code points mean nothing.
    """
    if position >= len(text):
        return None
    kind = text[position]
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return simple, position + 1
    if kind == "x":
        return _numeric(text[position + 1 : position + 3], 2, 16, position + 3)
    if kind in _OCTAL:
        return _numeric(text[position : position + 3], 3, 8, position + 3)
    if kind == "u":
        return _numeric(text[position + 1 : position + 5], 4, 16, position + 5)
    if kind == "U":
        return _numeric(text[position + 1 : position + 9], 8, 16, position + 9)
    return None


def valid_code_point(code: int) -> bool:
    """False for surrogates, non-characters and what lies beyond Unicode."""
    return code < 0x110000 and code & 0xFFFFF800 != 0xD800 and not 0xFDD0 <= code <= 0xFDEF and code & 0xFFFE != 0xFFFE


def escape_all(text: str) -> str:
    """The text with quotes, backslashes, control characters and all bytes beyond ASCII escaped as in C."""
    return "".join([_SHOWN[byte] for byte in text.encode("utf-8", "surrogateescape")])


def join_bytes(text: str) -> str:
    """The same bytes, with those that together are UTF-8 made into characters."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _numeric(digits: str, width: int, radix: int, after: int) -> tuple[str, int] | None:
    allowed = _HEXADECIMAL if radix == 16 else _OCTAL
    if len(digits) != width or not allowed.issuperset(digits):
        return None
    code = int(digits, radix)
    if code == 0:
        return None
    if width <= 3:
        return (bytes((code,)).decode("utf-8", "surrogateescape"), after) if code < 256 else None
    if width == 8 and not valid_code_point(code):
        return None
    return chr(code).encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"), after
