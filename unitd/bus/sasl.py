"""The server's side of D-Bus authentication, EXTERNAL only (D-Bus specification, "Authentication Protocol").

A pure machine: bytes in, bytes out. It takes no byte beyond BEGIN, because clients send their first messages in the
same write. Descriptors are not taken, so NEGOTIATE_UNIX_FD is answered by ERROR, which every client accepts.
"""

from typing import Final

LONGEST: Final = 16 * 1024


class Rejected(Exception):
    """The client does not speak the protocol."""


class Sasl:
    """One conversation with a client of this uid; `guid`: 32 hex digits that name the server."""

    def __init__(self, uid: int, guid: str) -> None:
        self._uid = uid
        self._guid = guid
        self._greeted = False
        self._waits_for_data = False
        self._accepted = False
        self._taken = 0
        self.done = False

    def feed(self, buffer: bytearray) -> bytes:
        """Take whole lines from the front of the buffer; what to answer. Raises Rejected."""
        if not self._greeted and buffer:
            if buffer[0]:
                raise Rejected("its first byte is not NUL")
            del buffer[0]
            self._greeted = True
        answers = []
        while not self.done:
            end = buffer.find(b"\r\n")
            if end < 0:
                break
            line = bytes(buffer[:end])
            del buffer[: end + 2]
            self._taken += end + 2
            answers.append(self._line(line))
        if not self.done and self._taken + len(buffer) > LONGEST:
            raise Rejected("it authenticates at too great length")
        return b"".join(f"{answer}\r\n".encode() for answer in answers if answer)

    def _line(self, line: bytes) -> str:
        words = line.decode("ascii", "replace").split(" ")
        match words:
            case ["AUTH", "EXTERNAL"]:
                self._waits_for_data = True
                return "DATA"
            case ["AUTH", "EXTERNAL", identity]:
                return self._judge(identity)
            case ["DATA", *identity] if self._waits_for_data and len(identity) < 2:
                return self._judge("".join(identity))
            case ["AUTH", *_] | ["CANCEL"] | ["ERROR", *_]:
                return self._reject()
            case ["NEGOTIATE_UNIX_FD"] if self._accepted:
                return "ERROR descriptors are not taken here"
            case ["BEGIN"] if self._accepted:
                self.done = True
                return ""
            case ["BEGIN"]:
                raise Rejected("it begins before it is authenticated")
            case _:
                return "ERROR unknown command"

    def _judge(self, identity: str) -> str:
        """`identity`: the uid that the client claims, in hex of its decimal digits; empty: whoever it is."""
        self._waits_for_data = False
        if identity and identity.lower() != str(self._uid).encode().hex():
            return self._reject()
        self._accepted = True
        return f"OK {self._guid}"

    def _reject(self) -> str:
        self._accepted = self._waits_for_data = False
        return "REJECTED EXTERNAL"
