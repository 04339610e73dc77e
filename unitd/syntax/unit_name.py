"""Unit names: which are valid, their parts, and the escaping of text and paths in them.

A name is PREFIX[@INSTANCE].TYPE of at most 255 characters out of letters, digits and `:-_.\\@`; TYPE is what follows
the last dot. Escaping works on bytes. Rules: systemd.unit(5) and systemd-escape(1), checked against systemd 252.
"""

import re
from functools import lru_cache
from typing import Final

from .errors import Bad
from .siphash import siphash24

UNIT_TYPES: Final = frozenset(
    ("service", "socket", "target", "device", "mount", "automount", "swap", "timer", "path", "slice", "scope")
)
LONGEST_NAME: Final = 255
LONGEST_PATH: Final = 4095
LONGEST_FILE_NAME: Final = 255

PLAIN: Final = 1
INSTANCE: Final = 2
TEMPLATE: Final = 4
ANY: Final = PLAIN | INSTANCE | TEMPLATE

_NAME = re.compile(r"([A-Za-z0-9:_.\\-]+)(@[A-Za-z0-9:_.\\@-]*)?\.([a-z]+)")
_PREFIX = re.compile(r"[A-Za-z0-9:_.\\-]+")
_INSTANCE = re.compile(r"[A-Za-z0-9:_.\\@-]+")
_GLOB = re.compile(r"[A-Za-z0-9:_.\\@\[\]!*?-]+")
_BYTE = re.compile(rb"\\(?:x([0-9a-fA-F]{2}))?")

_KEPT: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.")
_ESCAPED: Final = tuple(
    "-" if byte == 0x2F else chr(byte) if byte in _KEPT else f"\\x{byte:02x}" for byte in range(256)
)
_MANGLED: Final = tuple("-" if byte == 0x2F else chr(byte) for byte in range(128))
_HASH_KEY: Final = bytes.fromhex("ecf237fb58324a32849f069b0d21eb9a")
_HASH_MARK = re.compile(r"_[0-9a-f]{16}\Z")
_CACHED: Final = 16384


def _parts(name: str) -> tuple[str, str | None, str] | None:
    """Prefix, instance (None when there is no '@') and type; None when the name is not valid."""
    return _split(name) if len(name) <= LONGEST_NAME else None


@lru_cache(_CACHED)
def _split(name: str) -> tuple[str, str | None, str] | None:
    found = _NAME.fullmatch(name)
    if found is None or found[3] not in UNIT_TYPES:
        return None
    return found[1], None if found[2] is None else found[2][1:], found[3]


def valid(name: str, kinds: int = ANY) -> bool:
    """True for a valid name of one of the kinds PLAIN, INSTANCE, TEMPLATE."""
    parts = _parts(name)
    if parts is None:
        return False
    return bool(kinds & (PLAIN if parts[1] is None else INSTANCE if parts[1] else TEMPLATE))


def prefix_valid(text: str) -> bool:
    """True when the text can stand before '@' or the type."""
    return _PREFIX.fullmatch(text) is not None


def instance_valid(text: str) -> bool:
    """True when the text can stand between '@' and the type."""
    return _INSTANCE.fullmatch(text) is not None


def suffix_valid(text: str) -> bool:
    """True for a dot and a unit type."""
    return text[:1] == "." and text[1:] in UNIT_TYPES


def suffix(name: str) -> str:
    """The unit type of a valid name, without its dot; raises Bad."""
    return _checked(name)[2]


def prefix(name: str) -> str:
    """What is before '@' or the type; raises Bad."""
    return _checked(name)[0]


def instance(name: str) -> str | None:
    """What is between '@' and the type: "" for a template, None for a plain name; raises Bad."""
    return _checked(name)[1]


def prefix_and_instance(name: str) -> str:
    """The name without its type; raises Bad."""
    _checked(name)
    return name[: name.rindex(".")]


def is_template(name: str) -> bool:
    """True for a valid name such as a@.service."""
    return valid(name, TEMPLATE)


def is_instance(name: str) -> bool:
    """True for a valid name such as a@b.service."""
    return valid(name, INSTANCE)


def template_of(name: str) -> str:
    """a@.service of a@b.service; raises Bad for a plain name."""
    parts = _checked(name)
    if parts[1] is None:
        raise Bad(f"{name!r} is neither a template nor an instance")
    return f"{parts[0]}@.{parts[2]}"


def with_instance(name: str, inst: str) -> str:
    """The template or instance with another instance; raises Bad when that is no valid name."""
    parts = _checked(name)
    if parts[1] is None:
        raise Bad(f"{name!r} is neither a template nor an instance")
    if not instance_valid(inst):
        raise Bad(f"{inst!r} cannot be an instance")
    instantiated = f"{parts[0]}@{inst}.{parts[2]}"
    if not valid(instantiated, INSTANCE):
        raise Bad(f"{instantiated!r} is too long for a unit name")
    return instantiated


def slice_valid(name: str) -> bool:
    """True for a plain slice whose name has no empty part between dashes; -.slice is the root."""
    if not valid(name, PLAIN) or not name.endswith(".slice"):
        return False
    return name == "-.slice" or all(name[: -len(".slice")].split("-"))


def parent_slice(name: str) -> str | None:
    """The slice that holds a slice, None for the root; raises Bad."""
    if not slice_valid(name):
        raise Bad(f"{name!r} is not a slice")
    if name == "-.slice":
        return None
    above, dash, _ = name.rpartition("-")
    return f"{above}.slice" if dash else "-.slice"


@lru_cache(_CACHED)
def escape(text: str) -> str:
    """The text as part of a unit name: '/' becomes '-', other special bytes \\xNN (systemd-escape)."""
    raw = text.encode("utf-8", "surrogateescape")
    if raw[:1] == b".":
        return "\\x2e" + "".join([_ESCAPED[byte] for byte in raw[1:]])
    return "".join([_ESCAPED[byte] for byte in raw])


@lru_cache(_CACHED)
def unescape(text: str) -> str:
    """The text that escape() was given; raises Bad."""
    raw = text.encode("utf-8", "surrogateescape").replace(b"-", b"/")
    if b"\\" in raw:
        # A dash is no hexadecimal digit, so a slash made of one cannot complete an escape.
        raw = _BYTE.sub(lambda found: _escaped_byte(found, text), raw)
    # An escaped NUL ends the text, as it would in C: nothing behind it may reach the kernel.
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")


@lru_cache(_CACHED)
def path_escape(path: str) -> str:
    """A path as part of a unit name, "-" for the root (systemd-escape --path); raises Bad."""
    simple = simplify_path(path)
    if simple in ("", "/"):
        return "-"
    if not _is_normalized(simple):
        raise Bad(f"the path {path!r} is not normalized")
    return escape(simple.strip("/"))


@lru_cache(_CACHED)
def path_unescape(text: str) -> str:
    """The absolute path that path_escape() was given; raises Bad."""
    if not text:
        raise Bad("an empty name is no path")
    if text == "-":
        return "/"
    path = unescape(text)
    if path and (path[0] == "/" or not _is_normalized("/" + path)):
        raise Bad(f"{text!r} is not an escaped path")
    return "/" + path


def from_path(path: str, suffix: str) -> str:
    """The unit for a path, for example ("/a/b", ".mount"); a long name is cut and hashed; raises Bad."""
    if not suffix_valid(suffix):
        raise Bad(f"{suffix!r} is not a unit type")
    name = path_escape(path) + suffix
    if len(name) > LONGEST_NAME:
        name = _hashed(name, suffix)
    if not valid(name, PLAIN):
        raise Bad(f"the path {path!r} gives no valid unit name")
    return name


def from_path_instance(prefix: str, path: str, suffix: str) -> str:
    """The instance of a template for a path; raises Bad."""
    name = f"{prefix}@{path_escape(path)}{suffix}"
    if not prefix_valid(prefix) or not suffix_valid(suffix) or not valid(name, INSTANCE):
        raise Bad(f"{prefix!r}, {path!r} and {suffix!r} give no valid unit name")
    return name


def to_path(name: str) -> str:
    """The path whose unit this is; raises Bad, also for a name that was hashed."""
    if is_hashed(name):
        raise Bad(f"the path of {name!r} was too long to be kept in its name")
    return path_unescape(prefix(name))


def is_hashed(name: str) -> bool:
    """True when from_path() had to shorten this name."""
    return len(name) == LONGEST_NAME and valid(name, PLAIN) and _HASH_MARK.search(prefix(name)) is not None


def mangle(name: str, suffix: str = ".service", *, globs: bool = False) -> str:
    """What a user's argument means as a unit name or, where globs are allowed, a pattern (systemctl); raises Bad."""
    if not name or not suffix_valid(suffix):
        raise Bad("an empty unit name" if suffix_valid(suffix) else f"{suffix!r} is not a unit type")
    if valid(name) or (globs and _is_glob(name) and _GLOB.fullmatch(name)):
        return name
    if name[0] == "/":
        found = _path_unit(name)
        if found is not None:
            return found
    allowed = _GLOB if globs else _INSTANCE
    mangled = "".join(
        [
            _MANGLED[byte] if byte == 0x2F or (byte < 128 and allowed.fullmatch(chr(byte))) else f"\\x{byte:02x}"
            for byte in name.encode("utf-8", "surrogateescape")
        ]
    )
    if not valid(mangled) and not (globs and _is_glob(mangled)):
        mangled += suffix
    if not globs and not valid(mangled):
        raise Bad(f"{name!r} cannot be made a unit name")
    return mangled


def simplify_path(path: str) -> str:
    """The path without repeated and last slashes and without components "."."""
    if "//" not in path and "." not in path and path[-1:] != "/":
        return path
    kept = "/".join([part for part in path.split("/") if part not in ("", ".")])
    return "/" + kept if path[:1] == "/" else kept or path[:1]


def path_fits(path: str) -> bool:
    """True when neither the path nor one of its components is longer than Linux allows."""
    raw = path.encode("utf-8", "surrogateescape")
    return len(raw) <= LONGEST_PATH and all(len(part) <= LONGEST_FILE_NAME for part in raw.split(b"/"))


def _checked(name: str) -> tuple[str, str | None, str]:
    parts = _parts(name)
    if parts is None:
        raise Bad(f"{name!r} is not a valid unit name")
    return parts


def _escaped_byte(found: re.Match[bytes], text: str) -> bytes:
    if found[1] is None:
        raise Bad(f"{text!r} holds a broken escape")
    return bytes((int(found[1], 16),))


def _is_normalized(path: str) -> bool:
    """True when no component is empty, ".", ".." or too long, but for the slash that begins an absolute path."""
    return path_fits(path) and not any(part in ("", ".", "..") for part in path.removeprefix("/").split("/"))


def _is_glob(text: str) -> bool:
    return any(character in text for character in "*?[")


def _path_unit(path: str) -> str | None:
    simple = simplify_path(path)
    kinds = (".device", ".mount") if simple.startswith(("/dev/", "/sys/")) else (".mount",)
    for kind in kinds:
        try:
            return from_path(simple, kind)
        except Bad:
            continue
    return None


def _hashed(name: str, suffix: str) -> str:
    digest = siphash24(name.encode("ascii") + b"\0", _HASH_KEY).to_bytes(8, "little").hex()
    kept = LONGEST_NAME - len(suffix) - len(digest) - 1
    return f"{name[:kept]}_{digest}{suffix}"
