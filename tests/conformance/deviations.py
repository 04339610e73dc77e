"""Where unitd differs from systemd 252 on purpose: case id -> reason in words.

A case named here counts as passed when it differs, and is printed with its reason.
"""

DEVIATIONS: dict[str, str] = {}
