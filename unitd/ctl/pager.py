"""Long output to a terminal goes through a pager, as git's and systemctl's does."""

import os
import sys

from unitd.ctl.session import Session
from unitd.ctl.terminal import is_terminal


def page(session: Session, lines: list[str]) -> None:
    """Print the lines; through $PAGER or less when they are more than the terminal shows."""
    text = "".join(f"{line}\n" for line in lines)
    program = _program(session, len(lines))
    if program is None:
        sys.stdout.write(text)
        return
    import signal

    sys.stdout.flush()
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        _become(program, out)
    os.close(out)
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with open(into, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except BrokenPipeError:
        pass  # the reader has seen enough
    finally:
        os.waitpid(child, 0)
        signal.signal(signal.SIGINT, previous)


def _program(session: Session, height: int) -> list[str] | None:
    """The command of the pager; None when none is wanted or none is there."""
    if not session.options.pager or not is_terminal(sys.stdout) or not is_terminal(sys.stdin):
        return None
    rows = os.get_terminal_size(sys.stdout.fileno()).lines
    if not rows or height < rows:
        return None
    import shutil

    wanted = next((os.environ[n] for n in ("SYSTEMD_PAGER", "PAGER") if n in os.environ), "less")
    words = wanted.split()
    return words if words and words != ["cat"] and shutil.which(words[0]) else None


def _become(program: list[str], stream: int) -> None:
    """In the child: read from the stream and run the pager; does not return."""
    try:
        os.dup2(stream, 0)
        os.environ.setdefault("LESS", "FRSXMK")
        os.execvp(program[0], program)
    finally:
        os._exit(127)
