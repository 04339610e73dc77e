"""Removes directories with all that is in them (RuntimeDirectory=, and the daemon's own)."""

from collections.abc import Callable


def remove(path: str, complain: Callable[[str], None] = lambda text: None) -> None:
    """Remove the directory; what is not there is fine, what cannot be removed is said."""
    # Few daemons come here before their end, and shutil brings three compression libraries along.
    import shutil

    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except (OSError, RecursionError) as error:
        complain(f"cannot remove {path}: {error}")
