"""Attesting use, period by period: when it is due, what it says, who signed it, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.pairing import Company, Pair, contact, deliver
from support.revealed import Snapshot, reveal_once

from mutuals.canonical import canonical_json
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.framing import Context, frame
from mutuals.identity.acts import sign_act
from mutuals.models.agreement import AgreementState
from mutuals.models.attestation import Attestation
from mutuals.obligations.attestation import (
    ATTEST_ACT,
    DueAttestation,
    attest,
    due_attestations,
    held_attestations,
    plan_attestation,
    receive_attestation,
)
from mutuals.obligations.breach import Closing, Opening, close_breach, open_breach
from mutuals.store.rows import ExportRow

DAYS = 10
TERM = {"security": {"measures": "Each for its own.", "breach_contact": "x", "attestation_every_days": DAYS}}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    rows = [contact("C0", "one@example.com")]
    return reveal_once(tmp_path_factory.mktemp("attest"), rows, rows, **TERM)


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


def later(pair: Pair, **by: float) -> None:
    pair.left.clock.now += timedelta(**by)
    pair.right.clock.now = pair.left.clock.now


def due(company: Company) -> list[DueAttestation]:
    with company.peer.store.transaction() as tx:
        return due_attestations(tx, company.clock())


def attested(pair: Pair, **options: Any) -> Attestation:
    return attest(pair.left.peer, pair.digest, pair.left.keys, **options)


def refused(call: Callable[[], object]) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        call()
    return caught.value


def begun(pair: Pair) -> datetime:
    """Signed by both at this moment, in force since yesterday."""
    return pair.left.clock()


def test_it_is_due_when_a_period_of_the_agreement_has_elapsed(pair: Pair) -> None:
    start = begun(pair)
    later(pair, days=DAYS, seconds=-1)
    assert due(pair.left) == []
    error = refused(lambda: attested(pair))
    assert error.code is ErrorCode.USAGE
    assert f"{start + timedelta(days=DAYS):%Y-%m-%d}" in (error.hint or "")
    later(pair, seconds=1)
    found = due(pair.left)
    assert [(item.own, item.period_from, item.period_until) for item in found] == [
        (True, start, start + timedelta(days=DAYS)),
        (False, start, start + timedelta(days=DAYS)),
    ]
    later(pair, days=3)
    assert found[0].days_overdue(pair.left.clock()) == 3


def test_one_attestation_makes_up_for_all_that_has_elapsed(pair: Pair) -> None:
    start = begun(pair)
    later(pair, days=2 * DAYS + 3)
    attestation = attested(pair)
    assert (attestation.period_from, attestation.period_until) == (start, start + timedelta(days=2 * DAYS))
    assert [item.own for item in due(pair.left)] == [False]
    deliver(pair.left, pair.right)
    assert [item.own for item in due(pair.right)] == [True]
    later(pair, days=DAYS - 3)
    assert attested(pair).period_from == start + timedelta(days=2 * DAYS)


def test_the_partner_sees_it_with_both_signatures_verified(pair: Pair) -> None:
    later(pair, days=DAYS)
    attestation = attested(pair)
    deliver(pair.left, pair.right)
    for company in pair.sides.values():
        with company.peer.store.transaction() as tx:
            (held,) = held_attestations(tx, company.peer, pair.digest)
            told = [row.text for row in tx.notifications.unread("anna", ("admin",)) if "attested" in row.text]
        assert held.attestation == attestation
        assert (held.act.operator, held.act.public_key) == ("anna", pair.left.keys.signing.public.raw.hex())
        assert len(told) == (1 if company is pair.right else 0)
    with pair.right.peer.store.transaction() as tx:
        row = tx.attestations.list(pair.digest)[0]
        tx.attestations.put(replace(row, body=row.body.replace(b"anna", b"bert")))
        with pytest.raises(MutualsError) as caught:
            held_attestations(tx, pair.right.peer, pair.digest)
    assert caught.value.code is ErrorCode.LOCAL


def test_it_counts_exports_of_the_period_by_department(pair: Pair, snapshot: Snapshot) -> None:
    with pair.left.peer.store.transaction() as tx:
        for days in (1, 2, DAYS + 1):
            at = pair.left.clock() + timedelta(days=days)
            tx.exports.put(ExportRow(snapshot.run_id, "anna", "/tmp/x.csv", 1, ("score",), at))  # noqa: S108
    later(pair, days=DAYS + 2)
    attestation = attested(pair)
    assert (attestation.departments, attestation.exports) == (("marketing",), 2)


def test_use_by_a_department_that_was_not_agreed_cannot_be_attested(pair: Pair, snapshot: Snapshot) -> None:
    with pair.left.peer.store.transaction() as tx:
        row = tx.operators.get("anna")
        assert row is not None
        tx.operators.put(replace(row, name="bert", department="finance"))
        tx.exports.put(
            ExportRow(snapshot.run_id, "bert", "/tmp/x.csv", 1, ("score",), pair.left.clock())  # noqa: S108
        )
    later(pair, days=DAYS)
    error = refused(lambda: attested(pair))
    assert error.code is ErrorCode.AGREEMENT_FORBIDS
    assert "finance" in error.message


def test_an_own_breach_must_be_named(pair: Pair) -> None:
    later(pair, days=1)
    opening = Opening("A list was lost.", pair.left.clock(), agreements=(pair.digest,))
    breach = open_breach(pair.left.peer, opening, pair.left.keys)
    later(pair, days=DAYS)
    error = refused(lambda: attested(pair))
    assert error.code is ErrorCode.AGREEMENT_FORBIDS
    assert breach.breach_id in error.message
    close_breach(
        pair.left.peer,
        breach.breach_id,
        Closing("Over.", no_authority="x", no_persons="x", no_partners="x"),
        pair.left.keys,
    )
    assert refused(lambda: attested(pair)).code is ErrorCode.AGREEMENT_FORBIDS
    assert refused(lambda: attested(pair, breach_known="of jane@example.com")).code is ErrorCode.USAGE
    attestation = attested(pair, breach_known="A list was lost, and found again.")
    assert attestation.breaches == (breach.breach_id,)
    deliver(pair.left, pair.right)
    later(pair, days=DAYS)
    assert attested(pair, breach_known="As said, over since.").breaches == (breach.breach_id,)
    later(pair, days=DAYS)
    assert attested(pair).breaches == ()


def test_the_last_period_ends_with_the_agreement(pair: Pair) -> None:
    start = begun(pair)
    later(pair, days=DAYS)
    attested(pair)
    over = start + timedelta(days=DAYS + 4)
    for company in pair.sides.values():
        with company.peer.store.transaction() as tx:
            tx.agreements.set_end(pair.digest, ends_at=over, ended_at=over)
            tx.agreements.set_state(pair.digest, AgreementState.ENDED, over)
    later(pair, days=5)
    attestation = attested(pair)
    assert (attestation.period_from, attestation.period_until) == (start + timedelta(days=DAYS), over)
    deliver(pair.left, pair.right)
    assert [item.own for item in due(pair.left)] == [False]
    assert refused(lambda: attested(pair)).code is ErrorCode.USAGE


def test_only_an_operator_in_a_role_for_it_may(pair: Pair) -> None:
    later(pair, days=DAYS)
    with pair.left.peer.store.transaction() as tx:
        row = tx.operators.get("anna")
        assert row is not None
        tx.operators.put(replace(row, roles=("analyst",)))
    assert refused(lambda: attested(pair)).code is ErrorCode.NOT_ENTITLED


def body_of(
    pair: Pair, facts: dict[str, Any], *, act: str = ATTEST_ACT, peer: Company | None = None
) -> bytes:
    signed = sign_act(pair.left.keys, act, str(facts["agreement"])[:100], facts, pair.left.clock())
    key = (peer or pair.left).peer.signing_key
    signature = key.sign(frame(Context.ACT, signed.body)).hex()
    return canonical_json({**signed.evidence(), "signature": signature})


class _Undone(Exception):
    pass


def take(pair: Pair, body: bytes) -> None:
    partner = pair.right.partner()
    with pair.right.peer.store.transaction() as tx:
        receive_attestation(tx, pair.right.peer, partner, body)
        raise _Undone


@pytest.fixture
def facts(pair: Pair) -> dict[str, Any]:
    """A sound attestation of left's for the first period, which has elapsed."""
    later(pair, days=DAYS)
    with pair.left.peer.store.transaction() as tx:
        attestation, _ = plan_attestation(tx, pair.digest, pair.left.clock())
    return attestation.model_dump(mode="json")


def crafted(facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    day = timedelta(days=1)
    begins, until = (datetime.fromisoformat(facts[key]) for key in ("period_from", "period_until"))

    def moment(value: datetime) -> str:
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"

    return {
        "an unknown agreement": {"agreement": "00" * 32},
        "a period to come": {"period_until": moment(until + timedelta(days=DAYS))},
        "a period before it began": {"period_from": moment(begins - timedelta(days=DAYS))},
        "a piece of a period": {"period_until": moment(until - day)},
        "nothing at all": {"period_until": facts["period_from"]},
        "bad use": {"used_as_agreed": False},
        "less than no exports": {"exports": -1},
        "a breach without a word": {"breaches": ["B-00000000"]},
        "a word without a breach": {"about_breaches": "Nothing."},
        "a text that names somebody": {"breaches": ["B-00000000"], "about_breaches": "jane@example.com"},
        "a text that runs backwards": {"breaches": ["B-00000000"], "about_breaches": "a\u202eb"},
        "a key it must not have": {"extra": 1},
    }


def test_crafted_attestations_are_refused(pair: Pair, facts: dict[str, Any]) -> None:
    with pytest.raises(_Undone):
        take(pair, body_of(pair, facts))
    for name, change in crafted(facts).items():
        with pytest.raises((PartnerFault, _Undone)) as caught:
            take(pair, body_of(pair, {**facts, **change}))
        assert caught.type is PartnerFault, name
    for body in (
        body_of(pair, facts, act="agreement.suspend"),
        body_of(pair, facts, peer=pair.right),
        body_of(pair, facts).replace(b"marketing", b"finances."),
        b"{}",
        b"[" * 70_000,
    ):
        with pytest.raises(PartnerFault):
            take(pair, body)


def test_no_day_is_attested_twice_and_a_late_one_fills_the_gap(pair: Pair, facts: dict[str, Any]) -> None:
    later(pair, days=2 * DAYS)
    begins = datetime.fromisoformat(facts["period_from"])

    def period(first: int, last: int) -> bytes:
        ends = {
            "period_from": f"{begins + timedelta(days=first * DAYS):%Y-%m-%dT%H:%M:%SZ}",
            "period_until": f"{begins + timedelta(days=last * DAYS):%Y-%m-%dT%H:%M:%SZ}",
        }
        return body_of(pair, {**facts, **ends})

    partner = pair.right.partner()
    with pair.right.peer.store.transaction() as tx:
        receive_attestation(tx, pair.right.peer, partner, period(1, 2))
        (theirs,) = (item for item in due_attestations(tx, pair.right.clock()) if not item.own)
        assert theirs.period_from == begins  # the gap shows
        for first, last in ((1, 2), (0, 2), (1, 3), (0, 3)):
            with pytest.raises(PartnerFault, match="before"):
                receive_attestation(tx, pair.right.peer, partner, period(first, last))
        receive_attestation(tx, pair.right.peer, partner, period(0, 1))
        receive_attestation(tx, pair.right.peer, partner, period(2, 3))
        assert [item.own for item in due_attestations(tx, pair.right.clock())] == [True]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_a_partner_signs_is_taken_or_refused_and_nothing_else(
    pair: Pair, facts: dict[str, Any], data: st.DataObject
) -> None:
    value = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20)
    changes = data.draw(
        st.dictionaries(st.sampled_from([*facts, "other"]), value | st.lists(value, max_size=3), max_size=3)
    )
    try:
        body = body_of(pair, {**facts, **changes, "agreement": facts["agreement"]})
    except ValueError:
        return  # not a value that canonical JSON can write
    with pytest.raises((PartnerFault, _Undone)):
        take(pair, body)
