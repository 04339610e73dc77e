"""docs/settings.md is the table of directives, no more and no less."""

from tools.settings import PAGE, PARTS, page
from unitd.model import settings


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m tools.settings"


def test_no_directive_of_a_type_is_left_out() -> None:
    listed = {row.name for _, _, rows, _ in PARTS for row in rows}
    known = {row.name for type in settings.TYPES for row in settings.TABLE[type].values()}
    assert known - listed == {"OnFailureIsolate"}
