"""The guard over the pure folders, of which this is one, must be able to fail."""

import os
import socket
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.conftest import Impure


@pytest.mark.parametrize(
    "impure",
    [
        os.fork,
        socket.socket,
        lambda: time.sleep(0),
        lambda: subprocess.Popen(["true"]),
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
        lambda: os.system("true"),
    ],
    ids=["fork", "socket", "sleep", "Popen", "posix_spawn", "system"],
)
def test_a_pure_test_cannot(impure: Callable[[], object]) -> None:
    with pytest.raises(AssertionError, match="a pure test must not cause") as refusal:
        impure()
    assert type(refusal.value).__name__ == Impure.__name__
