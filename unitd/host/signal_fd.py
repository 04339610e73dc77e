"""A signal as a readable descriptor, however often it comes (signalfd(2)).

A signal handler of the loop writes a byte for every signal; a thousand children that end at once overflow that, and
other signals with it. A pending signal that is blocked is one signal.
"""

import ctypes
import os
import signal

_CLOEXEC, _NONBLOCK = 0o2000000, 0o4000
_SIGSET = 128
_INFO = 128


class SignalFd:
    """The signal is blocked as long as this is open; a process that is started has to unblock it."""

    def __init__(self, number: int) -> None:
        self._number = number
        signal.pthread_sigmask(signal.SIG_BLOCK, [number])
        mask = bytearray(_SIGSET)
        mask[(number - 1) // 8] |= 1 << (number - 1) % 8
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = libc.signalfd(-1, bytes(mask), _CLOEXEC | _NONBLOCK)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "signalfd")

    def clear(self) -> None:
        """Forget the signal that is pending."""
        try:
            os.read(self.fd, _INFO)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Unblock the signal, whose default has to be harmless; a second time does nothing."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [self._number])
