"""The partner's direction of an exchange: checked, stored as ciphertext, and only then acknowledged."""

from __future__ import annotations

from datetime import timedelta

from mutuals.agreement.active import ActiveAgreement
from mutuals.crypto.signing import VerifyKey
from mutuals.models.run import Run, RunState
from mutuals.peer import Peer
from mutuals.protocol.exchange import Accepted, EnvelopeReceiver, Flow
from mutuals.protocol.messages import Envelope, SealedRecord
from mutuals.store.rows import IncomingRow, ReceivedRow


def incoming_flow(peer: Peer, run: Run, active: ActiveAgreement) -> Flow:
    """The direction in which the partner sends."""
    shared = active.agreement.sends(active.own_side.other)
    return Flow(
        agreement=bytes.fromhex(active.digest),
        sid=run.sid,
        direction=run.role.other,
        sender=bytes.fromhex(run.partner),
        recipient=peer.fingerprint,
        receiving_key=run.own_receiving_key,
        retention_classes=frozenset(item.retention_days for item in shared),
        pairs=run.count or 0,
    )


def open_receiver(peer: Peer, run: Run, active: ActiveAgreement, partner_key: VerifyKey) -> EnvelopeReceiver:
    """A receiver that goes on after what this run has stored already."""
    receiver = EnvelopeReceiver(incoming_flow(peer, run, active), partner_key, peer.signing_key)
    with peer.store.transaction() as tx:
        envelopes = [(row.header, row.digest) for row in tx.envelopes.incoming(run.run_id)]
        rows = tx.received.list(run.run_id) if envelopes else []
    receiver.restore(
        envelopes, [SealedRecord(row.rank, row.also, row.retention_days, row.ciphertext) for row in rows]
    )
    return receiver


def keep_incoming(peer: Peer, run: Run, envelope: Envelope, accepted: Accepted) -> None:
    """Store a new envelope, its records and the acknowledgement in one transaction; nothing for a known one.

    Raises MutualsError (RUN_STATE) where the run has ended meanwhile.
    """
    if not accepted.new:
        return
    now = peer.clock()
    with peer.store.transaction() as tx:
        tx.runs.update(run.run_id, {RunState.EXCHANGING})
        # A contact that the partner withdrew after it had sealed its envelopes is not taken in again.
        revoked = {rank for row in tx.revocations.list(run.run_id) if not row.own for rank in row.ranks}
        new = tx.envelopes.put_incoming(
            IncomingRow(
                run_id=run.run_id,
                number=accepted.header.number,
                header=envelope.header,
                signature=envelope.signature,
                digest=accepted.digest,
                ack=accepted.ack.signature,
                received_at=now,
            )
        )
        if not new:  # another process of this company carries out the same exchange, and was quicker
            return
        tx.received.put(
            ReceivedRow(
                run_id=run.run_id,
                rank=record.rank,
                also=record.also,
                retention_days=record.retention_days,
                ciphertext=record.ciphertext,
                received_at=now,
                delete_after=now + timedelta(days=record.retention_days),
                envelope=accepted.header.number,
            )
            for record in accepted.records
            if revoked.isdisjoint((record.rank, *record.also))
        )
