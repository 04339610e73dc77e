"""The frame around a D-Bus message: a call to bytes, bytes to what a client looks at.

The values are unitd.wire's; its whole Message costs 10 ms to import, which a client does not have. Rests on the D-Bus
specification, "Message Format".
"""

from struct import Struct
from typing import Any, Final, NamedTuple

from unitd.wire.decode import decode as decode_values
from unitd.wire.encode import encode as encode_values
from unitd.wire.signature import Malformed

CALL: Final = 1
RETURN: Final = 2
ERROR: Final = 3
SIGNAL: Final = 4
INTERACTIVE: Final = 4
"""Header flag: the daemon may ask the user for a password before it refuses."""
HEAD: Final = 16
"""Bytes that must be there to know how long a message is."""

_PATH, _INTERFACE, _MEMBER, _ERROR, _REPLY, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 5, 6, 8


class Message(NamedTuple):
    """What came from the daemon; `reply_to` is 0 and a name empty where the header has none."""

    kind: int
    path: str
    interface: str
    member: str
    error: str
    reply_to: int
    body: tuple[Any, ...]


def encode_call(
    serial: int, destination: str, path: str, interface: str, member: str, signature: str, values: tuple[Any, ...]
) -> bytes:
    """A method call; an empty destination is left out (peer to peer). ValueError for values that do not fit."""
    body = encode_values(signature, values)
    fields = [(_PATH, ("o", path)), (_INTERFACE, ("s", interface)), (_MEMBER, ("s", member))]
    if destination:
        fields.append((_DESTINATION, ("s", destination)))
    if signature:
        fields.append((_SIGNATURE, ("g", signature)))
    head = encode_values("yyyyuua(yv)", (ord("l"), CALL, INTERACTIVE, 1, len(body), serial, fields))
    return head + bytes(-len(head) % 8) + body


def size(head: bytes | bytearray) -> int:
    """The length of the message that begins with these HEAD bytes; raises Malformed."""
    if head[0] not in b"lB" or head[3] != 1:
        raise Malformed("cannot read a message: it is not D-Bus")
    body, _, fields = Struct(_order(head) + "III").unpack_from(head, 4)
    return int(HEAD + fields + -fields % 8 + body)


def decode(raw: bytes) -> Message:
    """The message that `raw` is; raises Malformed."""
    order = _order(raw)
    length, _, fields = Struct(order + "III").unpack_from(raw, 4)
    (pairs,) = decode_values(raw[: HEAD + fields], 12, "a(yv)", order)
    known = {code: value for code, (_, value) in pairs}
    return Message(
        raw[1],
        known.get(_PATH, ""),
        known.get(_INTERFACE, ""),
        known.get(_MEMBER, ""),
        known.get(_ERROR, ""),
        known.get(_REPLY, 0),
        decode_values(raw[len(raw) - length :], 0, known.get(_SIGNATURE, ""), order),
    )


def _order(head: bytes | bytearray) -> str:
    return "<" if head[0] == ord("l") else ">"
