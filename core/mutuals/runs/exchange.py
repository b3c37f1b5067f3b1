"""The exchange as a peer carries it out, in either role (DESIGN §7).

    summary = initiate_exchange(peer, run_id, stream)      # the side that started the run
    respond_exchange(peer, partner, stream)                # the side that answers

    I → R  ExchangeStart       both: agreement active, run revealed, own direction authorised and unchanged
    R → I  ExchangeStart       from here on records may leave: both store their sealed envelopes first
    I → R  Envelope            where I has one left
    R → I  EnvelopeAck         after R stored it
    R → I  Envelope            where R has one left
    I → R  EnvelopeAck         ... and so on, in turn, until both have sent their last
    R → I  ExchangeDone        R has noted that the run is done; now I does

After a lost connection the initiator calls again. Each side goes on with its first envelope that was not
acknowledged, or with its last if all were, so that the other side always hears the end; what arrives a second
time is acknowledged with the same bytes. A run that is done still answers, for an initiator that missed the
last word.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from mutuals.agreement.active import ActiveAgreement, load_for_run, utc_date
from mutuals.crypto.signing import VerifyKey
from mutuals.errors import ErrorCode, MutualsError, PartnerFault, PartnerRefused
from mutuals.identity.partners import partner_card
from mutuals.models.run import Role, Run, RunState
from mutuals.peer import Peer
from mutuals.protocol.envelopes import EnvelopeHeader
from mutuals.protocol.exchange import EnvelopeReceiver, verify_ack
from mutuals.protocol.messages import Envelope, EnvelopeAck, ExchangeDone, ExchangeMessage, ExchangeStart
from mutuals.runs.found import started_here
from mutuals.runs.incoming import keep_incoming, open_receiver
from mutuals.runs.lifecycle import close_run, describe, end_run, log_run
from mutuals.runs.log_faults import check_logs_accepted
from mutuals.runs.moved import ExchangeSummary, exchange_summary
from mutuals.runs.outgoing import (
    Prepared,
    keep_outgoing,
    outgoing_flow,
    prepare_outgoing,
    require_still_eligible,
    require_still_permitted,
    stored_envelopes,
    to_envelope,
)
from mutuals.runs.ports import Cancelled, MessageStream, Progress, never
from mutuals.runs.preview import wrong_state
from mutuals.runs.spool_files import destroy_spool
from mutuals.runs.statistics import Meter, measured
from mutuals.store.rows import OutgoingRow, PartnerRow

STAGE_EXCHANGE = "exchanging records"

ExchangeStream = MessageStream[ExchangeMessage, ExchangeMessage]
Expected = TypeVar("Expected", ExchangeStart, Envelope, EnvelopeAck, ExchangeDone)


def initiate_exchange(
    peer: Peer,
    run_id: str,
    stream: ExchangeStream,
    *,
    expected: bytes | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> ExchangeSummary:
    """Exchange the records of a run that this side started, or go on after an interruption.

    ``expected`` is the digest of the preview that was shown to whoever asks for it: nothing else leaves. Raises
    MutualsError: RUN_UNKNOWN, RUN_STATE, AGREEMENT_NOT_ACTIVE, NOT_AUTHORISED_YET (also where the partner has not
    authorised), PREVIEW_CHANGED, STALE, INPUT_QUALITY, UNREACHABLE (nothing lost), PartnerFault (run failed).
    """
    run = started_here(peer, run_id)
    if run.state not in {RunState.REVEALED, RunState.EXCHANGING}:
        raise wrong_state(run)
    meter = Meter(progress)
    stream = meter.metered(stream)
    with measured(peer, lambda: run, "exchange", meter), _ending_on_faults(peer, run):
        exchange = _Exchange(peer, run, stream, meter, cancelled or never, expected)
        stream.send(ExchangeStart(run.sid))
        if exchange.expect(ExchangeStart).sid != run.sid:
            raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner answered for another run.")
        exchange.begin()
        exchange.take_turns()
        if exchange.expect(ExchangeDone).sid != run.sid:
            raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner ended another run.")
        exchange.finish()
    return exchange_summary(peer, run)


def respond_exchange(
    peer: Peer,
    partner: PartnerRow,
    stream: ExchangeStream,
    cancelled: Cancelled | None = None,
    *,
    progress: Progress | None = None,
) -> None:
    """Answer a partner that exchanges the records of a run it started.

    Raises as ``initiate_exchange`` does. Where our authorisation became void because the preview changed, the
    partner is told that we have not authorised yet: why is nobody else's business.
    """
    first = stream.receive()
    if not isinstance(first, ExchangeStart):
        raise PartnerFault(
            ErrorCode.BAD_MESSAGE, "The partner began an exchange with another message than its start."
        )
    with peer.store.transaction() as tx:
        run = tx.runs.by_sid(first.sid)
    if run is None or run.partner != partner.fingerprint or run.role is not Role.RESPONDER:
        raise MutualsError(
            ErrorCode.RUN_UNKNOWN, "The partner asked for a run that it did not start with us."
        )
    if run.state not in {RunState.REVEALED, RunState.EXCHANGING, RunState.DONE}:
        raise wrong_state(run)
    meter = Meter(progress)
    stream = meter.metered(stream)
    with measured(peer, lambda: run, "exchange", meter), _ending_on_faults(peer, run):
        try:
            exchange = _Exchange(peer, run, stream, meter, cancelled or never)
            stream.send(ExchangeStart(run.sid))
            exchange.take_turns()
        except MutualsError as error:
            if error.code is ErrorCode.PREVIEW_CHANGED and not isinstance(error, PartnerRefused):
                raise MutualsError(ErrorCode.NOT_AUTHORISED_YET, error.message, hint=error.hint) from error
            raise
        exchange.finish()
        stream.send(ExchangeDone(run.sid))


class _Exchange:
    """One stream's worth of an exchange. Making one checks what must hold before the partner hears of it."""

    def __init__(
        self,
        peer: Peer,
        run: Run,
        stream: ExchangeStream,
        progress: Progress,
        cancelled: Cancelled,
        expected: bytes | None = None,
    ) -> None:
        self._peer = peer
        self._run = run
        self._stream = stream
        self._progress = progress
        self._cancelled = cancelled
        self._expected = expected
        with peer.store.transaction() as tx:
            self._active = load_for_run(tx, run, peer.clock(), own=peer.fingerprint.hex())
            check_logs_accepted(tx, run.partner)
            partner = tx.partners.get(run.partner)
        self._partner_key = _partner_key(partner, self._active)
        self._receiver: EnvelopeReceiver | None = None
        if self._active.agreement.sends(self._active.own_side.other):
            self._receiver = open_receiver(peer, run, self._active, self._partner_key)
        self._taken = 0
        self._totals: tuple[int, ...] = (0, 0)
        self._moved = [0, 0]
        self._told = 0
        self._acknowledged: set[int] = set()
        self._prepared: Prepared | None = None
        self._rows: list[OutgoingRow] = []
        with peer.store.transaction() as tx:
            self._withdrawals = tx.suppressions.mark()
        if run.state is RunState.REVEALED:
            self._prepared = prepare_outgoing(peer, run, self._active, expected)
        else:
            self._rows = stored_envelopes(peer, run)
            require_still_eligible(peer, run, self._active, self._rows)

    def begin(self) -> None:
        """Fix what is sent, before the first record leaves or arrives; nothing where that has happened."""
        if self._prepared is not None:
            if self._prepared.preview.day != utc_date(
                self._peer.clock()
            ):  # other consents count than yesterday
                self._prepared = prepare_outgoing(self._peer, self._run, self._active, self._expected)
            keep_outgoing(self._peer, self._run, self._prepared)
            self._prepared = None
            self._rows = stored_envelopes(self._peer, self._run)

    def take_turns(self) -> None:
        """Send and receive in turn, the initiator first, until both directions are complete."""
        expecting = self._receiver is not None
        sending: Iterator[OutgoingRow] | None = None
        more = True
        self._acknowledged = {row.number for row in self._rows if row.acknowledged_at is not None}
        own_turn = self._run.role is Role.INITIATOR
        self._progress.stage(STAGE_EXCHANGE, 0)
        while more or expecting:
            if own_turn and more:
                if sending is None:
                    self.begin()
                    sending = iter(self._rows[_resume_at(self._rows) :])
                row = next(sending, None)
                more = row is not None and not _is_last(row, self._rows)
                if row is not None:
                    self._send(row)
            elif not own_turn and self._receiver is not None and expecting:
                expecting = not self._receive(self._receiver)
            own_turn = not own_turn

    def finish(self) -> None:
        """Note that the run is done, and destroy what it had to remember; nothing where that has happened."""
        if self._run.state is RunState.DONE:
            return
        receiver = self._receiver
        with self._peer.store.transaction() as tx:
            current = tx.runs.get(self._run.run_id)
            if current is not None and current.state is RunState.DONE:
                return  # on another stream, or by another process
            log_run(
                tx,
                self._run,
                "exchanged",
                self._peer.clock(),
                contacts_received=receiver.contacts if receiver else 0,
                records_received=receiver.records if receiver else 0,
                pairs_received=receiver.pairs if receiver else 0,
            )
            close_run(tx, self._peer, self._run, RunState.DONE, reason=None, expect={RunState.EXCHANGING})
        destroy_spool(self._peer, self._run)

    def expect(self, kind: type[Expected]) -> Expected:
        """The partner's next message, which must be of this kind."""
        self._check_cancelled()
        message = self._stream.receive()
        if not isinstance(message, kind):
            raise PartnerFault(
                ErrorCode.BAD_MESSAGE,
                f"The partner sent {type(message).__name__} where {kind.__name__} was due.",
            )
        return message

    def _require_still_allowed(self, *, sending: bool = False) -> None:
        """Between two envelopes the agreement may have been suspended, replaced or ended, here or by the partner.

        Before something of ours leaves for the first time (``sending``) the operators' permission must stand, too, and
        nobody of it may have withdrawn.
        """
        with self._peer.store.transaction() as tx:
            run = tx.runs.get(self._run.run_id)
            if run is None or run.state not in {RunState.EXCHANGING, RunState.DONE}:
                raise wrong_state(run or self._run)
            active = load_for_run(tx, run, self._peer.clock(), own=self._peer.fingerprint.hex())
            if sending:
                require_still_permitted(tx, run, active, self._peer.clock())
            withdrawals = tx.suppressions.mark()
        if sending and withdrawals != self._withdrawals:
            waiting = [row for row in self._rows if row.number not in self._acknowledged]
            require_still_eligible(self._peer, run, active, waiting)
            self._withdrawals = withdrawals

    def _send(self, row: OutgoingRow) -> None:
        self._check_cancelled()
        # What is acknowledged goes out again only so that the partner hears the end.
        self._require_still_allowed(sending=row.number not in self._acknowledged)
        envelope = to_envelope(row)
        self._stream.send(envelope)
        ack = self.expect(EnvelopeAck)
        verify_ack(outgoing_flow(self._peer, self._run, self._active), row.digest, ack, self._partner_key)
        with self._peer.store.transaction() as tx:
            tx.envelopes.acknowledge(row.run_id, row.number, ack.signature, self._peer.clock())
        self._acknowledged.add(row.number)
        self._tell(own=EnvelopeHeader.from_bytes(row.header))

    def _receive(self, receiver: EnvelopeReceiver) -> bool:
        """Take one envelope; True if it was the partner's last."""
        envelope = self.expect(Envelope)
        self.begin()
        try:
            accepted = receiver.receive(envelope)
            if not accepted.new:
                self._check_repeated(receiver, accepted.header.last)
        except PartnerFault as fault:
            self._log_evidence(envelope, fault)
            raise
        self._require_still_allowed()
        keep_incoming(self._peer, self._run, envelope, accepted)
        self._taken += 1
        self._stream.send(accepted.ack)
        self._tell(theirs=accepted.header)
        return accepted.header.last

    def _tell(self, *, own: EnvelopeHeader | None = None, theirs: EnvelopeHeader | None = None) -> None:
        """Progress over the records of both directions; how many the partner's are, its first envelope says."""
        before = self._totals
        for side, header in enumerate((own, theirs)):
            if header is not None:
                self._totals = tuple(header.total if i == side else n for i, n in enumerate(self._totals))
                self._moved[side] = header.start + header.count
        if self._totals != before:
            self._progress.stage(STAGE_EXCHANGE, sum(self._totals))
            self._told = 0
        self._progress.advance(sum(self._moved) - self._told)
        self._told = sum(self._moved)

    def _check_repeated(self, receiver: EnvelopeReceiver, last: bool) -> None:
        """An envelope comes again where its acknowledgement was lost. Anything else would pay for our next envelope
        with one that we have, and the two directions would no longer alternate.

        So it is the first on its stream; and an initiator, which acknowledges our envelopes only after it has our
        acknowledgements, repeats one only while it has acknowledged fewer than it has sent, or its last.
        """
        known = self._run.role is Role.RESPONDER and len(self._acknowledged) >= receiver.envelopes
        if self._taken or (known and not last):
            raise PartnerFault(
                ErrorCode.BAD_MESSAGE, "The partner sent an envelope again whose acknowledgement it has."
            )

    def _log_evidence(self, envelope: Envelope, fault: PartnerFault) -> None:
        with self._peer.store.transaction() as tx:
            log_run(
                tx,
                self._run,
                "envelope_refused",
                self._peer.clock(),
                reason=fault.message,
                header=envelope.header.hex(),
                signature=envelope.signature.hex(),
            )

    def _check_cancelled(self) -> None:
        if self._cancelled():
            raise MutualsError(
                ErrorCode.CANCELLED,
                f"The exchange of run {self._run.run_id} was stopped; it can be taken up again.",
            )


@contextmanager
def _ending_on_faults(peer: Peer, run: Run) -> Iterator[None]:
    """End the run where it cannot be taken up again: the partner cheated, or a contact was withdrawn."""
    try:
        yield
    except PartnerFault as fault:
        _end(peer, run, RunState.FAILED, describe(fault))
        raise
    except MutualsError as error:
        if error.code is ErrorCode.STALE:
            refused = isinstance(error, PartnerRefused)
            reason = "The partner's side of it became stale." if refused else error.message
            _end(peer, run, RunState.STALE, reason, tell_partner=not refused)
        raise


def _end(peer: Peer, run: Run, state: RunState, reason: str, *, tell_partner: bool = False) -> None:
    try:
        end_run(
            peer,
            run,
            state,
            reason=reason,
            expect={RunState.REVEALED, RunState.EXCHANGING},
            tell_partner=tell_partner,
        )
    except MutualsError as error:
        if error.code is ErrorCode.RUN_STATE:
            return  # it had ended already; a run that is done is not undone by what comes after
        raise


def _resume_at(rows: list[OutgoingRow]) -> int:
    """The first envelope to send on this stream: not yet acknowledged, or the last."""
    waiting = [index for index, row in enumerate(rows) if row.acknowledged_at is None]
    return waiting[0] if waiting else max(len(rows) - 1, 0)


def _is_last(row: OutgoingRow, rows: list[OutgoingRow]) -> bool:
    return row.number == rows[-1].number


def _partner_key(partner: PartnerRow | None, active: ActiveAgreement) -> VerifyKey:
    if partner is None or partner.removed_at is not None:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            f"The partner of agreement {active.agreement_id} was removed.",
            hint="Add its card again: mutuals partner add FILE",
        )
    return VerifyKey(bytes.fromhex(partner_card(partner).signing_key))
