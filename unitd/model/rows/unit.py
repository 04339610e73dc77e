"""[Unit] and [Install] (systemd.unit(5))."""

from typing import Final

from unitd.model import parsing
from unitd.model.dependencies import Dep
from unitd.model.rows.kinds import LOSS, METADATA, Rows
from unitd.model.setting import Setting
from unitd.model.states import INFINITY, SECOND

_U = Rows("Unit")
_I = Rows("Install")

ACTION: Final = parsing.one_of(
    "none",
    "reboot",
    "reboot-force",
    "reboot-immediate",
    "poweroff",
    "poweroff-force",
    "poweroff-immediate",
    "exit",
    "exit-force",
)
_JOB_MODE: Final = parsing.one_of(
    "fail", "replace", "replace-irreversibly", "isolate", "flush", "ignore-dependencies", "ignore-requirements"
)
_CONDITIONS: Final = [
    "PathExists",
    "PathExistsGlob",
    "PathIsDirectory",
    "PathIsSymbolicLink",
    "PathIsMountPoint",
    "PathIsReadWrite",
    "PathIsEncrypted",
    "DirectoryNotEmpty",
    "FileNotEmpty",
    "FileIsExecutable",
    "NeedsUpdate",
    "FirstBoot",
    "Architecture",
    "Firmware",
    "Virtualization",
    "Host",
    "KernelCommandLine",
    "KernelVersion",
    "Credential",
    "Security",
    "Capability",
    "ACPower",
    "Memory",
    "CPUFeature",
    "CPUs",
    "Environment",
    "User",
    "Group",
    "ControlGroupController",
    "OSRelease",
    "MemoryPressure",
    "CPUPressure",
    "IOPressure",
]

DEPENDENCIES: Final = (
    _U.units("Requires", Dep.REQUIRES, "Units started with this one; when one fails or is stopped, so is this one."),
    _U.units("Requisite", Dep.REQUISITE, "Units that must be up already, or the start fails at once."),
    _U.units("Wants", Dep.WANTS, "Units started with this one, whatever becomes of them."),
    _U.units("BindsTo", Dep.BINDS_TO, "As Requires=; this unit is stopped as well when one of them goes by itself."),
    _U.units("PartOf", Dep.PART_OF, "Stops and restarts of these units reach this one."),
    _U.units("Upholds", Dep.UPHOLDS, "Units that are started again whenever they are down while this one is up."),
    _U.units("Conflicts", Dep.CONFLICTS, "Units that cannot be up together with this one."),
    _U.units("Before", Dep.BEFORE, "Units that start after this one and stop before it."),
    _U.units("After", Dep.AFTER, "Units that start before this one and stop after it."),
    _U.units("OnSuccess", Dep.ON_SUCCESS, "Units started when this one ends well."),
    _U.units("OnFailure", Dep.ON_FAILURE, "Units started when this one fails."),
    _U.units("PropagatesReloadTo", Dep.PROPAGATES_RELOAD_TO, "Units reloaded with this one."),
    _U.units("ReloadPropagatedFrom", Dep.RELOAD_PROPAGATED_FROM, "This unit is reloaded with these."),
    _U.units("PropagatesStopTo", Dep.PROPAGATES_STOP_TO, "Units stopped with this one."),
    _U.units("StopPropagatedFrom", Dep.STOP_PROPAGATED_FROM, "This unit is stopped with these."),
    _U.units("JoinsNamespaceOf", Dep.JOINS_NAMESPACE_OF, "Units whose network and temporary files are shared."),
)


def _conditions(kind: str) -> tuple[Setting, Setting]:
    parse = parsing.condition(kind)
    doc = f"The {'{}'} fails when {kind} does not hold (systemd.unit(5), Conditions)."
    return (
        _U.list(f"Condition{kind}", parse, "", doc.format("start is skipped; it"), key="Conditions"),
        _U.list(f"Assert{kind}", parse, "", doc.format("start"), key="Asserts"),
    )


ROWS: Final = (
    _U.text("Description", "What the unit is, in a few words.", **METADATA),
    _U.list("Documentation", parsing.documentation, "as", "Where to read about it.", **METADATA),
    _U.path("SourcePath", "The file that this unit was generated from.", **METADATA),
    *DEPENDENCIES,
    _U.list(
        "RequiresMountsFor",
        parsing.mounts_for,
        "as",
        "Paths whose mount units are required and waited for.",
        resets=False,
    ),
    _U.flag("StopWhenUnneeded", False, "Stop the unit when nothing that is up needs it any more."),
    _U.flag("RefuseManualStart", False, "Only a dependency may start it."),
    _U.flag("RefuseManualStop", False, "Only a dependency may stop it."),
    _U.flag("AllowIsolate", False, "The unit may be isolated."),
    _U.flag("DefaultDependencies", True, "Add what units of the type usually depend on."),
    _U.word("OnSuccessJobMode", "fail", _JOB_MODE, "The job mode for OnSuccess=."),
    _U.word("OnFailureJobMode", "replace", _JOB_MODE, "The job mode for OnFailure=."),
    _U.flag("IgnoreOnIsolate", False, "An isolate of another unit leaves it alone."),
    _U.span("JobTimeoutSec", INFINITY, "How long a job for it may take in all.", parsing.span_zero_is_infinity),
    _U.span("JobRunningTimeoutSec", INFINITY, "How long a job may run.", parsing.span_empty_is_infinity),
    _U.word("JobTimeoutAction", "none", ACTION, "What to do when a job takes too long.", **LOSS),
    _U.text("JobTimeoutRebootArgument", "The argument of the reboot that JobTimeoutAction= asks for.", **LOSS),
    _U.span(
        "StartLimitIntervalSec", 10 * SECOND, "The time in which StartLimitBurst= starts are allowed; 0: no limit."
    ),
    _U.number("StartLimitBurst", 0, 2**32 - 1, 5, "u", "How many starts are allowed in StartLimitIntervalSec=."),
    _U.word("StartLimitAction", "none", ACTION, "What to do when the start limit is hit."),
    _U.word("FailureAction", "none", ACTION, "What to do when the unit fails."),
    _U.word("SuccessAction", "none", ACTION, "What to do when the unit ends well."),
    _U.number(
        "FailureActionExitStatus", 0, 255, None, "i", "The daemon's exit status for FailureAction=exit.", resets=True
    ),
    _U.number(
        "SuccessActionExitStatus", 0, 255, None, "i", "The daemon's exit status for SuccessAction=exit.", resets=True
    ),
    _U.text("RebootArgument", "The argument of a reboot that an action of the unit asks for.", **LOSS),
    _U.word(
        "CollectMode",
        "inactive",
        parsing.one_of("inactive", "inactive-or-failed"),
        "When the unit is forgotten.",
        **METADATA,
    ),
    *(row for kind in _CONDITIONS for row in _conditions(kind)),
    _I.list(
        "WantedBy", parsing.install_names, "", "Units that want this one once it is enabled.", resets=False, shared=True
    ),
    _I.list(
        "RequiredBy",
        parsing.install_names,
        "",
        "Units that require this one once it is enabled.",
        resets=False,
        shared=True,
    ),
    _I.list(
        "Alias", parsing.install_names, "", "Other names of the unit once it is enabled.", resets=False, shared=True
    ),
    _I.list(
        "Also",
        parsing.install_names,
        "",
        "Units that are enabled and disabled with this one.",
        resets=False,
        shared=True,
    ),
    _I.text("DefaultInstance", "The instance that enabling a template makes.", sig=""),
    _U.list("Conditions", parsing.verbatim, "a(sbbsi)", "All Condition...= lines, in order."),
    _U.list("Asserts", parsing.verbatim, "a(sbbsi)", "All Assert...= lines, in order."),
)

GATHERED: Final = frozenset(("Conditions", "Asserts"))
"""Rows that hold what other directives say; they cannot be written themselves."""

SYNONYMS: Final = {
    "BindTo": "BindsTo",
    "PropagateReloadTo": "PropagatesReloadTo",
    "PropagateReloadFrom": "ReloadPropagatedFrom",
    "RequiresOverridable": "Requires",
    "RequisiteOverridable": "Requisite",
    "StartLimitInterval": "StartLimitIntervalSec",
}
"""Names that systemd still reads in [Unit], and what they mean now."""

ISOLATE_ON_FAILURE: Final = _U.row(
    "OnFailureIsolate",
    lambda text, context: "isolate" if parsing.boolean(text, context) else "replace",
    "replace",
    "",
    "The old word for OnFailureJobMode=isolate.",
    key="OnFailureJobMode",
)
