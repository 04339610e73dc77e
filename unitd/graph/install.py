"""Whether unit files are enabled: read-only facts about links and [Install] sections (systemctl(1), is-enabled)."""

from typing import Final, Protocol

from unitd.graph.files import MASK, UnitFiles, Unreadable
from unitd.syntax import unit_file, unit_name

_RUNTIME: Final = "/run/"
_RULES: Final = ("WantedBy", "RequiredBy", "Alias")


class InstalledFiles(UnitFiles, Protocol):
    """Unit files, and who links to them."""

    def enabled_by(self, name: str) -> str:
        """The directory of highest priority from which a .wants, a .requires or an alias leads to a name, or ""."""
        ...

    def rank(self, name: str) -> int:
        """The place in the search path of what a name is from; KeyError when it is in none."""
        ...

    def directory(self, rank: int) -> str:
        """The directory at a place of the search path."""
        ...


def may_be_alias(name: str, target: str) -> bool:
    """Whether a link of one name to the other is an alias: same type, and a template for a template."""
    if not unit_name.valid(name) or not unit_name.valid(target):
        return False
    if unit_name.suffix(name) != unit_name.suffix(target):
        return False
    if unit_name.is_template(name):
        return unit_name.is_template(target)
    if unit_name.is_instance(name):
        same = unit_name.instance(name) == unit_name.instance(target)
        return unit_name.is_template(target) or (unit_name.is_instance(target) and same)
    return not unit_name.is_template(target)


def file_state(name: str, files: InstalledFiles) -> str:
    """The state of a unit file: enabled, disabled, static, masked, alias ...; "" when there is none."""
    entry = files.entry(name)
    if entry is None and unit_name.is_instance(name):
        entry = files.entry(unit_name.template_of(name))
    if entry is None:
        return ""
    runtime = "-runtime" if entry.path.startswith(_RUNTIME) else ""
    if entry.target == MASK:
        return f"masked{runtime}"
    if entry.target:
        return "alias"
    if "/generator" in entry.path and runtime:
        return "generated"
    if "/transient/" in entry.path and runtime:
        return "transient"
    by = files.enabled_by(name)
    if by and not by.startswith(("/usr/", "/lib/")):
        return "enabled-runtime" if f"{by}/".startswith(_RUNTIME) else "enabled"
    try:
        raw = files.read(entry.path)
    except Unreadable:
        return "bad"
    return _by_section(raw, runtime)


def _by_section(raw: bytes, runtime: str) -> str:
    if not raw:
        return f"masked{runtime}"
    try:
        parsed = unit_file.parse(raw)
    except unit_file.Malformed:
        return "bad"
    keys = {entry.key for entry in parsed.entries if entry.section == "Install" and entry.value}
    if keys.intersection(_RULES):
        return "disabled"
    return "indirect" if "Also" in keys else "static"
