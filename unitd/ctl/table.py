"""Columns of text, as wide as their widest cell, cut to the terminal."""

from typing import Final, NamedTuple

from unitd.ctl.terminal import cut, paint, width

GAP: Final = " "


class Cell(NamedTuple):
    """Text and the colour that it takes on a terminal."""

    text: str
    colour: str = ""


def render(rows: list[list[Cell]], *, full: bool) -> list[str]:
    """One line per row. The last column is not padded; what is wider than the terminal is cut, unless `full`."""
    if not rows:
        return []
    widths = [max(len(row[column].text) for row in rows) for column in range(len(rows[0]))]
    columns = None if full else width()
    lines = []
    for row in rows:
        room, parts = columns, []
        for index, cell in enumerate(row):
            text = cut(cell.text, None if room is None else max(room, 1))
            pad = "" if index == len(row) - 1 else " " * (widths[index] - len(text))
            parts.append(paint(text, cell.colour) + pad)
            if room is not None:
                room -= max(len(text), widths[index]) + len(GAP)
        lines.append(GAP.join(parts).rstrip() if not row[-1].text else GAP.join(parts))
    return lines


def state_colour(load: str, active: str) -> str:
    """The colour of a unit by its states, as systemctl's."""
    from unitd.ctl.terminal import GREEN, RED, YELLOW

    if load in ("not-found", "bad-setting", "error") or active == "failed":
        return RED
    if active in ("active", "reloading"):
        return GREEN
    return YELLOW if active in ("activating", "deactivating") else ""


def dot(load: str, active: str) -> str:
    """The sign before a unit's name, as systemctl's."""
    if load in ("not-found", "bad-setting", "error", "masked") and active == "inactive":
        return "○"
    return {"reloading": "↻", "inactive": "○", "failed": "\u00d7"}.get(active, "●")
