"""Addresses to listen on and their canonical form."""

import pytest

from unitd.syntax.addresses import ListenAddress, parse_listen_address
from unitd.syntax.errors import Bad


@pytest.mark.parametrize(
    ("text", "canonical", "address"),
    [
        ("80", "[::]:80", ListenAddress("inet6", "::", 80)),
        ("1.2.3.4:80", "1.2.3.4:80", ListenAddress("inet", "1.2.3.4", 80)),
        ("[0:0::1]:80", "[::1]:80", ListenAddress("inet6", "::1", 80)),
        ("[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1", ListenAddress("inet6", "::ffff:1.2.3.4", 1)),
        ("[fe80::1]:80%eth0", "[fe80::1]:80%eth0", ListenAddress("inet6", "fe80::1", 80, "eth0")),
        ("/run/x", "/run/x", ListenAddress("unix", "/run/x")),
        ("/run/é", "/run/\\303\\251", ListenAddress("unix", "/run/é")),
        ("@x", "@x", ListenAddress("unix", "@x")),
        ("vsock:2:99", "vsock:2:99", ListenAddress("vsock", "2", 99)),
        ("vsock::99", "vsock::99", ListenAddress("vsock", "", 99)),
    ],
)
def test_address(text: str, canonical: str, address: ListenAddress) -> None:
    assert parse_listen_address(text) == address
    assert str(address) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "65536",
        "x",
        "1.2.3.4",
        "1.2.3:80",
        "01.2.3.4:80",
        "[::1]",
        "::1:80",
        "[::1]:",
        "/",
        "@",
        "vsock:2",
        "/" * 108,
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(Bad):
        parse_listen_address(text)
