"""Command line of the conformance runner."""

import argparse
import sys
from pathlib import Path

from .runner import known_topics, run


def main() -> int:
    """Exit status: 0 all passed, 1 a case failed, 2 bad usage."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("topics", nargs="*", metavar="TOPIC")
    parser.add_argument("-v", "--verbose", action="store_true", help="show each case that failed")
    arguments = parser.parse_intermixed_args()
    if not arguments.folder.is_dir():
        parser.error(f"cannot read {arguments.folder}: not a directory")
    unknown = [topic for topic in arguments.topics if topic not in known_topics()]
    if unknown:
        parser.error(f"cannot run {', '.join(unknown)}: no such topic")
    return run(arguments.folder, arguments.topics, arguments.verbose, sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
