"""Starts the fork server, with nothing on the module path but this package.

The command line, `python -I -S .../unitd/executor FD SHELF SECONDS RUNTIME`, also tells whose it is (host/keeper).
"""

import os
import sys

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from unitd.executor.server import serve

    serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
