"""What is over is destroyed without anybody's passphrase, completely, and certified only then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.pairing import Company, Pair, TestClock, contact, deliver
from support.revealed import Snapshot, reveal_once

from mutuals.agreement.ending import terminate
from mutuals.canonical import canonical_json
from mutuals.crypto.signing import SigningKey
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.framing import Context, frame
from mutuals.models.agreement import AgreementState, Side
from mutuals.models.certificate import Certificate
from mutuals.obligations import certificates, destruction, retention
from mutuals.obligations.certificates import receive_certificate
from mutuals.obligations.certificates_due import overdue_certificates, receive_reminder
from mutuals.obligations.retention import keep_retention, plan_retention
from mutuals.runs.export import open_received, write_export
from mutuals.runs.keys import runs_with_keys

NOON = "2026-05-01T12:00:00Z"
LEFT = [contact(f"L{i}", f"p{i}@example.com", city=f"City{i}") for i in range(5)]
RIGHT = [contact(f"R{i}", f"p{i}@example.com", score=f"{i}") for i in range(5)]
FIELDS = {
    "proposer_sends": (
        {"name": "city", "departments": ("marketing",), "retention_days": 10},
        {"name": "score", "type": "integer", "departments": ("marketing",), "retention_days": 30},
    ),
    "partner_sends": ({"name": "score", "type": "integer", "departments": ("marketing",)},),
}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """The run is revealed and its records exchanged, once for all tests here."""
    root = tmp_path_factory.mktemp("pair")
    made = reveal_once(root / "before", LEFT, RIGHT, **FIELDS)
    return made.exchanged(root / "after")


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


def state(company: Company, digest: str) -> AgreementState:
    with company.peer.store.transaction() as tx:
        row = tx.agreements.get(digest)
    assert row is not None
    return row.state


def end(pair: Pair) -> None:
    """The proposer ends the agreement at once; both sides know."""
    terminate(pair.left.peer, pair.digest, "We stop.", pair.left.keys, cause=True)
    deliver(pair.left, pair.right)


def test_after_the_end_both_sides_destroy_certify_and_close(
    pair: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    write_export(
        pair.right.peer,
        open_received(pair.right.peer, snapshot.run_id, pair.right.keys),
        tmp_path / "out.csv",
        pair.right.keys,
    )
    end(pair)
    reports = [keep_retention(company.peer) for company in (pair.left, pair.right)]
    for report in reports:
        assert not report.problems
        assert report.scan is not None
        assert report.scan.slices > 5
        assert not report.scan.found
    (mine,), (theirs,) = (report.certificates for report in reports)
    assert (mine.records_received, mine.records_at_end, mine.ended_by, mine.operator) == (
        5,
        5,
        "own termination",
        "anna",
    )
    assert (theirs.records_received, theirs.records_at_end, theirs.ended_by) == (
        10,
        10,
        "partner's termination",
    )
    assert [export.file for export in theirs.exports] == ["out.csv"]
    assert state(pair.left, pair.digest) is AgreementState.ENDED
    deliver(pair.left, pair.right)
    deliver(pair.right, pair.left)
    for company in (pair.left, pair.right):
        assert state(company, pair.digest) is AgreementState.CLOSED
        with company.peer.store.transaction() as tx:
            assert not runs_with_keys(tx)
            assert not tx.received.count(snapshot.run_id)
            assert tx.sent.list(snapshot.run_id), "what was sent must be answered for longer"
        assert not list(company.peer.home.run_keys.iterdir())
        assert keep_retention(company.peer).idle


def test_records_go_class_by_class_while_the_agreement_lives(pair: Pair, snapshot: Snapshot) -> None:
    right = pair.right
    days = timedelta(days=1)
    assert [(due.retention_days, due.records) for due in plan_retention(right.peer) if due.run] == [
        (10, 5),
        (30, 5),
    ]
    right.clock.now += 11 * days
    report = keep_retention(right.peer)
    assert [(gone.records, gone.key, gone.why) for gone in report.destroyed] == [(5, False, "retention")]
    assert report.scan is not None
    assert report.scan.slices == 15
    rows = open_received(right.peer, snapshot.run_id, right.keys).rows
    assert len(rows) == 5
    assert all(set(values) == {"score"} for _, values in rows)
    right.clock.now += 20 * days
    report = keep_retention(right.peer)
    assert [(gone.records, gone.key) for gone in report.destroyed] == [(5, False), (0, True)]
    assert not report.certificates, "the agreement lives"
    assert state(right, pair.digest) is AgreementState.ACTIVE
    with pytest.raises(MutualsError) as refused:
        open_received(right.peer, snapshot.run_id, right.keys)
    assert refused.value.code is ErrorCode.RUN_STATE
    assert not list(right.peer.home.run_keys.iterdir())
    assert keep_retention(right.peer).idle


def test_expiry_alone_ends_destroys_and_certifies(pair: Pair) -> None:
    for company in (pair.left, pair.right):
        company.clock.now += timedelta(days=101)
        report = keep_retention(company.peer, trigger="server")
        (certificate,) = report.certificates
        assert (certificate.ended_by, certificate.operator) == ("expiry", None)
        assert certificate.triggered_by == "server"
    deliver(pair.left, pair.right)
    deliver(pair.right, pair.left)
    assert state(pair.left, pair.digest) is state(pair.right, pair.digest) is AgreementState.CLOSED


def test_dry_run_changes_nothing(pair: Pair) -> None:
    pair.right.clock.now += timedelta(days=200)
    before = pair.right.peer.home.store.read_bytes()
    plan = plan_retention(pair.right.peer)
    assert all(due.overdue for due in plan)
    assert len(plan) == 3
    assert pair.right.peer.home.store.read_bytes() == before


def test_sealed_records_of_ours_are_erased_when_no_retry_can_ask(pair: Pair, snapshot: Snapshot) -> None:
    def kept(company: Company) -> list[bool]:
        with company.peer.store.transaction() as tx:
            return [bool(row.records) for row in tx.envelopes.outgoing(snapshot.run_id)]

    keep_retention(pair.left.peer)
    keep_retention(pair.right.peer)
    assert kept(pair.left) == [False], "the side that started has the last word"
    assert kept(pair.right) == [True], "the side that answers may have to repeat it"
    pair.right.clock.now += timedelta(days=16)
    keep_retention(pair.right.peer)
    assert kept(pair.right) == [False]


# --- interrupted ---------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


STEPS = [
    (retention, "end_due"),
    (retention, "expire_runs"),
    (retention, "destroy_expired"),
    (retention, "destroy_spent"),
    (retention, "destroy_ended"),
    (destruction, "log_run"),
    (destruction, "destroy_share"),
    (destruction, "destroy_spool"),
    (retention, "search"),
    (retention, "certify"),
    (certificates, "enqueue"),
    (retention, "forget_traces"),
    (retention, "close_if_certified"),
    (retention, "chase"),
]


@pytest.mark.parametrize(("module", "step"), STEPS, ids=[step for _, step in STEPS])
def test_what_is_killed_at_any_step_is_made_up_for(
    pair: Pair, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, module: ModuleType, step: str
) -> None:
    end(pair)
    company = pair.right
    original = getattr(module, step)
    for before in (True, False):
        with monkeypatch.context() as patched:

            def die(*arguments: Any, before: bool = before, **options: Any) -> Any:
                if not before:
                    original(*arguments, **options)
                raise Killed

            patched.setattr(module, step, die)
            with suppress(Killed):
                keep_retention(company.peer)
        with company.peer.store.transaction() as tx:
            certified = tx.certificates.get(pair.digest, Side.PARTNER) is not None
            left = tx.received.count(snapshot.run_id) + len(tx.keys.subjects("run:"))
        assert not (certified and (left or list(company.peer.home.run_keys.iterdir())))
    keep_retention(company.peer)
    with company.peer.store.transaction() as tx:
        row = tx.certificates.get(pair.digest, Side.PARTNER)
        assert not tx.received.count(snapshot.run_id)
        assert not tx.keys.subjects("run:")
        assert len([sent for sent in tx.outbox.pending() if sent.kind == "deletion-certificate"]) == 1
    assert row is not None
    certificate = Certificate.model_validate_json(row.body)
    assert certificate.search.slices > 30, "an interrupted destruction is searched for as well"
    assert certificate.records_at_end == 10
    assert not list(company.peer.home.spool.iterdir())
    assert not list(company.peer.home.run_keys.iterdir())


def test_the_beginning_of_a_file_of_traces_does_not_stay(pair: Pair) -> None:
    """A process was killed while it wrote one."""
    end(pair)
    home = pair.right.peer.home
    begun = home.spool / f".destroyed-{pair.digest}.traces.0a1b2c3d"
    begun.parent.mkdir(exist_ok=True)
    begun.write_bytes(bytes(40))
    keep_retention(pair.right.peer)
    assert not begun.exists()


def test_nothing_is_certified_while_a_piece_is_still_in_a_file(pair: Pair, snapshot: Snapshot) -> None:
    with pair.right.peer.store.transaction() as tx:
        piece = tx.received.list(snapshot.run_id)[2].ciphertext
    left_over = pair.right.peer.home.root / "forgotten.bak"
    left_over.write_bytes(b"\0" * 5_000_000 + piece)
    end(pair)
    report = keep_retention(pair.right.peer)
    assert report.problems == ("Pieces of what was destroyed are still in: forgotten.bak.",)
    assert not report.certificates
    with pair.right.peer.store.transaction() as tx:
        assert any(
            "could not be verified" in note.text for note in tx.notifications.unread("anna", ("steward",))
        )
    left_over.unlink()
    report = keep_retention(pair.right.peer)
    assert report.certificates
    assert not report.problems


# --- the partner's certificate -------------------------------------------------------------------------------------


def test_a_missing_certificate_is_asked_for_every_week(pair: Pair) -> None:
    end(pair)
    left, right = pair.left, pair.right
    keep_retention(left.peer)
    deliver(left, right)
    with left.peer.store.transaction() as tx:
        assert overdue_certificates(tx, left.clock()) == []
    left.clock.now += timedelta(days=15)
    with left.peer.store.transaction() as tx:
        assert [overdue.missing for overdue in overdue_certificates(tx, left.clock())] == ["partner"]
    assert len(keep_retention(left.peer).reminded) == 1
    deliver(left, right)
    assert keep_retention(left.peer).reminded == ()
    with right.peer.store.transaction() as tx:
        assert any("asks for it" in note.text for note in tx.notifications.unread("anna", ("steward",)))
    left.clock.now += timedelta(days=7)
    assert len(keep_retention(left.peer).reminded) == 1
    deliver(left, right)
    keep_retention(right.peer)
    deliver(right, left)
    assert state(left, pair.digest) is AgreementState.CLOSED
    assert keep_retention(left.peer).idle


def crafted(pair: Pair, change: Callable[[dict[str, Any]], None], key: SigningKey | None = None) -> bytes:
    """The right side's certificate with a change, signed again: as it would be if its software were altered."""
    with pair.right.peer.store.transaction() as tx:
        row = tx.certificates.get(pair.digest, Side.PARTNER)
    assert row is not None
    value = json.loads(row.body)
    change(value)
    body = canonical_json(value)
    signature = (key or pair.right.peer.signing_key).sign(frame(Context.CERTIFICATE, body))
    return canonical_json({"certificate": value, "signature": signature.hex()})


CRAFTED: dict[str, dict[str, Any]] = {
    "unknown agreement": {"agreement": "ab" * 32, "versions": ["ab" * 32]},
    "a version of nothing": {"versions": ["ab" * 32, "digest"]},
    "our side": {"side": "proposer"},
    "another peer": {"fingerprint": "ab" * 32},
    "found something": {"search": {"files": 1, "size_bytes": 1, "slices": 1, "found": 1}},
    "negative": {"records_received": -1},
    "half a run": {"runs": 0.5},
    "a flag for a number": {"runs": True},
    "from the future": {"certified_at": "2099-01-01T00:00:00Z"},
    "before the end": {"certified_at": "2001-01-01T00:00:00Z"},
    "not a time": {"ended_at": "yesterday"},
    "another key": {"extra": 1},
    "hidden text": {"organisation": "Right\u202eSA"},
    "fewer exports": {"exports_in_all": -1},
    "another format": {"format": "mutuals/v2/deletion-certificate"},
}


def test_a_crafted_certificate_is_refused(ended: Pair) -> None:
    for name, values in CRAFTED.items():
        meant = json.loads(json.dumps(values).replace('"digest"', f'"{ended.digest}"'))
        refuse(ended, crafted(ended, lambda certificate, meant=meant: certificate.update(meant)), name)


def test_certificates_in_another_form_or_by_another_key_are_refused(ended: Pair) -> None:
    sound = crafted(ended, lambda _: None)
    value = json.loads(sound)
    refuse(ended, crafted(ended, lambda _: None, SigningKey.generate()))
    refuse(ended, sound + b" ")
    refuse(ended, b"[]")
    refuse(ended, b"{}")
    refuse(ended, canonical_json({**value, "more": 1}))
    refuse(ended, canonical_json({**value, "certificate": "text"}))
    refuse(ended, canonical_json({**value, "signature": value["signature"].upper()}))
    refuse(ended, canonical_json({**value, "signature": 7}))
    deliver(ended.right, ended.left)
    assert state(ended.left, ended.digest) is not AgreementState.CLOSED, "ours is not there yet"
    refuse(ended, crafted(ended, lambda certificate: certificate.update(runs=2)), held=True)
    keep_retention(ended.left.peer)
    assert state(ended.left, ended.digest) is AgreementState.CLOSED


def test_a_certificate_for_a_living_agreement_is_refused_or_waits(pair: Pair, snapshot: Snapshot) -> None:
    pair.right.clock = TestClock()
    pair.right.peer.clock = pair.right.clock
    pair.right.clock.now = snapshot.now + timedelta(days=101)
    keep_retention(pair.right.peer)
    refuse(pair, crafted(pair, lambda _: None))
    pair.left.clock.now = snapshot.now + timedelta(days=100)
    early, partner = crafted(pair, lambda _: None), pair.left.partner()
    with pytest.raises(MutualsError) as waits, pair.left.peer.store.transaction() as tx:
        receive_certificate(tx, pair.left.peer, partner, early)
    assert waits.value.code is ErrorCode.AGREEMENT_NOT_ACTIVE
    assert not isinstance(waits.value, PartnerFault)
    pair.left.clock.now = snapshot.now + timedelta(days=101)
    deliver(pair.right, pair.left)
    keep_retention(pair.left.peer)
    assert state(pair.left, pair.digest) is AgreementState.CLOSED


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"digest":1}',
        b"not json",
        canonical_json({"digest": "ab" * 32, "due_at": NOON, "asked_at": NOON}),
    ],
)
def test_a_crafted_reminder_is_refused(ended: Pair, body: bytes) -> None:
    partner = ended.left.partner()
    with pytest.raises(PartnerFault), ended.left.peer.store.transaction() as tx:
        receive_reminder(tx, ended.left.peer, partner, body)


@pytest.fixture
def ended(pair: Pair) -> Pair:
    """Both know of the end; the right side has certified, and nothing was delivered."""
    end(pair)
    keep_retention(pair.right.peer)
    return pair


def refuse(pair: Pair, body: bytes, name: str = "", *, held: bool = False) -> None:
    partner = pair.left.partner()
    with pair.left.peer.store.transaction() as tx:
        try:
            receive_certificate(tx, pair.left.peer, partner, body)
        except PartnerFault:
            pass
        else:
            pytest.fail(f"taken: {name}")
    with pair.left.peer.store.transaction() as tx:
        assert (tx.certificates.get(pair.digest, Side.PARTNER) is not None) == held
