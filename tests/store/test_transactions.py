"""All or nothing, one at a time, and what is left after closing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from store.samples import NOW, furnish, partner, run, undone

from mutuals.errors import ErrorCode, MutualsError
from mutuals.store.database import Store


def test_an_exception_undoes_everything(store: Store) -> None:
    with undone(store) as tx:
        furnish(tx, "R-1")
        assert tx.runs.get("R-1") == run()
    with store.transaction() as tx:
        assert (tx.partners.list(), tx.runs.list(), tx.operators.list()) == ([], [], [])


def test_what_was_committed_is_there_after_reopening(store_url: str, store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx, "R-1")
    store.close()
    again = Store.open(store_url)
    with again.transaction() as tx:
        assert tx.runs.list() == [run()]
    again.close()


def test_a_row_that_breaks_a_rule_fails_the_transaction_without_telling_its_values(store: Store) -> None:
    def break_a_rule() -> None:
        with store.transaction() as tx:
            tx.partners.put(partner())
            tx.runs.add(run())  # there is no such agreement

    with pytest.raises(MutualsError) as refused:
        break_a_rule()
    assert refused.value.code is ErrorCode.INTERNAL
    assert run().agreement not in refused.value.message
    with store.transaction() as tx:
        assert tx.partners.list() == []


def test_a_transaction_inside_a_transaction_is_refused_at_once(store: Store) -> None:
    with store.transaction(), pytest.raises(MutualsError, match="inside another"), store.transaction():
        pass
    with store.transaction() as tx:
        assert tx.log.entries() == []


def test_a_transaction_of_another_thread_waits_for_its_turn(store: Store) -> None:
    def append(event: str) -> int:
        with store.transaction() as tx:
            return tx.log.append(None, event, {}, NOW)

    with ThreadPoolExecutor(1) as thread:
        with store.transaction() as tx:
            waiting = thread.submit(append, "second")
            time.sleep(0.05)
            assert not waiting.done()
            assert tx.log.append(None, "first", {}, NOW) == 1
        assert waiting.result() == 2


def test_a_closed_store_refuses(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(MutualsError, match="closed"), store.transaction():
        pass


def test_moments_come_back_in_utc_to_the_microsecond(store: Store) -> None:
    elsewhere = datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-5)))
    with store.transaction() as tx:
        for moment in (elsewhere, datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
            tx.log.append(None, "moment", {}, moment)
            assert tx.log.entries()[-1].at == moment
            assert tx.log.entries()[-1].at.tzinfo is UTC


def test_naive_moments_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="naive"), store.transaction() as tx:
        tx.log.append(None, "moment", {}, NOW.replace(tzinfo=None))


def test_a_log_body_that_is_not_json_is_refused(store: Store) -> None:
    with pytest.raises(TypeError), store.transaction() as tx:
        tx.log.append(None, "bytes", {"key": b"secret"}, NOW)
    with pytest.raises(ValueError, match="JSON"), store.transaction() as tx:
        tx.log.append(None, "nan", {"ratio": float("nan")}, NOW)


@pytest.mark.parametrize("url", ["", "store.db", "nosuchdb://host/store"])
def test_a_url_of_no_database_is_a_usage_error(url: str) -> None:
    with pytest.raises(MutualsError) as refused:
        Store.open(url)
    assert refused.value.code is ErrorCode.USAGE
    assert refused.value.hint
