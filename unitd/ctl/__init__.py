"""unitctl: a client of the daemon's D-Bus interface, and nothing else of the daemon.

Start-up is part of what it does: `unitctl is-active x` takes 40 ms at most, of which a bare `python -I` takes 10. So
what every call loads uses no dataclasses (10 ms on top of typing), no argparse, no jeepney and no socket, and the
module of a verb is loaded when the verb is asked for.
"""
