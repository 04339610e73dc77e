"""Starts the fork server: `python -I -S .../unitd/executor FD`, with nothing on the module path but this package."""

import os
import sys

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from unitd.executor.server import serve

    serve(int(sys.argv[1]))
