"""What a client of the private socket may ask of "the bus": a few methods of org.freedesktop.DBus, answered here.

So clients that insist on Hello work without a bus daemon. The only names are the bus' own, ours, and the client's.
"""

from unitd.bus.calls import Call, Fault, Outcome, Reply
from unitd.model.refusals import Kind
from unitd.wire import dialects


def answer(call: Call, unique: str, ours: str, guid: str, uid: int, pid: int) -> Outcome:
    """`unique`: the client's name; `ours`: the daemon's; `uid`, `pid`: the daemon's."""
    names = (dialects.DBUS, ours, unique)
    match call.member, call.signature:
        case "Hello", "":
            return Reply("s", (unique,))
        case "AddMatch" | "RemoveMatch", "s":
            return Reply()
        case "ListNames", "":
            return Reply("as", (names,))
        case "ListActivatableNames", "":
            return Reply("as", ((dialects.DBUS,),))
        case "NameHasOwner", "s":
            return Reply("b", (call.body[0] in names,))
        case "GetId", "":
            return Reply("s", (guid,))
        case "Ping", "":
            return Reply()
        case "StartServiceByName", "su" if call.body[0] in names:
            return Reply("u", (2,))
        case (
            "GetNameOwner" | "GetConnectionUnixUser" | "GetConnectionUnixProcessID" | "GetConnectionCredentials",
            "s",
        ) if call.body[0] in names:
            mine = call.body[0] != unique
            return _about(call, uid if mine else call.by.uid, pid if mine else call.by.pid)
        case _:
            return Fault(Kind.UNKNOWN_METHOD, f"cannot call {call.member}: there is no bus daemon here")


def _about(call: Call, uid: int, pid: int) -> Outcome:
    match call.member:
        case "GetNameOwner":
            return Reply("s", (call.body[0],))
        case "GetConnectionUnixUser":
            return Reply("u", (uid,))
        case "GetConnectionUnixProcessID":
            return Reply("u", (pid,))
        case _:
            return Reply("a{sv}", ({"UnixUserID": ("u", uid), "ProcessID": ("u", pid)},))
