"""Attacks on what an agreement no longer allows: halted, replaced or ended, before a run and in the middle of one.

The cheat's software goes on as if it had not been told. Each row puts both stores back when it is over.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from support.versions import agree, amend

from hostile.attack import INITIATOR, Attack, By, Cheat, Left, Result, Stage
from hostile.craft import on_nth
from hostile.rows_exchange import own_envelope
from hostile.rows_greeting import own_open, put
from hostile.rows_reveal import approval_of
from hostile.wire import Alter
from hostile.world import PER_ENVELOPE, SHARED, Saved, carry
from mutuals.agreement.ending import TERMINATION, terminate
from mutuals.agreement.suspension import suspend
from mutuals.documents import take_document
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import RunState
from mutuals.obligations.revocation_document import REVOCATION, make_revocation
from mutuals.protocol.messages import Approve, Document, Envelope, EnvelopeAck, Positions
from mutuals.runs.ending import end_due
from mutuals.runs.lifecycle import expire_runs
from mutuals.signed_documents import sign_document
from mutuals.transport.wire import EXCHANGE

ENDED = ErrorCode.AGREEMENT_NOT_ACTIVE
Act = Callable[[Cheat], None]

# --- what happens to the agreement, and undoing it --------------------------------------------------------------------


def _suspended(cheat: Cheat) -> None:
    """An operator of the honest side halts it."""
    peer = cheat.honest.peer
    with peer.store.transaction() as tx:
        suspend(tx, peer, cheat.digest, "A breach at our side.", None, cheat.honest.keys)


def _terminated(cheat: Cheat) -> None:
    """An operator of the honest side ends it at once; nothing has carried that out yet."""
    terminate(cheat.honest.peer, cheat.digest, "It was misused.", cheat.honest.keys, cause=True)


def _ended(cheat: Cheat) -> None:
    """The same, and its runs are closed."""
    _terminated(cheat)
    end_due(cheat.honest.peer)


def _terminated_by_cheat(cheat: Cheat) -> None:
    """The honest side gets the cheat's own termination, which the cheat's software does not know of."""
    _deliver(
        cheat,
        TERMINATION,
        {
            "digest": cheat.digest,
            "reason": "We are done.",
            "cause": True,
            "ends_at": f"{cheat.company.clock():%Y-%m-%dT%H:%M:%SZ}",
            "act": None,
            "act_signature": None,
        },
    )
    expire_runs(cheat.honest.peer)


def _replaced(cheat: Cheat) -> None:
    """A later version binds both, which stops the runs of the one before it."""
    later = amend(cheat.honest, cheat.digest, runs_of_replaced="stop")
    carry(cheat.honest, cheat.company)
    agree(cheat.company, later)
    carry(cheat.company, cheat.honest)
    expire_runs(cheat.honest.peer)  # as its server does: files of runs that a document ended


def _deliver(cheat: Cheat, kind: str, payload: dict[str, Any]) -> None:
    """Hand the honest side a document that the cheat signed."""
    document: Document = sign_document(cheat.company.peer, kind, payload)
    receipt = take_document(cheat.honest.peer, cheat.world.row(cheat.honest, cheat.company), document)
    assert receipt.accepted, receipt.reason


def _remember(act: Act) -> Act:
    """Do ``act`` so that ``_put_back`` undoes it."""

    def remembering(cheat: Cheat) -> None:
        companies = (cheat.honest, cheat.company)
        cheat.notes_of["before"] = [(company, Saved.of(company)) for company in companies]
        act(cheat)

    return remembering


def _put_back(cheat: Cheat, result: Result) -> None:
    for company, saved in cheat.notes_of["before"]:
        saved.put_back(company)


def _first(act: Act) -> Act:
    """Let ``act`` happen, then do what honest software would do."""

    def script(cheat: Cheat) -> None:
        _remember(act)(cheat)
        cheat.follow(cheat.row.attack.stage, cheat.line)

    return script


def _before(kind: type, nth: int, act: Act) -> Callable[[Cheat], Alter]:
    """Let ``act`` happen just before the cheat's ``nth`` message of this kind leaves."""

    def make(cheat: Cheat) -> Alter:
        def change(message: Any) -> list[Any]:
            act(cheat)
            return [message]

        return on_nth(kind, nth, change)(cheat)

    return make


# --- a new run --------------------------------------------------------------------------------------------------------


def _open(name: str, what: str, words: str, act: Act) -> Attack:
    return Attack(
        name,
        what,
        Stage.MATCH,
        "2",
        ENDED,
        words,
        Left.NOTHING,
        state=None,
        prepare=_remember(act),
        script=put(own_open),
        check=_put_back,
        cheats=(INITIATOR,),
    )


OPENS = (
    _open(
        "a run under a suspended agreement",
        "It opens a run though the honest side has suspended the agreement.",
        "is suspended: A breach at our side.",
        _suspended,
    ),
    _open(
        "a run under a terminated agreement",
        "It opens a run in the moment after the honest side has terminated the agreement.",
        "was terminated with effect from",
        _terminated,
    ),
    _open(
        "a run under an ended agreement",
        "It opens a run under an agreement that has ended.",
        "is ended, not active",
        _ended,
    ),
    _open(
        "a run under a replaced version",
        "It opens a run under the version of the agreement that a later one has replaced.",
        "was replaced by the later version",
        _replaced,
    ),
)

# --- a run that has begun ---------------------------------------------------------------------------------------------


def _approve(
    name: str, what: str, code: ErrorCode, words: str, script: Act, state: RunState = RunState.COUNTED
) -> Attack:
    return Attack(
        name,
        what,
        Stage.REVEAL,
        "14",
        code,
        words,
        Left.TAGS,
        state=state,
        script=script,
        check=_put_back,
        cheats=(INITIATOR,),
    )


def _asks_after_replacing(cheat: Cheat) -> None:
    """Its own software would not: it has signed the later version too."""
    _remember(_replaced)(cheat)
    put(approval_of)(cheat)


REVEALS = (
    _approve(
        "an approval under a suspended agreement",
        "It asks for the reveal after the honest side has suspended the agreement.",
        ENDED,
        "is suspended",
        _first(_suspended),
    ),
    _approve(
        "an approval under a terminated agreement",
        "It asks for the reveal in the moment after the honest side has terminated the agreement.",
        ENDED,
        "was terminated with effect from",
        _first(_terminated),
    ),
    _approve(
        "an approval under a replaced version",
        "It asks for the reveal of a run whose version was replaced by one that stops such runs.",
        ErrorCode.RUN_STATE,
        "",
        _asks_after_replacing,
        RunState.STALE,
    ),
    Attack(
        "suspended while the reveal waits",
        "It takes its time with its next word, and the honest side suspends the agreement meanwhile.",
        Stage.REVEAL,
        "15",
        ENDED,
        "is suspended",
        Left.APPROVAL,
        state=RunState.COUNTED,
        alter=lambda cheat: _before(
            Positions if cheat.role is INITIATOR else Approve, 0, _remember(_suspended)
        )(cheat),
        check=_put_back,
    ),
)


def _sent(nth: int) -> By[int]:
    """How many of the honest side's records have left when the cheat's ``nth`` envelope arrives: they alternate."""
    return By(nth * PER_ENVELOPE, (nth + 1) * PER_ENVELOPE)


def _midway(name: str, what: str, code: ErrorCode, words: str, act: Act, state: RunState) -> Attack:
    return Attack(
        name,
        what,
        Stage.EXCHANGE,
        "§7",
        code,
        words,
        Left.RECORDS,
        state=state,
        alter=_before(Envelope, 1, _remember(act)),
        check=_put_back,
        records=_sent(1),
    )


STOPPED = (
    Attack(
        "records under a suspended agreement",
        "It starts the exchange after the honest side has suspended the agreement.",
        Stage.EXCHANGE,
        "§7 start",
        ENDED,
        "is suspended",
        Left.PROOF,
        state=RunState.REVEALED,
        script=_first(_suspended),
        check=_put_back,
        cheats=(INITIATOR,),
    ),
    Attack(
        "records under an ended agreement",
        "It starts the exchange of a run whose agreement has ended.",
        Stage.EXCHANGE,
        "§7 start",
        ErrorCode.RUN_STATE,
        "",
        Left.PROOF,
        state=RunState.STALE,
        script=_first(_ended),
        check=_put_back,
        cheats=(INITIATOR,),
    ),
    _midway(
        "goes on after a suspension",
        "The honest side suspends the agreement during the exchange; it sends its next envelope all the same.",
        ENDED,
        "is suspended",
        _suspended,
        RunState.EXCHANGING,
    ),
    _midway(
        "goes on after its own termination",
        "Its termination arrives during the exchange; it sends its next envelope all the same.",
        ErrorCode.RUN_STATE,
        "",
        _terminated_by_cheat,
        RunState.STALE,
    ),
)

# --- what it withdrew -------------------------------------------------------------------------------------------------


def _withdrawn(cheat: Cheat) -> None:
    """It withdraws the contact of the first record that it sealed."""
    run = cheat.company.run(cheat.run_id)
    rank = own_envelope(cheat, 0).records[0].rank
    cheat.notes_of["rank"] = rank
    revocation = make_revocation(
        cheat.company.peer.fingerprint, run.sid, [rank], "withdrawal", cheat.company.clock()
    )
    _deliver(cheat, REVOCATION, revocation.model_dump(mode="json"))


def _stays_out(cheat: Cheat, result: Result) -> None:
    """The honest side holds nothing of the contact, and all of the others."""
    with cheat.honest.peer.store.transaction() as tx:
        held = {record.rank for record in tx.received.list(cheat.run_id)}
    if held != set(range(SHARED)) - {cheat.notes_of["rank"]}:
        result.problems.append(f"records are there for the ranks {sorted(held)}")


def _again_after_withdrawal(cheat: Cheat) -> None:
    """It leaves before it hears that its first envelope was taken, withdraws, and sends the same envelope again."""

    def deaf(message: Any) -> Any:
        if isinstance(message, EnvelopeAck):
            raise MutualsError(ErrorCode.CANCELLED, "The cheat leaves.")
        return message

    cheat.line.hear = deaf
    with suppress(MutualsError):
        cheat.follow(Stage.EXCHANGE, cheat.line)
    cheat.line.hang_up()
    cheat.line.wait_until_over()
    _withdrawn(cheat)
    again = cheat.again(EXCHANGE)
    cheat.follow(Stage.EXCHANGE, again)
    again.hang_up()
    again.wait_until_over()


WITHDRAWALS = (
    Attack(
        "a record that it has withdrawn",
        "It withdraws a contact, and sends the record that it had sealed before. It is not taken in.",
        Stage.EXCHANGE,
        "§7 (no effect)",
        None,
        "",
        Left.RECORDS,
        state=RunState.DONE,
        alter=_before(Envelope, 0, _withdrawn),
        check=_stays_out,
        records=SHARED,
    ),
    Attack(
        "an envelope again after a withdrawal",
        "It sends an envelope, withdraws a contact in it, and sends it again in another call. It stays deleted.",
        Stage.EXCHANGE,
        "§7 (no effect)",
        ErrorCode.CANCELLED,
        "left before the end",
        Left.RECORDS,
        state=RunState.DONE,
        script=_again_after_withdrawal,
        check=_stays_out,
        records=SHARED + PER_ENVELOPE,
        cheats=(INITIATOR,),
    ),
)
AGREEMENT_ATTACKS: tuple[Attack, ...] = (*OPENS, *REVEALS, *STOPPED, *WITHDRAWALS)
