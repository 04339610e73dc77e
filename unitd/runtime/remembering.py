"""What goes into the start record, and how it is read: one line for each unit that changed in a turn, and one of life.

A turn is written before its effects are carried out, so that nothing is ever started of which the record does not know
that it was asked for, and no end is reaped that is not written down.
"""

from collections.abc import Callable, Iterable

from msgspec import DecodeError, json

from unitd.engine.engine import Engine
from unitd.engine.snapshot import Life, Saved, Snapshot
from unitd.host import start_record
from unitd.host.start_record import Head, Line, StartRecord
from unitd.model.effects import Effect, JobChanged, JobGone, JobNew, UnitChanged, UnitGone

_OF_A_UNIT = frozenset((UnitChanged, UnitGone, JobNew, JobGone))
_LIFE = ""

_encode = json.Encoder().encode
_decode = json.Decoder(Saved | Life).decode


class Memory:
    """Follows the engine, and keeps `file` up to date."""

    def __init__(self, engine: Engine, file: StartRecord) -> None:
        self._engine, self._file = engine, file

    def begin(self) -> None:
        """Write down all there is."""
        past = self._engine.snapshot()
        self._file.begin(self._lines(past.units))

    def close(self, *, remove: bool) -> None:
        """Write no more; `remove`: no daemon has to know anything."""
        self._file.close(remove=remove)

    def note(self, effects: Iterable[Effect]) -> None:
        """Write down what a turn changed."""
        names: dict[str, None] = {}
        for effect in effects:
            if type(effect) in _OF_A_UNIT:
                names[effect.unit] = None  # type: ignore[union-attr]
            elif isinstance(effect, JobChanged) and (job := self._engine.view.job(effect.id)) is not None:
                names[job.unit] = None
        if names:
            self._file.put(self._lines(self._engine.saved(names)))

    def _lines(self, units: Iterable[Saved]) -> list[Line]:
        lines = [(saved.unit, _encode(saved), saved.state is not None) for saved in units]
        lines.append((_LIFE, _encode(self._engine.life()), True))
        return lines


def recall(path: str, head: Head, warn: Callable[[str], None]) -> Snapshot | None:
    """What an earlier daemon of this boot wrote; None when it left nothing that can be used, which is told."""
    past = start_record.read(path, head)
    if past.void:
        warn(f"cannot use {path}: {past.void}")
    units: dict[str, Saved] = {}
    life = Life()
    for number, line in past.lines:
        try:
            found = _decode(line)
        except DecodeError as error:
            warn(f"cannot use {path}:{number}: {error}")
            continue
        if isinstance(found, Life):
            life = found
        elif found.state is None:
            units.pop(found.unit, None)
        else:
            units[found.unit] = found
    return Snapshot(tuple(units.values()), life) if past.lines else None
