"""Whatever is done to a log is noticed; `make audit` does it a thousand times."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.audit import meet

from audit.changes import CHANGES, History, attempt, history, verified
from mutuals.models.agreement import Side


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    with history(tmp_path_factory.mktemp("history")) as one:
        yield one


def test_untouched_logs_are_sound(made: History) -> None:
    made.restore()
    assert meet(made.pair.left, made.pair.right).faults == ()
    assert not any(verified(made.pair.sides[side]) for side in Side)


@pytest.mark.parametrize("first", range(len(CHANGES)), ids=list(CHANGES))
def test_a_change_is_noticed(made: History, first: int) -> None:
    for number in range(first, 4 * len(CHANGES), len(CHANGES)):
        name, noticed = attempt(made, number)
        assert noticed.verify or noticed.partner, (name, number)
