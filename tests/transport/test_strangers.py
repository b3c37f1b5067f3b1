"""Nobody gets in who should not, over a real port: what ``tests/strangers`` tries, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
from strangers.house import Past, build, opened
from strangers.impostors import GENUINE, IMPOSTORS, Impostor, answering, calls
from strangers.rows import try_impostor, try_visit
from strangers.visits import (
    VISITS,
    Visit,
    channel,
    every_call,
    no_such_agreement,
    own_pair,
    somebody_elses_agreement,
)

from mutuals.errors import ErrorCode

Built = tuple[Path, Past]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The companies, made once."""
    root = tmp_path_factory.mktemp("strangers")
    return root, build(root)


@pytest.mark.parametrize("visit", VISITS, ids=lambda visit: visit.name)
def test_a_visitor_gets_nothing_and_changes_nothing(visit: Visit, built: Built, tmp_path: Path) -> None:
    with opened(*built, tmp_path) as house:
        row = try_visit(visit, house)
    assert (row.stopped_where, row.code) == (visit.stopped_where, visit.code)


@pytest.mark.parametrize("impostor", IMPOSTORS, ids=lambda impostor: impostor.name)
def test_an_impostor_is_told_nothing(impostor: Impostor, built: Built, tmp_path: Path) -> None:
    with opened(*built, tmp_path, serving=False) as house:
        assert try_impostor(impostor, house).code == impostor.code


def test_the_friend_gets_answers_where_visitors_get_none(built: Built, tmp_path: Path) -> None:
    """Else the visits would prove nothing: the same calls, over the same kind of channel."""
    with opened(*built, tmp_path) as house:
        friend = house.peers["friend"]
        with channel(house, own_pair(friend)) as over:
            heard = {call.call: call for call in every_call(house, over, friend)}
    print(heard)
    assert {name for name, call in heard.items() if call.answers} == {"Ping", "Sync", "Match", "Check"}
    assert {heard[name].code for name in ("Reveal", "Exchange")} == {ErrorCode.NOT_AUTHORISED_YET}


def test_the_house_itself_sees_what_impostors_do_not(built: Built, tmp_path: Path) -> None:
    """Else the impostors would prove nothing: with key and certificate of the house the caller talks."""
    with (
        opened(*built, tmp_path, serving=False) as house,
        answering(house, GENUINE.pose(house)) as seen,
        house.call() as connection,
    ):
        calls(connection)
    assert seen.shaken
    assert seen.certificates
    assert seen.received


def test_somebody_elses_agreement_is_answered_as_one_that_does_not_exist(
    built: Built, tmp_path: Path
) -> None:
    with opened(*built, tmp_path) as house:
        assert somebody_elses_agreement(house) == no_such_agreement(house)
