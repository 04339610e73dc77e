"""python -m unitd.runtime: the daemon."""

import sys

from unitd.runtime.main import main

sys.exit(main())
