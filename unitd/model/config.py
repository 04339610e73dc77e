"""The daemon's own settings (unitd.conf), as one value; host/config_file reads them."""

from msgspec import Struct

from unitd.model.states import SECOND


class Config(Struct, frozen=True):
    """[Manager] of unitd.conf; times are microseconds. `user`: the daemon serves a user, not the machine."""

    user: bool = False
    default_timeout_start: int = 90 * SECOND
    default_timeout_stop: int = 90 * SECOND
    shutdown_timeout: int = 30 * SECOND
    on_restart: str = "adopt"
    read_systemd_units: bool = False
    systemd_compat: bool = False
    allow_weaker_sandbox: bool = False
    auto_reload: bool = True
    log_level: str = "info"
