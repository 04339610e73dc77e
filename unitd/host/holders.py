"""Who holds a port that a unit claims, and who runs a program that it claims: by the kernel's tables of sockets, and
the descriptors and programs of all processes (proc_pid_net(5), proc_pid_fd(5), proc_pid_exe(5)).

Said are all of them, whoever they are; what that means is for the caller to judge. Seen is the daemon's own network
namespace, and of processes what the daemon may look at: without privileges, those of its own user.
"""

import os
from collections.abc import Collection, Generator, Iterator, Mapping

from msgspec import Struct

from unitd.host import net_table, processes
from unitd.host.kin import PORTION
from unitd.host.processes import Process
from unitd.model.claims import Claim
from unitd.model.processes import Left
from unitd.syntax.claims import Port, ProcessFilter, plain_address


class Holder(Struct, frozen=True):
    """A process that holds what the claim is about; `process` None: one that cannot be seen, of the user `uid`."""

    process: Process | None
    claim: Claim
    found: str
    uid: int = -1


class Listener(Struct, frozen=True):
    port: Port
    inode: int
    uid: int


def holders(claims: Collection[Claim], everyone: Mapping[int, Process]) -> Generator[None, None, list[Holder]]:
    """Every holder of a claim among these processes, in portions."""
    found: list[Holder] = []
    if any(claim.ports for claim in claims):
        found += yield from _of_ports(claims, everyone)
    if any(claim.filters for claim in claims):
        found += yield from _of_filters(claims, everyone)
    return found


def unseen(holder: Holder) -> Left:
    """A holder that the kernel does not show us."""
    return Left(0, unit=holder.claim.unit, found=holder.found, ours=False, note=f"a process of uid {holder.uid}")


# --- ports ------------------------------------------------------------------------------------------------


def _of_ports(claims: Collection[Claim], everyone: Mapping[int, Process]) -> Generator[None, None, list[Holder]]:
    wanted: dict[int, list[tuple[Claim, Listener]]] = {}
    for listener in listeners():
        for claim in claims:
            if any(port.is_held_by(listener.port) for port in claim.ports):
                wanted.setdefault(listener.inode, []).append((claim, listener))
    found: list[Holder] = []
    if not wanted:
        return found
    seen: set[int] = set()
    for number, (pid, process) in enumerate(everyone.items()):
        own = {inode for _, inode in processes.sockets(pid)} if process.is_alive and not process.is_kernel else set()
        held = sorted(wanted.keys() & own)
        seen.update(held)
        found += [
            Holder(process, claim, f"port {each.port}", each.uid) for inode in held for claim, each in wanted[inode]
        ]
        if number % PORTION == PORTION - 1:
            yield
    unseen = [pair for inode in sorted(wanted.keys() - seen) for pair in wanted[inode]]
    return found + [Holder(None, claim, f"port {listener.port}", listener.uid) for claim, listener in unseen]


def listeners() -> Iterator[Listener]:
    """All sockets of the network namespace that wait for connections or datagrams from anybody."""
    for row in net_table.internet():
        if row.waits:
            host, port = net_table.address(row.local)
            yield Listener(Port(port, row.protocol, plain_address(host)), row.inode, row.uid)


# --- programs ----------------------------------------------------------------------------------------------


def _of_filters(claims: Collection[Claim], everyone: Mapping[int, Process]) -> Generator[None, None, list[Holder]]:
    wanted = [(claim, each) for claim in claims for one in claim.filters for each in followed(one)]
    found: list[Holder] = []
    for number, (pid, process) in enumerate(everyone.items()):
        if not process.is_kernel and process.is_alive and (program := _program(pid)):
            claimed = {claim.unit: claim for claim, each in wanted if _matches(each, program, process)}
            found += [Holder(process, claim, "process filter") for claim in claimed.values()]
        if number % PORTION == PORTION - 1:
            yield
    return found


def followed(filter: ProcessFilter) -> tuple[ProcessFilter, ...]:
    """The filter, and where the links in its path lead to: what runs is known by its real path."""
    real = os.path.realpath(filter.fixed) + filter.glob[len(filter.fixed) :] if filter.fixed else filter.glob
    return (filter,) if real == filter.glob else (filter, ProcessFilter(real, filter.words))


def _program(pid: int) -> str:
    """The real path of what it runs; "" when that cannot be seen."""
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return ""


def _matches(filter: ProcessFilter, program: str, process: Process) -> bool:
    if not filter.matches(program, filter.words):
        return False
    if not filter.words:
        return True
    words = b"" if processes.is_locked(process) else processes.read_file(f"/proc/{process.pid}/cmdline")
    return filter.matches(program, os.fsdecode(words).split("\0"))
