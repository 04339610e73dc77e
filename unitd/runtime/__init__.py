"""The daemon put together: what it is told, what it is made of, and the loop between kernel, engine and bus."""

import sys
from typing import Any, cast

# asyncio does without ssl where there is none. The daemon never speaks it, and libcrypto is a seventh of its memory.
cast("dict[str, Any]", sys.modules).setdefault("ssl", None)
