"""Starts the fork server, with nothing on the module path but this package.

The command line, `python -I -S .../unitd/executor FD SHELF DOOR SECONDS PATH`, also tells whose it is (host/keeper).
"""

import os
import sys

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from unitd.executor.server import serve

    channel, shelf, door = map(int, sys.argv[1:4])
    serve(channel, shelf, door, float(sys.argv[4]), sys.argv[5])
