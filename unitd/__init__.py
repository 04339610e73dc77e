"""unitd: an init system and service supervisor that reads systemd's unit files."""

__version__ = "0.1.0"
