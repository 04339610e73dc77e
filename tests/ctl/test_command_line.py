"""The grammar of the command line, where the daemon is sought, and what start-up may load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ctl.conftest import Run
from tests.ctl.peer import Peer
from unitd.ctl.main import main
from unitd.ctl.options import Usage, parse
from unitd.ctl.remote import without_host
from unitd.ctl.session import _bus_paths, unit_name
from unitd.ctl.verbs import VERBS, usage

ROOT = Path(__file__).resolve().parents[2]


def test_options_and_words_in_any_order() -> None:
    options, words = parse(["status", "-n5", "a", "--lines", "7", "-ql", "--", "-b"])
    assert words == ["status", "a", "-b"]
    assert (options.lines, options.quiet, options.full) == (7, True, True)


def test_lists_grow() -> None:
    options, _ = parse(["-p", "A,B", "-pC", "--property=D", "-P", "E", "-t", "service,socket", "--failed"])
    assert options.properties == ["A", "B", "C", "D", "E"]
    assert options.value
    assert options.types == ["service", "socket"]
    assert options.states == ["failed"]


def test_long_options_may_be_cut_short() -> None:
    assert not parse(["--no-b"])[0].block
    assert not parse(["--no-leg"])[0].legend
    with pytest.raises(Usage, match="which option"):
        parse(["--no"])


@pytest.mark.parametrize("option", ["--now", "--no-wall", "-i", "-r", "--runtime", "--no-ask-password", "--root-x"])
def test_options_without_meaning_are_taken(option: str) -> None:
    if option == "--root-x":
        with pytest.raises(Usage):
            parse([option])
    else:
        assert parse([option])[1] == []


@pytest.mark.parametrize("words", [["-M", "x"], ["--root=/x"], ["--lines=x"], ["-p"], ["-Z"], ["--quiet=1"]])
def test_what_cannot_be_carried_out_is_refused(words: list[str]) -> None:
    with pytest.raises(Usage, match=r"^cannot "):
        parse(words)


def test_near_misses_are_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["strat", "a"]) == 1
    assert capsys.readouterr().err == "Unknown command verb strat: did you mean start?\n"
    assert main(["--al-units"]) == 1
    assert "--al-units" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["enable", "mask", "why", "top"])
def test_verbs_that_are_not_there(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "a"]) == 1
    assert capsys.readouterr().err.startswith(f"Unknown command verb {verb}")


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == usage() + "\n"
    assert all(f"\n  {verb}" in usage() for verb in VERBS)
    assert max(map(len, usage().splitlines())) < 120


def test_verb_wants_its_units(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start"]) == 1
    assert main(["isolate", "a", "b"]) == 1
    assert main(["plan"]) == 1
    assert main(["orphans", "x"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "cannot start without a unit: unitctl start UNIT...",
        "cannot take 'b': the whole of it is unitctl isolate UNIT",
        "cannot plan without a verb: unitctl plan VERB [UNIT...]",
        "cannot take 'x': the whole of it is unitctl orphans",
    ]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("a", "a.service"),
        ("a.socket", "a.socket"),
        ("a@b", "a@b.service"),
        ("a.b", "a.b.service"),
        ("/home", "home.mount"),
        ("/dev/sda", "dev-sda.device"),
        ("a b", "a\\x20b.service"),
    ],
)
def test_unit_names(word: str, name: str) -> None:
    assert unit_name(word) == name


def test_bus_addresses() -> None:
    assert _bus_paths("tcp:host=x;unix:path=/run/a%20b,guid=1;unix:abstract=c") == ["/run/a b", "\0c"]


@pytest.mark.parametrize(
    "arguments",
    [["-H", "h", "start", "a"], ["-Hh", "start", "a"], ["start", "--host=h", "a"], ["start", "a", "--host", "h"]],
)
def test_host_is_left_out_of_what_is_run_there(arguments: list[str]) -> None:
    assert without_host(arguments) == ["start", "a"]


# --- where the daemon is ------------------------------------------------------------------------------


def test_no_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runtime-dir", str(tmp_path / "x"), "status"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"cannot connect to {tmp_path}/x/private: No such file or directory\n")
    assert "no daemon seems to run there" in said


def test_directory_without_socket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runtime-dir", str(tmp_path), "status"]) == 1
    assert "no daemon seems to run there" in capsys.readouterr().err
    (tmp_path / "lock").touch()
    assert main(["--runtime-dir", str(tmp_path), "status"]) == 1
    assert "starting or stopping there" in capsys.readouterr().err


def test_dead_socket(peer: Peer, run: Run) -> None:
    peer.close()
    said = run("is-active", "a")
    assert said.status == 1
    assert "no daemon listens" in said.err


def test_environment_names_the_runtime_directory(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.add("a.service", ActiveState="active")
    monkeypatch.setenv("UNITD_RUNTIME_DIR", str(peer.directory))
    assert main(["is-active", "a"]) == 0


def test_on_a_bus_it_says_hello_and_subscribes(peer: Peer, capsys: pytest.CaptureFixture[str]) -> None:
    peer.add("a.service")
    for member in ("AddMatch", "Subscribe"):
        peer.answers[member] = lambda *_: ("", ())
    peer.answers["Hello"] = lambda: ("s", (":1.1",))
    peer.job_ends("StartUnit", "done")
    assert main(["--bus", f"unix:path={peer.directory}/private", "start", "a"]) == 0
    asked = [name for name, _ in peer.calls]
    assert asked[0] == "Hello"
    assert asked.index("Subscribe") < asked.index("StartUnit")


# --- start-up -----------------------------------------------------------------------------------------

HEAVY = (
    "asyncio",
    "argparse",
    "dataclasses",
    "inspect",
    "jeepney",
    "json",
    "socket",
    "selectors",
    "subprocess",
    "shutil",
)


@pytest.mark.parametrize("words", [["is-active", "a"], ["status", "a"], ["list-units"], ["start", "a"], ["poweroff"]])
def test_start_up_loads_nothing_heavy(peer: Peer, words: list[str]) -> None:
    peer.add("a.service", ActiveState="active", SubState="running", InactiveExitTimestamp=5, CPUUsageNSec=1)
    peer.job_ends("StartUnit", "done")
    peer.answers["PowerOff"] = lambda: ("", ())
    peer.after["PowerOff"] = lambda: [peer.progress("", "done"), None]
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from unitd.ctl.main import main;"
        f"status = main(['--runtime-dir', {str(peer.directory)!r}, *{words!r}]);"
        f"print(status, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "0 []"
