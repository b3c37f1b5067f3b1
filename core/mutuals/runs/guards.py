"""What must hold before the first blinded item leaves, and again before positions do (DESIGN §3).

Budgets bound what a partner who lies about its list can probe; thresholds guard honest partners against accidents.
Both sides check for themselves; nobody relies on the other's check.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from mutuals.agreement.active import ActiveAgreement
from mutuals.agreement.chain import chain_of
from mutuals.errors import ErrorCode, MutualsError
from mutuals.runs.log_faults import check_logs_accepted
from mutuals.store.database import Transaction

BUDGET_PERIOD = timedelta(days=30)


def check_may_match(tx: Transaction, active: ActiveAgreement, own_size: int, now: datetime) -> None:
    """Refuse a match that must not begin: BLOCKED, SET_TOO_SMALL, SET_TOO_LARGE, BUDGET_EXHAUSTED, AGREEMENT_FORBIDS.

    ``own_size`` is the number of items this side would announce.
    """
    check_not_blocked(tx, active)
    _check_size(active, own_size)
    _check_change(tx, active, own_size)
    _check_budget(tx, active, partner_items=0, now=now)


def check_may_ask(tx: Transaction, active: ActiveAgreement, partner_size: int, now: datetime) -> None:
    """Refuse a partner that opens a match which it could not be charged for: BLOCKED, BUDGET_EXHAUSTED.

    Asked before the own source is read, which may take minutes that nobody would pay for.
    """
    check_not_blocked(tx, active)
    _check_budget(tx, active, partner_items=partner_size, now=now)


def charge_match(
    tx: Transaction, active: ActiveAgreement, sid: bytes, partner_size: int, now: datetime
) -> None:
    """Charge the partner's budget for run ``sid`` in this transaction, or raise BUDGET_EXHAUSTED.

    Counts announced items and runs per partner over all agreements; never refunded.
    """
    _check_budget(tx, active, partner_items=partner_size, now=now)
    tx.budgets.charge(active.partner_fingerprint, active.digest, sid, partner_size, now)


def check_not_blocked(tx: Transaction, active: ActiveAgreement) -> None:
    """Raise BLOCKED where an earlier run with this partner was half revealed and nobody has looked at it.

    And LOG_ROLLED_BACK where a log shared with it lacks what was cosigned.
    """
    check_logs_accepted(tx, active.partner_fingerprint)
    blocking = tx.runs.blocking(active.partner_fingerprint)
    if blocking is not None:
        raise MutualsError(
            ErrorCode.BLOCKED,
            f"Run {blocking.run_id} with this partner broke off half revealed; it blocks new runs.",
            hint=f"Find out why with the partner, then: mutuals runs clear {blocking.run_id}",
        )


def _check_size(active: ActiveAgreement, own_size: int) -> None:
    matching = active.agreement.matching
    if own_size < matching.min_set_size:
        raise MutualsError(
            ErrorCode.SET_TOO_SMALL,
            f"{own_size:,} identifiers of your source may take part; agreement {active.agreement_id} "
            f"asks for at least {matching.min_set_size:,}.",
            hint="See why contacts stay out: mutuals source check",
        )
    if own_size > matching.max_set_size:
        raise MutualsError(
            ErrorCode.SET_TOO_LARGE,
            f"{own_size:,} identifiers of your source would take part; agreement {active.agreement_id} "
            f"allows at most {matching.max_set_size:,}.",
            hint="Narrow the source, or amend the agreement.",
        )


def _check_change(tx: Transaction, active: ActiveAgreement, own_size: int) -> None:
    least = active.agreement.matching.min_change_between_runs
    counted = (tx.runs.latest_counted(version.digest) for version in reversed(chain_of(tx, active.digest)))
    last = next(filter(None, counted), None)  # an amendment does not begin a new series
    if last is not None and 0 < abs(own_size - last.own_size) < least:
        raise MutualsError(
            ErrorCode.AGREEMENT_FORBIDS,
            f"Your set differs from that of run {last.run_id} by fewer than {least:,} identifiers, "
            "so the difference of the two counts would tell about single contacts.",
            hint="Wait until the list has changed more.",
        )


def _check_budget(tx: Transaction, active: ActiveAgreement, *, partner_items: int, now: datetime) -> None:
    matching = active.agreement.matching
    usage = tx.budgets.usage(active.partner_fingerprint, now - BUDGET_PERIOD)
    if usage.runs + 1 > matching.runs_per_30_days:
        raise MutualsError(
            ErrorCode.BUDGET_EXHAUSTED,
            f"{usage.runs} runs with this partner in 30 days; agreement {active.agreement_id} "
            f"allows {matching.runs_per_30_days}.",
            hint="Wait until the oldest is 30 days old, or amend the agreement.",
        )
    if usage.items + partner_items > matching.items_per_30_days:
        raise MutualsError(
            ErrorCode.BUDGET_EXHAUSTED,
            f"With this run the partner would have announced {usage.items + partner_items:,} items in 30 days; "
            f"agreement {active.agreement_id} allows {matching.items_per_30_days:,}.",
            hint="Wait until the oldest run is 30 days old, or amend the agreement.",
        )
