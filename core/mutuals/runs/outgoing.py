"""The own direction of an exchange: authorised, sealed, and stored before the first record leaves.

    prepared = prepare_outgoing(peer, run, active)     # nothing is written yet
    keep_outgoing(peer, run, prepared)                 # one transaction: envelopes, ledger, state EXCHANGING

From then on the bytes are fixed: a retry sends the same. What has not been acknowledged by then is not sent
any more once one of its contacts may no longer be shared.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

import polars as pl

from mutuals.agreement.active import ActiveAgreement, load_for_run, utc_date
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import OperatorKeys
from mutuals.models.run import Run, RunState
from mutuals.peer import Peer
from mutuals.policy.consent_age import carried_out
from mutuals.policy.current import current_policy, policy_in_force
from mutuals.protocol.envelopes import decode_records
from mutuals.protocol.exchange import Flow, SealedEnvelope, seal_envelopes
from mutuals.protocol.messages import Envelope
from mutuals.protocol.sealing import new_secret
from mutuals.runs.authorisation import Authorisation, authorise_exchange, require_authorisation
from mutuals.runs.ledger import seal_contacts
from mutuals.runs.lifecycle import log_run
from mutuals.runs.permitted import sendable_fields
from mutuals.runs.preview import Preview, preview_run, read_overlap_and_source, wrong_state
from mutuals.runs.preview_id import preview_id
from mutuals.runs.records import ineligible
from mutuals.store.database import Transaction
from mutuals.store.rows import OutgoingRow, SentRow

LEDGER_LASTS = timedelta(days=3 * 365)
"""How long after the agreement's end the ledger of what was sent is kept, to answer for it."""


@dataclass(frozen=True)
class Prepared:
    """Sealed envelopes that are not stored yet. Without envelopes where this side sends nothing."""

    preview: Preview
    authorisation: Authorisation | None
    envelopes: list[SealedEnvelope] = field(repr=False)


def outgoing_flow(peer: Peer, run: Run, active: ActiveAgreement) -> Flow:
    """The direction in which this side sends."""
    return Flow(
        agreement=bytes.fromhex(active.digest),
        sid=run.sid,
        direction=run.role,
        sender=peer.fingerprint,
        recipient=bytes.fromhex(run.partner),
        receiving_key=run.partner_receiving_key,
        retention_classes=frozenset(item.retention_days for item in active.agreement.sends(active.own_side)),
        pairs=run.count or 0,
    )


def authorisation_for(peer: Peer, preview: Preview) -> Authorisation:
    """The permission to send exactly what ``preview`` shows.

    Raises MutualsError: NOT_AUTHORISED_YET; PREVIEW_CHANGED where something else was authorised, which is void
    from then on.
    """
    run = preview.run
    with peer.store.transaction() as tx:
        authorisation = require_authorisation(tx, "exchange", run, preview.active, peer.clock())
    if authorisation.preview is None or hmac.compare_digest(authorisation.preview, preview.digest):
        return authorisation
    now = peer.clock()
    with peer.store.transaction() as tx:
        for id in authorisation.ids:
            tx.authorisations.void(id, now)
        log_run(
            tx,
            run,
            "preview_changed",
            now,
            authorisation=authorisation.id,
            authorised=preview_id(authorisation.preview),
            preview=preview.id,
        )
    raise MutualsError(
        ErrorCode.PREVIEW_CHANGED,
        f"What run {run.run_id} would send is preview {preview.id} now, and no longer what {authorisation.operator} "
        f"authorised, {preview_id(authorisation.preview)}; nothing was sent.",
        hint=f"Look at the new preview and authorise it: mutuals exchange {run.run_id}",
    )


def authorise_preview(peer: Peer, preview: Preview, keys: OperatorKeys) -> Authorisation:
    """Permit sending exactly what ``preview`` shows, by whoever has looked at it.

    Raises MutualsError: PREVIEW_CHANGED where the policy, the withdrawals or the day are others than when it was made,
    RUN_STATE where the run is no longer revealed; NOT_ENTITLED and NOT_AUTHORISED_YET as ``authorise_exchange``.
    """
    with peer.store.transaction() as tx:
        run = tx.runs.get(preview.run.run_id)
        if run is None or run.state is not RunState.REVEALED:
            raise wrong_state(run or preview.run)
        require_same_basis(tx, preview, peer.clock(), "nothing was authorised")
    fields = [item.shared.name for item in preview.outgoing.fields]
    return authorise_exchange(peer, run, fields, preview.digest, keys)


def prepare_outgoing(
    peer: Peer, run: Run, active: ActiveAgreement, expected: bytes | None = None
) -> Prepared:
    """Build and seal what this side sends now, if that is what was authorised.

    ``expected`` is the digest of the preview that somebody was shown before: nothing else is sent, whatever a standing
    mandate permits. Raises MutualsError: NOT_AUTHORISED_YET, PREVIEW_CHANGED, INPUT_QUALITY.
    """
    if not active.agreement.sends(active.own_side):
        return Prepared(preview_run(peer, run, active), None, [])
    with peer.store.transaction() as tx:  # before the source is read for nothing
        require_authorisation(tx, "exchange", run, active, peer.clock())
    preview = preview_run(peer, run, active)
    authorisation = authorisation_for(peer, preview)
    if expected is not None and not hmac.compare_digest(expected, preview.digest):
        raise MutualsError(
            ErrorCode.PREVIEW_CHANGED,
            f"What run {run.run_id} would send is preview {preview.id} now, and no longer {preview_id(expected)}, "
            "which was shown; nothing was sent.",
            hint=f"Look at the new preview: mutuals exchange {run.run_id} --dry-run",
        )
    envelopes = seal_envelopes(
        outgoing_flow(peer, run, active),
        preview.outgoing.records,
        secret=new_secret(),
        signing_key=peer.signing_key,
    )
    return Prepared(preview, authorisation, list(envelopes))


def keep_outgoing(peer: Peer, run: Run, prepared: Prepared) -> None:
    """Store envelopes and ledger and set the run to EXCHANGING, all at once; records may leave afterwards.

    Raises MutualsError: AGREEMENT_NOT_ACTIVE, NOT_AUTHORISED_YET or RUN_STATE where that changed since.
    """
    now = peer.clock()
    preview = prepared.preview
    with peer.store.transaction() as tx:
        active = load_for_run(tx, run, now, own=peer.fingerprint.hex())
        require_same_basis(tx, preview, now, "nothing was sent")
        if prepared.authorisation is not None:
            current = require_authorisation(tx, "exchange", run, active, now)
            if current.preview not in (None, preview.digest):
                raise MutualsError(
                    ErrorCode.PREVIEW_CHANGED,
                    f"Another preview of run {run.run_id} was authorised meanwhile.",
                )
        tx.runs.update(run.run_id, {RunState.REVEALED}, state=RunState.EXCHANGING)
        for number, envelope in enumerate(prepared.envelopes):
            tx.envelopes.put_outgoing(
                OutgoingRow(
                    run_id=run.run_id,
                    number=number,
                    header=envelope.header,
                    signature=envelope.signature,
                    records=envelope.records,
                    digest=envelope.digest,
                )
            )
        if len(preview.outgoing.sent):
            tx.sent.put(_ledger_entry(peer, preview, now))
        log_run(
            tx,
            run,
            "exchange_prepared",
            now,
            contacts=len(preview.outgoing.sent),
            records=len(preview.outgoing.records),
            envelopes=len(prepared.envelopes),
            withheld=preview.outgoing.withheld,
            fields=[item.shared.name for item in preview.outgoing.fields],
            kept_back=[item.field for item in preview.kept_back],
            policy=preview.policy,
            preview=preview.id,
            authorisation=prepared.authorisation.id if prepared.authorisation else None,
            operators=list(prepared.authorisation.operators) if prepared.authorisation else [],
            by_mandate=prepared.authorisation.by_mandate if prepared.authorisation else None,
        )


def require_same_basis(tx: Transaction, preview: Preview, now: datetime, outcome: str) -> None:
    """What a preview rests on besides the source is what it was: the policy, the withdrawals, the day.

    ``outcome`` completes the sentence of the refusal. Raises MutualsError (PREVIEW_CHANGED).
    """
    run_id = preview.run.run_id
    since = f"since preview {preview.id} of run {run_id} was made; {outcome}."
    if preview.policy != policy_in_force(tx):
        what = "The policy changed"
    elif preview.withdrawals != tx.suppressions.mark():
        what = "A contact was withdrawn, or let back in,"
    elif preview.day != utc_date(now):
        what = "A new day began, on which other consents count,"
    else:
        return
    raise MutualsError(
        ErrorCode.PREVIEW_CHANGED,
        f"{what} {since}",
        hint=f"Look at the new preview: mutuals exchange {run_id} --dry-run",
    )


def stored_envelopes(peer: Peer, run: Run) -> list[OutgoingRow]:
    """What ``keep_outgoing`` stored, by number."""
    with peer.store.transaction() as tx:
        return tx.envelopes.outgoing(run.run_id)


def to_envelope(row: OutgoingRow) -> Envelope:
    """The message that the row keeps."""
    return Envelope(header=row.header, signature=row.signature, records=decode_records(row.records))


def require_still_eligible(peer: Peer, run: Run, active: ActiveAgreement, rows: list[OutgoingRow]) -> None:
    """Before a retry: every contact and field in an envelope not yet acknowledged may still be sent.

    Raises MutualsError (STALE) otherwise: the envelopes are signed, chained and partly gone, so none can be
    changed.
    """
    waiting = [row for row in rows if row.acknowledged_at is None]
    if not waiting:
        return
    _require_still_shared(peer, run, active)
    with peer.store.transaction() as tx:
        require_still_permitted(tx, run, active, peer.clock())
        agreement = carried_out(current_policy(tx), active.agreement)
    overlap, table = read_overlap_and_source(peer, run, active)
    excluded = ineligible(table, agreement, overlap, utc_date(peer.clock()))
    ranks = {
        rank
        for row in waiting
        for sealed in decode_records(row.records)
        for rank in (sealed.rank, *sealed.also)
    }
    held = overlap.holders().filter(pl.col("rank").is_in(sorted(ranks)))["contact"]
    if any(contact in excluded for contact in held):
        raise MutualsError(
            ErrorCode.STALE,
            f"While the exchange of run {run.run_id} was interrupted, a contact that was not yet sent was withdrawn.",
            hint="Start a new match.",
        )


def require_still_permitted(tx: Transaction, run: Run, active: ActiveAgreement, now: datetime) -> None:
    """Before an envelope that is not acknowledged leaves: whoever permitted the exchange still does.

    Raises MutualsError (STALE) where the permission has expired, its operator was disabled, or the policy changed:
    another one could not be given for bytes that are fixed.
    """
    try:
        require_authorisation(tx, "exchange", run, active, now)
    except MutualsError as error:
        if error.code is not ErrorCode.NOT_AUTHORISED_YET:
            raise
        raise MutualsError(
            ErrorCode.STALE,
            f"The permission for the exchange of run {run.run_id} lost its force before everything was sent. "
            f"{error.message}",
            hint="Start a new match, and authorise its exchange.",
        ) from error


def _require_still_shared(peer: Peer, run: Run, active: ActiveAgreement) -> None:
    with peer.store.transaction() as tx:
        _, kept_back = sendable_fields(current_policy(tx), active)
        prepared = [
            entry.body["fields"]
            for entry in tx.log.entries(run.agreement)
            if entry.event == "run.exchange_prepared" and entry.body.get("run") == run.run_id
        ]
    now_refused = [item for item in kept_back if prepared and item.field in prepared[-1]]
    if now_refused:
        raise MutualsError(
            ErrorCode.STALE,
            f"While the exchange of run {run.run_id} was interrupted, the policy came to keep back a field of it. "
            f"{now_refused[0]}",
            hint="Start a new match, or change the policy.",
        )


def _ledger_entry(peer: Peer, preview: Preview, now: datetime) -> SentRow:
    run = preview.run
    end = datetime.combine(preview.active.agreement.valid_until, time.min, UTC)
    fields = [item.shared.name for item in preview.outgoing.fields]
    sent = preview.outgoing.sent
    return SentRow(
        run_id=run.run_id,
        partner=run.partner,
        agreement=run.agreement,
        blob=seal_contacts(peer.accountability_public, run.sid, fields, sent),
        contacts=len(sent),
        at=now,
        delete_after=end + LEDGER_LASTS,
    )
