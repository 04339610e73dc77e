"""Specifiers: what %i and its kin stand for, and putting it there (systemd.unit(5) "Specifiers").

A table maps a letter to its text, or to a function that gives it when the letter occurs. A letter or digit without
an entry is an error; a percent sign before anything else stays.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

from . import unit_name
from .errors import Bad

Table = Mapping[str, str | Callable[[], str]]

DIRECTORY_KINDS: Final = ("Runtime", "State", "Cache", "Logs", "Configuration")
"""What there is a {kind}Directory= of, in the order in which they are made (systemd.exec(5))."""

_SPECIFIER = re.compile(r"%(.)", re.DOTALL)


class HostFacts(Struct, frozen=True):
    """What the specifiers tell of machine, system, user and directories; empty ids cannot be expanded."""

    machine_id: str = ""
    boot_id: str = ""
    hostname: str = "localhost"
    pretty_hostname: str = ""
    kernel: str = ""
    architecture: str = ""
    os_id: str = ""
    os_version_id: str = ""
    os_build_id: str = ""
    os_variant_id: str = ""
    os_image_id: str = ""
    os_image_version: str = ""
    user: str = "root"
    uid: int = 0
    group: str = "root"
    gid: int = 0
    home: str = "/root"
    shell: str = "/bin/sh"
    runtime_dir: str = "/run"
    state_dir: str = "/var/lib"
    cache_dir: str = "/var/cache"
    logs_dir: str = "/var/log"
    config_dir: str = "/etc"
    tmp_dir: str = "/tmp"
    var_tmp_dir: str = "/var/tmp"

    @property
    def bases(self) -> dict[str, str]:
        """Where {kind}Directory= lies, by kind."""
        places = (self.runtime_dir, self.state_dir, self.cache_dir, self.logs_dir, self.config_dir)
        return dict(zip(DIRECTORY_KINDS, places, strict=True))


def expand(text: str, table: Table, limit: int | None = None) -> str:
    """The text with its specifiers replaced; raises Bad, also when the result has more than `limit` bytes."""
    if "%" in text:
        text = _SPECIFIER.sub(lambda found: _meaning(found[1], table), text)
    if limit is not None and len(text) * 4 > limit and len(text.encode("utf-8", "surrogateescape")) > limit:
        raise Bad(f"longer than {limit} bytes with its specifiers expanded")
    return text


def name_table(name: str, host: HostFacts) -> Table:
    """The specifiers that may form unit names: in dependencies and in [Install]."""
    return {
        **_host_table(host),
        "i": unit_name.instance(name) or "",
        "j": unit_name.prefix(name).rpartition("-")[2],
        "n": name,
        "N": unit_name.prefix_and_instance(name),
        "p": unit_name.prefix(name),
    }


def unit_table(name: str, host: HostFacts, fragment: str = "") -> Table:
    """All specifiers of a unit; `fragment` is the real path of its file, without which %y and %Y are refused."""
    prefix, instance = unit_name.prefix(name), unit_name.instance(name) or ""
    last = prefix.rpartition("-")[2]
    return {
        **name_table(name, host),
        **_place_table(host),
        "I": lambda: unit_name.unescape(instance),
        "J": lambda: unit_name.unescape(last),
        "P": lambda: unit_name.unescape(prefix),
        "f": lambda: unit_name.path_unescape(instance) if instance else unit_name.to_path(name),
        "d": f"{host.runtime_dir}/credentials/{name}",
        "y": lambda: _known(fragment, "the path of the unit file"),
        "Y": lambda: _known(fragment, "the path of the unit file").rpartition("/")[0] or "/",
    }


@lru_cache(maxsize=8)
def _host_table(host: HostFacts) -> Table:
    return {
        "a": host.architecture,
        "A": host.os_image_version,
        "b": lambda: _known(host.boot_id, "the boot id"),
        "B": host.os_build_id,
        "H": host.hostname,
        "l": host.hostname.partition(".")[0],
        "m": lambda: _known(host.machine_id, "the machine id"),
        "M": host.os_image_id,
        "o": host.os_id,
        "q": host.pretty_hostname or host.hostname,
        "v": host.kernel,
        "w": host.os_version_id,
        "W": host.os_variant_id,
        "g": host.group,
        "G": str(host.gid),
        "u": host.user,
        "U": str(host.uid),
    }


@lru_cache(maxsize=8)
def _place_table(host: HostFacts) -> Table:
    return {
        "C": host.cache_dir,
        "E": host.config_dir,
        "L": host.logs_dir,
        "S": host.state_dir,
        "t": host.runtime_dir,
        "T": host.tmp_dir,
        "V": host.var_tmp_dir,
        "h": host.home,
        "s": host.shell,
    }


def _meaning(letter: str, table: Table) -> str:
    if letter == "%":
        return "%"
    meaning = table.get(letter)
    if meaning is None:
        if letter.isascii() and letter.isalnum():
            raise Bad(f"the specifier %{letter} is not known")
        return "%" + letter
    return meaning if isinstance(meaning, str) else meaning()


def _known(text: str, what: str) -> str:
    if not text:
        raise Bad(f"{what} is not known")
    return text
