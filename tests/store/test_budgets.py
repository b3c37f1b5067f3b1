"""Budgets: nothing charged is lost, and no two runs take the last of one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store.samples import DAY, NOW, agreement, charge_within, digest, furnish, hexed, partner, undone

from mutuals.store.database import Store
from mutuals.store.rows import BudgetUsage


def test_usage_counts_a_partner_over_all_agreements(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx)
        tx.partners.put(partner("Initech"))
        tx.agreements.put(agreement("Autumn"))
        assert tx.budgets.usage(hexed("Globex"), NOW) == BudgetUsage(0, 0)
        tx.budgets.charge(hexed("Globex"), hexed("Spring"), digest("1"), 2**40, NOW)
        tx.budgets.charge(hexed("Globex"), hexed("Autumn"), digest("2"), 5, NOW)
        tx.budgets.charge(hexed("Initech"), hexed("Spring"), digest("3"), 7, NOW)
        assert tx.budgets.usage(hexed("Globex"), NOW) == BudgetUsage(2, 2**40 + 5)


def test_a_run_is_charged_once(store: Store) -> None:
    for _ in range(2):
        with store.transaction() as tx:
            furnish(tx)
            tx.budgets.charge(hexed("Globex"), hexed("Spring"), digest("1"), 5, NOW)
    with store.transaction() as tx:
        assert tx.budgets.usage(hexed("Globex"), NOW - DAY) == BudgetUsage(1, 5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    charges=st.lists(st.tuples(st.integers(0, 10**9), st.integers(-(10**13), 10**13)), max_size=12),
    since=st.integers(-(10**13), 10**13),
)
def test_usage_is_what_was_charged_in_the_window(
    store: Store, charges: list[tuple[int, int]], since: int
) -> None:
    with undone(store) as tx:
        furnish(tx)
        for number, (items, at) in enumerate(charges):
            moment = NOW + timedelta(microseconds=at)
            tx.budgets.charge(hexed("Globex"), hexed("Spring"), digest(str(number)), items, moment)
        within = [items for items, at in charges if at >= since]
        usage = tx.budgets.usage(hexed("Globex"), NOW + timedelta(microseconds=since))
        assert usage == BudgetUsage(len(within), sum(within))


def test_threads_share_one_budget(store_url: str, store: Store) -> None:
    """Processes do, too: test_shared_store."""
    with store.transaction() as tx:
        furnish(tx)
    with ThreadPoolExecutor(4) as threads:
        charging = [threads.submit(charge_within, store_url, 40, worker, 15) for worker in range(4)]
        assert sum(future.result() for future in charging) == 40
    with store.transaction() as tx:
        assert tx.budgets.usage(hexed("Globex"), NOW) == BudgetUsage(40, 400)
        assert [entry.seq for entry in tx.log.entries()] == list(range(1, 41))
