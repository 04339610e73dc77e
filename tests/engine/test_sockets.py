"""Sockets start their service on traffic, hand their descriptors over, and listen again (systemd.socket(5))."""

from collections.abc import Mapping

import pytest

from tests.fakes.house import House
from tests.fakes.kernel import DONE, FAILING, Program
from unitd.model.effects import CloseSockets, Listen, Spawn
from unitd.model.refusals import Refusal
from unitd.model.states import SECOND


def house(programs: Mapping[str, Program] | None = None, socket: str = "", service: str = "") -> House:
    return House(
        {
            "a.socket": f"[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/a\n{socket}",
            "a.service": f"[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/a\n{service}",
        },
        programs,
    )


def test_traffic_starts_the_service_with_its_descriptors() -> None:
    made = house()
    made.start("a.socket")
    assert made.state("a.socket") == "active/listening"
    assert made.ran() == []
    made.kernel.connect("a.socket")
    made.run()
    assert made.effects(Spawn)[0].plan.sockets == ("a.socket",)
    assert made.state("a.socket") == "active/running"
    assert made.state("a.service") == "active/running success"


def test_it_listens_again_when_the_service_is_down() -> None:
    made = house({"/bin/a": Program(life=SECOND)})
    made.start("a.socket")
    for turn in (1, 2):
        made.kernel.connect("a.socket")
        made.run(SECOND // 2)
        assert made.state("a.socket") == "active/running"
        made.kernel.accept("a.socket")
        made.run(SECOND)
        assert made.state("a.socket") == "active/listening"
        assert len(made.ran()) == turn


def test_a_service_started_by_hand_takes_the_socket_along() -> None:
    made = house(service="Sockets=a.socket")
    made.start("a.service")
    assert made.state("a.socket") == "active/running"
    assert len(made.effects(Listen)) == 1
    assert made.effects(Spawn)[0].plan.sockets == ("a.socket",)


def test_a_socket_comes_too_late_for_a_service_that_runs() -> None:
    made = house()
    made.start("a.service")
    made.job("start", "a.socket")
    made.run()
    assert made.results("a.socket")[-1] == "failed"
    assert made.effects(Listen) == []
    assert made.state("a.service") == "active/running success"


def test_traffic_during_a_restart_is_not_lost() -> None:
    made = house({"/bin/a": Program(slow=SECOND)})
    made.start("a.socket", "a.service")
    made.job("restart", "a.service")
    made.kernel.connect("a.socket")
    made.run()
    assert made.state("a.service") == "active/running success"
    assert made.state("a.socket") == "active/running"


def test_a_service_that_never_takes_the_traffic_ends_the_socket() -> None:
    made = house({"/bin/a": DONE})
    made.start("a.socket")
    made.kernel.connect("a.socket")
    made.run()
    assert made.state("a.socket").startswith("failed")
    assert made.state("a.service") == "failed/failed start-limit-hit"
    assert "a.socket" not in made.kernel.open_sockets


def test_a_service_that_fails_keeps_the_socket_until_its_limit() -> None:
    made = house({"/bin/a": FAILING})
    made.start("a.socket")
    made.kernel.connect("a.socket")
    made.run(300)
    made.kernel.accept("a.socket")
    made.run()
    assert made.state("a.socket") == "active/listening"


def test_an_address_that_is_taken() -> None:
    made = house()
    made.kernel.busy.add("/run/a")
    made.start("a.socket")
    assert made.results("a.socket") == ["failed"]
    assert made.state("a.socket").startswith("failed")
    assert any("/run/a" in line and "already in use" in line for line in made.lines())


def test_stopping_the_socket_closes_it_and_leaves_the_service() -> None:
    made = house(socket="RemoveOnStop=yes")
    made.start("a.socket", "a.service")
    made.stop("a.socket")
    assert made.effects(CloseSockets) == [CloseSockets("a.socket", remove=True)]
    assert made.state("a.service") == "active/running success"


def test_accept_yes_is_not_pretended() -> None:
    made = house(socket="Accept=yes")
    with pytest.raises(Refusal, match="Accept=yes"):
        made.job("start", "a.socket")


def test_a_socket_that_fails_can_be_started_again() -> None:
    made = house({"/bin/a": DONE})
    made.start("a.socket")
    made.kernel.connect("a.socket")
    made.run()
    made.kernel.accept("a.socket")
    made.run(20 * SECOND)
    made.start("a.socket")
    assert made.state("a.socket") == "active/listening"
