"""The facts that status collects from a real store, and what the command makes of them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from support.pairing import Pair, contact
from support.policies import approve
from support.revealed import Snapshot, authorise_both, exchange, reveal_once

from mutuals.models.agreement import AgreementState, Side
from mutuals.monitoring import facts as facts_module
from mutuals.monitoring.facts import AgreementStatus, Status
from mutuals.monitoring.pointer import something_is_overdue
from mutuals.monitoring.status import is_overdue, peer_status
from mutuals.runs.export import open_received, write_export
from mutuals.signed_documents import enqueue, sign_document
from mutuals.store.rows import (
    AttestationRow,
    BreachRow,
    CertificateRow,
    CheckpointRow,
    RevocationRow,
    SuspensionRow,
)
from mutuals_client import main, session

TODAY = datetime.now(UTC).date()
OLD = str(TODAY - timedelta(days=720))
LEFT = [
    *(contact(f"L{i}", f"p{i}@example.com", city=f"Planted {i}") for i in range(5)),
    contact("L9", "old@example.com", consent_at=OLD),
]
RIGHT = [contact(f"R{i}", f"p{i}@example.com", score=str(i)) for i in range(4)]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("pair"), LEFT, RIGHT)


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


def left_status(pair: Pair) -> Status:
    return peer_status(pair.left.peer)


def only(status: Status) -> AgreementStatus:
    (agreement,) = status.agreements
    return agreement


def rules(status: Status) -> set[str]:
    return {finding.rule for finding in status.findings}


def test_the_work_done_is_counted(pair: Pair, snapshot: Snapshot, tmp_path: Path) -> None:
    pair.left.write([row | {"suppressed": "true"} if row["contact_id"] == "L2" else row for row in LEFT])
    authorise_both(pair, snapshot.run_id)
    exchange(pair, snapshot.run_id)
    received = open_received(pair.left.peer, snapshot.run_id, pair.left.keys)
    write_export(pair.left.peer, received, tmp_path / "campaign.csv", pair.left.keys)

    found = only(left_status(pair))
    now = pair.left.clock()
    assert (found.state, found.version, found.days_left, found.intact) == ("active", 1, 100, True)
    assert (found.records.contacts_sent, found.records.withheld) == (3, {"suppressed": 1})
    assert (found.records.contacts_received, found.records.held) == (4, 4)
    (export,) = found.exports
    assert (export.operator, export.rows, export.fields) == ("anna", 3, ("score",))  # L2 objects by now
    (deletion,) = found.retention
    assert (deletion.retention_days, deletion.records, deletion.next_at) == (90, 4, now + 90 * DAY)
    (run,) = found.runs
    assert (run.state, run.overlap, run.waits_for) == ("done", 4, None)
    assert found.budgets is not None
    assert (found.budgets.runs_used, found.budgets.items_used) == (1, 4)
    assert found.budgets.next_free_at == now + 30 * DAY
    assert found.consents is not None
    assert (found.consents.contacts, found.consents.allowed, found.consents.expiring) == (6, 5, 1)
    assert found.consents.excluded == {"suppressed": 1}

    # The records go by their class, the work done stays counted.
    pair.left.clock.now += 92 * DAY
    later = left_status(pair)
    assert {"deletion_overdue", "consent_expired"} <= rules(later)
    with pair.left.peer.store.transaction() as tx:
        tx.received.destroy(snapshot.run_id)
    assert only(left_status(pair)).records == dataclasses.replace(found.records, held=0)


def test_a_store_that_is_not_what_was_signed_is_said_first(pair: Pair) -> None:
    peer = pair.left.peer
    body = {"own": False, "kind": "rolled_back", "size": 9, "known": "", "shown": ""}
    approve(pair.left)
    assert not {"log_fault", "operator_changed", "policy_changed"} & rules(left_status(pair))
    partner = pair.left.partner().fingerprint
    with peer.store.transaction() as tx:
        tx.log.append(pair.digest, "log.fault", {"partner": partner, **body}, pair.left.clock())
        assert something_is_overdue(tx, pair.left.clock())
        row = tx.operators.get("anna")
        assert row is not None
        tx.operators.put(dataclasses.replace(row, roles=("admin",)))
    found = left_status(pair)
    assert [finding.rule for finding in found.findings[:3]] == [
        "log_fault",
        "operator_changed",
        "policy_changed",
    ]
    assert found.overdue
    assert found.findings[0].command == f'mutuals audit clear {only(found).id} --reason "..."'
    assert is_overdue(peer)


def test_a_run_that_waits_for_us_is_named_with_its_command(pair: Pair, snapshot: Snapshot) -> None:
    commands = {finding.command for finding in left_status(pair).findings}
    assert f"mutuals exchange {snapshot.run_id}" in commands
    pair.left.clock.now += 16 * DAY
    assert "run_overdue" in rules(left_status(pair))
    assert is_overdue(pair.left.peer)


def test_what_both_sides_owe_is_followed(pair: Pair, snapshot: Snapshot) -> None:
    now, peer, digest = pair.left.clock(), pair.left.peer, pair.digest
    partner = pair.left.partner().fingerprint
    assert [facts.due for facts in only(left_status(pair)).attestations] == [now + 90 * DAY] * 2
    with peer.store.transaction() as tx:
        tx.attestations.put(
            AttestationRow(digest, Side.PARTNER, now - DAY, now + DAY, b"body", b"signature", now)
        )
        tx.revocations.put(RevocationRow("V-1", snapshot.run_id, partner, True, (0,), None, now))
        tx.suspensions.put(SuspensionRow("S-1", digest, Side.PARTNER, "A laptop was lost.", None, now))
        tx.checkpoints.put(CheckpointRow(digest, True, 9, b"r" * 32, b"note", now))
    ours, theirs = only(left_status(pair)).attestations
    assert (ours.due, theirs.due, theirs.since) == (now + 90 * DAY, now + 91 * DAY, now + DAY)
    assert {"revocation_waiting", "suspended"} <= rules(left_status(pair))
    (suspension,) = only(left_status(pair)).suspensions
    assert (suspension.by, suspension.reason) == ("partner", "A laptop was lost.")

    pair.left.clock.now += 8 * DAY
    assert {"revocation_overdue", "checkpoint_not_cosigned"} <= rules(left_status(pair))
    with peer.store.transaction() as tx:
        tx.revocations.answer("V-1", 1, pair.left.clock())
        tx.suspensions.lift("S-1", pair.left.clock())
    assert not {"revocation_overdue", "suspended"} & rules(left_status(pair))
    pair.left.clock.now += 97 * DAY
    assert "attestation_overdue" in rules(left_status(pair))


def test_certificates_are_followed_after_the_end(pair: Pair) -> None:
    now = pair.left.clock()
    with pair.left.peer.store.transaction() as tx:
        tx.agreements.set_state(pair.digest, AgreementState.ENDED, now)
        tx.agreements.set_end(pair.digest, ends_at=None, ended_at=now)
        tx.certificates.put(CertificateRow(pair.digest, Side.PROPOSER, b"body", b"signature", now))
    ours, theirs = only(left_status(pair)).certificates
    assert (ours.signed_at, theirs.signed_at, theirs.due) == (now, None, now + 14 * DAY)
    pair.left.clock.now += 15 * DAY
    (overdue,) = [finding for finding in left_status(pair).findings if finding.rule == "certificate_overdue"]
    assert (overdue.urgency, overdue.command) == ("overdue", None)
    assert "no endpoint" in overdue.do


def test_breaches_and_documents_run_against_the_clock(pair: Pair) -> None:
    peer, now = pair.left.peer, pair.left.clock()
    partner = pair.left.partner().fingerprint
    with peer.store.transaction() as tx:
        tx.breaches.put(BreachRow("B-1", None, b"{}", now - 70 * timedelta(hours=1), now, now))
        enqueue(tx, peer, partner, sign_document(peer, "run-ended", {"sid": "00"}))
    (breach,) = left_status(pair).peer.breaches
    assert breach.hours_left == 2
    assert not is_overdue(peer)
    pair.left.clock.now += 2 * DAY
    found = left_status(pair)
    assert (found.peer.breaches[0].hours_left, found.peer.undelivered[0].hours) == (-46, 48)
    assert {"breach_authority", "undelivered"} <= rules(found)
    assert found.findings[0].rule == "breach_authority"


def test_an_edited_store_is_told_and_still_shown(pair: Pair) -> None:
    with pair.left.peer.store.transaction() as tx:
        row = tx.agreements.get(pair.digest)
        assert row is not None
        tx.agreements.put(dataclasses.replace(row, document=row.document.replace(b"Germany", b"Ruritania")))
    found = left_status(pair)
    assert (only(found).intact, only(found).valid_until) == (False, None)
    assert "tampered" in rules(found)


def test_a_clock_put_back_is_noticed(pair: Pair) -> None:
    pair.left.clock.now -= DAY
    assert "clock_behind" in rules(left_status(pair))


def test_agreements_that_are_over_are_shown_on_request(pair: Pair) -> None:
    with pair.left.peer.store.transaction() as tx:
        tx.agreements.set_state(pair.digest, AgreementState.CLOSED, pair.left.clock())
    assert left_status(pair).agreements == ()
    assert only(peer_status(pair.left.peer, everything=True)).state == "closed"
    assert only(peer_status(pair.left.peer, pair.digest[:8])).state == "closed"


def test_the_command_shows_a_block_and_what_to_do(
    pair: Pair, snapshot: Snapshot, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        main.reset_settings()
        code = main.run(["status", *arguments, "--home", str(pair.left.peer.home.root)])
        return code, capsys.readouterr().out

    now = datetime.now(UTC)
    with pair.left.peer.store.transaction() as tx:
        tx.breaches.put(BreachRow("B-1", None, b"{}", now - 5 * DAY, now, now))
    code, text = run()
    assert code == 10
    assert "Planted" not in text
    assert text.index("B-1") < text.index("Test campaign") < text.index("What to do")
    assert re.search(r"^ +mutuals breach show B-1$", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 80 + len("mutuals ")
    code, text = run("--json")
    found = json.loads(text)
    assert (code, found["overdue"]) == (10, True)
    assert found["agreements"][0]["runs"][0]["run"] == snapshot.run_id
    with pair.left.peer.store.transaction() as tx:
        tx.breaches.close("B-1", now)
    assert run("--quick", pair.digest[:8])[0] == 0
    assert run("A-NONE")[0] == 6


def test_every_key_and_rule_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", page))
    values = [item for item in vars(facts_module).values() if dataclasses.is_dataclass(item)]
    keys = {field.name for item in values for field in dataclasses.fields(item)} - {"at", "agreements"}
    assert keys <= named, keys - named
    folder = Path(facts_module.__file__).parent
    sources = "".join(
        (folder / name).read_text(encoding="utf-8")
        for name in ("rules.py", "peer_rules.py", "next_steps.py", "integrity.py")
    )
    told = set(
        re.findall(r"\"([a-z]+(?:_[a-z]+)+|tampered|suspended|terminated|unread|undelivered)\"", sources)
    )
    told -= {"half_revealed", "no_consent"} - named
    assert told <= named, told - named


def test_dates_are_dates(pair: Pair) -> None:
    found = only(left_status(pair))
    assert isinstance(found.valid_until, date)
    assert found.versions[0].since.tzinfo is not None


def test_commands_that_sign_point_at_what_is_overdue(
    pair: Pair, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pointed() -> bool:
        with pair.left.peer.store.transaction() as tx:
            return something_is_overdue(tx, pair.left.clock())

    assert not pointed()
    partner = pair.left.partner().fingerprint
    with pair.left.peer.store.transaction() as tx:
        tx.revocations.put(
            RevocationRow("V-1", snapshot.run_id, partner, True, (0,), None, pair.left.clock())
        )
    pair.left.clock.now += 2 * DAY
    assert not pointed()
    pair.left.clock.now += 2 * DAY
    assert pointed()
    told: list[str] = []
    monkeypatch.setattr(session, "notify", lambda text, **_: told.append(text))
    session._tell_notifications(pair.left.peer, pair.left.keys)
    assert "Something is overdue; see what: mutuals status" in told
