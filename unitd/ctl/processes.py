"""Processes in words, and as the tree of a control group.

What /proc tells of a pid can be gone or hidden at any moment (proc(5)); then less is said.
"""

from typing import Any, NamedTuple

from unitd.ctl.terminal import printable


def _read(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def name_of(pid: int) -> str:
    """The short name of a process, or an empty string."""
    return printable(_read(pid, "comm").rstrip("\n"))


def described(pid: int, command: str = "") -> str:
    """A process in words: "pid 123 /bin/x -y in do_wait"; the last is the kernel function that it waits in."""
    command = command or _read(pid, "cmdline").replace("\0", " ").strip()
    place = _read(pid, "wchan").partition(".")[0].strip()
    return " ".join(
        part
        for part in (f"pid {pid}", printable(command)[:60], f"in {place}" if place not in ("", "0") else "")
        if part
    )


class Process(NamedTuple):
    """A process of a unit: the control group that it is in, and its command line."""

    group: str
    pid: int
    command: str


def group_tree(root: str, rows: list[Any]) -> list[str]:
    """Lines that draw the processes below a control group, sub-groups last, as systemctl status does."""
    processes = sorted((Process(*row) for row in rows), key=lambda process: process.pid)
    root = root.rstrip("/")
    members: dict[str, list[Process]] = {}
    children: dict[str, set[str]] = {}
    for process in processes:
        group = process.group.rstrip("/") if process.group.startswith(root) else root
        members.setdefault(group, []).append(process)
        while group != root:
            parent = group.rpartition("/")[0]
            children.setdefault(parent, set()).add(group)
            group = parent
    lines: list[str] = []
    stack = [(root, "", True)]
    while stack:
        group, indent, last = stack.pop()
        if group != root:
            lines.append(f"{indent}{'└─' if last else '├─'}{printable(group.rpartition('/')[2])}")
            indent += "  " if last else "│ "
        below = sorted(children.get(group, ()), reverse=True)
        own = members.get(group, [])
        width = max((len(str(process.pid)) for process in own), default=0)
        for process in own:
            branch = "├─" if below or process is not own[-1] else "└─"
            lines.append(f"{indent}{branch}{process.pid:>{width}} {printable(process.command)}")
        stack.extend((child, indent, child == below[0]) for child in below)
    return lines


def status_name(number: int) -> str:
    """An exit status with its name where that says something of any program: "1/FAILURE", "203/EXEC", "3"."""
    from unitd.syntax.exit_status import exit_status_name

    # What lies between has names for init scripts and sendmail's heirs only (EX_USAGE ...).
    name = exit_status_name(number) if number < 2 or number >= 200 else None
    return f"{number}/{name}" if name else str(number)
