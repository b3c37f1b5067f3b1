"""The exchange with both peers' stores, sources and agreements: authorised, resumable, and gone when it fails."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.overlaps import ranks_by_contact
from support.pairing import Company, Pair, contact
from support.peers import Ends, run_both
from support.revealed import Snapshot, authorise, authorise_both, exchange, reveal_once
from support.streams import MemoryStream

from mutuals.agreement.suspension import resume, suspend
from mutuals.errors import ErrorCode, MutualsError, PartnerFault, PartnerRefused
from mutuals.models.agreement import AgreementState
from mutuals.models.run import Role, RunState
from mutuals.protocol import exchange as protocol
from mutuals.protocol.messages import Envelope, EnvelopeAck, ExchangeDone, ExchangeStart
from mutuals.runs.authorisation import grant_mandate
from mutuals.runs.exchange import initiate_exchange, respond_exchange
from mutuals.runs.export import open_received
from mutuals.runs.keys import subject
from mutuals.runs.ledger import SentContact, open_ledger
from mutuals.runs.moved import exchange_summary
from mutuals.runs.outgoing import stored_envelopes, to_envelope
from mutuals.runs.preview import preview_exchange
from mutuals.runs.spool import load_overlap

SHARED = range(6)
LEFT = [contact(f"L{i}", f"person{i}@example.com", city=f"Planted City {i}") for i in range(8)]
RIGHT = [contact(f"R{i}", f"person{i}@example.com", score=str(i)) for i in (*SHARED, 20, 21)]

# Both starts, three envelopes a side with their acknowledgements, done.
MESSAGES = 2 + 12 + 1


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("pair"), LEFT, RIGHT)


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_RECORDS_PER_ENVELOPE", 2)


def code(error: BaseException) -> ErrorCode:
    assert isinstance(error, MutualsError), error
    return error.code


def rows(company: Company, run_id: str) -> dict[str, dict[str, Any]]:
    return dict(open_received(company.peer, run_id, company.keys).rows)


def stored_records(company: Company, run_id: str) -> int:
    with company.peer.store.transaction() as tx:
        return tx.received.count(run_id)


def events(company: Company, run_id: str) -> dict[str, dict[str, Any]]:
    with company.peer.store.transaction() as tx:
        return {entry.event: entry.body for entry in tx.log.entries() if entry.body.get("run") == run_id}


def withdraw(company: Company, source: list[dict[str, str]], *contacts: str) -> None:
    company.write([row | {"consent": ""} if row["contact_id"] in contacts else row for row in source])


def assert_done(pair: Pair, run_id: str) -> None:
    assert rows(pair.left, run_id) == {f"L{i}": {"score": i} for i in SHARED}
    assert rows(pair.right, run_id) == {f"R{i}": {"city": f"Planted City {i}"} for i in SHARED}
    for company in pair.sides.values():
        run = company.run(run_id)
        assert (run.state, run.spool_key) == (RunState.DONE, None)
        assert not list(company.peer.home.spool.iterdir())


class CutAfter:
    """Cuts the connection once ``count`` messages were sent by either side."""

    def __init__(self, count: int) -> None:
        self.left = count

    def exchange(self, pair: Pair, run_id: str) -> Ends:
        streams: list[MemoryStream] = []

        def watched(stream: MemoryStream) -> MemoryStream:
            streams.append(stream)
            stream.alter = self._alter(stream)
            return stream

        return run_both(
            {
                Role.INITIATOR: lambda s: initiate_exchange(pair.left.peer, run_id, watched(s)),
                Role.RESPONDER: lambda s: respond_exchange(pair.right.peer, pair.right.partner(), watched(s)),
            }
        )

    def _alter(self, stream: MemoryStream) -> Callable[[Any], list[Any]]:
        def alter(message: Any) -> list[Any]:
            if self.left == 0:
                stream.close()
            self.left -= 1
            return [message]

        return alter


def test_both_sides_receive_the_agreed_fields_of_exactly_the_overlap(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)
    summary = exchange(pair, snapshot.run_id)[Role.INITIATOR]
    assert (summary.contacts_sent, summary.contacts_received, summary.pairs_received) == (6, 6, 6)
    assert summary.fields_sent == ("city",)
    assert exchange_summary(pair.right.peer, pair.right.run(snapshot.run_id)).fields_sent == ("score",)
    assert_done(pair, snapshot.run_id)


def test_received_records_are_at_rest_only_as_ciphertext(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)
    exchange(pair, snapshot.run_id)
    files = [path for path in pair.right.peer.home.root.rglob("*") if path.is_file()]
    assert stored_records(pair.right, snapshot.run_id) == 6
    assert not [path for path in files if b"Planted City" in path.read_bytes()]


def test_nothing_moves_before_both_sides_have_authorised(pair: Pair, snapshot: Snapshot) -> None:
    ends = exchange(pair, snapshot.run_id)
    assert code(ends.errors[Role.INITIATOR]) is ErrorCode.NOT_AUTHORISED_YET
    authorise(pair.left, snapshot.run_id)
    ends = exchange(pair, snapshot.run_id)
    assert code(ends.errors[Role.RESPONDER]) is ErrorCode.NOT_AUTHORISED_YET
    for company in pair.sides.values():
        assert company.run(snapshot.run_id).state is RunState.REVEALED
        assert not stored_envelopes(company.peer, company.run(snapshot.run_id))
        assert stored_records(company, snapshot.run_id) == 0
    authorise(pair.right, snapshot.run_id)
    exchange(pair, snapshot.run_id)
    assert_done(pair, snapshot.run_id)


def test_a_change_after_the_authorisation_stops_and_asks_for_a_new_preview(
    pair: Pair, snapshot: Snapshot
) -> None:
    authorise_both(pair, snapshot.run_id)
    pair.left.write([row | {"city": "Elsewhere"} for row in LEFT])
    error = exchange(pair, snapshot.run_id).errors[Role.INITIATOR]
    assert code(error) is ErrorCode.PREVIEW_CHANGED
    assert isinstance(error, MutualsError)
    assert error.exit_code == 3
    assert "run.preview_changed" in events(pair.left, snapshot.run_id)
    pair.left.write(LEFT)  # the old authorisation stays void, even for the old records
    assert code(exchange(pair, snapshot.run_id).errors[Role.INITIATOR]) is ErrorCode.NOT_AUTHORISED_YET
    authorise(pair.left, snapshot.run_id)
    exchange(pair, snapshot.run_id)
    assert_done(pair, snapshot.run_id)


def test_the_partner_is_not_told_why_the_responder_must_authorise_again(
    pair: Pair, snapshot: Snapshot
) -> None:
    authorise_both(pair, snapshot.run_id)
    withdraw(pair.right, RIGHT, "R3")
    ends = exchange(pair, snapshot.run_id)
    assert code(ends.errors[Role.RESPONDER]) is ErrorCode.NOT_AUTHORISED_YET
    assert "run.preview_changed" in events(pair.right, snapshot.run_id)
    assert pair.left.run(snapshot.run_id).state is RunState.REVEALED


def test_a_contact_withdrawn_after_the_reveal_is_withheld(pair: Pair, snapshot: Snapshot) -> None:
    withdraw(pair.left, LEFT, "L2", "L7")
    preview = preview_exchange(pair.left.peer, snapshot.run_id)
    assert preview.outgoing.withheld == {"no_consent": 1}
    authorise_both(pair, snapshot.run_id)
    summary = exchange(pair, snapshot.run_id)[Role.INITIATOR]
    assert (summary.contacts_sent, summary.withheld, summary.contacts_received) == (5, {"no_consent": 1}, 6)
    assert set(rows(pair.right, snapshot.run_id)) == {f"R{i}" for i in SHARED if i != 2}


def test_no_contact_left_is_an_exchange_of_no_records(pair: Pair, snapshot: Snapshot) -> None:
    withdraw(pair.left, LEFT, *(row["contact_id"] for row in LEFT))
    authorise_both(pair, snapshot.run_id)
    summary = exchange(pair, snapshot.run_id)[Role.INITIATOR]
    assert (summary.contacts_sent, summary.records_sent, summary.contacts_received) == (0, 0, 6)
    assert rows(pair.right, snapshot.run_id) == {}
    assert pair.right.run(snapshot.run_id).state is RunState.DONE


def test_a_suspension_between_two_envelopes_stops_the_exchange_until_it_is_lifted(
    pair: Pair, snapshot: Snapshot
) -> None:
    authorise_both(pair, snapshot.run_id)
    halts: list[str] = []

    def suspending(stream: MemoryStream) -> MemoryStream:
        def alter(message: Any) -> list[Any]:
            if isinstance(message, EnvelopeAck) and not halts:
                with pair.left.peer.store.transaction() as tx:
                    halts.append(suspend(tx, pair.left.peer, pair.digest, "Wait.", None, pair.left.keys))
            return [message]

        stream.alter = alter
        return stream

    ends = run_both(
        {
            Role.INITIATOR: lambda s: initiate_exchange(pair.left.peer, snapshot.run_id, s),
            Role.RESPONDER: lambda s: respond_exchange(pair.right.peer, pair.right.partner(), suspending(s)),
        }
    )
    assert code(ends.errors[Role.INITIATOR]) is ErrorCode.AGREEMENT_NOT_ACTIVE
    assert stored_records(pair.right, snapshot.run_id) == 2
    assert stored_records(pair.left, snapshot.run_id) == 0
    with pair.left.peer.store.transaction() as tx:
        resume(tx, pair.left.peer, pair.digest, halts[0], pair.left.keys)
    exchange(pair, snapshot.run_id)
    assert_done(pair, snapshot.run_id)


@pytest.mark.parametrize("count", range(MESSAGES))
def test_a_lost_connection_loses_nothing_wherever_it_breaks(
    pair: Pair, snapshot: Snapshot, count: int
) -> None:
    authorise_both(pair, snapshot.run_id)
    CutAfter(count).exchange(pair, snapshot.run_id)
    before = [stored_envelopes(company.peer, company.run(snapshot.run_id)) for company in pair.sides.values()]
    if pair.left.run(snapshot.run_id).state is not RunState.DONE:
        ends = exchange(pair, snapshot.run_id)
        assert not ends.errors
    assert_done(pair, snapshot.run_id)
    after = [stored_envelopes(company.peer, company.run(snapshot.run_id)) for company in pair.sides.values()]
    for old, new in zip(before, after, strict=True):
        assert len(new) == 3
        assert not old or [row.digest for row in old] == [row.digest for row in new]
        assert all(row.ack for row in new)


@pytest.mark.parametrize("seed", range(4))
def test_a_connection_that_breaks_again_and_again_loses_nothing(
    pair: Pair, snapshot: Snapshot, seed: int
) -> None:
    authorise_both(pair, snapshot.run_id)
    chance = random.Random(seed)
    for _ in range(60):
        ends = CutAfter(chance.randrange(3, 9)).exchange(pair, snapshot.run_id)
        assert not [error for error in ends.errors.values() if isinstance(error, PartnerFault)], ends.errors
        if pair.left.run(snapshot.run_id).state is RunState.DONE:
            break
    assert_done(pair, snapshot.run_id)


class Repeating:
    """Sends the first envelope in place of every later one, so as to receive all and give one."""

    def __init__(self) -> None:
        self.first: Envelope | None = None
        self.taken: set[bytes] = set()

    def __call__(self, message: Any) -> list[Any]:
        if isinstance(message, EnvelopeAck):
            self.taken.add(message.envelope)
        if not isinstance(message, Envelope):
            return [message]
        self.first = self.first or message
        return [self.first]


@pytest.mark.parametrize("cheat", list(Role))
def test_an_envelope_is_not_paid_for_with_one_that_was_here_before(
    pair: Pair, snapshot: Snapshot, cheat: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mutuals.runs.exchange.verify_ack", lambda *_: None)  # the cheat does not mind
    authorise_both(pair, snapshot.run_id)
    repeating = Repeating()
    ends = exchange(pair, snapshot.run_id, {cheat: repeating})
    error = ends.errors[cheat.other]
    assert isinstance(error, PartnerFault)
    assert "whose acknowledgement it has" in error.message
    assert len(repeating.taken) <= (1 if cheat is Role.INITIATOR else 2)


def test_nor_over_one_connection_after_the_other(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)
    taken: set[bytes] = set()
    for _ in range(6):
        repeating = Repeating()
        held = stored_envelopes(pair.left.peer, pair.left.run(snapshot.run_id))
        repeating.first = to_envelope(held[0]) if held else None

        def alter(message: Any, repeating: Repeating = repeating) -> list[Any]:
            sent = repeating(message)
            if isinstance(message, EnvelopeAck):
                raise KeyboardInterrupt  # after one envelope of the honest side's: connect anew
            return sent

        def leave(stream: MemoryStream, alter: Any = alter) -> None:
            stream.alter = alter
            initiate_exchange(pair.left.peer, snapshot.run_id, stream)

        ends = run_both(
            {
                Role.INITIATOR: leave,
                Role.RESPONDER: lambda s: respond_exchange(pair.right.peer, pair.right.partner(), s),
            }
        )
        taken |= repeating.taken
        if isinstance(ends.errors[Role.RESPONDER], PartnerFault):
            break
    assert len(taken) <= 1


def test_a_resumed_exchange_sends_only_what_was_not_acknowledged(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)
    CutAfter(2 + 8).exchange(pair, snapshot.run_id)
    sent: list[Envelope] = []

    def count(message: Any) -> list[Any]:
        if isinstance(message, Envelope):
            sent.append(message)
        return [message]

    exchange(pair, snapshot.run_id, {Role.INITIATOR: count, Role.RESPONDER: count})
    assert len(sent) == 2
    assert_done(pair, snapshot.run_id)


def test_a_contact_withdrawn_during_an_interruption_ends_the_run(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)
    CutAfter(4).exchange(pair, snapshot.run_id)
    withdraw(pair.left, LEFT, *(row["contact_id"] for row in LEFT))
    ends = exchange(pair, snapshot.run_id)
    error = ends.errors[Role.INITIATOR]
    assert code(error) is ErrorCode.STALE
    run = pair.left.run(snapshot.run_id)
    assert (run.state, run.spool_key) == (RunState.STALE, None)
    assert stored_records(pair.left, snapshot.run_id) == 0
    with pair.left.peer.store.transaction() as tx:
        assert tx.keys.wrapped(subject(run.run_id), "anna") is None


@pytest.mark.parametrize("what", ["expired", "withdrawn"])
def test_a_permission_that_lost_its_force_during_an_interruption_ends_the_run(
    pair: Pair, snapshot: Snapshot, what: str
) -> None:
    authorise_both(pair, snapshot.run_id)
    CutAfter(4).exchange(pair, snapshot.run_id)
    if what == "expired":
        pair.left.clock.now += timedelta(days=8)
    else:
        with pair.left.peer.store.transaction() as tx:
            row = tx.authorisations.current("exchange", snapshot.run_id, pair.left.clock())
            assert row is not None
            tx.authorisations.void(row.id, pair.left.clock())
    sent: list[Any] = []
    ends = exchange(
        pair, snapshot.run_id, dict.fromkeys(Role, lambda message: (sent.append(message), [message])[1])
    )
    assert code(ends.errors[Role.INITIATOR]) is ErrorCode.STALE
    assert not any(isinstance(message, Envelope) for message in sent)
    assert pair.left.run(snapshot.run_id).state is RunState.STALE


def test_the_partner_hears_the_end_also_after_the_permission_has_expired(
    pair: Pair, snapshot: Snapshot
) -> None:
    authorise_both(pair, snapshot.run_id)
    CutAfter(MESSAGES - 1).exchange(pair, snapshot.run_id)
    assert pair.right.run(snapshot.run_id).state is RunState.DONE
    pair.left.clock.now += timedelta(days=8)
    assert not exchange(pair, snapshot.run_id).errors
    assert_done(pair, snapshot.run_id)


def test_a_changed_value_during_an_interruption_does_not_change_what_was_authorised(
    pair: Pair, snapshot: Snapshot
) -> None:
    authorise_both(pair, snapshot.run_id)
    CutAfter(4).exchange(pair, snapshot.run_id)
    pair.left.write([row | {"city": "Elsewhere"} for row in LEFT])
    exchange(pair, snapshot.run_id)
    assert_done(pair, snapshot.run_id)


def test_only_the_sides_that_send_need_an_authorisation(tmp_path: Path) -> None:
    for name, changes in (("proposer", {"partner_sends": ()}), ("partner", {"proposer_sends": ()})):
        snapshot = reveal_once(tmp_path / f"{name}-made", LEFT, RIGHT, **changes)
        with snapshot.copy(tmp_path / name) as pair:
            sender, other = (pair.left, pair.right) if name == "proposer" else (pair.right, pair.left)
            assert exchange(pair, snapshot.run_id).errors
            authorise(sender, snapshot.run_id)
            assert not exchange(pair, snapshot.run_id).errors
            assert len(rows(other, snapshot.run_id)) == 6
            assert sender.run(snapshot.run_id).state is other.run(snapshot.run_id).state is RunState.DONE
            with pytest.raises(MutualsError) as caught:
                open_received(sender.peer, snapshot.run_id, sender.keys)
            assert caught.value.code is ErrorCode.AGREEMENT_FORBIDS


def test_a_mandate_permits_the_exchange_without_a_preview(tmp_path: Path) -> None:
    snapshot = reveal_once(tmp_path / "made", LEFT, RIGHT, permission={"exchange": "mandate"})
    with snapshot.copy(tmp_path / "pair") as pair:
        for company in pair.sides.values():
            until = company.clock() + timedelta(days=1)
            grant_mandate(
                company.peer, pair.digest, company.keys, acts=("exchange",), max_runs=1, expires_at=until
            )
        withdraw(pair.left, LEFT, "L1")
        assert exchange(pair, snapshot.run_id)[Role.INITIATOR].contacts_sent == 5
        assert events(pair.left, snapshot.run_id)["run.exchange_prepared"]["by_mandate"] is True


def test_what_was_sent_is_in_the_ledger_for_those_who_must_answer(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)
    peer, run = pair.left.peer, pair.left.run(snapshot.run_id)
    overlap = load_overlap(peer, run)
    exchange(pair, snapshot.run_id)
    with peer.store.transaction() as tx:
        (row,) = tx.sent.list(snapshot.run_id)
        (entry,) = open_ledger(tx, peer, pair.left.keys)
        assert open_ledger(tx, peer, pair.left.keys, agreement="other") == []
        assert open_ledger(tx, peer, pair.left.keys, partner="other") == []
    assert entry.contacts == {
        contact: SentContact(("city",), ranks) for contact, ranks in ranks_by_contact(overlap).items()
    }
    assert (entry.run.run_id, entry.agreement, entry.at) == (run.run_id, pair.digest, row.at)
    assert (row.contacts, entry.partner) == (6, pair.right.peer.fingerprint.hex())


def tampered(message: Any) -> list[Any]:
    if isinstance(message, Envelope) and message.records:
        record = replace(message.records[0], rank=message.records[0].rank + 1)
        return [replace(message, records=(record, *message.records[1:]))]
    return [message]


CHEATS: dict[str, Callable[[Any], list[Any]]] = {
    "records changed": tampered,
    "header changed": lambda m: [replace(m, header=m.header[:-1] + b"x")] if isinstance(m, Envelope) else [m],
    "signature of nothing": lambda m: [replace(m, signature=bytes(64))] if isinstance(m, Envelope) else [m],
    "envelope twice in place of an answer": lambda m: [m, m] if isinstance(m, Envelope) else [m],
    "acknowledgement forged": lambda m: (
        [replace(m, signature=bytes(64))] if isinstance(m, EnvelopeAck) else [m]
    ),
    "end in place of an acknowledgement": lambda m: (
        [ExchangeDone(m.envelope)] if isinstance(m, EnvelopeAck) else [m]
    ),
    "start of another run": lambda m: [ExchangeStart(bytes(32))] if isinstance(m, ExchangeStart) else [m],
}


# The responder knows no run of another sid: test_a_run_of_another_partner_or_role_is_unknown.
CASES = [
    (role, name)
    for role in Role
    for name in CHEATS
    if (role, name) != (Role.INITIATOR, "start of another run")
]


@pytest.mark.parametrize(("cheat", "name"), CASES)
def test_a_cheating_partner_ends_the_run_and_leaves_nothing(
    pair: Pair, snapshot: Snapshot, cheat: Role, name: str
) -> None:
    authorise_both(pair, snapshot.run_id)
    ends = exchange(pair, snapshot.run_id, {cheat: CHEATS[name]})
    honest = pair.right if cheat is Role.INITIATOR else pair.left
    assert isinstance(ends.errors[cheat.other], PartnerFault)
    run = honest.run(snapshot.run_id)
    assert (run.state, run.spool_key) == (RunState.FAILED, None)
    assert (run.reason or "").startswith("The partner broke the protocol")
    assert stored_records(honest, snapshot.run_id) == 0
    assert not list(honest.peer.home.spool.iterdir())
    with honest.peer.store.transaction() as tx:
        assert tx.keys.wrapped(subject(run.run_id), "anna") is None
        assert tx.overlaps.get(run.run_id) is None
    assert code(_again(pair, snapshot.run_id, honest)) is ErrorCode.RUN_STATE


def _again(pair: Pair, run_id: str, honest: Company) -> BaseException:
    ends = exchange(pair, run_id)
    return ends.errors[Role.INITIATOR if honest is pair.left else Role.RESPONDER]


def test_a_refused_envelope_is_kept_as_evidence_without_its_records(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)
    exchange(pair, snapshot.run_id, {Role.INITIATOR: tampered})
    body = events(pair.right, snapshot.run_id)["run.envelope_refused"]
    sender = pair.left.peer.signing_key.public
    sender.verify(bytes.fromhex(body["header"]), bytes.fromhex(body["signature"]))
    assert "other records" in body["reason"]


def test_a_run_of_another_partner_or_role_is_unknown(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)
    ends = exchange(
        pair,
        snapshot.run_id,
        {Role.INITIATOR: lambda m: [ExchangeStart(bytes(32))] if isinstance(m, ExchangeStart) else [m]},
    )
    assert code(ends.errors[Role.RESPONDER]) is ErrorCode.RUN_UNKNOWN
    stranger = replace(pair.right.partner(), fingerprint="0" * 64)
    ends = run_both(
        {
            Role.INITIATOR: lambda s: initiate_exchange(pair.left.peer, snapshot.run_id, s),
            Role.RESPONDER: lambda s: respond_exchange(pair.right.peer, stranger, s),
        }
    )
    assert code(ends.errors[Role.RESPONDER]) is ErrorCode.RUN_UNKNOWN
    with pytest.raises(MutualsError) as caught:
        initiate_exchange(pair.right.peer, snapshot.run_id, MemoryStream.__new__(MemoryStream))
    assert caught.value.code is ErrorCode.RUN_UNKNOWN


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_agreement_that_is_not_active_stops_the_exchange(
    pair: Pair, snapshot: Snapshot, side: str
) -> None:
    authorise_both(pair, snapshot.run_id)
    company = getattr(pair, side)
    with company.peer.store.transaction() as tx:
        tx.agreements.set_state(pair.digest, AgreementState.SUSPENDED, company.clock(), None)
    role = Role.INITIATOR if side == "left" else Role.RESPONDER
    assert code(exchange(pair, snapshot.run_id).errors[role]) is ErrorCode.AGREEMENT_NOT_ACTIVE
    for one in pair.sides.values():
        assert stored_records(one, snapshot.run_id) == 0


def test_a_cancelled_exchange_can_be_taken_up_again(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)
    asked = iter([False] * 4 + [True] * 99)
    ends = exchange(pair, snapshot.run_id, cancelled=lambda: next(asked))
    assert code(ends.errors[Role.INITIATOR]) is ErrorCode.CANCELLED
    assert pair.left.run(snapshot.run_id).state is RunState.EXCHANGING
    exchange(pair, snapshot.run_id)
    assert_done(pair, snapshot.run_id)


def test_a_responder_that_ended_the_run_as_stale_ends_it_for_both(pair: Pair, snapshot: Snapshot) -> None:
    authorise_both(pair, snapshot.run_id)
    CutAfter(4).exchange(pair, snapshot.run_id)

    class Refusing:
        def send(self, message: Any) -> None:
            pass

        def receive(self) -> Any:
            raise PartnerRefused(ErrorCode.STALE, "Right SA refused: stale.")

    with pytest.raises(PartnerRefused):
        initiate_exchange(pair.left.peer, snapshot.run_id, Refusing())
    assert pair.left.run(snapshot.run_id).state is RunState.STALE
