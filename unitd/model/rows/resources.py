"""What a unit may take of the machine (systemd.resource-control(5))."""

from unitd.model import parsing
from unitd.model.rows.kinds import LOSS, METADATA, Rows, lie
from unitd.model.setting import Setting
from unitd.model.states import INFINITY


def rows(section: str) -> tuple[Setting, ...]:
    """All of systemd.resource-control(5) for one section."""
    made = Rows(section)
    return (
        made.text("Slice", "The slice that holds the unit's cgroup.", parsing.unit_of("slice")),
        made.row("Delegate", parsing.flag_or_words, "no", "", "The unit runs its own cgroups below its own.", **LOSS),
        *_accounting(made),
        *_processor(made),
        *_memory(made),
        *_disk(made),
        *_access(made),
        made.row("TasksMax", parsing.tasks, INFINITY, "t", "How many tasks there may be.", resets=True, **LOSS),
        made.list("DisableControllers", parsing.word_list, "as", "Controllers that are not given on.", **LOSS),
        made.text("ManagedOOMSwap", "What systemd-oomd does.", **METADATA),
        made.text("ManagedOOMMemoryPressure", "What systemd-oomd does.", **METADATA),
        made.text("ManagedOOMMemoryPressureLimit", "When systemd-oomd does it.", sig="", **METADATA),
        made.text("ManagedOOMPreference", "Whom systemd-oomd spares.", **METADATA),
    )


def _accounting(made: Rows) -> tuple[Setting, ...]:
    return tuple(
        made.flag(f"{what}Accounting", False, f"{what} is counted.", **METADATA)
        for what in ("CPU", "Memory", "IO", "BlockIO", "IP", "Tasks")
    )


def _processor(made: Rows) -> tuple[Setting, ...]:
    weight = parsing.number_or(1, 10000, idle=0)
    shares = parsing.number(2, 262144)
    return (
        made.row("CPUWeight", weight, None, "t", "Its share of the processor.", resets=True, **LOSS),
        made.row("StartupCPUWeight", weight, None, "t", "The same during boot.", resets=True, **LOSS),
        made.row("CPUShares", shares, None, "t", "The old word for CPUWeight=.", resets=True, **LOSS),
        made.row("StartupCPUShares", shares, None, "t", "The same during boot.", resets=True, **LOSS),
        made.row(
            "CPUQuota",
            parsing.cpu_quota,
            INFINITY,
            "t",
            "Processor time a second, in microseconds.",
            resets=True,
            prop=("CPUQuotaPerSecUSec", "t"),
            **LOSS,
        ),
        made.span("CPUQuotaPeriodSec", INFINITY, "How often CPUQuota= is dealt out.", resets=True, **LOSS),
        *(
            made.list(name, parsing.processors, "ay", "Processors or memory nodes it may use.", **LOSS)
            for name in ("AllowedCPUs", "StartupAllowedCPUs", "AllowedMemoryNodes", "StartupAllowedMemoryNodes")
        ),
    )


def _memory(made: Rows) -> tuple[Setting, ...]:
    low = (
        ("MemoryMin", 0),
        ("MemoryLow", 0),
        ("DefaultMemoryMin", 0),
        ("DefaultMemoryLow", 0),
        ("MemorySwapMax", INFINITY),
    )
    high = ("MemoryHigh", "MemoryMax", "MemoryLimit")
    return (
        *(made.row(n, parsing.memory_or_zero, d, "t", "Bytes of memory.", resets=True, **LOSS) for n, d in low),
        *(made.row(n, parsing.memory, INFINITY, "t", "Bytes of memory.", resets=True, **LOSS) for n in high),
    )


def _disk(made: Rows) -> tuple[Setting, ...]:
    weights = (
        ("IOWeight", 1, 10000),
        ("StartupIOWeight", 1, 10000),
        ("BlockIOWeight", 10, 1000),
        ("StartupBlockIOWeight", 10, 1000),
    )
    devices = [
        "IODeviceWeight",
        "IOReadBandwidthMax",
        "IOWriteBandwidthMax",
        "IOReadIOPSMax",
        "IOWriteIOPSMax",
        "IODeviceLatencyTargetSec",
        "BlockIODeviceWeight",
        "BlockIOReadBandwidth",
        "BlockIOWriteBandwidth",
    ]
    return (
        *(made.number(n, a, b, None, "t", "Its share of the disks.", resets=True, **LOSS) for n, a, b in weights),
        *(made.list(n, parsing.raw_item, "", "A rule for one disk.", **LOSS) for n in devices),
    )


def _access(made: Rows) -> tuple[Setting, ...]:
    def rule(name: str, doc: str) -> Setting:
        return made.list(name, parsing.raw_item, "", doc, **lie())

    return (
        rule("DeviceAllow", "Devices that can be used."),
        made.word(
            "DevicePolicy",
            "auto",
            parsing.one_of("auto", "closed", "strict"),
            "Which devices can be used.",
            **lie(("auto",)),
        ),
        made.list("IPAddressAllow", parsing.raw_item, "", "Exceptions to IPAddressDeny=.", **METADATA),
        rule("IPAddressDeny", "Addresses that cannot be reached."),
        rule("IPIngressFilterPath", "BPF filters."),
        rule("IPEgressFilterPath", "BPF filters."),
        rule("BPFProgram", "BPF programs."),
        made.list("SocketBindAllow", parsing.raw_item, "", "Exceptions to SocketBindDeny=.", **METADATA),
        rule("SocketBindDeny", "Ports that cannot be bound."),
        rule("RestrictNetworkInterfaces", "Network interfaces that can be used."),
    )
