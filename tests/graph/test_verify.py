"""Settings that do not go together."""

import pytest

from tests.fakes.source import FACTS, Files
from unitd.graph.assemble import load
from unitd.model.config import Config
from unitd.model.states import Load

REFUSED = [
    ("a.service", "[Service]\nType=simple"),
    ("a.service", "[Service]\nExecStart=/a\nExecStart=/b"),
    ("a.service", "[Service]\nExecStop=/a"),
    ("a.service", "[Service]\nExecStop=/a\nType=simple\nRemainAfterExit=yes"),
    ("a.service", "[Service]\nExecStart=/a\nType=dbus"),
    ("a.service", "[Service]\nExecStart=/a\nType=oneshot\nRestart=always"),
    ("a.service", "[Service]\nExecStart=/a\nType=oneshot\nRestartForceExitStatus=3"),
    ("a.service", "[Unit]\nOnFailure=b.service c.service\nOnFailureJobMode=isolate\n[Service]\nExecStart=/a"),
    ("a.socket", "[Socket]\nAccept=no"),
    ("a.socket", "[Socket]\nListenDatagram=/a\nAccept=yes"),
    ("a.socket", "[Socket]\nListenStream=/a\nAccept=yes\nService=b.service"),
    ("a.socket", "[Socket]\nListenStream=/a\nListenStream=/b\nSymlinks=/c"),
    ("a.timer", "[Timer]\nPersistent=yes"),
    ("a.path", "[Path]\nMakeDirectory=yes"),
    ("a.mount", "[Mount]\nWhat=/dev/x\nWhere=/b"),
    ("a.mount", "[Mount]\nWhere=/a"),
    ("proc.mount", "[Mount]\nWhat=x\nWhere=/proc"),
    ("a.automount", "[Automount]\nWhere=/b"),
    ("dev-a.swap", "[Swap]\nWhat=/dev/b"),
    ("a--b.slice", "[Slice]\nCPUAccounting=yes"),
]
ALLOWED = [
    ("a.service", "[Service]\nExecStart=/a\nExecStart=/b\nType=oneshot"),
    ("a.service", "[Service]\nExecStop=/a\nRemainAfterExit=yes"),
    ("a.service", "[Unit]\nSuccessAction=exit\n[Service]\nType=oneshot"),
    ("a.socket", "[Socket]\nListenStream=/a\nSymlinks=/c"),
    ("a.timer", "[Timer]\nOnClockChange=yes"),
    ("a.mount", "[Mount]\nWhat=/dev/x"),
    ("dev-a.swap", "[Swap]\nPriority=3"),
]


def state(name: str, text: str) -> Load:
    return load(name, Files({name: text}), FACTS, Config()).load


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_refused(name: str, text: str) -> None:
    """Whatever is missing, the refusal has a file and a line."""
    unit = load(name, Files({name: text}), FACTS, Config())
    assert unit.load is Load.BAD_SETTING
    assert [problem.place for problem in unit.problems if problem.fatal and not problem.line] == []


def test_what_is_missing_has_the_place_where_its_section_begins() -> None:
    texts = {"a.socket": "[Unit]\nDescription=x\n[Socket]\nAccept=no\n", "b.socket": "[Unit]\nDescription=x\n"}
    for name, line in (("a.socket", 4), ("b.socket", 1)):
        (problem,) = load(name, Files(texts), FACTS, Config()).problems
        assert problem.file.endswith(name)
        assert problem.line == line


@pytest.mark.parametrize(("name", "text"), ALLOWED)
def test_allowed(name: str, text: str) -> None:
    assert state(name, text) is Load.LOADED
