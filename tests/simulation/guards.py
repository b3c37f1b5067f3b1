"""The product without one of the things that keep it from losing anything, to show that a simulation finds that.

Each is a context in which one thing is not done, or too late; ``style`` is the weather in which it matters.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from mutuals.agreement import answers
from mutuals.consent import Withdrawals
from mutuals.obligations import certificates, destruction, retention, revoke
from mutuals.obligations.traces import Traces
from mutuals.protocol import resume as resuming
from mutuals.protocol.messages import Resume
from mutuals.protocol.resume import ResumedSession
from mutuals.runs import exchange, match_end, outgoing, prepare, resume
from mutuals.runs.incoming import keep_incoming
from mutuals.runs.journal import MatchJournal
from mutuals.runs.spool import save_matched
from mutuals.runs.spool_files import destroy_journal
from mutuals.store.envelopes import Envelopes
from mutuals.store.outbox import Inbox, Outbox
from mutuals.store.received import Received
from mutuals.store.revocations import Revocations
from simulation import simulated
from simulation.check import Violation
from simulation.play import simulate

Removal = Callable[[ExitStack], None]

SEEDS = 101
"""A guard is looked for by so many seeds, less one."""

POWER = {"power": 6.0, "kill": 1.0}
BREAK = {"break": 6.0, "kill": 2.0}
CALLS = {"answer lost": 15.0, "twice": 15.0, "late": 15.0}


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _settled(stack: ExitStack) -> None:
    """What was accepted is not on the disk when something follows from it."""
    stack.enter_context(patch.object(MatchJournal, "settle", _nothing))


def _journalled(stack: ExitStack) -> None:
    """The partner's points are not written down."""
    add = MatchJournal.add

    def most(journal: MatchJournal, entry: Any) -> None:
        if type(entry).__name__ != "Blinded":
            add(journal, entry)

    stack.enter_context(patch.object(MatchJournal, "add", most))


def _charged_once(stack: ExitStack) -> None:
    """Going on with a match is charged like another one."""
    standing = resume._Resumption.carry_out

    def charged(self: Any, *args: Any, **options: Any) -> Any:
        with self.peer.store.transaction() as tx:
            sid = hashlib.sha256(self.run.sid + bytes([self.journal.resumed])).digest()
            tx.budgets.charge(
                self.run.partner, self.run.agreement, sid, self.run.partner_size, self.peer.clock()
            )
        return standing(self, *args, **options)

    stack.enter_context(patch.object(resume._Resumption, "carry_out", charged))


def _position(stack: ExitStack) -> None:
    """Whoever goes on sends again what the partner has."""
    own = resuming.ResumedSession.resume

    def from_the_start(session: ResumedSession, theirs: Resume, journal: Any) -> Any:
        return own(session, replace(theirs, tags=0, tags_digest=b""), journal)

    stack.enter_context(patch.object(ResumedSession, "resume", from_the_start))


def _found_again(stack: ExitStack) -> None:
    """A match that broke off is not found again."""
    stack.enter_context(patch.object(resume, "interrupted_match", _nothing))


def _kept_before_counted(stack: ExitStack) -> None:
    """The count is told before what the reveal needs is kept."""
    save, destroy = save_matched, destroy_journal
    later: dict[str, Any] = {}

    def put_off(peer: Any, run: Any, matched: Any) -> None:
        later[peer.name + run.run_id] = matched

    def then(peer: Any, run: Any) -> None:
        matched = later.pop(peer.name + run.run_id, None)
        if matched is not None:
            save(peer, run, matched)
        destroy(peer, run)

    stack.enter_context(patch.object(match_end, "save_matched", put_off))
    stack.enter_context(patch.object(match_end, "destroy_journal", then))


def _stored_before_acknowledged(stack: ExitStack) -> None:
    """An envelope is acknowledged before it is stored."""
    keep, expect, finish = keep_incoming, exchange._Exchange.expect, exchange._Exchange.finish
    later: dict[int, Any] = {}

    def put_off(peer: Any, *args: Any) -> None:
        later[id(peer)] = (peer, *args)

    def catch_up(self: Any) -> None:
        if args := later.pop(id(self._peer), None):
            keep(*args)

    def expected(self: Any, kind: Any) -> Any:
        catch_up(self)
        return expect(self, kind)

    def finished(self: Any) -> None:
        catch_up(self)
        finish(self)

    stack.enter_context(patch.object(exchange, "keep_incoming", put_off))
    stack.enter_context(patch.object(exchange._Exchange, "expect", expected))
    stack.enter_context(patch.object(exchange._Exchange, "finish", finished))


def _stored_once(stack: ExitStack) -> None:
    """An envelope that comes again is stored again."""
    keep = keep_incoming

    def again(peer: Any, run: Any, envelope: Any, accepted: Any) -> None:
        keep(peer, run, envelope, replace(accepted, new=True))

    put = Envelopes.put_incoming

    def always(held: Envelopes, row: Any) -> bool:
        put(held, row)
        return True

    stack.enter_context(patch.object(exchange, "keep_incoming", again))
    stack.enter_context(patch.object(Envelopes, "put_incoming", always))


def _taken_once(stack: ExitStack) -> None:
    """The receipt that was given is not remembered."""
    stack.enter_context(patch.object(Inbox, "seen", _nothing))
    stack.enter_context(patch.object(Inbox, "record", _nothing))


def _offered_again(stack: ExitStack) -> None:
    """What was offered once does not wait in the outbox any more, receipt or not."""
    pending = Outbox.pending
    offered: set[str] = set()

    def first_time(box: Outbox, partner: str | None = None) -> Any:
        rows = [row for row in pending(box, partner) if partner is None or row.document_id not in offered]
        if partner is not None:
            offered.update(row.document_id for row in rows)
        return rows

    stack.enter_context(patch.object(Outbox, "pending", first_time))


def _withdrawn(stack: ExitStack) -> None:
    """Nobody asks who withdrew."""
    stack.enter_context(patch.object(prepare, "open_withdrawals", lambda *_: Withdrawals(None)))


def _still_eligible(stack: ExitStack) -> None:
    """What was sealed is sent, whoever withdrew meanwhile."""
    stack.enter_context(patch.object(exchange, "require_still_eligible", _nothing))


def _still_permitted(stack: ExitStack) -> None:
    """What was sealed is sent, whatever the policy says meanwhile."""
    stack.enter_context(patch.object(exchange, "require_still_permitted", _nothing))
    stack.enter_context(patch.object(outgoing, "require_still_permitted", _nothing))
    stack.enter_context(patch.object(outgoing, "_require_still_shared", _nothing))


def _still_allowed(stack: ExitStack) -> None:
    """Between two envelopes nobody looks whether the agreement is still in force."""
    stack.enter_context(patch.object(exchange._Exchange, "_require_still_allowed", _nothing))


def _copy(stack: ExitStack) -> None:
    """The partner acknowledges a withdrawal and deletes nothing."""
    stack.enter_context(patch.object(Received, "destroy_ranks", lambda *_: []))


def _late_record(stack: ExitStack) -> None:
    """A record that comes after its withdrawal is taken in."""

    def forgetful(*args: Any) -> None:
        with patch.object(Revocations, "list", lambda *_: []):
            keep_incoming(*args)

    stack.enter_context(patch.object(exchange, "keep_incoming", forgetful))


def _ledger_again(stack: ExitStack) -> None:
    """What was sent since a withdrawal was planned is not withdrawn."""
    real = revoke._recipients
    planned: dict[tuple[str, ...], Any] = {}

    def once(tx: Any, peer: Any, keys: Any, contacts: Any, agreement: Any, *, again: bool) -> Any:
        if not again and contacts in planned:
            return planned.pop(contacts)
        found = real(tx, peer, keys, contacts, agreement, again=again)
        if not again:
            planned[contacts] = found
        return found

    stack.enter_context(patch.object(revoke, "_recipients", once))


def _crossed(stack: ExitStack) -> None:
    """Of two amendments that cross, each side keeps the one it accepted."""
    stack.enter_context(patch.object(answers, "bind_late", lambda *_: "void"))


def _destruction(stack: ExitStack) -> None:
    """At the end nothing is destroyed."""
    stack.enter_context(patch.object(retention, "destroy_ended", lambda *_: ([], Traces())))


def _closed(stack: ExitStack) -> None:
    """Nobody closes what both have certified."""
    stack.enter_context(patch.object(retention, "close_if_certified", _nothing))
    stack.enter_context(patch.object(certificates, "close_if_certified", _nothing))


def _beginnings(stack: ExitStack) -> None:
    """The beginning of a file of traces stays where a process was killed."""
    stack.enter_context(patch.object(destruction, "_BEGINNINGS", "none"))


@dataclass(frozen=True)
class Guard:
    """How to take it out, the weather in which it matters, what is then found, and what others do meanwhile."""

    remove: Removal
    style: dict[str, float]
    objection: str
    meanwhile: dict[str, int] = field(default_factory=dict)

    def found(self, violation: str) -> bool:
        """Whether what was found is what the guard holds back."""
        return re.search(self.objection, violation.partition("\nfaults: ")[0]) is not None


GUARDS: dict[str, Guard] = {
    "settled before it matters": Guard(_settled, POWER, "gone or damaged|accused"),
    "points in the journal": Guard(_journalled, BREAK, "gone or damaged|accused|does not go on"),
    "charged once": Guard(_charged_once, BREAK, "charged"),
    "position accepted once": Guard(_position, {"break": 2.5}, "accused"),
    "interrupted matches are found": Guard(_found_again, BREAK, "does not go on"),
    "kept before it is counted": Guard(_kept_before_counted, {"committed: kill": 12.0}, "gone or damaged"),
    "stored before acknowledged": Guard(
        _stored_before_acknowledged, {"send: kill": 1.5}, "lost|accused|did not end"
    ),
    "stored once": Guard(_stored_once, BREAK, "IntegrityError|INTERNAL|too many|broke a rule"),
    "taken once": Guard(_taken_once, CALLS, "done [2-9] times"),
    "offered until there is a receipt": Guard(_offered_again, CALLS, "never delivered"),
    "withdrawn contacts take no part": Guard(_withdrawn, {}, "had withdrawn", {"revoke": 1}),
    "eligible before each envelope": Guard(_still_eligible, BREAK, "had withdrawn", {"revoke": 1}),
    "permitted before each envelope": Guard(_still_permitted, BREAK, "policy lets nobody", {"decide": 1}),
    "in force before each envelope": Guard(
        _still_allowed, BREAK, "envelope of .* left under", {"suspend": 1}
    ),
    "the partner's copy goes": Guard(_copy, {}, "still holds", {"revoke": 1}),
    "a withdrawn record that comes late": Guard(
        _late_record, {"hold": 8.0}, "still holds", {"revoke": 1, "sync": 1}
    ),
    "the ledger is read again": Guard(_ledger_again, {"hold": 8.0}, "still holds", {"revoke": 1}),
    "the lower of two that cross": Guard(
        _crossed,
        CALLS,
        "agreement .* is|did not end|BAD_MESSAGE|accused",
        {"amend": 2, "accept": 1},
    ),
    "destroyed at the end": Guard(_destruction, {}, "something is left|certificates"),
    "closed when both have certified": Guard(_closed, {}, "agreement .* is"),
    "no beginning of a file stays": Guard(
        _beginnings, {"writing: kill": 10.0, "sync: kill": 10.0}, "still has"
    ),
}


def look_for(name: str, seeds: Iterable[int]) -> int | None:
    """The first of these seeds that finds what the guard holds back, if any does. Raises Violation for another one."""
    guard = GUARDS[name]
    for seed in seeds:
        try:
            with without(name):
                simulate(seed, style=guard.style, meanwhile=guard.meanwhile)
        except Violation as violation:
            if guard.found(str(violation)):
                return seed
            raise
    return None


def first_found(name: str) -> int | str:
    """The first seed that finds it, or in words what came instead: for a table."""
    try:
        return look_for(name, range(1, SEEDS)) or "none"
    except Violation as violation:
        return "another: " + str(violation).partition("\nfaults: ")[0].replace("\n", " ")


@contextmanager
def without(name: str) -> Iterator[None]:
    """The product without this guard."""
    with ExitStack() as stack:
        simulated.OWN_SETS.clear()
        stack.callback(
            simulated.OWN_SETS.clear
        )  # what was read without the guard is not what others are to read
        GUARDS[name].remove(stack)
        yield
