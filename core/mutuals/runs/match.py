"""The match as a peer carries it out: guards, source, keys, protocol, and what is kept afterwards.

    run = initiate_match(peer, active, stream, pool)     # the side that starts
    respond_match(peer, partner, stream, pool)           # the side that answers

Consent, authority, thresholds and budgets are checked before the first blinded item is sent, because the match
itself is the disclosure (DESIGN §3). Both sides do the same checks on their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from mutuals.agreement.active import ActiveAgreement, load_active
from mutuals.engines.workers import Pool
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.identity.appointment import appointed_operators
from mutuals.identity.operators import RUN_ROLES, get_operator, require_role
from mutuals.identity.partners import partner_key
from mutuals.models.run import Role, Run, RunState
from mutuals.models.statistics import RunStatistics
from mutuals.normalisation import Spread
from mutuals.peer import Peer
from mutuals.protocol.events import Agreed
from mutuals.protocol.hello import MatchTerms, check_hello
from mutuals.protocol.match import MatchSession
from mutuals.protocol.messages import Hello, MatchMessage, Resume
from mutuals.runs.drive_match import Arrived, drive_match
from mutuals.runs.guards import charge_match, check_may_ask, check_may_match
from mutuals.runs.journal import MatchJournal, Opening
from mutuals.runs.keys import ReceivingKey, new_receiving_key, store_receiving_key
from mutuals.runs.lifecycle import expire_runs, interrupt_run, log_run
from mutuals.runs.match_end import conclude_match
from mutuals.runs.needs import MakeRoom, boundless
from mutuals.runs.ports import Cancelled, MessageStream, Progress, never
from mutuals.runs.prepare import STAGE_READ, OrderedItems, OwnSet, order_items, read_own_set, spread_over
from mutuals.runs.resume import respond_resume
from mutuals.runs.shares import create_share
from mutuals.runs.spill import spilling
from mutuals.runs.spool import new_spool_key
from mutuals.runs.spool_files import destroy_spool
from mutuals.runs.statistics import Meter, match_statistics, measured
from mutuals.runs.terms import match_terms
from mutuals.shortid import short_id
from mutuals.store.rows import OperatorRow, PartnerRow

MatchStream = MessageStream[MatchMessage, MatchMessage]


def prepare_match(
    peer: Peer, active: ActiveAgreement, progress: Progress | None = None, spread: Spread = map
) -> OwnSet:
    """Read the own set and check everything this side can check alone; nothing is sent or charged.

    ``spread`` distributes normalisation over cores.

    Raises MutualsError: INPUT_QUALITY, SET_TOO_SMALL, SET_TOO_LARGE, BUDGET_EXHAUSTED, BLOCKED, AGREEMENT_FORBIDS.
    """
    own = read_own_set(peer, active, progress, spread)
    with peer.store.transaction() as tx:
        check_may_match(tx, active, len(own.items), peer.clock())
    return own


def initiate_match(
    peer: Peer,
    agreement: str,
    stream: MatchStream,
    pool: Pool,
    *,
    count_only: bool = False,
    operator: str | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled = never,
    began: Callable[[Run], None] = lambda _: None,
) -> Run:
    """Match under ``agreement`` (id or digest) with the partner at the other end of ``stream``; the run.

    ``operator`` is who starts it, by name; the log keeps it. ``began`` is called once the run is stored, in this
    thread. The run's state is COUNTED, or COUNT_ONLY. Raises MutualsError: what ``prepare_match`` raises, NOT_ENTITLED
    for the operator's role, AGREEMENT_NOT_ACTIVE, BELOW_THRESHOLD, WORKER_DIED, UNREACHABLE, and PartnerRefused or
    PartnerFault.
    """
    with peer.store.transaction() as tx:
        if operator is not None:
            require_starter(get_operator(tx, operator))
        active = load_active(tx, agreement, peer.clock(), own=peer.fingerprint.hex())
        partner = tx.partners.get(active.partner_fingerprint)
    if partner is None:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            f"The partner of agreement {active.agreement_id} was removed.",
            hint="Add its card again: mutuals partner add FILE",
        )
    meter = Meter(progress)
    meter.stage(STAGE_READ, 0)
    terms = match_terms(peer, partner, active, Role.INITIATOR, count_only)
    withdrawals = count_withdrawals(peer)
    own = prepare_match(peer, active, meter, spread_over(pool))
    execution = _Execution.prepare(peer, partner, active, terms, own, withdrawals, Role.INITIATOR)
    del own  # its items are in another order now
    execution.operator = operator
    execution.began = began
    return execution.carry_out(stream, pool, meter, cancelled)


def require_starter(row: OperatorRow) -> None:
    """Raise MutualsError (NOT_ENTITLED) unless this operator is active and may start runs."""
    if row.disabled_at is not None:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {row.name} was disabled on {row.disabled_at:%Y-%m-%d}.",
            hint="See who is active: mutuals operator list",
        )
    require_role(row, RUN_ROLES, "start a match")


def respond_match(
    peer: Peer,
    partner: PartnerRow,
    stream: MatchStream,
    pool: Pool,
    *,
    progress: Progress | None = None,
    cancelled: Cancelled = never,
    began: Callable[[Run], None] = lambda _: None,
    make_room: MakeRoom = boundless,
) -> Run:
    """Answer a partner that opens a run, or goes on with one; the run as it ended. Raises as ``initiate_match`` does.

    ``began`` is called once the run is stored, in this thread. ``make_room`` is asked before the source is read, and
    again, with both sizes, before anything is charged and Accept leaves.
    """
    expire_runs(peer)
    opened = stream.receive()
    arrived_at = peer.clock()
    if isinstance(opened, Resume):
        return respond_resume(
            peer,
            partner,
            opened,
            stream,
            pool,
            progress=progress,
            cancelled=cancelled,
            began=began,
            make_room=make_room,
        )
    if not isinstance(opened, Hello) or opened.role is not Role.INITIATOR:
        raise PartnerFault(
            ErrorCode.BAD_MESSAGE, "The partner's first message was neither an Open nor a Resume."
        )
    active = agreement_with(peer, partner, opened.agreement)
    terms = match_terms(peer, partner, active, Role.RESPONDER, opened.count_only)
    # The session checks it too; here, an Open that must be refused costs no reading of the source.
    check_hello(opened, Role.INITIATOR, terms, partner_key(partner), arrived_at)
    with peer.store.transaction() as tx:
        check_may_ask(tx, active, opened.set_size, arrived_at)
    make_room(0, opened.set_size)
    meter = Meter(progress)
    meter.stage(STAGE_READ, 0)
    withdrawals = count_withdrawals(peer)
    own = prepare_match(peer, active, meter, spread_over(pool))
    execution = _Execution.prepare(peer, partner, active, terms, own, withdrawals, Role.RESPONDER)
    del own
    execution.began = began
    execution.make_room = make_room
    return execution.carry_out(stream, pool, meter, cancelled, Arrived(opened, arrived_at))


def agreement_with(peer: Peer, partner: PartnerRow, digest: bytes) -> ActiveAgreement:
    """The active agreement that ``partner`` named. Raises AGREEMENT_UNKNOWN also where it is somebody else's."""
    with peer.store.transaction() as tx:
        row = tx.agreements.get(digest.hex())
        if row is None or row.partner != partner.fingerprint:
            raise PartnerFault(
                ErrorCode.AGREEMENT_UNKNOWN, "The partner named an agreement that is not with it."
            )
        return load_active(tx, row.digest, peer.clock(), own=peer.fingerprint.hex())


@dataclass
class _Execution:
    """One match in flight: the session, and the run once both sides are bound to it."""

    peer: Peer
    active: ActiveAgreement
    session: MatchSession
    ordered: OrderedItems
    withdrawals: int
    key: ReceivingKey
    statistics: RunStatistics
    run: Run | None = None
    journal: MatchJournal | None = None
    operator: str | None = None
    began: Callable[[Run], None] = lambda _: None
    make_room: MakeRoom = boundless

    @classmethod
    def prepare(
        cls,
        peer: Peer,
        partner: PartnerRow,
        active: ActiveAgreement,
        terms: MatchTerms,
        own: OwnSet,
        withdrawals: int,
        role: Role,
    ) -> _Execution:
        """Everything of the own side, before the first message."""
        with peer.store.transaction() as tx:
            operators = appointed_operators(tx)  # never wrapped for somebody put into the store
        key = new_receiving_key(operators)
        ordered = order_items(own, active.agreement.matching)
        session = MatchSession(
            role,
            terms,
            ordered.items,
            signing_key=peer.signing_key,
            partner_key=partner_key(partner),
            receiving_key=key.public,
            clock=peer.clock,
            points=spilling(peer.home.spool),
        )
        return cls(peer, active, session, ordered, withdrawals, key, match_statistics(own, ordered))

    def carry_out(
        self,
        stream: MatchStream,
        pool: Pool,
        meter: Meter,
        cancelled: Cancelled,
        opened: Arrived | None = None,
    ) -> Run:
        """Run the protocol, then keep or destroy what it left."""
        with measured(self.peer, lambda: self.run, "match", meter):
            return self._carry_out(meter.metered(stream), pool, meter, cancelled, opened)

    def _carry_out(
        self,
        stream: MatchStream,
        pool: Pool,
        progress: Progress,
        cancelled: Cancelled,
        opened: Arrived | None,
    ) -> Run:
        try:
            outcome = drive_match(
                self.session,
                pool,
                stream,
                progress,
                cancelled,
                on_agreed=partial(self._agreed, pool),
                opened=opened,
            )
        except BaseException as error:
            if self.run is not None:
                interrupt_run(self.peer, self.run, error)
            raise
        finally:
            if self.journal is not None:
                self.journal.close()
        if self.run is None:
            raise RuntimeError("a match ended that had never begun")
        return conclude_match(
            self.peer,
            self.run,
            self.active,
            outcome,
            self.ordered.dummies,
            count_only=self.session.terms.count_only,
        )

    def _agreed(self, pool: Pool, agreed: Agreed) -> MatchJournal:
        """Steps 2 and 3: the run and its charge enter the store together, before the first point leaves."""
        self.make_room(agreed.own_size, agreed.partner_size)
        now = self.peer.clock()
        run = Run(
            run_id=short_id("R", agreed.sid),
            sid=agreed.sid,
            agreement=self.active.digest,
            partner=self.active.partner_fingerprint,
            role=self.session.role,
            engine=self.session.engine.name,
            state=RunState.MATCHING,
            own_size=agreed.own_size,
            partner_size=agreed.partner_size,
            opened_at=now,
            own_receiving_key=self.key.public,
            partner_receiving_key=agreed.partner_receiving_key,
            spool_key=new_spool_key(),
            backend=pool.backend(self.session.engine.name),
            executor=pool.executor,
            statistics=self.statistics,
            match_key=self.session.key,
        )
        self.journal = MatchJournal.create(
            self.peer,
            run,
            Opening(
                self.ordered.items, self.ordered.dummies, self.session.terms.count_only, self.withdrawals
            ),
        )
        try:
            self._enter(run, agreed, now)
        except BaseException:
            destroy_spool(self.peer, run)
            raise
        self.run = run
        self.began(run)
        return self.journal

    def _enter(self, run: Run, agreed: Agreed, now: datetime) -> None:
        with self.peer.store.transaction() as tx:
            # Reading a long list takes minutes, in which the agreement may have been suspended or have ended.
            load_active(tx, self.active.digest, now, own=self.peer.fingerprint.hex())
            check_may_match(tx, self.active, agreed.own_size, now)
            charge_match(tx, self.active, agreed.sid, agreed.partner_size, now)
            tx.runs.add(run)
            store_receiving_key(tx, run.run_id, self.key, create_share(self.peer, run.run_id))
            log_run(
                tx,
                run,
                "opened",
                now,
                operator=self.operator,
                engine=run.engine,
                backend=run.backend,
                executor=run.executor,
            )


def count_withdrawals(peer: Peer) -> int:
    """How many contacts of this side were withdrawn so far."""
    with peer.store.transaction() as tx:
        return tx.suppressions.count()
