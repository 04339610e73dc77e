"""What units print: one FIFO a unit, cut into lines, time-stamped, kept by log_files.

A FIFO has a name, so the next daemon opens it again, and children hold it for reading too, so that nobody to read
it gives them neither EPIPE nor SIGPIPE (fifo(7)). The daemon also holds it both ways, which keeps it from end of
file; on release it holds the reading side alone, and end of file then proves that no process can print any more.

A unit that prints without end gets a bounded share: so many bytes in a turn of the loop, then a pause as long as
three times the turn took, in which its writes block; others that wait take turns.
"""

import asyncio
import contextlib
import errno
import os
import stat
from collections import deque
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from unitd.host.log_files import Line, LogFiles, file_name, stamp
from unitd.host.log_stream import KeptStream, Stream, label

_CHUNK = 16 * 1024
_TURN = 4 * _CHUNK
_DRAIN = 128 * 1024
_REST = 3.0
SOON_S = 0.5
_OURS = "unitd"
_LOOKED_AT = 32

Follower = Callable[[list[Line]], None]


class Realtime(Protocol):
    def realtime(self) -> int: ...


class Kept(Struct, frozen=True):
    """All open FIFOs; `unwritten`: lines by unit that could not be written to disk."""

    streams: tuple[KeptStream, ...] = ()
    unwritten: dict[str, bytes] = {}


class Logs:
    """The logs of all units: RUNTIME/log/UNIT.fifo in, STATE/logs/UNIT.log out. `warn` gets the daemon's own words."""

    def __init__(
        self,
        runtime_dir: str,
        state_dir: str,
        loop: asyncio.AbstractEventLoop,
        clock: Realtime,
        warn: Callable[[str], None],
    ) -> None:
        self._folder = os.path.join(runtime_dir, "log")
        self._files = LogFiles(os.path.join(state_dir, "logs"), loop, warn)
        self._loop = loop
        self._clock = clock
        self._warn = warn
        self._streams: dict[str, Stream] = {}
        self._followers: dict[str, list[Follower]] = {}
        self._waiting: deque[Stream] = deque()
        self._left = _TURN
        self._began = 0.0
        self._flushing: asyncio.Handle | None = None
        self._resuming: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._reopening: asyncio.TimerHandle | None = None
        self._unread: set[str] = set()

    def stdout_path(self, unit: str) -> str:
        """The path of the unit's FIFO, which exists and is read from now on; "" where it cannot be made."""
        stream = self._streams.get(unit)
        if stream is None or stream.ending:
            try:
                self._open(unit, stream)
            except OSError as error:
                if unit not in self._unread:
                    self._warn(f"cannot keep what {unit} prints: {error}")
                return ""
            self._unread.discard(unit)
        return self._streams[unit].path

    def reopen(self, unit: str, *, labelled: bool = False) -> bool:
        """Read again the FIFO that an earlier daemon made; False when there is none, or it can be read later only.

        `labelled`: label() is going to tell whose the lines are that are there already.
        """
        if not os.path.exists(self._path(unit)):
            self._unread.discard(unit)
            return False
        fresh = unit not in self._streams
        if not self.stdout_path(unit):
            # Whoever prints there waits for a reader as soon as the FIFO is full.
            self._unread.add(unit)
            self._reopening = self._reopening or self._loop.call_later(SOON_S, self._reopen)
            return False
        self._streams[unit].expecting |= fresh and labelled
        return True

    def _reopen(self) -> None:
        self._reopening = None
        for unit in sorted(self._unread):
            self.reopen(unit)

    def expect(self, unit: str, coming: bool) -> None:
        """A process of the unit is about to be started, and label() tells its pid; or it came to nothing."""
        stream = self._streams.get(unit)
        if stream is None or stream.expecting is coming:
            return
        if coming:
            self._drain(stream)
            self._end_line(stream)
        stream.expecting = coming
        if not coming:
            self._take(stream, stream.whole())

    def label(self, unit: str, program: str, pid: int) -> None:
        """From now on the unit's lines are this process's; what is there already is so if no predecessor lives."""
        stream = self._streams.get(unit)
        if stream is None or pid in stream.living:
            return
        self._drain(stream)
        if not stream.held:
            self._end_line(stream)
        stream.expecting = False
        stream.label = stream.living[pid] = label(program, pid)
        self._take(stream, stream.whole())

    def ended(self, unit: str, pid: int) -> None:
        """From now on the lines are those of the process that was started before this one, if it lives."""
        stream = self._streams.get(unit)
        if stream is None or pid not in stream.living:
            return
        if stream.living[pid] == stream.label and (stream.expecting or len(stream.living) > 1):
            self._drain(stream)
            self._end_line(stream)
        if stream.living.pop(pid) == stream.label and stream.living:
            stream.label = next(reversed(stream.living.values()))

    def say(self, unit: str, text: str) -> None:
        """Add the daemon's own words to the unit's log, behind what is printed by now."""
        self._catch_up(unit)
        self._keep(unit, label(_OURS, os.getpid()), text.rstrip("\n").encode(errors="backslashreplace") + b"\n")
        self._write_soon()

    def tail(self, unit: str, count: int) -> list[Line]:
        """The last `count` lines, or all for 0, oldest first, what is printed by now included."""
        self._catch_up(unit)
        return self._files.tail(unit, count)

    def printed(self, unit: str, count: int) -> list[str]:
        """The last `count` lines that the unit itself printed, oldest first, among the newest ones of its log."""
        found = self.tail(unit, _LOOKED_AT)
        return [line.text for line in found if (line.program, line.pid) != (_OURS, os.getpid())][-count:]

    def since(self, unit: str, us: int) -> list[Line]:
        """The lines from a wall clock time on (microseconds since 1970), oldest first."""
        self._catch_up(unit)
        return self._files.since(unit, us)

    def follow(self, unit: str, tell: Follower) -> Callable[[], None]:
        """Have `tell` called with lines as they come; the result ends it."""
        self._followers.setdefault(unit, []).append(tell)

        def end() -> None:
            followers = self._followers.get(unit, [])
            if tell in followers:
                followers.remove(tell)
            if not followers:
                self._followers.pop(unit, None)

        return end

    def close_fifo(self, unit: str) -> None:
        """The unit rests: close its FIFO when all is read and no process holds it any more."""
        stream = self._streams.get(unit)
        if stream is None or stream.ending:
            return
        try:
            reading = os.open(stream.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            self._drain(stream)
            self._close(stream)
            return
        self._loop.remove_reader(stream.fd)
        os.close(stream.fd)
        stream.fd, stream.ending = reading, True
        self._drain(stream)
        if unit in self._streams:
            self._watch(stream)

    def kept(self) -> Kept:
        """What another program image needs to go on; what is printed by now is read, and written if it can be."""
        for stream in list(self._streams.values()):
            self._drain(stream)
        self._files.flush()
        return Kept(tuple(stream.kept() for stream in self._streams.values()), self._files.waiting())

    def take_up(self, kept: Kept) -> None:
        """Go on where another program image stopped."""
        for unit, lines in kept.unwritten.items():
            self._files.append(unit, lines)
        for each in kept.streams:
            stream = Stream(each.unit, self._path(each.unit), each.fd, each.label, dict(each.living))
            stream.partial, stream.ending = each.partial, each.ending
            self._streams[each.unit] = stream
            self._watch(stream)

    def forget(self, unit: str) -> None:
        """Delete all that the unit printed."""
        stream = self._streams.get(unit)
        if stream is not None:
            self._close(stream)
        self._files.forget(unit)

    def close(self) -> None:
        """Keep what is printed by now and close everything; the FIFOs stay for the next daemon."""
        for stream in list(self._streams.values()):
            self._drain(stream)
            if stream.unit in self._streams:
                self._end_line(stream)
                self._loop.remove_reader(stream.fd)
                os.close(stream.fd)
        self._streams.clear()
        self._waiting.clear()
        for handle in (self._flushing, self._resuming, self._writing, self._reopening):
            if handle is not None:
                handle.cancel()
        self._files.close()

    def _path(self, unit: str) -> str:
        return os.path.join(self._folder, f"{file_name(unit)}.fifo")

    def _open(self, unit: str, ending: Stream | None) -> None:
        path = self._path(unit)
        os.makedirs(self._folder, mode=0o755, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.close(fd)
            raise FileExistsError(errno.EEXIST, "it is there and no FIFO", path)
        if ending is None:
            self._streams[unit] = ending = Stream(unit, path, fd, label(unit, 0))
        else:
            self._loop.remove_reader(ending.fd)
            os.close(ending.fd)
            ending.fd, ending.ending = fd, False
        self._watch(ending)

    def _watch(self, stream: Stream) -> None:
        if stream not in self._waiting:
            self._loop.add_reader(stream.fd, self._readable, stream)

    def _readable(self, stream: Stream) -> None:
        self._schedule()
        got = self._read(stream, min(_CHUNK, self._left)) if self._left > 0 else _CHUNK
        self._left -= got
        if got >= _CHUNK or self._left <= 0:
            self._pause(stream)

    def _pause(self, stream: Stream) -> None:
        if stream.unit in self._streams and stream not in self._waiting:
            self._loop.remove_reader(stream.fd)
            self._waiting.append(stream)

    def _resume(self) -> None:
        """Those who waited longest are read again, as many as one turn can bear."""
        self._resuming = None
        self._loop.call_soon(self._schedule)
        for _ in range(min(len(self._waiting), _TURN // _CHUNK)):
            self._watch(self._waiting.popleft())

    def _read(self, stream: Stream, limit: int) -> int:
        """Read once; the number of bytes. At end of file the stream is closed."""
        try:
            chunk = os.read(stream.fd, limit)
        except BlockingIOError:
            return 0
        if chunk:
            self._take(stream, stream.whole(chunk))
        elif stream.ending:
            self._close(stream)
        return len(chunk)

    def _drain(self, stream: Stream) -> None:
        """Read what is printed by now, no more than twice what a pipe holds (pipe(7))."""
        left = _DRAIN
        while left > 0:
            got = self._read(stream, _CHUNK)
            if not got:
                return
            left -= got

    def _catch_up(self, unit: str) -> None:
        stream = self._streams.get(unit)
        if stream is not None:
            self._drain(stream)

    def _end_line(self, stream: Stream) -> None:
        self._take(stream, stream.rest())

    def _take(self, stream: Stream, lines: bytes) -> None:
        if lines:
            self._keep(stream.unit, stream.label, lines)
            self._schedule()

    def _keep(self, unit: str, label: bytes, lines: bytes) -> None:
        """Hand over whole lines of one moment and one process, as clean UTF-8 without NUL."""
        now = self._clock.realtime()
        if b"\0" in lines:
            lines = lines.replace(b"\0", b"\\x00")
        text = lines.decode(errors="backslashreplace")
        head = stamp(now) + label
        body = text.encode()[:-1].replace(b"\n", b"\n" + head)
        self._files.append(unit, head + body + b"\n")
        followers = self._followers.get(unit)
        if followers:
            program, _, pid = label[1:-3].decode().rpartition("[")
            told = [Line(now, program, int(pid), line) for line in text[:-1].split("\n")]
            for tell in tuple(followers):
                tell(told)

    def _write_soon(self) -> None:
        """The daemon's own words need not be on disk at once: a shutdown has better things to do first."""
        if self._writing is None:
            self._writing = self._loop.call_later(SOON_S, self._write_out)

    def _write_out(self) -> None:
        self._writing = None
        self._files.flush()

    def _schedule(self) -> None:
        """Have the turn ended by one write for each unit that printed."""
        if self._flushing is None:
            self._began = self._loop.time()
            self._flushing = self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._flushing = None
        self._files.flush()
        self._left = _TURN
        if self._waiting and self._resuming is None:
            took = self._loop.time() - self._began
            self._resuming = self._loop.call_later(max(0.001, _REST * took), self._resume)

    def _close(self, stream: Stream) -> None:
        self._end_line(stream)
        self._loop.remove_reader(stream.fd)
        os.close(stream.fd)
        with contextlib.suppress(ValueError):
            self._waiting.remove(stream)
        del self._streams[stream.unit]
        with contextlib.suppress(OSError):
            os.unlink(stream.path)
