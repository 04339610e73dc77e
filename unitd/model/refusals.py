"""What a caller is told when a request is not carried out: a stable name, the unit, the cause and a hint.

The names are those of systemd's bus errors after the last dot (org.freedesktop.systemd1(5)); wire/dialects puts
a dialect's prefix before them.
"""

from enum import StrEnum


class Kind(StrEnum):
    NO_SUCH_UNIT = "NoSuchUnit"
    NO_UNIT_FOR_PID = "NoUnitForPID"
    NO_UNIT_FOR_INVOCATION_ID = "NoUnitForInvocationID"
    LOAD_FAILED = "LoadFailed"
    BAD_UNIT_SETTING = "BadUnitSetting"
    UNIT_MASKED = "UnitMasked"
    NO_SUCH_JOB = "NoSuchJob"
    NOT_SUBSCRIBED = "NotSubscribed"
    ALREADY_SUBSCRIBED = "AlreadySubscribed"
    NOT_REFERENCED = "NotReferenced"
    ONLY_BY_DEPENDENCY = "OnlyByDependency"
    JOBS_CONFLICTING = "TransactionJobsConflicting"
    ORDER_IS_CYCLIC = "TransactionOrderIsCyclic"
    IS_DESTRUCTIVE = "TransactionIsDestructive"
    JOB_TYPE_NOT_APPLICABLE = "JobTypeNotApplicable"
    NO_ISOLATION = "NoIsolation"
    SHUTTING_DOWN = "ShuttingDown"
    NO_SUCH_PROCESS = "NoSuchProcess"
    # The bus' own names (D-Bus specification, org.freedesktop.DBus.Error).
    NOT_SUPPORTED = "NotSupported"
    INVALID_ARGS = "InvalidArgs"
    ACCESS_DENIED = "AccessDenied"
    FILE_NOT_FOUND = "FileNotFound"
    UNKNOWN_METHOD = "UnknownMethod"
    UNKNOWN_OBJECT = "UnknownObject"
    UNKNOWN_INTERFACE = "UnknownInterface"
    UNKNOWN_PROPERTY = "UnknownProperty"
    PROPERTY_READ_ONLY = "PropertyReadOnly"
    LIMITS_EXCEEDED = "LimitsExceeded"
    FAILED = "Failed"


class Refusal(Exception):
    """A request that is not carried out; `text` is a whole sentence for an operator, `hint` what to do about it."""

    def __init__(self, kind: Kind, unit: str, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.unit = unit
        self.text = text
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.text} ({self.hint})" if self.hint else self.text
