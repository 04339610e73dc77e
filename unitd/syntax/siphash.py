"""SipHash-2-4, the hash in shortened unit names (Aumasson and Bernstein, 2012)."""

from typing import Final

_MASK: Final = 2**64 - 1


def siphash24(text: bytes, key: bytes) -> int:
    """The 64-bit hash of the text under a key of 16 bytes."""
    low, high = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    state = (
        low ^ 0x736F6D6570736575,
        high ^ 0x646F72616E646F6D,
        low ^ 0x6C7967656E657261,
        high ^ 0x7465646279746573,
    )
    padded = text + bytes(7 - len(text) % 8) + bytes((len(text) & 0xFF,))
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        a, b, c, d = _rounds((state[0], state[1], state[2], state[3] ^ word), 2)
        state = (a ^ word, b, c, d)
    a, b, c, d = _rounds((state[0], state[1], state[2] ^ 0xFF, state[3]), 4)
    return a ^ b ^ c ^ d


def _rounds(state: tuple[int, int, int, int], count: int) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for _ in range(count):
        a = a + b & _MASK
        b = _rotate(b, 13) ^ a
        a = _rotate(a, 32)
        c = c + d & _MASK
        d = _rotate(d, 16) ^ c
        a = a + d & _MASK
        d = _rotate(d, 21) ^ a
        c = c + b & _MASK
        b = _rotate(b, 17) ^ c
        c = _rotate(c, 32)
    return a, b, c, d


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> 64 - bits) & _MASK
