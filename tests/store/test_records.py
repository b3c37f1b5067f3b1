"""Authorisations, envelopes, received records, overlaps, the ledger, exports and the log."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store.samples import DAY, NOW, authorisation, digest, furnish, hexed, incoming, outgoing, record, undone

from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.store.database import Store
from mutuals.store.rows import ExportRow, LogRow, SentRow


def test_the_latest_permission_in_force_counts(store: Store) -> None:
    early, late = authorisation("early"), authorisation("late", created_at=NOW + DAY / 2)
    with store.transaction() as tx:
        furnish(tx)
        assert tx.authorisations.current("reveal", "R-1", NOW) is None
        tx.authorisations.put(late)
        tx.authorisations.put(early)
        assert tx.authorisations.current("reveal", "R-1", NOW) == late
        tx.authorisations.void("late", NOW)
        assert tx.authorisations.current("reveal", "R-1", NOW) == early
        assert tx.authorisations.current("exchange", "R-1", NOW) is None
        assert tx.authorisations.current("reveal", "R-2", NOW) is None


def test_a_permission_ends_at_its_expiry(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx)
        tx.authorisations.put(authorisation())
        assert tx.authorisations.current("reveal", "R-1", NOW + DAY - DAY / 1000) == authorisation()
        assert tx.authorisations.current("reveal", "R-1", NOW + DAY) is None


def test_a_permission_cannot_be_replaced(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx)
        tx.authorisations.put(authorisation())
    with pytest.raises(MutualsError) as refused, store.transaction() as tx:
        tx.authorisations.put(authorisation(expires_at=NOW + 2 * DAY))
    assert refused.value.code is ErrorCode.INTERNAL


def test_outgoing_envelopes_are_kept_until_and_after_they_are_acknowledged(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx, "R-1")
        for number in (1, 0, 0):
            tx.envelopes.put_outgoing(outgoing(number))
        tx.envelopes.acknowledge("R-1", 0, b"ack", NOW)
        tx.envelopes.acknowledge("R-1", 0, b"another", NOW + DAY)
        tx.envelopes.put_outgoing(outgoing(0))
        acknowledged = replace(outgoing(0), ack=b"ack", acknowledged_at=NOW)
        assert tx.envelopes.outgoing("R-1") == [acknowledged, outgoing(1)]


def test_a_number_stands_for_one_envelope(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx, "R-1")
        tx.envelopes.put_outgoing(outgoing(0))
        assert tx.envelopes.put_incoming(incoming(0))
        assert not tx.envelopes.put_incoming(incoming(0)), "records that came with it are there"
        with pytest.raises(MutualsError) as ours:
            tx.envelopes.put_outgoing(replace(outgoing(0), digest=digest("other")))
        with pytest.raises(PartnerFault) as theirs:
            tx.envelopes.put_incoming(replace(incoming(0), header=b"other"))
        assert (ours.value.code, theirs.value.code) == (ErrorCode.INTERNAL, ErrorCode.BAD_MESSAGE)
        assert tx.envelopes.incoming("R-1") == [incoming(0)]
        assert tx.envelopes.outgoing("R-1") == [outgoing(0)]


def test_received_records_are_counted_listed_by_rank_and_destroyed(store: Store) -> None:
    rows = [record(3), record(1, 90), record(1, 30)]
    with store.transaction() as tx:
        furnish(tx, "R-1", "R-2")
        tx.received.put(rows)
        tx.received.put([])
        tx.received.put([replace(record(1), run_id="R-2")])
        assert tx.received.list("R-1") == [record(1, 30), record(1, 90), record(3)]
        assert tx.received.count("R-1") == 3
        assert tx.received.destroy("R-1") == 3
        assert tx.received.destroy("R-1") == tx.received.count("R-1") == 0
        assert tx.received.count("R-2") == 1


def test_a_run_has_one_overlap(store: Store) -> None:
    with store.transaction() as tx:
        furnish(tx, "R-1")
        tx.overlaps.put("R-1", b"one")
        tx.overlaps.put("R-1", b"two")
        assert tx.overlaps.get("R-1") == b"two"
        assert tx.overlaps.destroy("R-1") == 1
        assert tx.overlaps.get("R-1") is None


def test_the_ledger_and_the_exports_keep_their_order(store: Store) -> None:
    sent = [SentRow("R-1", hexed("Globex"), hexed("Spring"), b"b%d" % n, n, NOW, NOW + DAY) for n in (2, 1)]
    taken = [ExportRow(name, "ada", "campaign.csv", 5, ("city", "age"), NOW) for name in ("R-2", "R-1")]
    with store.transaction() as tx:
        furnish(tx, "R-1", "R-2")
        for row in sent:
            tx.sent.put(row)
        for export in taken:
            tx.exports.put(export)
        assert tx.sent.list("R-1") == sent
        assert tx.sent.list("R-2") == []
        assert tx.exports.list() == taken
        assert tx.exports.list("R-1") == taken[1:]


def test_the_log_is_numbered_without_gaps_across_failures(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.log.append(None, "started", {"b": [1, 2.5], "a": {"ü": None}}, NOW) == 1
    with undone(store) as tx:
        assert tx.log.append(None, "lost", {}, NOW) == 2
    with store.transaction() as tx:
        assert tx.log.append(hexed("Spring"), "signed", {}, NOW) == 2
        signed = LogRow(2, hexed("Spring"), "signed", {}, NOW)
        assert tx.log.entries() == [
            LogRow(1, None, "started", {"a": {"ü": None}, "b": [1, 2.5]}, NOW),
            signed,
        ]
        assert tx.log.entries(hexed("Spring")) == [signed]


def test_no_bytes_appear_in_the_representation_of_a_row() -> None:
    for row in (authorisation(), outgoing(0), incoming(0), record(0)):
        assert "b'" not in repr(row)
