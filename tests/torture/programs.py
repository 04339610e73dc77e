"""What the services of these tests run: python -I -S programs.py NAME WORD...

Everything has an end of its own: no program forks more often than it is told to, nor lives longer than LIFE_S.
"""

import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable

LIFE_S = int(os.environ.get("LIFE_S", "120"))
"""Seconds."""


def deaf() -> None:
    """Nothing that can be ignored is heard."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def rest() -> None:
    """Live on until killed, or until LIFE_S is over."""
    signal.alarm(LIFE_S)
    while True:
        signal.pause()


def ready() -> None:
    """sd_notify(3)."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"READY=1", path)


def fork() -> bool:
    """True in the child."""
    return os.fork() == 0


def tree(size: str) -> None:
    """At least so many processes; every third one has left its parent and its session. Deaf. Ready when it is whole."""
    deaf()
    left, told = int(size) - 1, os.pipe()
    for number in range(left):
        if not fork():
            continue
        if number % 3 == 0:
            # The double fork: its parent ends at once, and nobody above knows it.
            os.setsid()
            if not fork():
                os._exit(0)
        elif number % 3 == 1 and number + 1 < left and fork():
            os.write(told[1], b"+")
            rest()
        os.write(told[1], b".")
        rest()
    expected = left + sum(1 for number in range(left) if number % 3 == 1 and number + 1 < left)
    while expected:
        expected -= len(os.read(told[0], 65536))
    ready()
    rest()


def chain(links: str) -> None:
    """A process that lives a millisecond, and forks the next one; the first one is gone at once."""
    end = time.monotonic() + LIFE_S
    for _ in range(int(links)):
        time.sleep(0.001)
        try:
            if not fork():
                os._exit(0)
        except BlockingIOError:
            continue
        if time.monotonic() > end:
            return


def leave(count: str, deafness: str = "") -> None:
    """Leave so many children behind, half of them in sessions of their own, and "deaf" if so wanted."""
    done = os.pipe()
    for number in range(int(count)):
        if fork():
            if number % 2:
                os.setsid()
                if deafness:
                    deaf()
            os.write(done[1], b".")
            rest()
    left = int(count)
    while left:
        left -= len(os.read(done[0], 65536))


def stubborn() -> None:
    """Deaf, with a child that is."""
    deaf()
    if not fork():
        ready()
    rest()


def dump(source: str, target: str) -> None:
    """On SIGTERM write down what `source` holds at that moment, then go."""

    def write(number: int, frame: object) -> None:
        try:
            with open(source, encoding="utf-8") as file:
                text = file.read()
        except OSError:
            text = ""
        with open(target, "w", encoding="utf-8") as file:
            file.write(f"seen: {text.split()}\n")
        os._exit(0)

    signal.signal(signal.SIGTERM, write)
    ready()
    rest()


def slowly(seconds: str) -> None:
    """On SIGTERM take so long, then go."""

    def go(number: int, frame: object) -> None:
        time.sleep(float(seconds))
        os._exit(0)

    signal.signal(signal.SIGTERM, go)
    ready()
    rest()


def counted(starts: str, unit: str, what: str, *words: str) -> None:
    """Write down that `unit` was started, then do `what`: rest, alive (notify), exit STATUS, die, daemonize FILE."""
    with open(starts, "a", encoding="utf-8") as file:
        file.write(f"{unit} {os.environ['INVOCATION_ID']} {os.getpid()}\n")
    match what:
        case "alive":
            alive()
        case "exit":
            os._exit(int(words[0]))
        case "die":
            time.sleep(random.uniform(0.02, 0.3))
            if random.random() < 0.3:
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(random.choice((0, 0, 1)))
        case "daemonize":
            daemonize(words[0])
    rest()


def alive() -> None:
    """sd_notify(3): ready after a moment, then a sign of life twice a second; patient when nobody hears."""
    path, end = os.environ.get("NOTIFY_SOCKET", ""), time.monotonic() + LIFE_S
    text = b"READY=1"
    while path and time.monotonic() < end:
        time.sleep(0.05 if text == b"READY=1" else 0.5)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(text, path)
            text = b"WATCHDOG=1"
        except OSError:
            # Lost for good, as with sd_notify(3), which does not try again.
            text = b"WATCHDOG=1"


def daemonize(file: str) -> None:
    """Go into the background; the file says who is the daemon when the first process ends."""
    done = os.pipe()
    if fork():
        os.setsid()
        if not fork():
            os._exit(0)
        with open(f"{file}~", "w", encoding="utf-8") as out:
            out.write(f"{os.getpid()}\n")
        os.rename(f"{file}~", file)
        os.write(done[1], b".")
        rest()
    os.read(done[0], 1)
    os._exit(0)


PROGRAMS: dict[str, Callable[..., None]] = {
    "tree": tree,
    "chain": chain,
    "leave": leave,
    "stubborn": stubborn,
    "dump": dump,
    "slowly": slowly,
    "counted": counted,
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
