"""Messages as bytes: what is encoded is decoded, and what is broken is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.wire import decode, encode, message
from unitd.wire.message import Message, Type
from unitd.wire.signature import Malformed, split

INTEGERS = {"y": (0, 255), "n": (-(2**15), 2**15 - 1), "q": (0, 2**16 - 1), "i": (-(2**31), 2**31 - 1)}
INTEGERS |= {"u": (0, 2**32 - 1), "x": (-(2**63), 2**63 - 1), "t": (0, 2**64 - 1)}
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


def typed(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Strategies of (type, value) for containers of the given (type, value)."""
    array = children.map(lambda item: ("ay", b"") if item[0] == "y" else ("a" + item[0], [item[1]] * 2))
    struct = st.lists(children, min_size=1, max_size=4).map(
        lambda items: ("(" + "".join(type for type, _ in items) + ")", tuple(value for _, value in items))
    )
    mapping = st.tuples(TEXT, children).map(lambda pair: ("a{s" + pair[1][0] + "}", {pair[0]: pair[1][1]}))
    variant = children.map(lambda item: ("v", item))
    return array | struct | mapping | variant


BASIC = st.one_of(
    *(st.tuples(st.just(type), st.integers(*bounds)) for type, bounds in INTEGERS.items()),
    st.tuples(st.just("s"), TEXT),
    st.tuples(st.just("b"), st.booleans()),
    st.tuples(st.just("d"), st.floats(allow_nan=False)),
    st.tuples(st.just("o"), st.sampled_from(["/", "/a", "/a/b_2e"])),
    st.tuples(st.just("g"), st.sampled_from(["", "s", "a{sv}", "(ii)"])),
)
VALUES = st.lists(st.recursive(BASIC, typed, max_leaves=6), max_size=4)


def call(signature: str = "", body: tuple[Any, ...] = (), **fields: Any) -> Message:
    fields = dict[str, Any]({"path": "/a", "interface": "a.b", "member": "M", "serial": 7} | fields)
    return Message(Type.CALL, signature=signature, body=body, **fields)


@given(VALUES)
def test_every_message_comes_back(values: list[tuple[str, Any]]) -> None:
    asked = call("".join(type for type, _ in values), tuple(value for _, value in values), sender=":1.2")
    raw = message.encode(asked)
    assert message.size(raw[:16]) == len(raw)
    assert message.decode(raw) == asked


@given(st.binary(max_size=60), st.integers(0, 150))
def test_damage_is_refused_or_harmless(damage: bytes, at: int) -> None:
    raw = bytearray(message.encode(call("sa{sv}ay", ("a", {"k": ("(ii)", (1, 2))}, b"123"))))
    raw[at : at + len(damage)] = damage
    try:
        if message.size(raw) == len(raw):
            message.decode(bytes(raw))
    except Malformed:
        return


def test_big_endian_is_read() -> None:
    head = bytes.fromhex("42010001 00000004 00000009 00000027")
    fields = bytes.fromhex("01016f00 00000002 2f610000 00000000 03017300 00000001 4d000000 00000000 08016700 017500")
    raw = head + fields + bytes(-len(fields) % 8) + bytes.fromhex("00000102")
    assert message.decode(raw) == Message(1, path="/a", member="M", signature="u", body=(258,), serial=9)


@pytest.mark.parametrize(
    "signature",
    [
        "a",
        "(",
        "()",
        "(i",
        "a{vs}",
        "a{s}",
        "a{sss}",
        "z",
        "{ss}",
        "a" * 40 + "i",
        "(" * 40 + "i" + ")" * 40,
        "i" * 256,
    ],
)
def test_what_is_no_signature_is_refused(signature: str) -> None:
    with pytest.raises(Malformed):
        split(signature)


@pytest.mark.parametrize(
    ("signature", "raw"),
    [
        ("b", "02000000"),
        ("s", "05000000 6100"),
        ("s", "01000000 6161"),
        ("s", "03000000 61006100"),
        ("s", "01000000 ff00"),
        ("o", "02000000 2f2f00"),
        ("v", "017a00"),
        ("v", "0269690000"),
        ("v", "7f"),
        ("ai", "06000000 010000000200"),
        ("ai", "ffffff03"),
        ("a(ss)", "04000000 00000000 00000000"),
        ("u", "0100000000"),
        ("u", "01"),
        ("", "00"),
    ],
)
def test_what_is_no_body_is_refused(signature: str, raw: str) -> None:
    with pytest.raises(Malformed):
        decode.decode(bytes.fromhex(raw), 0, signature, "<")


def test_deep_variants_are_refused_without_recursing() -> None:
    with pytest.raises(Malformed, match="too deep"):
        decode.decode(b"\x01v\0" * 5000 + b"\x01y\0\0", 0, "v", "<")


def test_text_that_dbus_cannot_carry_is_replaced() -> None:
    raw = encode.encode("s", ("a\0b\udcff",))
    (text,) = decode.decode(raw, 0, "s", "<")
    assert text.startswith("a\ufffdb\ufffd")


@pytest.mark.parametrize("head", ["78010001", "6c010002"])
def test_what_is_no_message_is_refused_by_its_head(head: str) -> None:
    with pytest.raises(Malformed):
        message.size(bytes.fromhex(head) + bytes(12))


def test_a_message_that_says_to_be_huge_is_refused() -> None:
    with pytest.raises(Malformed):
        message.size(bytes.fromhex("6c010001 ffffff7f 01000000 ffffff7f"))


@pytest.mark.parametrize("missing", [{"path": ""}, {"member": ""}, {"serial": 0}])
def test_a_call_needs_its_fields(missing: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"path": "/a", "member": "M", "serial": 7}
    with pytest.raises(Malformed):
        message.decode(message.encode(Message(Type.CALL, **fields | missing)))
