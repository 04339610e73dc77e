"""What every service gets from the daemon's own environment, below all that its unit says."""

import os
from typing import Final

from unitd.executor.child import SEARCH_PATH
from unitd.runtime.options import Options

_FOR_THE_DAEMON: Final = frozenset(
    (
        *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "MAINPID"),
        *("MANAGERPID", "PIDFILE", "INVOCATION_ID", "JOURNAL_STREAM", "LOG_NAMESPACE", "CREDENTIALS_DIRECTORY"),
        *("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY", "CONFIGURATION_DIRECTORY"),
        *("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS", "REMOTE_ADDR", "REMOTE_PORT"),
    )
)
"""What whoever started the daemon told it about itself (systemd.exec(5)): no service may take it for its own."""


def service_environment(options: Options) -> dict[str, str]:
    """What every service gets (systemd.exec(5), "Environment Variables in Spawned Processes")."""
    kept = {"PATH": ":".join(SEARCH_PATH), "LANG": os.environ.get("LANG", "")}
    if options.user:
        kept |= {name: value for name, value in os.environ.items() if name not in _FOR_THE_DAEMON}
    return {name: value for name, value in kept.items() if value}
