"""A breach of personal data on the side that has it: what stops, who is told, which clock runs, what is drafted."""

from __future__ import annotations

import csv
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.pairing import Company, Pair, contact, deliver
from support.revealed import Snapshot, authorise_both, exchange, reveal_once

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import verify_act
from mutuals.models.agreement import AgreementState
from mutuals.models.breach import Breach, BreachKind, BreachState
from mutuals.obligations.breach import (
    Changes,
    Closing,
    Opening,
    close_breach,
    open_breach,
    plan_breach,
    update_breach,
)
from mutuals.obligations.breach_affected import write_affected
from mutuals.obligations.breach_drafts import MISSING
from mutuals.obligations.breach_files import draft_notices, write_notices
from mutuals.obligations.breach_record import find_breach
from mutuals.obligations.breach_standing import BreachStanding, open_breaches, standing
from mutuals.runs.export import open_received, write_export

WHAT = "A laptop with exported campaign lists was stolen."
DONE = Closing(
    "Nothing was opened.", no_authority="No risk: the disk was encrypted.", no_persons="No high risk."
)
LEFT = [contact(f"L{i}", f"planted{i}@example.com", city=f"Planted {i}") for i in range(4)]
RIGHT = [contact(f"R{i}", f"planted{i}@example.com", score=str(i)) for i in range(4)]
PLANTED = [b"planted", b"Planted", *(f"{side}{i}".encode() for side in "LR" for i in range(4))]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    root = tmp_path_factory.mktemp("breach")
    revealed = reveal_once(root / "revealed", LEFT, RIGHT)
    return revealed.exchanged(root / "done")


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


def opened(pair: Pair, **changes: Any) -> Breach:
    values = {"what": WHAT, "aware_at": pair.left.clock(), "agreements": (pair.digest,), **changes}
    return open_breach(pair.left.peer, Opening(**values), pair.left.keys)


def updated(pair: Pair, breach: Breach, text: str = "More is known.", **changes: Any) -> Breach:
    return update_breach(pair.left.peer, breach.breach_id, Changes(text, **changes), pair.left.keys)


def closed(pair: Pair, breach: Breach, closing: Closing = DONE) -> Breach:
    return close_breach(pair.left.peer, breach.breach_id, closing, pair.left.keys)


def stands(company: Company, reference: str) -> BreachStanding:
    with company.peer.store.transaction() as tx:
        row, _ = find_breach(tx, reference)
        return standing(tx, row, company.clock())


def state(company: Company, digest: str) -> AgreementState:
    with company.peer.store.transaction() as tx:
        row = tx.agreements.get(digest)
    assert row is not None
    return row.state


def later(pair: Pair, **by: float) -> None:
    pair.left.clock.now += timedelta(**by)
    pair.right.clock.now = pair.left.clock.now


def refused(call: Callable[[], object]) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        call()
    return caught.value


def test_it_suspends_both_sides_and_nothing_is_matched_or_read_until_it_is_closed(
    pair: Pair, snapshot: Snapshot
) -> None:
    breach = opened(pair)
    assert state(pair.left, pair.digest) is AgreementState.SUSPENDED
    deliver(pair.left, pair.right)
    assert state(pair.right, pair.digest) is AgreementState.SUSPENDED
    for company in pair.sides.values():
        peer, keys = company.peer, company.keys
        error = refused(lambda peer=peer, keys=keys: open_received(peer, snapshot.run_id, keys))
        assert error.code is ErrorCode.AGREEMENT_NOT_ACTIVE
        assert len(stands(company, breach.breach_id).suspended) == 1
    assert refused(pair.match).code is ErrorCode.AGREEMENT_NOT_ACTIVE
    closed(pair, breach)
    deliver(pair.left, pair.right)
    for company in pair.sides.values():
        assert state(company, pair.digest) is AgreementState.ACTIVE
        assert stands(company, breach.breach_id).breach.state is BreachState.CLOSED
    assert len(open_received(pair.right.peer, snapshot.run_id, pair.right.keys).rows) == 4


def test_a_suspension_stops_an_exchange_that_was_authorised(tmp_path: Path) -> None:
    snapshot = reveal_once(tmp_path / "made", LEFT[:1], RIGHT[:1])
    with snapshot.copy(tmp_path / "pair") as pair:
        authorise_both(pair, snapshot.run_id)
        opened(pair)
        deliver(pair.left, pair.right)
        assert exchange(pair, snapshot.run_id).errors
        with pair.right.peer.store.transaction() as tx:
            assert tx.received.count(snapshot.run_id) == 0


def test_it_may_leave_the_agreements_alone_and_keep_them_suspended(pair: Pair) -> None:
    breach = opened(pair, suspend=False)
    assert state(pair.left, pair.digest) is AgreementState.ACTIVE
    deliver(pair.left, pair.right)
    closed(pair, breach)
    second = opened(pair)
    deliver(pair.left, pair.right)
    closed(pair, second, Closing("Over.", no_authority="x", no_persons="x", keep_suspended=True))
    assert state(pair.left, pair.digest) is AgreementState.SUSPENDED


def test_it_counts_what_was_sent_and_received_and_who_exported_it(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    left = pair.left
    write_export(
        left.peer, open_received(left.peer, snapshot.run_id, left.keys), tmp_path / "out.csv", left.keys
    )
    with left.peer.store.transaction() as tx:
        opening = Opening(WHAT, left.clock(), runs=(snapshot.run_id,), kinds=(BreachKind.AVAILABILITY,))
        planned, scope = plan_breach(tx, left.peer, opening)
    (run,) = scope.runs
    assert (planned.sent_contacts, planned.received_records) == (4, 4)
    assert (run.sent_fields, run.received_fields) == (("city",), ("score",))
    assert [(item.operator, item.file) for item in run.exports] == [("anna", str(tmp_path / "out.csv"))]
    assert planned.data_categories == ("contact",)
    with left.peer.store.transaction() as tx:
        only = Opening(WHAT, left.clock(), everything=True, whose=("received",))
        planned, _ = plan_breach(tx, left.peer, only)
    assert (planned.sent_contacts, planned.received_records) == (None, 4)


def test_the_clock_of_72_hours_runs_from_the_discovery(pair: Pair) -> None:
    breach = opened(pair, aware_at=pair.left.clock() - timedelta(hours=2))
    name = breach.breach_id
    authority = stands(pair.left, name).authority
    assert authority is not None
    assert (authority.hours_left, authority.overdue) == (70, False)
    deliver(pair.left, pair.right)
    later(pair, hours=70)
    assert not stands(pair.left, name).overdue
    later(pair, seconds=1)
    assert stands(pair.left, name).overdue
    updated(pair, breach, "Told it by its form.", authority_told_at=pair.left.clock())
    found = stands(pair.left, name)
    assert found.authority is not None
    assert found.authority.overdue  # late, and said so, but nothing is left to do
    assert not found.overdue
    assert "reasons for the delay" in draft_notices(pair.left.peer, name)["authority.md"]


def test_a_notice_that_is_not_delivered_is_shown_with_the_hours_left(pair: Pair) -> None:
    breach = opened(pair)
    later(pair, hours=23)
    (notice,) = stands(pair.left, breach.breach_id).notices
    assert (notice.acknowledged, notice.clock.hours_left) == (False, 1)
    assert any(
        step.startswith("Reach Right SA within 1 h")
        for step in stands(pair.left, breach.breach_id).next_steps
    )
    later(pair, hours=2)
    assert stands(pair.left, breach.breach_id).overdue
    deliver(pair.left, pair.right)
    (notice,) = stands(pair.left, breach.breach_id).notices
    assert notice.acknowledged
    assert not stands(pair.left, breach.breach_id).overdue


def test_a_refused_notice_is_not_an_acknowledged_one(pair: Pair) -> None:
    breach = opened(pair)
    with pair.left.peer.store.transaction() as tx:
        receipt = b'{"accepted":false,"reason":"BAD_MESSAGE"}'
        tx.outbox.delivered(breach.told[0].document, receipt, pair.left.clock())
    (notice,) = stands(pair.left, breach.breach_id).notices
    assert (notice.acknowledged, notice.refused) == (False, "BAD_MESSAGE")
    error = refused(lambda: closed(pair, breach))
    assert error.code is ErrorCode.AGREEMENT_FORBIDS
    assert "every partner" in error.message


def test_it_cannot_be_closed_before_every_duty_is_done_or_excused(pair: Pair) -> None:
    breach = opened(pair)
    error = refused(lambda: closed(pair, breach, Closing("Over.")))
    assert error.code is ErrorCode.AGREEMENT_FORBIDS
    for duty in ("authority", "persons", "partner"):
        assert duty in error.message
    assert "--no-authority" in (error.hint or "")
    deliver(pair.left, pair.right)
    updated(pair, breach, authority_told_at=pair.left.clock(), persons_told_at=pair.left.clock())
    assert closed(pair, breach, Closing("Over.")).partners.told_at == pair.left.clock()
    assert refused(lambda: closed(pair, breach)).code is ErrorCode.USAGE
    assert refused(lambda: updated(pair, breach)).code is ErrorCode.USAGE


def test_updates_reach_the_partner_in_order_and_change_the_facts(pair: Pair) -> None:
    breach = opened(pair)
    updated(
        pair, breach, "The disk was encrypted.", measures="Wiped from afar.", consequences="Unlikely any."
    )
    updated(pair, breach, "It was found.", persons=("customers",))
    deliver(pair.left, pair.right)
    theirs = stands(pair.right, breach.breach_id)
    assert theirs.partner_name == "Left Ltd"
    assert [update.text for update in theirs.breach.updates] == ["The disk was encrypted.", "It was found."]
    assert (theirs.breach.measures, theirs.breach.person_categories) == ("Wiped from afar.", ("customers",))
    with pair.right.peer.store.transaction() as tx:
        told = [
            row.text for row in tx.notifications.unread("anna", ("privacy_officer",)) if "breach" in row.text
        ]
    assert len([text for text in told if text.startswith("Left Ltd")]) == 3


def test_each_act_is_signed_and_logged_and_the_partner_can_verify_who(pair: Pair) -> None:
    breach = opened(pair)
    updated(pair, breach)
    deliver(pair.left, pair.right)
    closed(pair, breach)
    public = pair.left.keys.signing.public.raw
    with pair.left.peer.store.transaction() as tx:
        entries = [entry for entry in tx.log.entries() if entry.event in {f"breach.{act}" for act in ACTS}]
        told = [tx.outbox.get(item.document) for item in find_breach(tx, breach.breach_id)[1].told]
    assert [entry.event for entry in entries] == ["breach.opened", "breach.updated", "breach.closed"]
    for entry in entries:
        act = verify_act(entry.body["act"].encode(), bytes.fromhex(entry.body["act_signature"]), public)
        assert act.subject == breach.breach_id
    assert [row.kind for row in told if row] == ["breach-notice", "breach-update", "breach-closed"]
    with pair.right.peer.store.transaction() as tx:
        events = [entry.event for entry in tx.log.entries(pair.digest) if entry.event.startswith("breach.")]
    assert events == ["breach.notice-received", "breach.update-received"]


ACTS = ("opened", "updated", "closed")


def test_the_affected_contacts_go_into_a_private_file_and_nowhere_else(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    breach = opened(pair)
    path = tmp_path / "affected.csv"
    found = write_affected(pair.left.peer, breach.breach_id, path, pair.left.keys)
    assert (found.contacts, found.rows) == (4, 4)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = list(csv.DictReader(path.open()))
    assert {row["contact_id"] for row in rows} == {"L0", "L1", "L2", "L3"}
    assert {(row["partner"], row["run"], row["fields"]) for row in rows} == {
        ("Right SA", snapshot.run_id, "city")
    }
    assert refused(lambda: write_affected(pair.left.peer, breach.breach_id, path, pair.left.keys)).code is (
        ErrorCode.USAGE
    )
    deliver(pair.left, pair.right)
    theirs = write_affected(pair.right.peer, breach.breach_id, tmp_path / "theirs.csv", pair.right.keys)
    assert theirs.contacts == 4  # which contacts the partner had received of us


def test_no_document_log_entry_or_notification_names_a_contact(pair: Pair, tmp_path: Path) -> None:
    breach = opened(pair)
    updated(pair, breach)
    deliver(pair.left, pair.right)
    write_affected(pair.left.peer, breach.breach_id, tmp_path / "affected.csv", pair.left.keys)
    closed(pair, breach)
    said: list[bytes] = [text.encode() for text in draft_notices(pair.left.peer, breach.breach_id).values()]
    for company in pair.sides.values():
        with company.peer.store.transaction() as tx:
            said += [repr(entry.body).encode() for entry in tx.log.entries() if "breach" in entry.event]
            said += [row.text.encode() for row in tx.notifications.unread("anna", ("admin",))]
            said += [row.document for row in tx.breaches.list()]
            said += [row.body for row in tx.outbox.pending()]
    for planted in PLANTED[:2]:
        assert not any(planted in text for text in said)
    for contact_id in PLANTED[2:]:
        assert not any(b'"' + contact_id + b'"' in text or b"'" + contact_id in text for text in said)


@pytest.mark.parametrize("text", ["jane@example.com got out", "call +49 151 12345678", "row 004915112345678"])
def test_a_text_that_names_somebody_is_refused_and_not_repeated(pair: Pair, text: str) -> None:
    error = refused(lambda: opened(pair, what=text))
    assert error.code is ErrorCode.USAGE
    assert text not in f"{error.message} {error.hint}"
    breach = opened(pair)
    assert refused(lambda: updated(pair, breach, text)).code is ErrorCode.USAGE
    assert refused(lambda: closed(pair, breach, Closing(text))).code is ErrorCode.USAGE


def test_what_cannot_be_meant_is_refused(pair: Pair) -> None:
    soon = pair.left.clock() + timedelta(hours=1)
    assert refused(lambda: opened(pair, agreements=())).code is ErrorCode.USAGE
    assert refused(lambda: opened(pair, agreements=("A-NONE",))).code is ErrorCode.AGREEMENT_UNKNOWN
    assert refused(lambda: opened(pair, runs=("R-NONE",))).code is ErrorCode.RUN_UNKNOWN
    assert refused(lambda: opened(pair, aware_at=soon)).code is ErrorCode.USAGE
    assert refused(lambda: opened(pair, began_at=soon)).code is ErrorCode.USAGE
    assert refused(lambda: opened(pair, what="a\u202eb")).code is ErrorCode.USAGE
    with pair.left.peer.store.transaction() as tx:
        assert open_breaches(tx, pair.left.clock()) == []


def test_only_an_operator_in_a_role_for_it_may(pair: Pair) -> None:
    with pair.left.peer.store.transaction() as tx:
        row = tx.operators.get("anna")
        assert row is not None
        tx.operators.put(replace(row, roles=("analyst",)))
    assert refused(lambda: opened(pair)).code is ErrorCode.NOT_ENTITLED


def test_drafts_hold_what_is_known_and_list_what_is_missing(pair: Pair, tmp_path: Path) -> None:
    breach = opened(pair)
    texts = draft_notices(pair.left.peer, breach.breach_id)
    assert sorted(name.split("-")[0] for name in texts) == ["authority.md", "partner", "persons.md"]
    authority = texts["authority.md"]
    assert "stolen" in authority
    assert "at most 4 of our contacts" in authority
    assert "dpo@company.example" in authority
    for missing in ("likely consequences", "measures taken or proposed", "categories of persons", "began"):
        assert missing in authority.split("## Still missing")[1]
    assert MISSING in texts["persons.md"]
    updated(
        pair,
        breach,
        began_at=pair.left.clock() - timedelta(days=1),
        persons=("newsletter readers",),
        consequences="Unwanted mail.",
        measures="Wiped from afar.",
    )
    authority = draft_notices(pair.left.peer, breach.breach_id)["authority.md"]
    assert "Unwanted mail." in authority
    assert "newsletter readers" in authority
    left = authority.split("## Still missing")[1]
    assert left.count("- ") == 1  # which authority is competent, only people know
    files = write_notices(pair.left.peer, breach.breach_id, tmp_path / "notices")
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    again = refused(lambda: write_notices(pair.left.peer, breach.breach_id, tmp_path / "notices"))
    assert again.code is ErrorCode.USAGE


def test_the_partner_drafts_its_own_notices_from_what_it_was_told(pair: Pair) -> None:
    breach = opened(pair)
    deliver(pair.left, pair.right)
    texts = draft_notices(pair.right.peer, breach.breach_id)
    assert set(texts) == {"authority.md", "persons.md"}
    assert "with the partner Left Ltd" in texts["authority.md"]
    assert "at most 4 of our contacts" in texts["authority.md"]


def test_a_partner_that_was_removed_is_named_as_one_to_tell_by_hand(pair: Pair) -> None:
    with pair.left.peer.store.transaction() as tx:
        tx.partners.remove(pair.right.peer.fingerprint.hex(), pair.left.clock())
    breach = opened(pair)
    assert (breach.told, len(breach.untold)) == ((), 1)
    assert any("Tell Right SA by hand" in step for step in stands(pair.left, breach.breach_id).next_steps)
