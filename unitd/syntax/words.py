"""Splitting text into words, with quotes and escapes.

One walk over the text, in which each word is cut by the same rules, so that callers that look between two words
(command lines) and callers that want all words agree. Rules: systemd.syntax(7) "Quoting", checked against systemd 252.
"""

import re
from functools import lru_cache
from typing import Final

from .errors import Bad
from .escapes import join_bytes, unescape_one

UNQUOTE: Final = 1
"""Quotes group and are removed."""
KEEP_QUOTE: Final = 2
"""Quotes group and stay; excludes UNQUOTE."""
CUNESCAPE: Final = 4
"""Backslash escapes as in C are undone; an unknown one is an error."""
UNESCAPE_SEPARATORS: Final = 8
"""A backslash before a separator or a backslash is removed."""
UNESCAPE_RELAX: Final = 16
"""An unknown escape is kept with its backslash."""
RETAIN_ESCAPE: Final = 32
"""A backslash is an ordinary character."""
RELAX: Final = 64
"""An open quote or a last backslash at the end of the text is no error."""
DONT_COALESCE_SEPARATORS: Final = 128
"""Two separators in a row have an empty word between them."""

BLANKS: Final = " \t\n\r"

_BLANK_WORD = re.compile(r"[^ \t\n\r]+")


class Broken(Bad):
    """Text that stops being words; `words` are those before."""

    def __init__(self, reason: str, words: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.words = words


def split(text: str, flags: int = 0, separators: str = BLANKS) -> list[str]:
    """All words of the text; raises Broken, which holds the words before the fault."""
    if not flags & DONT_COALESCE_SEPARATORS and separators is BLANKS and _is_plain(text):
        return _BLANK_WORD.findall(text)
    words: list[str] = []
    position: int | None = 0
    while position is not None:
        try:
            word, position = first_word(text, position, flags, separators)
        except Broken as fault:
            raise Broken(str(fault), tuple(words)) from None
        if word is None:
            break
        words.append(word)
    return words


def first_word(text: str, position: int, flags: int = 0, separators: str = BLANKS) -> tuple[str | None, int | None]:
    """The word at or after a position, and where the next one is looked for (None: the text is used up).

    The word is None when there is no further one. Raises Broken.
    """
    start = position
    while start < len(text) and text[start] in separators:
        if flags & DONT_COALESCE_SEPARATORS:
            return "", start + 1
        start += 1
    if start == len(text):
        return ("" if flags & DONT_COALESCE_SEPARATORS else None), None
    return _Cutter(text, start, flags, separators).cut()


def _is_plain(text: str) -> bool:
    return "\\" not in text and '"' not in text and "'" not in text


@lru_cache(maxsize=64)
def _stops(flags: int, separators: str, quote: str) -> re.Pattern[str]:
    """Finds the next character that means something, outside quotes or inside the given ones."""
    special = quote or separators + ("'\"" if flags & (UNQUOTE | KEEP_QUOTE) else "")
    if not flags & RETAIN_ESCAPE:
        special += "\\"
    return re.compile("[" + re.escape(special) + "]") if special else re.compile(r"(?!)")


class _Cutter:
    """The state of cutting one word."""

    __slots__ = ("flags", "pieces", "position", "quote", "separators", "text")

    def __init__(self, text: str, position: int, flags: int, separators: str) -> None:
        self.text = text
        self.position = position
        self.flags = flags
        self.separators = separators
        self.quote = ""
        self.pieces: list[str] = []

    def cut(self) -> tuple[str, int | None]:
        """The word that begins at the position, and where the next one is looked for."""
        while True:
            found = _stops(self.flags, self.separators, self.quote).search(self.text, self.position)
            if found is None:
                self.pieces.append(self.text[self.position :])
                if self.quote and not self.flags & RELAX:
                    raise Broken(f"the quote {self.quote} is not closed")
                return self._word(), None
            self.pieces.append(self.text[self.position : found.start()])
            self.position = found.end()
            character = found.group()
            if character == "\\" and not self.flags & RETAIN_ESCAPE:
                if not self._escape():
                    return self._word(), None
            elif self.quote or (character in "'\"" and self.flags & (UNQUOTE | KEEP_QUOTE)):
                self.quote = "" if self.quote else character
                if self.flags & KEEP_QUOTE:
                    self.pieces.append(character)
            else:
                return self._word(), self._after_separator(found.start())

    def _word(self) -> str:
        word = "".join(self.pieces)
        return word if word.isascii() else join_bytes(word)

    def _escape(self) -> bool:
        """Takes what follows a backslash; False when the text ends there and the word is complete."""
        text, flags = self.text, self.flags
        if self.position == len(text):
            if flags & UNESCAPE_RELAX and (not self.quote or flags & RELAX):
                self.pieces.append("\\")
                return False
            if flags & RELAX:
                return False
            raise Broken("a backslash at the end escapes nothing")
        character = text[self.position]
        meant = unescape_one(text, self.position) if flags & CUNESCAPE else None
        self.position += 1
        if meant is not None:
            piece, self.position = meant
            self.pieces.append(piece)
        elif not flags & (CUNESCAPE | UNESCAPE_SEPARATORS) or (
            flags & UNESCAPE_SEPARATORS and (character in self.separators or character == "\\")
        ):
            self.pieces.append(character)
        elif flags & UNESCAPE_RELAX:
            self.pieces.append("\\" + character)
        else:
            raise Broken(f"the escape \\{character} is not known")
        return True

    def _after_separator(self, at: int) -> int | None:
        """Where the next word is looked for; None when only separators are left."""
        if self.flags & DONT_COALESCE_SEPARATORS:
            return at + 1
        text, separators = self.text, self.separators
        while at < len(text) and text[at] in separators:
            at += 1
        return at if at < len(text) else None
