#!/usr/bin/env python3
"""Run the project's checks, one line of summary each: tools/checks.py lint|all.

All of them run, whatever fails before; the output of one that fails is shown whole. Exit 0 when all passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Check:
    """One command, and whether its skips are worth a line each."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    shows_skips: bool = False


LINT = (
    Check("ruff check", (f"{BIN}/ruff", "check", "--quiet")),
    Check("ruff format", (f"{BIN}/ruff", "format", "--check")),
    Check("mypy --strict", (f"{BIN}/mypy",)),
    Check("import-linter", (f"{BIN}/lint-imports", "--no-cache")),
)
TESTS = (
    Check("pytest", (f"{BIN}/pytest", "-q", "-m", "not vm"), shows_skips=True),
    Check("pytest, dbus-next", (f"{BIN}/pytest", "-q", "-m", "bus"), {"UNITD_DBUS": "dbus-next"}),
)


def run(check: Check) -> bool:
    """Run one check in the repository's root, print its line, and say whether it passed."""
    began = time.monotonic()
    done = subprocess.run(
        check.command,
        cwd=ROOT,
        env={**os.environ, **check.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    passed = done.returncode == 0
    lines = done.stdout.rstrip().splitlines()
    if not passed:
        print("\n".join(lines))
    elif check.shows_skips:
        print("\n".join(line for line in lines if line.startswith("SKIPPED")))
    last = lines[-1].strip("= ") if lines else "nothing to say"
    print(
        f"{'ok  ' if passed else 'FAIL'}  {check.name:<18} {time.monotonic() - began:6.1f} s  {last}",
        flush=True,
    )
    return passed


def main(arguments: list[str]) -> int:
    """Run the named set; 0 when all passed, 1 when one failed, 2 on bad usage."""
    sets = {"lint": LINT, "all": LINT + TESTS}
    if len(arguments) != 1 or arguments[0] not in sets:
        print("usage: tools/checks.py lint|all", file=sys.stderr)
        return 2
    results = [run(check) for check in sets[arguments[0]]]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
