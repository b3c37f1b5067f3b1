"""Going on with a match whose stream broke or whose process was killed, on either side or on both.

    run = resume_match(peer, run_id, stream, pool)              # the side that started it
    respond_resume(peer, partner, resume, stream, pool)         # the side that answers; called by respond_match

Each side stands where its journal says, tells the other, and sends what that lacks. Nothing is charged again. Whoever
has the partner's Counted has ended the match and forgotten how it came about; it answers with its own Counted, which
is all that the other side can still need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mutuals.agreement.active import ActiveAgreement, load_for_run
from mutuals.engines.workers import Pool
from mutuals.errors import ErrorCode, MutualsError, PartnerFault, PartnerRefused
from mutuals.identity.partners import partner_key
from mutuals.models.run import Role, Run, RunState
from mutuals.peer import Peer
from mutuals.protocol.events import Agreed
from mutuals.protocol.journal import Journal
from mutuals.protocol.messages import Counted, MatchMessage, Resume
from mutuals.protocol.resume import ResumedSession
from mutuals.protocol.transcript import counted_bytes
from mutuals.runs.drive_match import drive_match
from mutuals.runs.found import started_by, started_here
from mutuals.runs.guards import check_not_blocked
from mutuals.runs.journal import MatchJournal
from mutuals.runs.lifecycle import end_run, fail_run, interrupt_run, log_run
from mutuals.runs.match_end import conclude_match
from mutuals.runs.needs import MakeRoom, boundless
from mutuals.runs.ports import Cancelled, MessageStream, Progress, never
from mutuals.runs.spill import spilling
from mutuals.runs.statistics import Meter, measured
from mutuals.runs.terms import match_terms
from mutuals.store.database import Transaction
from mutuals.store.rows import PartnerRow

MatchStream = MessageStream[MatchMessage, MatchMessage]

STAGE_RESTORE = "taking up what was done"

_NOTHING = bytes(32)


def interrupted_match(tx: Transaction, peer: Peer, digest: str, *, count_only: bool) -> Run | None:
    """The newest match of this side under an agreement (digest in hex) that broke off, and that no process is at.

    It was to end with the count, or not, as ``count_only`` says.
    """
    runs = [
        run
        for run in tx.runs.list()
        if run.agreement == digest
        and run.role is Role.INITIATOR
        and run.state is RunState.MATCHING
        and MatchJournal.count_only(peer, run) is count_only
    ]
    return runs[-1] if runs else None


def resume_match(
    peer: Peer,
    run_id: str,
    stream: MatchStream,
    pool: Pool,
    *,
    progress: Progress | None = None,
    cancelled: Cancelled = never,
) -> Run:
    """Go on with a match that this side started; the run, COUNTED or COUNT_ONLY.

    One that has ended here is ended on the other side too. Raises MutualsError as ``initiate_match`` does, and
    RUN_STATE (the run has failed) where either side no longer has what it needs to go on, STALE where a contact was
    withdrawn meanwhile, BUSY where another process is at it.
    """
    run = started_here(peer, run_id)
    if run.state is not RunState.MATCHING:
        return _finish(peer, run, stream)
    with _Resumption.prepare(peer, run, progress) as resumption:
        return resumption.carry_out(stream, pool, cancelled)


def respond_resume(
    peer: Peer,
    partner: PartnerRow,
    resume: Resume,
    stream: MatchStream,
    pool: Pool,
    *,
    progress: Progress | None = None,
    cancelled: Cancelled = never,
    began: Callable[[Run], None] = lambda _: None,
    make_room: MakeRoom = boundless,
) -> Run:
    """Answer a partner that goes on with a run it started; the run as it ended. Raises as ``resume_match`` does."""
    run = started_by(peer, partner, resume.sid)
    began(run)
    if run.state is not RunState.MATCHING:
        return _finish(peer, run, stream, resume)
    make_room(run.own_size, run.partner_size)
    with _Resumption.prepare(peer, run, progress) as resumption:
        return resumption.carry_out(stream, pool, cancelled, resume)


def _finish(peer: Peer, run: Run, stream: MatchStream, theirs: Resume | None = None) -> Run:
    """Tell a partner that may still wait for it what this side counted."""
    if run.th is None:
        raise MutualsError(
            ErrorCode.RUN_STATE,
            f"Run {run.run_id} is {run.state.value.replace('_', ' ')}"
            + (f": {run.reason}" if run.reason else "."),
            hint="Start a new match.",
        )
    stream.send(Resume(run.sid, 0, _NOTHING, b"", 0, b"", finished=True))
    theirs = theirs or _expect_resume(stream, run)
    if not theirs.finished:
        stream.send(Counted(peer.signing_key.sign(counted_bytes(run.role, run.th))))
    return run


def _expect_resume(stream: MatchStream, run: Run) -> Resume:
    message = stream.receive()
    if not isinstance(message, Resume) or message.sid != run.sid:
        raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner's first message was not a Resume of this run.")
    return message


@dataclass
class _Resumption:
    """One attempt to go on; it holds the journal, so that no other process can go on meanwhile."""

    peer: Peer
    run: Run
    active: ActiveAgreement
    journal: MatchJournal
    session: ResumedSession
    meter: Meter

    @classmethod
    def prepare(cls, peer: Peer, run: Run, progress: Progress | None) -> _Resumption:
        """Look whether the match may still go on, and restore it."""
        meter = Meter(progress)
        meter.stage(STAGE_RESTORE, 0)
        with peer.store.transaction() as tx:
            active = load_for_run(tx, run, peer.clock(), own=peer.fingerprint.hex())
            check_not_blocked(tx, active)
            partner = tx.partners.get(run.partner)
            withdrawals = tx.suppressions.count()
        if partner is None:
            raise MutualsError(
                ErrorCode.PEER_IDENTITY,
                "The partner of this run was removed.",
                hint="Add its card again: mutuals partner add FILE",
            )
        try:
            journal = MatchJournal.open(peer, run)
        except MutualsError as error:
            if error.code is ErrorCode.RUN_STATE:
                fail_run(peer, run, error)
            raise
        try:
            if journal.opening.withdrawals != withdrawals:
                reason = "A contact was withdrawn while the match was interrupted."
                end_run(peer, run, RunState.STALE, reason=reason, tell_partner=True)
                raise MutualsError(
                    ErrorCode.STALE, f"{reason} Run {run.run_id} was destroyed.", hint="Start a new match."
                )
            session = _restored(peer, run, partner, active, journal)
            journal.count_resumption()
        except BaseException as error:
            journal.close()
            if isinstance(error, MutualsError) and error.code is ErrorCode.RUN_STATE:
                fail_run(peer, run, error)
            raise
        return cls(peer, run, active, journal, session, meter)

    def __enter__(self) -> _Resumption:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.destroy()
        self.journal.close()

    def carry_out(
        self, stream: MatchStream, pool: Pool, cancelled: Cancelled, theirs: Resume | None = None
    ) -> Run:
        """The rest of the match. The side that started it speaks first."""
        with measured(self.peer, lambda: self.run, "match", self.meter):
            metered = self.meter.metered(stream)
            try:
                metered.send(self.session.standing())
                if theirs is None:
                    theirs = _expect_resume(metered, self.run)
                self._log(theirs)
                outcome = drive_match(
                    self.session,
                    pool,
                    metered,
                    self.meter,
                    cancelled,
                    on_agreed=_never_agreed,
                    resumed=self.session.resume(theirs, self.journal),
                )
            except PartnerRefused as error:
                if error.code in (ErrorCode.RUN_STATE, ErrorCode.RUN_UNKNOWN):
                    fail_run(self.peer, self.run, error)
                else:
                    interrupt_run(self.peer, self.run, error)
                raise
            except BaseException as error:
                interrupt_run(self.peer, self.run, error)
                raise
            opening = self.journal.opening
            return conclude_match(
                self.peer, self.run, self.active, outcome, opening.dummies, count_only=opening.count_only
            )

    def _log(self, theirs: Resume) -> None:
        with self.peer.store.transaction() as tx:
            log_run(
                tx,
                self.run,
                "resumed",
                self.peer.clock(),
                partner_holds_points=theirs.points,
                partner_holds_tags=theirs.tags,
            )


def _restored(
    peer: Peer, run: Run, partner: PartnerRow, active: ActiveAgreement, journal: MatchJournal
) -> ResumedSession:
    opening = journal.opening
    session = ResumedSession(
        run.role,
        match_terms(peer, partner, active, run.role, opening.count_only),
        opening.items,
        signing_key=peer.signing_key,
        partner_key=partner_key(partner),
        receiving_key=run.own_receiving_key,
        clock=peer.clock,
        points=spilling(peer.home.spool),
        key=run.match_key,
    )
    try:
        session.restore(run.sid, run.partner_size, journal.entries(), has_key=run.match_key is not None)
    except ValueError as error:
        session.destroy()
        raise MutualsError(
            ErrorCode.RUN_STATE,
            f"What run {run.run_id} needs to go on is gone or damaged.",
            hint="Start a new match.",
        ) from error
    return session


def _never_agreed(_: Agreed) -> Journal:
    raise RuntimeError("both sides had agreed before")
