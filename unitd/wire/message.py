"""One D-Bus message as a value, and as bytes (D-Bus specification, "Message Format").

`size` tells how many bytes the message at the start of a buffer has, as soon as its fixed head is there; so a stream
is cut without keeping state. Descriptors are not carried.
"""

import struct
from enum import IntEnum
from typing import Any, Final

from msgspec import Struct

from unitd.wire.decode import decode as decode_values
from unitd.wire.encode import PADDING, writer
from unitd.wire.encode import encode as encode_values
from unitd.wire.signature import Malformed

LARGEST: Final = 2**27
"""No message is longer, by the specification."""
NO_REPLY_EXPECTED: Final = 1
_HEAD: Final = 16
_LITTLE, _BIG = ord("l"), ord("B")
_FIXED_HEAD = struct.Struct("<BBBBII")
_SERIAL = struct.Struct("<I")


class Type(IntEnum):
    CALL = 1
    RETURN = 2
    ERROR = 3
    SIGNAL = 4


class Message(Struct, frozen=True):
    """A message; "" and 0 stand for a header field that is not there. `fds`: how many descriptors it says to carry."""

    type: int
    path: str = ""
    interface: str = ""
    member: str = ""
    error: str = ""
    reply_serial: int = 0
    destination: str = ""
    sender: str = ""
    signature: str = ""
    body: tuple[Any, ...] = ()
    flags: int = 0
    serial: int = 0
    fds: int = 0


_FIELDS: Final = (
    (1, "o", "path"),
    (2, "s", "interface"),
    (3, "s", "member"),
    (4, "s", "error"),
    (5, "u", "reply_serial"),
    (6, "s", "destination"),
    (7, "s", "sender"),
    (8, "g", "signature"),
)
_BY_CODE: Final = {code: (type, name) for code, type, name in _FIELDS} | {9: ("u", "fds")}
_REQUIRED: Final[dict[int, tuple[str, ...]]] = {
    Type.CALL: ("path", "member"),
    Type.RETURN: ("reply_serial",),
    Type.ERROR: ("error", "reply_serial"),
    Type.SIGNAL: ("path", "interface", "member"),
}


def encode(message: Message) -> bytes:
    """The bytes of a message; its serial must not be 0."""
    body = encode_values(message.signature, message.body)
    out = bytearray(_FIXED_HEAD.pack(_LITTLE, message.type, message.flags, 1, len(body), message.serial))
    out += b"\0\0\0\0"
    for code, type, name in _FIELDS:
        value = getattr(message, name)
        if value:
            out += PADDING[-len(out) & 7]
            out += bytes((code, 1, ord(type), 0))
            writer(type)(out, value)
    _SERIAL.pack_into(out, 12, len(out) - _HEAD)
    out += PADDING[-len(out) & 7]
    out += body
    if len(out) > LARGEST:
        raise ValueError(f"cannot send a message of {len(out)} bytes")
    return bytes(out)


def size(buffer: bytes | bytearray) -> int:
    """The length of the message at the start of the buffer; 0: too little is there to know."""
    if len(buffer) < _HEAD:
        return 0
    if buffer[0] not in (_LITTLE, _BIG):
        raise Malformed(f"cannot read a message: byte order {buffer[0]}")
    if buffer[3] != 1:
        raise Malformed(f"cannot read a message: protocol version {buffer[3]}")
    body, _, head = struct.Struct("<III" if buffer[0] == _LITTLE else ">III").unpack_from(buffer, 4)
    total: int = _HEAD + head + (-head & 7) + body
    if total > LARGEST or head > 2**26:
        raise Malformed(f"cannot read a message of {total} bytes")
    return total


def decode(buffer: bytes) -> Message:
    """The message that fills the buffer (as told by size)."""
    order = "<" if buffer[0] == _LITTLE else ">"
    length, serial, head = struct.Struct(order + "III").unpack_from(buffer, 4)
    (fields,) = decode_values(buffer[: _HEAD + head], 12, "a(yv)", order)
    known: dict[str, Any] = {}
    for code, (type, value) in fields:
        wanted, name = _BY_CODE.get(code, (type, ""))
        if type != wanted or not code:
            raise Malformed(f"cannot read a message: header field {code} of type {type}")
        if name:
            known[name] = value
    kind = buffer[1]
    missing = [name for name in _REQUIRED.get(kind, ()) if not known.get(name)]
    if missing or not serial or not kind:
        raise Malformed(f"cannot read a message: no {', '.join(missing) or 'serial or type'}")
    body = decode_values(buffer[len(buffer) - length :], 0, known.get("signature", ""), order)
    return Message(type=kind, flags=buffer[2], serial=serial, body=body, **known)
