"""A new user gets from the README to a campaign list by what is printed alone, and docs/first-day.md shows how."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from first_day.__main__ import PAGE
from first_day.document import document
from first_day.screen import seen
from first_day.story import Told, readme_commands, tell


def test_from_the_readme_to_two_campaign_lists_following_only_what_is_printed() -> None:
    """One test, so that the day is played once, however many processes share the tests."""
    told = tell()
    assert readme_commands() == ["mutuals init"]
    exported = [scene.text for scene in told.script if " export " in scene.line]
    assert len(exported) == 2
    for text in exported:
        assert "Wrote 470 contacts to campaign.csv" in text
    doctor_says_what_is_so_at_each_stage(told)
    if datetime.now(UTC).date() == told.today:  # around midnight its days are of two days
        assert document(told) == PAGE.read_text(encoding="utf-8"), "write it anew: make docs"


def doctor_says_what_is_so_at_each_stage(told: Told) -> None:
    fresh, alone, well = (scene.text for scene in told.script if scene.line == "mutuals doctor")
    assert "No partner is known yet." in fresh
    assert "mutuals source add crm --path FILE" in fresh
    assert re.search(r"^warn  Acme Ltd cannot be reached", alone, re.MULTILINE)
    assert "Its operator starts it with: mutuals serve" in alone
    assert not re.search(r"^(?:warn|FAIL)", well, re.MULTILINE)
    for text in (fresh, alone, well):
        assert "\nFit.\n" in f"{text}\n"


def test_what_was_written_over_on_a_terminal_is_not_seen() -> None:
    assert seen("one\r\n\x1b[1mtwo\x1b[0m\r\n") == "one\ntwo\n"
    assert seen("a bar: 10%\rdone\x1b[K") == "done"
    assert seen("bar\r\n\x1b[1A\x1b[2Kgone\r\n") == "gone\n"
