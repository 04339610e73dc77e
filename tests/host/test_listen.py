"""Listening sockets: real ones, in folders and on ports of the test's own."""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from unitd.host.keeper import Shelf
from unitd.host.listen import Sockets
from unitd.model.effects import SocketPlan
from unitd.model.events import Incoming, ListenFailed, Listening
from unitd.syntax.addresses import parse_listen_address

BOUND_S = 30.0


class House:
    def __init__(self, folder: str) -> None:
        self.heard: list[Listening | ListenFailed | Incoming] = []
        self.warnings: list[str] = []
        self.copies: list[socket.socket] = []
        self.served: list[int] = []
        self.incoming = asyncio.Event()
        self.shelf = Shelf(folder)
        self.sockets = Sockets(
            asyncio.get_running_loop(), self.take, self.warnings.append, self.shelf, lambda unit: self.served
        )

    def take(self, event: Listening | ListenFailed | Incoming) -> None:
        self.heard.append(event)
        if isinstance(event, Incoming):
            self.incoming.set()

    def listen(self, *addresses: tuple[str, str], **others: Any) -> None:
        others = {"backlog": 16, "mode": 0o666, "directory_mode": 0o755, **others}
        self.sockets.listen(SocketPlan("a.socket", addresses, "name", **others))

    def opened(self) -> list[socket.socket]:
        """Copies of what the unit's service would get."""
        made = [socket.socket(fileno=os.dup(fd)) for fd, _ in self.sockets.descriptors("a.socket")]
        self.copies.extend(made)
        return made

    def failure(self) -> int:
        """The errno of the last event, which must be a failure."""
        last = self.heard[-1]
        assert isinstance(last, ListenFailed)
        assert self.sockets.descriptors("a.socket") == []
        return last.errno


@pytest.fixture
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    before = len(os.listdir("/proc/self/fd"))
    house = House(str(tmp_path_factory.mktemp("runtime")))
    yield house
    house.sockets.close()
    house.shelf.close()
    for made in house.copies:
        made.close()
    assert len(os.listdir("/proc/self/fd")) == before


def free_port(family: int = socket.AF_INET) -> int:
    with socket.socket(family) as probe:
        probe.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_paths_of_every_kind(house: House, tmp_path: Path) -> None:
    kinds = [("Stream", "s"), ("Datagram", "d"), ("SequentialPacket", "q"), ("FIFO", "f")]
    addresses = tuple((kind, f"{tmp_path}/deep/er/{name}") for kind, name in kinds)
    house.sockets.listen(SocketPlan("a.socket", addresses, "x", 16, 0o620, 0o750))
    assert house.heard == [Listening("a.socket")]
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "deep" / "er").stat().st_mode) == 0o750
    modes = [os.stat(path).st_mode for _, path in addresses]
    assert [stat.S_IMODE(mode) for mode in modes] == [0o620] * 4
    assert [stat.S_ISSOCK(mode) for mode in modes] == [True, True, True, False]
    descriptors = house.sockets.descriptors("a.socket")
    assert [name for _, name in descriptors] == ["x"] * 4
    assert all(os.get_blocking(fd) and not os.get_inheritable(fd) for fd, _ in descriptors)


async def test_a_bare_port_takes_both_protocols_and_ipv6_only_one(house: House) -> None:
    port = free_port(socket.AF_INET6)
    house.listen(("Stream", str(port)), bind_ipv6_only="both")
    (made,) = house.opened()
    assert made.family == socket.AF_INET6
    socket.create_connection(("127.0.0.1", port), BOUND_S).close()
    made.close()
    house.sockets.close_unit("a.socket", remove=False)
    house.listen(("Stream", str(port)), bind_ipv6_only="ipv6-only")
    (made,) = house.opened()
    assert made.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


async def test_addresses_with_ports(house: House) -> None:
    first, second = free_port(), free_port(socket.AF_INET6)
    house.listen(("Stream", f"127.0.0.1:{first}"), ("Datagram", f"[::1]:{second}"))
    made = house.opened()
    assert [one.getsockname()[:2] for one in made] == [("127.0.0.1", first), ("::1", second)]
    assert [one.type for one in made] == [socket.SOCK_STREAM, socket.SOCK_DGRAM]


async def test_an_abstract_name(house: House) -> None:
    house.listen(("Stream", f"@unitd-test-{os.getpid()}"))
    (made,) = house.opened()
    assert made.getsockname() == f"\0unitd-test-{os.getpid()}".encode()


async def test_an_address_comes_in_its_canonical_form(house: House, tmp_path: Path) -> None:
    """As the table of settings has it: what is not plain ASCII is escaped."""
    path = f"{tmp_path}/\u00fc \\x2d"
    house.listen(("Stream", str(parse_listen_address(path))), ("FIFO", path + "f"))
    assert house.heard == [Listening("a.socket")]
    assert Path(path).is_socket()
    house.sockets.close_unit("a.socket", remove=True)
    assert list(tmp_path.iterdir()) == []


async def test_a_stale_socket_is_replaced_and_a_living_one_is_in_use(house: House, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    other = socket.socket(socket.AF_UNIX)
    other.bind(path)
    other.listen()
    house.listen(("Datagram", str(tmp_path / "d")), ("Stream", path))
    assert house.failure() == errno.EADDRINUSE
    other.close()
    house.listen(("Stream", path))
    assert house.heard[-1] == Listening("a.socket")


async def test_a_file_is_no_stale_socket(house: House, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    house.listen(("Stream", str(tmp_path / "s")))
    assert house.failure() == errno.EADDRINUSE
    house.listen(("FIFO", str(tmp_path / "s")))
    assert house.failure() == errno.EEXIST
    assert (tmp_path / "s").read_text() == "precious"


@pytest.mark.parametrize(
    ("kind", "address", "expected"),
    [
        ("Netlink", "route 0", errno.EOPNOTSUPP),
        ("Special", "/dev/null", errno.EOPNOTSUPP),
        ("MessageQueue", "/q", errno.EOPNOTSUPP),
        ("Stream", "nonsense", errno.EINVAL),
        ("Stream", "/proc/none/s", errno.ENOENT),
        ("Stream", "192.0.2.1:80", errno.EADDRNOTAVAIL),
        ("SequentialPacket", "127.0.0.1:80", errno.ESOCKTNOSUPPORT),
    ],
)
async def test_what_cannot_be_listened_on(house: House, kind: str, address: str, expected: int) -> None:
    house.listen((kind, address))
    assert house.failure() == expected
    last = house.heard[-1]
    assert isinstance(last, ListenFailed)
    assert last.address == address
    assert last.detail


async def test_listening_again_opens_nothing_twice(house: House, tmp_path: Path) -> None:
    first = ("Stream", str(tmp_path / "1"))
    second = ("Stream", str(tmp_path / "2"))
    house.listen(first)
    before = house.sockets.descriptors("a.socket")
    house.listen(first, second)
    assert house.sockets.descriptors("a.socket")[:1] == before
    house.listen(second)
    assert len(house.sockets.descriptors("a.socket")) == 1


async def test_traffic_is_told_once_until_asked_again(house: House, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    house.listen(("Stream", path), ("Datagram", str(tmp_path / "d")))
    made = house.opened()[0]
    house.sockets.watch("a.socket")
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        await asyncio.wait_for(house.incoming.wait(), BOUND_S)
        for _ in range(5):
            await asyncio.sleep(0)
        assert house.heard == [Listening("a.socket"), Incoming("a.socket")]
        house.incoming.clear()
        house.sockets.watch("a.socket")
        await asyncio.wait_for(house.incoming.wait(), BOUND_S)
        made.accept()[0].close()


async def test_an_unwatched_unit_is_silent(house: House, tmp_path: Path) -> None:
    path = str(tmp_path / "f")
    house.listen(("Datagram", path))
    house.sockets.watch("a.socket")
    house.sockets.unwatch("a.socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
        caller.sendto(b"x", path)
    for _ in range(5):
        await asyncio.sleep(0)
    assert house.heard == [Listening("a.socket")]


async def test_symlinks_come_and_go_with_the_paths(house: House, tmp_path: Path) -> None:
    path, links = tmp_path / "s", (tmp_path / "l" / "1", tmp_path / "2")
    links[1].symlink_to("elsewhere")
    house.listen(("Stream", str(path)), symlinks=tuple(map(str, links)))
    assert [os.readlink(link) for link in links] == [str(path)] * 2
    house.sockets.close_unit("a.socket", remove=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["l"]
    assert house.sockets.descriptors("a.socket") == []


async def test_closing_leaves_the_path_unless_asked(house: House, tmp_path: Path) -> None:
    path = tmp_path / "s"
    house.listen(("Stream", str(path)))
    house.sockets.close_unit("a.socket", remove=False)
    assert path.is_socket()


async def test_options_are_set(house: House) -> None:
    options = (
        ("KeepAlive", True),
        ("KeepAliveTimeSec", 77_000_000),
        ("NoDelay", True),
        ("ReusePort", True),
        ("FreeBind", True),
        ("Priority", 3),
        ("SendBuffer", 65536),
        ("IPTTL", 9),
        ("Broadcast", False),
        ("Mark", -1),
        ("ReceiveBuffer", 0),
        ("Timestamping", "off"),
        ("TCPCongestion", ""),
    )
    house.listen(("Stream", "192.0.2.1:8080"), options=options)
    (made,) = house.opened()
    assert house.heard == [Listening("a.socket")]
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77
    assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 1
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY) == 3
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 131072
    assert made.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 9
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 0
    assert house.warnings == []


async def test_an_option_that_the_kernel_refuses_is_named(house: House, tmp_path: Path) -> None:
    options = (("TCPCongestion", "nonsense"), ("PassCredentials", True))
    house.listen(("Datagram", str(tmp_path / "s")), options=options)
    (made,) = house.opened()
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED) == 1
    assert house.warnings == ["cannot set an option of a.socket: TCPCongestion=nonsense: Operation not supported"]


async def test_owners_are_local_accounts(house: House, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to give files away")
    for kind, name in (("Stream", "s"), ("FIFO", "f")):
        house.listen((kind, str(tmp_path / name)), user="nobody", group="0")
        assert ((tmp_path / name).stat().st_uid, (tmp_path / name).stat().st_gid) == (65534, 0)
        house.sockets.close_unit("a.socket", remove=True)
    house.listen(("Stream", str(tmp_path / "t")), user="no-such-user")
    assert house.failure() == errno.ESRCH
    assert not (tmp_path / "t").exists()
