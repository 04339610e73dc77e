"""Runs the benchmarks; exit 1 when a budget is not kept."""

import importlib
import pkgutil
import sys

from tests import bench


def main(names: list[str]) -> int:
    """The modules of this package that have run(), or those of them that are named."""
    kept = True
    for module in sorted(one.name for one in pkgutil.iter_modules(bench.__path__) if not one.name.startswith("_")):
        if names and module not in names:
            continue
        run = getattr(importlib.import_module(f"{bench.__name__}.{module}"), "run", None)
        if run is not None:
            print(f"{module}:", flush=True)
            kept = run() and kept
    return 0 if kept else 1


sys.exit(main(sys.argv[1:]))
