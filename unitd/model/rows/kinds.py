"""Short ways to write a row: the parser, the default, the D-Bus signature and the rule for an empty value by kind."""

from typing import Any

from unitd.model import parsing
from unitd.model.dependencies import Dep
from unitd.model.setting import Parse, Setting, Support, extend


def property_name(name: str) -> str:
    """The D-Bus property of a directive: ...Sec is shown in microseconds as ...USec; ...NSec stays what it is."""
    return f"{name[:-3]}USec" if name.endswith("Sec") and not name.endswith("NSec") else name


class Rows:
    """Makes the rows of one section."""

    def __init__(self, section: str) -> None:
        self.section = section

    def row(self, name: str, parse: Parse, default: Any, sig: str, doc: str, **more: Any) -> Setting:
        """A row as it is; `sig` "": no D-Bus property."""
        prop = (property_name(name), sig) if sig else None
        return Setting(self.section, name, parse, default, doc, **({"prop": prop} | more))

    def flag(self, name: str, default: bool, doc: str, **more: Any) -> Setting:
        """A boolean."""
        return self.row(name, parsing.boolean, default, "b", doc, **({"shared": True} | more))

    def span(self, name: str, default: int | None, doc: str, parse: Parse = parsing.span, **more: Any) -> Setting:
        """A length of time, in microseconds."""
        return self.row(name, parse, default, "t", doc, **({"shared": True} | more))

    def text(self, name: str, doc: str, parse: Parse = parsing.expanded, sig: str = "s", **more: Any) -> Setting:
        """A text, "" when it is not set."""
        return self.row(name, parse, "", sig, doc, resets=True, **more)

    def path(self, name: str, doc: str, **more: Any) -> Setting:
        """An absolute path, "" when it is not set."""
        return self.text(name, doc, parsing.path, **more)

    def word(self, name: str, default: str, parse: Parse, doc: str, **more: Any) -> Setting:
        """One of a few words."""
        return self.row(name, parse, default, "s", doc, **({"shared": True} | more))

    def list(self, name: str, parse: Parse, sig: str, doc: str, **more: Any) -> Setting:
        """A list that grows by each line, and that an empty value empties."""
        return self.row(name, parse, (), sig, doc, **({"merge": extend, "resets": True} | more))

    def number(self, name: str, low: int, high: int, default: int | None, sig: str, doc: str, **more: Any) -> Setting:
        """A whole number."""
        return self.row(name, parsing.number(low, high), default, sig, doc, **more)

    def units(self, name: str, dep: Dep, doc: str) -> Setting:
        """Names of units, which become dependencies; they cannot be taken back."""
        return self.row(name, parsing.unit_names, (), "as", doc, merge=extend, dep=dep)


def lie(asks_nothing: tuple[Any, ...] = (False, (), "", "no")) -> dict[str, Any]:
    """Support.LIE, except for the values that ask for no protection."""
    return {"support": Support.LIE, "asks_nothing": asks_nothing}


LOSS: dict[str, Any] = {"support": Support.LOSS}
METADATA: dict[str, Any] = {"support": Support.METADATA}
