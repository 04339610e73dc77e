"""SIGCHLD as a descriptor: many at once are one, and nothing else is lost."""

import os
import select
import signal

from unitd.host.signal_fd import SignalFd


def test_a_signal_that_came_often_is_one() -> None:
    ours = SignalFd(signal.SIGCHLD)
    try:
        for _ in range(1000):
            os.kill(os.getpid(), signal.SIGCHLD)
        assert select.select([ours.fd], [], [], 0)[0] == [ours.fd]
        ours.clear()
        assert select.select([ours.fd], [], [], 0)[0] == []
        ours.clear()
    finally:
        ours.close()
    assert signal.SIGCHLD not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_the_descriptor_does_not_leak_into_programs() -> None:
    ours = SignalFd(signal.SIGCHLD)
    try:
        assert not os.get_inheritable(ours.fd)
    finally:
        ours.close()
