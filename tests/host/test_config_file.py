"""unitd.conf: what is read, and what each fault makes of it."""

from pathlib import Path

from unitd.host.config_file import read
from unitd.model.config import Config
from unitd.model.states import INFINITY, SECOND


def test_no_file_is_no_fault(tmp_path: Path) -> None:
    assert read(f"{tmp_path}/unitd.conf") == (Config(), ())


def test_later_files_win(tmp_path: Path) -> None:
    file = tmp_path / "unitd.conf"
    file.write_text("# daemon\n[Manager]\nDefaultTimeoutStopSec=5\nAutoReload = no\nLogLevel=debug\n")
    (tmp_path / "unitd.conf.d").mkdir()
    (tmp_path / "unitd.conf.d/b.conf").write_text("[Manager]\nDefaultTimeoutStopSec=7\n")
    (tmp_path / "unitd.conf.d/a.conf").write_text("[Manager]\nDefaultTimeoutStopSec=6\n")
    config, problems = read(str(file), user=True)
    assert not problems
    assert config == Config(user=True, default_timeout_stop=7 * SECOND, auto_reload=False, log_level="debug")


def test_what_means_nothing_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "unitd.conf"
    file.write_text("[Manager]\nWibble=1\nOnRestart=maybe\n[Wobble]\na=1\n")
    config, problems = read(str(file))
    assert config == Config()
    assert [(problem.line, problem.setting) for problem in problems] == [(2, "Wibble="), (3, "OnRestart="), (4, "")]


def test_what_is_not_carried_out_is_said_when_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "unitd.conf"
    file.write_text("[Manager]\nOnRestart=adopt\nSystemdCompat=no\n")
    assert read(str(file)) == (Config(), ())
    file.write_text("[Manager]\nOnRestart=stop\nSystemdCompat=yes\n")
    _, problems = read(str(file))
    assert [str(problem) for problem in problems] == [
        f"cannot use all of unitd: {file}:3: SystemdCompat=: it is not carried out yet",
    ]


def test_a_file_that_is_no_ini_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "unitd.conf"
    for raw in (b"LogLevel=debug\n", b"[Manager]\nLogLevel debug\n", b"[Manager]\nLogLevel=\xff\n", b"[Manager"):
        file.write_bytes(raw)
        config, problems = read(str(file))
        assert config == Config()
        assert problems, raw


def test_no_time_at_all_is_no_limit(tmp_path: Path) -> None:
    file = tmp_path / "unitd.conf"
    file.write_text("[Manager]\nShutdownTimeoutSec=0\n")
    assert read(str(file)) == (Config(shutdown_timeout=INFINITY), ())
