"""From a plan to a running program, and what is told of it."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.host.host import PATH, CgroupEmpty, Execed, ProcessExited, Spawned, SpawnFailed, World, invocation_of
from unitd.host import processes, reserve
from unitd.model.events import Exit, How
from unitd.model.exec_plan import Capabilities, Directory, EnvFile, Identity, Rlimit, Scheduling, Stdio
from unitd.model.states import INFINITY

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
CAP_SYS_RESOURCE = 24

SHOW = """
import json, os, resource, signal, sys
status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
out = {
    "argv": sys.argv[1:], "env": dict(os.environ), "ids": os.getresuid() + os.getresgid(), "groups": os.getgroups(),
    "cwd": os.getcwd(), "session": os.getsid(0) == os.getpid(), "pid": os.getpid(), "parent": os.getppid(),
    "fds": sorted(int(name) for name in os.listdir("/proc/self/fd")), "umask": os.umask(0),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "policy": os.sched_getscheduler(0), "affinity": sorted(os.sched_getaffinity(0)),
    "oom": int(open("/proc/self/oom_score_adj").read()), "status": status,
}
json.dump(out, open(sys.argv[1], "w"))
"""


async def shown(here: World, folder: Path, *arguments: str, **more: Any) -> Any:
    """What a program sees of itself when it is started with these settings."""
    out = folder / "shown.json"
    end = await here.run(sys.executable, "-I", "-S", "-c", SHOW, str(out), *arguments, **more)
    assert end == ProcessExited("a.service", end.pid if isinstance(end, ProcessExited) else 0, Exit(How.EXITED, 0))
    return json.loads(out.read_text())


async def test_events_come_in_order(here: World) -> None:
    here.spawn("/bin/sh", "-c", "exit 3")
    await here.told(CgroupEmpty)
    kinds = [type(event) for event in here.events]
    assert kinds == [Spawned, Execed, ProcessExited, CgroupEmpty]
    spawned, exited = here.events[0], here.events[2]
    assert isinstance(spawned, Spawned)
    assert spawned.birth > 0
    assert exited == ProcessExited("a.service", spawned.pid, Exit(How.EXITED, 3))


async def test_the_process_is_ours_and_in_its_cgroup(here: World) -> None:
    here.spawn("/bin/sleep", "100")
    spawned = await here.told(Spawned)
    await here.told(Execed)
    process = processes.read(spawned.pid)
    assert process is not None
    assert (process.parent, process.command, process.birth) == (os.getpid(), "sleep", spawned.birth)
    assert processes.cgroup(spawned.pid).endswith("/system.slice/a.service")
    assert here.host.unit_of(spawned.pid) == "a.service"
    assert here.host.groups.members("a.service") == [spawned.pid]
    await here.stopped()
    assert here.all(ProcessExited)[0].exit == Exit(How.KILLED, signal.SIGKILL)


async def test_a_process_starts_from_a_clean_slate(here: World, tmp_path: Path) -> None:
    seen = await shown(here, tmp_path, "plain")
    assert seen["argv"][1:] == ["plain"]
    assert seen["env"].pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"
    assert seen["env"] == {"PATH": PATH, "INVOCATION_ID": invocation_of("a.service")}
    assert seen["session"]
    assert (seen["cwd"], seen["umask"], seen["parent"]) == ("/", 0o022, os.getpid())
    assert seen["fds"][:3] == [0, 1, 2]
    assert len(seen["fds"]) == 4, "the fourth is the one that lists them"
    assert seen["status"]["SigBlk"] == "0" * 16
    ignored = int(seen["status"]["SigIgn"], 16)
    assert ignored & 1 << signal.SIGPIPE - 1


async def test_sigpipe_is_left_alone_when_asked(here: World, tmp_path: Path) -> None:
    here.spawn("/bin/sh", "-c", f"grep SigIgn /proc/self/status > {tmp_path}/seen", ignore_sigpipe=False)
    await here.told(CgroupEmpty)
    assert not int((tmp_path / "seen").read_text().split()[1], 16) & 1 << signal.SIGPIPE - 1


async def test_variables_and_their_order(here: World, tmp_path: Path) -> None:
    file = tmp_path / "file.env"
    file.write_text("B=file\nC='of the file'\n1X=not a name\n")
    seen = await shown(
        here,
        tmp_path,
        "$A",
        "${B}x",
        "$$C",
        "$C",
        environment=("A=one two", "B=environment", "GONE=1", "KEPT=1"),
        env_files=(EnvFile(str(file), False), EnvFile(str(tmp_path / "none"), True)),
        unset_environment=("GONE", "KEPT=2"),
    )
    assert seen["argv"][1:] == ["one", "two", "filex", "$C", "of", "the", "file"]
    assert (seen["env"]["B"], seen["env"]["C"], seen["env"]["KEPT"]) == ("file", "of the file", "1")
    assert "GONE" not in seen["env"]


async def test_a_missing_environment_file_is_told(here: World, tmp_path: Path) -> None:
    end = await here.run("/bin/true", env_files=(EnvFile(str(tmp_path / "none"), False),))
    assert end == SpawnFailed(
        "a.service", 1, "environment", errno.ENOENT, f"{tmp_path}/none: No such file or directory"
    )


@root
async def test_identity_and_its_variables(here: World, tmp_path: Path) -> None:
    streams = Stdio(output=f"file:{tmp_path}/seen")
    await here.run(
        "/bin/sh",
        "-c",
        "id -un; id -Gn; pwd; echo $1 $2 $USER $LOGNAME; grep -E 'NoNewPrivs|CapEff|CapAmb' /proc/self/status",
        "sh",
        "$HOME",
        "of ${USER}",
        stdio=streams,
        identity=Identity("daemon", "", ("adm",), login=True),
        workdir="~",
        capabilities=Capabilities(ambient=frozenset({"cap_net_bind_service"}), no_new_privileges=True),
    )
    lines = (tmp_path / "seen").read_text().splitlines()
    assert lines[:4] == ["daemon", "daemon adm", "/usr/sbin", "/usr/sbin of daemon daemon daemon"]
    assert [line.split() for line in lines[4:]] == [
        ["CapEff:", f"{1 << 10:016x}"],
        ["CapAmb:", f"{1 << 10:016x}"],
        ["NoNewPrivs:", "1"],
    ]


@root
async def test_a_bounding_set_binds_root(here: World, tmp_path: Path) -> None:
    bounding = frozenset({"cap_kill", "cap_chown"})
    seen = await shown(here, tmp_path, capabilities=Capabilities(bounding=bounding))
    assert int(seen["status"]["CapBnd"], 16) == int(seen["status"]["CapEff"], 16) == 1 << 5 | 1 << 0


@root
async def test_scheduling_and_limits(here: World, tmp_path: Path) -> None:
    seen = await shown(
        here,
        tmp_path,
        umask=0o077,
        rlimits=(Rlimit("nofile", 100, 200), Rlimit("core", INFINITY, INFINITY)),
        scheduling=Scheduling(nice=5, oom_score_adjust=300, policy="batch", affinity=(0,), io_class="idle"),
    )
    assert (seen["umask"], seen["nofile"], seen["nice"]) == (0o077, [100, 200], 5)
    assert (seen["policy"], seen["affinity"], seen["oom"]) == (os.SCHED_BATCH, [0], 300)


async def test_an_oom_score_that_may_not_be_lowered_is_passed_over(here: World, tmp_path: Path) -> None:
    before = int(Path("/proc/self/oom_score_adj").read_text())
    may = (int(Path("/proc/self/status").read_text().split("CapEff:\t")[1].split()[0], 16) >> CAP_SYS_RESOURCE) & 1
    seen = await shown(here, tmp_path, scheduling=Scheduling(oom_score_adjust=-900))
    assert seen["oom"] == (-900 if may else before)


async def test_a_search_path_of_its_own(here: World, tmp_path: Path) -> None:
    """It finds the program, and is PATH, unless the unit says otherwise."""
    (tmp_path / "two").mkdir()
    program = tmp_path / "two" / "own-program"
    program.write_text('#!/bin/sh\necho "$PATH" >"$1"\n')
    program.chmod(0o755)
    out = tmp_path / "out"
    search = (f"{tmp_path}/one", f"{tmp_path}/two")
    await here.run("own-program", str(out), search=search)
    assert out.read_text() == f"{search[0]}:{search[1]}\n"
    await here.run("own-program", str(out), unit="b.service", search=search, environment=("PATH=/mine",))
    assert out.read_text() == "/mine\n"
    failed = await here.run("true", unit="c.service", search=search)
    assert isinstance(failed, SpawnFailed)
    assert failed.errno == errno.ENOENT


async def test_limits_are_those_that_the_daemon_started_with(here: World, tmp_path: Path) -> None:
    seen = await shown(here, tmp_path)
    assert tuple(seen["nofile"]) == here.host.spawner.nofile
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == here.host.spawner.nofile[1] - reserve.KEPT


@root
async def test_directories_belong_to_the_user(here: World, tmp_path: Path) -> None:
    wanted = tmp_path / "a" / "b"
    wanted.mkdir(parents=True)
    (wanted / "old").write_text("")
    await here.run("/bin/true", identity=Identity("daemon"), directories=(Directory(str(wanted), 0o750),))
    for path, mode in ((wanted, 0o040750), (wanted / "old", 0o100644)):
        seen = path.stat()
        assert (seen.st_uid, seen.st_gid, seen.st_mode) == (1, 1, mode)
    assert (tmp_path / "a").stat().st_uid == 0


async def test_streams_to_files(here: World, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("said\n")
    (tmp_path / "out").write_text("before\n")
    streams = Stdio(f"file:{tmp_path}/in", f"append:{tmp_path}/out", f"truncate:{tmp_path}/err")
    await here.run("/bin/sh", "-c", "cat; echo wrong >&2", stdio=streams)
    assert (tmp_path / "out").read_text() == "before\nsaid\n"
    assert (tmp_path / "err").read_text() == "wrong\n"


async def test_streams_from_text_to_the_log(here: World, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    here.parts.log = str(tmp_path / "log")
    end = os.open(tmp_path / "log", os.O_RDWR | os.O_NONBLOCK)
    try:
        await here.run("/bin/sh", "-c", "cat; echo wrong >&2", stdio=Stdio("data", "log", data=b"text\n"))
        assert os.read(end, 100) == b"text\nwrong\n"
    finally:
        os.close(end)


async def test_sockets_are_passed_from_three_on(here: World, tmp_path: Path) -> None:
    first, second = os.pipe()
    here.parts.fds = {"a.socket": [(second, "web")], "b.socket": [(first, "admin")]}
    try:
        seen = await shown(
            here,
            tmp_path,
            sockets=("a.socket", "b.socket"),
            stdio=Stdio(output="fd:web"),
            watchdog=5,
        )
    finally:
        os.close(first)
        os.close(second)
    assert seen["fds"][:5] == [0, 1, 2, 3, 4]
    environment = seen["env"]
    assert (environment["LISTEN_FDS"], environment["LISTEN_FDNAMES"]) == ("2", "web:admin")
    assert environment["LISTEN_PID"] == environment["WATCHDOG_PID"] == str(seen["pid"])
    assert environment["WATCHDOG_USEC"] == "5"


async def test_more_than_a_packet(here: World, tmp_path: Path) -> None:
    long = "x" * 100_000
    seen = await shown(here, tmp_path, long, environment=(f"LONG={long}",))
    assert (seen["argv"][1], seen["env"]["LONG"]) == (long, long)


async def test_a_program_is_looked_for_on_the_path(here: World) -> None:
    end = await here.run("sh", "-c", "exit 7")
    assert isinstance(end, ProcessExited)
    assert end.exit == Exit(How.EXITED, 7)


FAILURES: list[tuple[str, int, dict[str, Any]]] = [
    ("exec", errno.ENOENT, {"path": "/no/such/program"}),
    ("exec", errno.ENOENT, {"path": "no-such-program"}),
    ("exec", errno.EACCES, {"path": "/etc/passwd"}),
    ("exec", errno.E2BIG, {"environment": ("A=" + "x" * 200_000,)}),
    ("user", errno.ESRCH, {"identity": Identity("no-such-user")}),
    ("group", errno.ESRCH, {"identity": Identity("", "no-such-group")}),
    ("group", errno.ESRCH, {"identity": Identity("", "", ("no-such-group",))}),
    ("chdir", errno.ENOENT, {"workdir": "/no/such/folder"}),
    ("stdin", errno.ENOENT, {"stdio": Stdio("file:/no/such/file")}),
    ("stdout", errno.EISDIR, {"stdio": Stdio(output="file:/")}),
    ("stderr", errno.ENOENT, {"stdio": Stdio(output="null", error="append:/no/such/file")}),
    ("stdin", errno.ENOENT, {"stdio": Stdio("socket")}),
    ("runtime_directory", errno.EEXIST, {"directories": (Directory("/dev/null/x", 0o755),)}),
    ("state_directory", errno.EEXIST, {"directories": (Directory("/var/lib/../../dev/null/x", 0o755),)}),
    ("limits", errno.EINVAL, {"rlimits": (Rlimit("no-such-limit", 1, 1),)}),
    ("limits", errno.EINVAL, {"rlimits": (Rlimit("nofile", 2, 1),)}),
    ("setscheduler", errno.EINVAL, {"scheduling": Scheduling(policy="batch", priority=7)}),
    ("setscheduler", errno.EINVAL, {"scheduling": Scheduling(policy="no-such-policy")}),
    ("cpuaffinity", errno.EINVAL, {"scheduling": Scheduling(affinity=(1000,))}),
    ("ioprio", errno.EINVAL, {"scheduling": Scheduling(io_class="best-effort", io_priority=-1)}),
    ("oom_adjust", errno.EINVAL, {"scheduling": Scheduling(oom_score_adjust=5000)}),
    ("capabilities", errno.EINVAL, {"capabilities": Capabilities(ambient=frozenset({"cap_no_such"}))}),
]


@root
@pytest.mark.parametrize(("stage", "number", "settings"), FAILURES, ids=[f"{f[0]}-{i}" for i, f in enumerate(FAILURES)])
async def test_a_failure_names_its_stage(here: World, stage: str, number: int, settings: dict[str, Any]) -> None:
    here.spawn("/bin/true", **settings)
    failed = await here.told(SpawnFailed)
    assert (failed.stage, failed.errno) == (stage, number)
    assert os.strerror(number) in failed.detail
    await here.until(lambda: not len(here.host.children))
    assert not here.all(ProcessExited), "the end of a child that never ran its program is nobody's event"
    assert not here.all(Execed)


async def test_a_cgroup_that_cannot_be_made(here: World) -> None:
    here.spawn("/bin/true", unit="a\n.service")
    failed = await here.told(SpawnFailed, "a\n.service")
    assert (failed.stage, failed.errno) == ("cgroup", errno.EINVAL)


async def test_an_optional_folder_may_be_missing(here: World, tmp_path: Path) -> None:
    assert (await shown(here, tmp_path, workdir="/no/such/folder", workdir_optional=True))["cwd"] == "/"


async def test_idle_waits_for_the_word(here: World) -> None:
    here.spawn("/bin/true", idle=True)
    here.spawn("/bin/true", unit="b.service")
    await here.told(ProcessExited, "b.service")
    await here.told(Spawned)
    assert not here.all(Execed)
    here.host.jobs_done()
    await here.told(ProcessExited)


async def test_last_words_are_heard_before_the_end_is_told(here: World) -> None:
    here.spawn("/bin/sleep", "100")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    heard: list[int] = []
    here.host.reaper.hear = lambda: heard.append(len(here.all(ProcessExited)))
    os.kill(pid, signal.SIGKILL)
    await here.told(ProcessExited)
    assert heard[0] == 0
