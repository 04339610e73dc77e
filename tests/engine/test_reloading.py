"""daemon-reload and files that come and go: what runs goes on."""

from tests.fakes.house import House
from unitd.graph.diff import Diff
from unitd.model.effects import Reloading, UnitGone
from unitd.model.events import ReloadAsked, UnitFilesChanged
from unitd.model.states import SECOND

TEXT = "[Unit]\nDefaultDependencies=no\n{}\n[Service]\nExecStart=/bin/%p\n{}"


def text(unit: str = "", service: str = "") -> str:
    return TEXT.format(unit, service)


def test_what_runs_keeps_its_process_and_takes_the_new_settings_over() -> None:
    made = House({"a.service": text()})
    made.start("a.service")
    before = made.service("a.service")
    made.source.texts["a.service"] = text(service="TimeoutStopSec=1\nExecStopPost=/bin/x")
    assert made.reload() == Diff(changed=("a.service",))
    assert made.service("a.service") == before
    assert [effect.active for effect in made.effects(Reloading)] == [True, False]
    made.stop("a.service", span=10 * SECOND)
    assert made.ran() == ["/bin/a", "/bin/x"]


def test_new_dependencies_are_known_at_once() -> None:
    made = House({"a.service": text(), "b.service": text()})
    made.start("a.service", "b.service")
    made.source.texts["a.service"] = text("BindsTo=b.service\nAfter=b.service")
    made.reload()
    made.stop("b.service")
    assert made.state("a.service") == "inactive/dead success"


def test_a_running_unit_without_its_file_can_be_stopped() -> None:
    made = House({"a.service": text()})
    made.start("a.service")
    del made.source.texts["a.service"]
    assert made.reload() == Diff(removed=("a.service",))
    assert made.state("a.service") == "active/running success"
    made.stop("a.service")
    assert made.kernel.living == {}


def test_a_unit_at_rest_without_its_file_is_forgotten() -> None:
    made = House({"a.service": text(), "b.service": text()})
    made.start("a.service", "b.service")
    made.stop("a.service")
    del made.source.texts["a.service"]
    made.reload()
    assert "a.service" not in made.engine.view.units()
    assert UnitGone("a.service") in made.effects(UnitGone)


def test_a_missing_unit_is_linked_when_it_comes() -> None:
    made = House({"a.service": text("Wants=n.service")})
    made.start("a.service")
    assert made.state("n.service").startswith("inactive")
    made.source.texts["n.service"] = text("PartOf=a.service")
    made.feed(UnitFilesChanged())
    made.start("n.service")
    assert made.state("n.service") == "active/running success"
    made.stop("a.service")
    assert made.state("n.service") == "inactive/dead success"


def test_files_that_change_wait_for_a_reload() -> None:
    made = House({"a.service": text(), "b.service": text()})
    made.start("a.service")
    made.source.texts["a.service"] = text(service="ExecStopPost=/bin/x")
    made.feed(UnitFilesChanged())
    made.stop("a.service")
    assert made.ran() == ["/bin/a"]


def test_jobs_go_on_through_a_reload() -> None:
    made = House({"a.service": text(service="Type=notify"), "b.service": text("After=a.service")})
    made.start("a.service", "b.service", span=SECOND)
    made.source.texts["b.service"] = text()
    made.reload()
    made.run(SECOND)
    assert made.state("b.service") == "active/running success"
    assert made.jobs == ["start a.service"]


def test_a_reload_counts_and_keeps_counters() -> None:
    made = House({"a.service": text(service="Restart=always\nRestartSec=1h")})
    made.start("a.service")
    before = made.service("a.service")
    assert not made.reload()
    assert made.service("a.service") == before


def test_a_dry_reload_tells_the_difference_and_changes_nothing() -> None:
    made = House({"a.service": text(), "b.service": text()})
    made.start("a.service", "b.service")
    made.source.texts.update({"a.service": text("Wants=c.service"), "c.service": text()})
    before = {name: record.unit for name, record in made.engine.core.units.records.items()}
    told = made.ask(lambda token: ReloadAsked(token, dry=True))
    assert told == Diff(added=("c.service",), changed=("a.service",))
    assert {name: record.unit for name, record in made.engine.core.units.records.items()} == before
    assert made.effects(Reloading) == []
    assert made.reload() == told
