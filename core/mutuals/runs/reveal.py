"""The reveal as a peer carries it out: authorisation, re-checks, positions, confirmation, and the overlap kept.

    run = initiate_reveal(peer, run_id, stream)        # the side that started the run
    respond_reveal(peer, partner, stream)              # the side that answers

What was true at the count is checked again: agreement in force, own items still eligible, date not passed
(DESIGN §6, step 14). Once positions of either side may have left, a failure leaves the run half revealed, which blocks
new runs with the partner until a person clears it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from mutuals.agreement.active import ActiveAgreement, load_for_run
from mutuals.agreement.document import agreement_id
from mutuals.crypto.hpke import seal
from mutuals.errors import ErrorCode, MutualsError, PartnerFault, PartnerRefused
from mutuals.framing import Context, frame
from mutuals.identity.partners import partner_key
from mutuals.models.run import Role, Run, RunState
from mutuals.models.statistics import RunStatistics
from mutuals.peer import Peer
from mutuals.protocol.messages import Approve, RevealMessage
from mutuals.protocol.reveal import RevealSession
from mutuals.runs.authorisation import require_authorisation
from mutuals.runs.drive_reveal import RevealHooks, drive_reveal
from mutuals.runs.found import started_by, started_here
from mutuals.runs.guards import check_not_blocked
from mutuals.runs.lifecycle import REVEAL_LASTS_AT_MOST, describe, end_run, expire_runs, log_run
from mutuals.runs.overlap import Overlap
from mutuals.runs.ports import Cancelled, MessageStream, Progress, never
from mutuals.runs.prepare import STAGE_READ, OwnSet, read_own_set
from mutuals.runs.spool import Matched, load_matched, save_overlap
from mutuals.runs.statistics import Meter, measured, with_overlap
from mutuals.store.database import Transaction
from mutuals.store.rows import PartnerRow

RevealStream = MessageStream[RevealMessage, RevealMessage]


def initiate_reveal(
    peer: Peer,
    run_id: str,
    stream: RevealStream,
    *,
    progress: Progress | None = None,
    cancelled: Cancelled = never,
) -> Run:
    """Reveal a counted run that this side started; the run, REVEALED.

    Raises MutualsError: NOT_AUTHORISED_YET (this side's, or as PartnerRefused the other's; the run waits on), STALE
    (the run is destroyed), RUN_STATE, AGREEMENT_NOT_ACTIVE, BLOCKED, BELOW_THRESHOLD, CONFIRMATION_FAILED, UNREACHABLE.
    """
    run = started_here(peer, run_id)
    meter = Meter(progress)
    with measured(peer, lambda: run, "reveal", meter):
        meter.stage(STAGE_READ, 0)
        return _Execution.prepare(peer, run, meter).carry_out(meter.metered(stream), meter, cancelled)


def respond_reveal(
    peer: Peer,
    partner: PartnerRow,
    stream: RevealStream,
    *,
    progress: Progress | None = None,
    cancelled: Cancelled = never,
) -> Run:
    """Answer the reveal of a run that ``partner`` started. Raises as ``initiate_reveal`` does."""
    expire_runs(peer)
    approve = stream.receive()
    if not isinstance(approve, Approve):
        raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner's first message was not an Approve.")
    run = started_by(peer, partner, approve.sid)
    meter = Meter(progress)
    with measured(peer, lambda: run, "reveal", meter):
        meter.stage(STAGE_READ, 0)
        return _Execution.prepare(peer, run, meter).carry_out(
            meter.metered(stream), meter, cancelled, approve
        )


@dataclass
class _Execution:
    """One reveal in flight; the driver calls back at the moments that need the store."""

    peer: Peer
    run: Run
    active: ActiveAgreement
    partner: PartnerRow
    own: OwnSet
    matched: Matched
    reveal_by: datetime | None
    left: bool = False
    overlap: Overlap | None = field(default=None)
    statistics: RunStatistics | None = None

    @classmethod
    def prepare(cls, peer: Peer, run: Run, progress: Progress | None = None) -> _Execution:
        """Step 14, before anything is sent: permission, agreement, state, and every own item still eligible."""
        active, partner = _check(peer, run)
        matched = load_matched(peer, run)
        own = read_own_set(peer, active, progress)
        real = np.ones(len(matched.outcome.items), dtype=bool)
        real[matched.dummies] = False
        try:
            own.require(matched.outcome.items[real])
        except MutualsError as error:
            end_run(peer, run, RunState.STALE, reason=error.message, tell_partner=True)
            raise
        return cls(peer, run, active, partner, own, matched, run.reveal_by)

    def carry_out(
        self, stream: RevealStream, progress: Progress, cancelled: Cancelled, approve: Approve | None = None
    ) -> Run:
        """Run the protocol, then keep the overlap."""
        session = RevealSession(
            self.matched.outcome, signing_key=self.peer.signing_key, partner_key=partner_key(self.partner)
        )
        hooks = RevealHooks(
            recheck=self._recheck,
            before_positions=self._before_positions,
            check_pairs=self._check_pairs,
            leaving=self._leaving,
        )
        try:
            drive_reveal(session, stream, progress, cancelled, hooks, approved=approve)
            return self._keep()
        except BaseException as error:
            self._broke_off(error)
            raise

    def _recheck(self) -> None:
        """Step 14 again: time has passed since ``prepare`` while the partner made up its mind."""
        _check(self.peer, self.run)

    def _before_positions(self) -> None:
        """The mark that positions may have left; a compare-and-set, so that nobody else reveals this run.

        A partner may take its time between its approval and its positions, and the agreement be suspended or replaced
        meanwhile, or another process reveal the last run that a mandate permits: so all is asked again in the same
        transaction.
        """
        now = self.peer.clock()
        with self.peer.store.transaction() as tx:
            _checked(tx, self.peer, self.run, now)
            self.run = tx.runs.update(
                self.run.run_id,
                {RunState.COUNTED},
                state=RunState.REVEALING,
                reveal_by=now + REVEAL_LASTS_AT_MOST,
            )

    def _leaving(self) -> None:
        self.left = True

    def _check_pairs(self, positions: npt.NDArray[np.uint32]) -> None:
        """Step 17: the minimum holds for distinct own contacts too."""
        overlap = Overlap.of(self.own.owners(self.matched.outcome.items[positions]))
        least = self.active.agreement.matching.min_overlap
        if overlap.people < least:
            raise MutualsError(
                ErrorCode.BELOW_THRESHOLD,
                f"The shared identifiers belong to fewer than the {least:,} contacts "
                f"that agreement {self.active.agreement_id} asks for; nothing was kept.",
                hint=f"See the agreed minimum: mutuals agreement show {self.active.agreement_id}",
            )
        self.overlap = overlap
        self.statistics = with_overlap(
            self.run.statistics, self.own, self.matched.outcome.items[positions], overlap
        )

    def _keep(self) -> Run:
        """Step 19: the overlap is confirmed. It waits in the spool for the exchange, and sealed for the export."""
        if self.overlap is None:
            raise RuntimeError("a reveal ended without pairs")
        now = self.peer.clock()
        save_overlap(self.peer, self.run, self.overlap)
        info = frame(Context.OVERLAP, self.run.sid)
        sealed = seal(self.run.own_receiving_key, info, self.overlap.to_bytes())
        waiting = self.active.agreement.matching.reveal_within_days
        with self.peer.store.transaction() as tx:
            revealed = tx.runs.update(
                self.run.run_id,
                {RunState.REVEALING},
                state=RunState.REVEALED,
                contacts=self.overlap.people,
                statistics=self.statistics,
                revealed_at=now,
                reveal_by=now + timedelta(days=waiting),
            )
            tx.overlaps.put(self.run.run_id, sealed)
            log_run(tx, revealed, "revealed", now)
        return revealed

    def _broke_off(self, error: BaseException) -> None:
        """Before positions left the run just waits on; afterwards it is half revealed, or below the threshold.

        The responder marks the run once it has the initiator's positions, so that some have left whatever became of its
        own. The initiator marks it before any have: where none was handed to the stream, the mark is taken back.
        """
        if self.run.state is not RunState.REVEALING:
            if isinstance(error, PartnerFault):
                end_run(self.peer, self.run, RunState.FAILED, reason=describe(error))
            elif isinstance(error, PartnerRefused) and error.code is ErrorCode.STALE:
                end_run(self.peer, self.run, RunState.STALE, reason=describe(error))
            return
        if self.run.role is Role.INITIATOR and not self.left:
            with suppress(MutualsError), self.peer.store.transaction() as tx:
                tx.runs.update(
                    self.run.run_id,
                    {RunState.REVEALING},
                    state=RunState.COUNTED,
                    reveal_by=self.reveal_by,
                )
            return
        below = isinstance(error, MutualsError) and error.code is ErrorCode.BELOW_THRESHOLD
        state = RunState.BELOW_THRESHOLD if below else RunState.HALF_REVEALED
        with suppress(MutualsError):  # the first error is the one to tell
            # The partner's positions may be in, ours are out: only our word spares it a half-revealed run.
            tell = below and not isinstance(error, PartnerRefused)
            end_run(self.peer, self.run, state, reason=describe(error), tell_partner=tell)


def _check(peer: Peer, run: Run) -> tuple[ActiveAgreement, PartnerRow]:
    with peer.store.transaction() as tx:
        return _checked(tx, peer, run, peer.clock())


def _checked(tx: Transaction, peer: Peer, run: Run, now: datetime) -> tuple[ActiveAgreement, PartnerRow]:
    current = tx.runs.get(run.run_id)
    if current is None or current.state is not RunState.COUNTED:
        raise MutualsError(
            ErrorCode.RUN_STATE,
            f"Run {run.run_id} is not waiting for its reveal.",
            hint=f"See where it stands: mutuals runs show {run.run_id}",
        )
    if current.reveal_by is not None and current.reveal_by < now:
        raise MutualsError(
            ErrorCode.RUN_STATE,
            f"Run {run.run_id} was to be revealed by {current.reveal_by:%Y-%m-%d}.",
            hint=f"Start a new match: mutuals match {agreement_id(run.agreement)}",
        )
    active = load_for_run(tx, run, now, own=peer.fingerprint.hex())
    check_not_blocked(tx, active)
    require_authorisation(tx, "reveal", run, active, now)
    partner = tx.partners.get(run.partner)
    if partner is None:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            f"The partner of run {run.run_id} was removed.",
            hint="Add its card again: mutuals partner add FILE",
        )
    return active, partner
