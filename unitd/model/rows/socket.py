"""[Socket] (systemd.socket(5))."""

from typing import Final

from unitd.model import exec_parsing, parsing
from unitd.model.rows.kinds import LOSS, Rows, lie
from unitd.model.setting import Context, Parse, Setting
from unitd.model.states import SECOND
from unitd.syntax.values import Bad, parse_integer, parse_listen_address

_S = Rows("Socket")
_COMMANDS: Final = "a(sasbttttuii)"
_BACKLOG: Final = 2**31 - 1
LISTENED: Final = (
    "Stream",
    "Datagram",
    "SequentialPacket",
    "FIFO",
    "Special",
    "Netlink",
    "MessageQueue",
    "USBFunction",
)


_PROTOCOLS: Final = [
    "route",
    "usersock",
    "firewall",
    "inet-diag",
    "nflog",
    "xfrm",
    "selinux",
    "iscsi",
    "audit",
    "fib-lookup",
    "connector",
    "netfilter",
    "ip6-fw",
    "dnrtmsg",
    "kobject-uevent",
    "generic",
    "scsitransport",
    "ecryptfs",
    "rdma",
]


def _listened(kind: str) -> Parse:
    """((kind, canonical address),)."""

    def parse(text: str, context: Context) -> tuple[tuple[str, str], ...]:
        return ((kind, _address(kind, context.expand(text))),)

    return parse


def _address(kind: str, text: str) -> str:
    match kind:
        case "FIFO" | "Special" | "USBFunction":
            return parsing.checked_path(text)
        case "MessageQueue":
            if not text.startswith("/") or "/" in text[1:] or len(text) < 2:
                raise Bad(f"{text!r} is not the name of a message queue")
            return text
        case "Netlink":
            family, *group = text.split()
            if family not in _PROTOCOLS or len(group) > 1:
                raise Bad(f"{text!r} is not a netlink family and group")
            return f"{family} {parse_integer(group[0], 0, 2**32 - 1) if group else 0}"
        case _:
            return str(parse_listen_address(text))


def _listen(kind: str) -> Setting:
    return _S.list(f"Listen{kind}", _listened(kind), "", f"Listen on a {kind} socket.", key="Listen")


ROWS: Final = (
    *(_listen(kind) for kind in LISTENED),
    _S.list("Listen", parsing.verbatim, "a(ss)", "All Listen...= lines, as (kind, address)."),
    _S.text("Service", "The service that is started on traffic.", parsing.unit_of("service"), sig=""),
    _S.flag("Accept", False, "One service for each connection.", **LOSS),
    _S.text("FileDescriptorName", "The name of the descriptors.", exec_parsing.descriptor_name),
    _S.row("SocketMode", parsing.mode, 0o666, "u", "The access mode of sockets in the file system."),
    _S.row("DirectoryMode", parsing.mode, 0o755, "u", "The access mode of directories made for them."),
    _S.text("SocketUser", "Who owns sockets in the file system.", exec_parsing.user_name),
    _S.text("SocketGroup", "Which group owns them.", exec_parsing.user_name),
    _S.flag("RemoveOnStop", False, "Remove sockets in the file system when the unit stops."),
    _S.list("Symlinks", parsing.path_list, "as", "Further names of the socket in the file system."),
    _S.number("Backlog", 0, 2**32 - 1, _BACKLOG, "u", "How many connections may wait."),
    _S.word(
        "BindIPv6Only",
        "default",
        parsing.flag_or("default", "both", "ipv6-only", false="both", true="ipv6-only"),
        "Whether IPv6 sockets take IPv4.",
    ),
    _S.text("BindToDevice", "The network interface of the sockets.", **lie()),
    _S.word("SocketProtocol", "", parsing.one_of("udplite", "sctp", "mptcp"), "Another protocol.", prop=None, **LOSS),
    _S.flag("FreeBind", False, "Addresses that do not exist yet can be bound."),
    _S.flag("ReusePort", False, "Others may bind the same port."),
    _S.flag("Transparent", False, "Transparent proxying."),
    _S.flag("Broadcast", False, "Datagrams to broadcast addresses."),
    _S.flag("PassCredentials", False, "Messages carry who sent them."),
    _S.flag("PassSecurity", False, "Messages carry the sender's label."),
    _S.flag("PassPacketInfo", False, "Messages carry where they came in."),
    _S.word(
        "Timestamping",
        "off",
        parsing.one_of("off", "us", "ns", **{"usec": "us", "nsec": "ns", "µs": "us", "μs": "us"}),
        "Messages carry their time.",
    ),
    _S.flag("KeepAlive", False, "Look after idle connections."),
    _S.span("KeepAliveTimeSec", 0, "After which time."),
    _S.span("KeepAliveIntervalSec", 0, "How often then."),
    _S.number("KeepAliveProbes", 0, 2**32 - 1, 0, "u", "How often in all."),
    _S.span("DeferAcceptSec", 0, "Wait for the first bytes."),
    _S.flag("NoDelay", False, "Do not gather small packets."),
    _S.number("Priority", -(2**31), 2**31 - 1, -1, "i", "The priority of packets."),
    _S.row("ReceiveBuffer", parsing.size, 0, "t", "Bytes of the receive buffer; 0: the kernel's choice."),
    _S.row("SendBuffer", parsing.size, 0, "t", "Bytes of the send buffer."),
    _S.row(
        "IPTOS",
        parsing.number_or(0, 255, **{"low-delay": 16, "throughput": 8, "reliability": 4, "low-cost": 2}),
        -1,
        "i",
        "Type of service.",
    ),
    _S.number("IPTTL", 0, 255, -1, "i", "Time to live."),
    _S.number("Mark", 0, 2**31 - 1, -1, "i", "The firewall mark."),
    _S.row("PipeSize", parsing.size, 0, "t", "Bytes of a FIFO."),
    _S.number("MessageQueueMaxMessages", 0, 2**63 - 1, 0, "x", "Messages in a queue.", **LOSS),
    _S.number("MessageQueueMessageSize", 0, 2**63 - 1, 0, "x", "Bytes of a message.", **LOSS),
    _S.text("TCPCongestion", "The congestion control."),
    _S.flag("Writable", False, "Special files are opened for writing too.", **LOSS),
    _S.flag("FlushPending", False, "What waits is thrown away when the service ends.", **LOSS),
    _S.number("MaxConnections", 0, 2**32 - 1, 64, "u", "How many services for Accept=yes."),
    _S.number("MaxConnectionsPerSource", 0, 2**32 - 1, 0, "u", "How many of one source."),
    _S.span("TriggerLimitIntervalSec", 2 * SECOND, "The time of TriggerLimitBurst=."),
    _S.number("TriggerLimitBurst", 0, 2**32 - 1, 20, "u", "How many starts on traffic in that time."),
    _S.list("ExecStartPre", parsing.commands, _COMMANDS, "Commands run before the sockets are made.", **LOSS),
    _S.list("ExecStartPost", parsing.commands, _COMMANDS, "Commands run after the sockets are made.", **LOSS),
    _S.list("ExecStopPre", parsing.commands, _COMMANDS, "Commands run before the sockets are closed.", **LOSS),
    _S.list("ExecStopPost", parsing.commands, _COMMANDS, "Commands run after the sockets are closed.", **LOSS),
    _S.span("TimeoutSec", 90 * SECOND, "How long each command may take.", parsing.span_zero_is_infinity),
    _S.text("SmackLabel", "The SMACK label.", **LOSS),
    _S.text("SmackLabelIPIn", "The SMACK label.", **LOSS),
    _S.text("SmackLabelIPOut", "The SMACK label.", **LOSS),
    _S.flag("SELinuxContextFromNet", False, "The label comes with the connection.", prop=None, **lie()),
)
GATHERED: Final = frozenset(("Listen",))
