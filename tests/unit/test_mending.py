"""A match whose line breaks is tried for so long each time, and not for so long in all."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client import driving, patience

BROKEN = MutualsError(ErrorCode.UNREACHABLE, "Beta SA closed the connection.")


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that only pauses move on."""
    clock = SimpleNamespace(now=0.0)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(patience, "sleep", sleep)
    monkeypatch.setattr(patience, "monotonic", lambda: clock.now)
    return clock


def pause_until_given_up(mending: driving._Mending) -> str | None:
    """What to do then."""
    try:
        while True:
            mending.pause(BROKEN, "A-7Q3K2M9X")
    except MutualsError as given_up:
        return given_up.hint


def test_a_line_that_held_in_between_is_tried_as_long_again(time: SimpleNamespace) -> None:
    mending = driving._Mending(patience.Patience())
    for _ in range(3):
        began = time.now
        assert "mutuals match A-7Q3K2M9X" in str(pause_until_given_up(mending))
        assert time.now - began == pytest.approx(driving.LINE_MENDS.total_seconds())
        time.now += 3600  # points go to and fro for an hour
        mending.heard()


def test_a_partner_that_is_never_heard_is_not_called_for_ever(time: SimpleNamespace) -> None:
    mending = driving._Mending(patience.Patience())
    pause_until_given_up(mending)
    with pytest.raises(MutualsError):
        mending.pause(BROKEN, "A-7Q3K2M9X")
