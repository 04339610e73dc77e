"""Authentication, line by line."""

import pytest

from unitd.bus.sasl import LONGEST, Rejected, Sasl

GUID = "0" * 32
UID = 1000
MINE = str(UID).encode().hex()
OTHER = b"1001".hex()


def talk(*pieces: str) -> tuple[bytes, bool, bytes]:
    """(answers, done, what is left of the input)."""
    sasl, buffer, answers = Sasl(UID, GUID), bytearray(), b""
    for piece in pieces:
        buffer += piece.encode("latin-1")
        answers += sasl.feed(buffer)
    return answers, sasl.done, bytes(buffer)


OK = f"OK {GUID}\r\n".encode()


@pytest.mark.parametrize(
    ("said", "answers", "done"),
    [
        (f"\0AUTH EXTERNAL {MINE}\r\nBEGIN\r\n", OK, True),
        ("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n", b"DATA\r\n" + OK, True),
        (f"\0AUTH EXTERNAL\r\nDATA {MINE}\r\nBEGIN\r\n", b"DATA\r\n" + OK, True),
        (f"\0AUTH\r\nAUTH EXTERNAL {MINE}\r\nBEGIN\r\n", b"REJECTED EXTERNAL\r\n" + OK, True),
        (f"\0AUTH EXTERNAL {OTHER}\r\n", b"REJECTED EXTERNAL\r\n", False),
        (f"\0AUTH EXTERNAL {MINE}\r\nCANCEL\r\n", OK + b"REJECTED EXTERNAL\r\n", False),
        ("\0AUTH ANONYMOUS\r\n", b"REJECTED EXTERNAL\r\n", False),
        ("\0AUTH DBUS_COOKIE_SHA1 00\r\n", b"REJECTED EXTERNAL\r\n", False),
        ("\0DATA\r\n", b"ERROR unknown command\r\n", False),
        ("\0NEGOTIATE_UNIX_FD\r\n", b"ERROR unknown command\r\n", False),
    ],
)
def test_conversations(said: str, answers: bytes, done: bool) -> None:
    assert talk(said) == (answers, done, b"")
    assert talk(*said) == (answers, done, b"")


def test_not_a_byte_of_the_first_message_is_taken() -> None:
    _, done, left = talk(f"\0AUTH EXTERNAL {MINE}\r\nBEGIN\r\nl\1\0\1\r\n")
    assert done
    assert left == b"l\1\0\1\r\n"


@pytest.mark.parametrize(
    "said",
    ["x", "\0BEGIN\r\n", f"\0AUTH EXTERNAL {OTHER}\r\nBEGIN\r\n", "\0" + "A" * (LONGEST + 1), "\0" + "A\r\n" * LONGEST],
)
def test_who_does_not_speak_it_is_sent_away(said: str) -> None:
    with pytest.raises(Rejected):
        talk(said)
