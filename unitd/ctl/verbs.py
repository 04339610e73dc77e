"""Which verbs there are, what they take, and the function that carries each out, loaded when it is asked for."""

from typing import Final, NamedTuple

MANY: Final = 1 << 30


class Verb(NamedTuple):
    """`function` of `module` in this package takes (session, words) and returns the exit status."""

    module: str
    function: str
    least: int
    most: int
    usage: str
    help: str


VERBS: Final[dict[str, Verb]] = {
    "list-units": Verb("lists", "list_units", 0, MANY, "[PATTERN...]", "List units in memory"),
    "list-unit-files": Verb("lists", "list_unit_files", 0, MANY, "[PATTERN...]", "List unit files and their state"),
    "list-jobs": Verb("lists", "list_jobs", 0, MANY, "[PATTERN...]", "List jobs"),
    "list-dependencies": Verb("tree", "list_dependencies", 0, MANY, "[UNIT...]", "Show what units need, as a tree"),
    "status": Verb(
        "status", "status", 0, MANY, "[UNIT|PID...]", "Show the state of units, processes and last log lines"
    ),
    "show": Verb("show", "show", 0, MANY, "[UNIT|JOB...]", "Show properties of units, jobs or the daemon"),
    "cat": Verb("questions", "cat", 1, MANY, "UNIT...", "Show the files that units are made of"),
    "logs": Verb("logs", "logs", 1, MANY, "UNIT... [-n N] [-f] [--since TIME]", "Show what units printed"),
    "is-active": Verb("questions", "is_active", 1, MANY, "UNIT...", "Exit 0 when one of the units is active"),
    "is-failed": Verb("questions", "is_failed", 0, MANY, "[UNIT...]", "Exit 0 when one of the units has failed"),
    "is-enabled": Verb("questions", "is_enabled", 1, MANY, "UNIT...", "Exit 0 when one of the units is enabled"),
    "is-system-running": Verb("questions", "is_system_running", 0, 0, "", "Exit 0 when all is up and nothing failed"),
    "get-default": Verb("questions", "get_default", 0, 0, "", "Show the target that is started first"),
    "start": Verb("jobs", "start", 1, MANY, "UNIT...", "Start units"),
    "stop": Verb("jobs", "stop", 1, MANY, "UNIT...", "Stop units and what needs them"),
    "restart": Verb("jobs", "restart", 1, MANY, "UNIT...", "Stop, then start units"),
    "try-restart": Verb("jobs", "try_restart", 1, MANY, "UNIT...", "Restart those units that are active"),
    "reload": Verb("jobs", "reload", 1, MANY, "UNIT...", "Have units read their configuration again"),
    "reload-or-restart": Verb("jobs", "reload_or_restart", 1, MANY, "UNIT...", "Reload units that can, restart others"),
    "try-reload-or-restart": Verb(
        "jobs", "try_reload_or_restart", 1, MANY, "UNIT...", "The same, for units that are active"
    ),
    "isolate": Verb("jobs", "isolate", 1, 1, "UNIT", "Start a unit and stop all that it does not need"),
    "plan": Verb("plan", "plan", 1, MANY, "VERB [UNIT...]", "Show what a verb would do, and how long at most"),
    "cancel": Verb("orders", "cancel", 0, MANY, "[JOB...]", "Cancel jobs, or all"),
    "kill": Verb("orders", "kill", 1, MANY, "UNIT...", "Send a signal to processes of units"),
    "reset-failed": Verb("orders", "reset_failed", 0, MANY, "[UNIT...]", "Forget that units failed"),
    "daemon-reload": Verb("orders", "daemon_reload", 0, 0, "", "Have the daemon read unit files again"),
    "daemon-reexec": Verb("orders", "daemon_reexec", 0, 0, "", "Have the daemon go on as the program on disk"),
    "poweroff": Verb("shutdown", "poweroff", 0, 0, "", "Stop everything, then power off (a container: exit)"),
    "reboot": Verb("shutdown", "reboot", 0, 0, "", "Stop everything, then reboot (a container: exit)"),
    "halt": Verb("shutdown", "halt", 0, 0, "", "Stop everything, then halt (a container: exit)"),
    "orphans": Verb("orphans", "orphans", 0, 0, "", "List processes that are not where they belong"),
    "last-shutdown": Verb("last_shutdown", "last_shutdown", 0, 0, "", "Show how the last shutdown went, unit by unit"),
    "exit": Verb("shutdown", "leave", 0, 1, "[CODE]", "Stop everything and have the daemon exit with CODE"),
}
ALIASES: Final = {
    "condrestart": "try-restart",
    "force-reload": "reload-or-restart",
    "reload-or-try-restart": "try-reload-or-restart",
}
"""Older names of systemctl's verbs."""
ENDS: Final = ("poweroff", "reboot", "halt", "kexec", "exit")
PLANNED: Final = (
    *("start", "stop", "restart", "try-restart", "reload", "reload-or-restart", "try-reload-or-restart", "isolate"),
    *ENDS,
)
"""Verbs that have a plan, which --dry-run shows instead of doing it."""

OPTIONS_HELP: Final = """\
Which daemon:
     --system, --user     The system's (the default), or the user's own
     --runtime-dir DIR    The daemon with this runtime directory (UNITD_RUNTIME_DIR)
     --bus ADDRESS        The daemon on this bus: system, session, or an address (UNITD_BUS)
  -H HOST                 Run unitctl on HOST by ssh
Which units:
  -t TYPE --state STATE   Only units of these types, in these states; --failed: --state=failed
  -a, --all               Inactive units and empty properties too
How to ask:
     --no-block           Return when the request is accepted; --wait: when the unit is down again
     --job-mode MODE      fail, replace, replace-irreversibly, isolate, ignore-dependencies ...
     --dry-run            Do nothing, show what would be done: as `plan VERB`
  -s SIGNAL               Which signal kill sends; --kill-whom main, control or all
What to show:
  -p NAME, -P NAME        Only this property; -P (or --value) without the name
  -o json                 JSON, everywhere
  -n LINES                How many log lines; -f: and follow them; --since TIME
     --reverse, --before, --after   What list-dependencies follows
  -l --plain --no-legend --no-pager -q   Less ornament
Every other option of systemctl is taken, and does nothing where it has no meaning here."""


def usage() -> str:
    """What --help prints."""
    lines = ["unitctl [OPTIONS...] VERB [UNIT...]", "", "Ask and command unitd. UNIT without a type is a service.", ""]
    for name, verb in VERBS.items():
        left = f"  {name} {verb.usage}".rstrip()
        lines.append(f"{left:<47} {verb.help}" if len(left) < 47 else f"{left}\n{'':<47} {verb.help}")
    return "\n".join([*lines, "", OPTIONS_HELP])
