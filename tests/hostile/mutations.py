"""Take a check out of the product, and its rows must fail: otherwise they would not show that it is there.

A function's code is replaced in place by what its source says with one line changed, and put back afterwards.
"""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from hostile.attack import Row, carry_out
from hostile.rows import ROWS
from hostile.wire import Line
from hostile.world import World
from mutuals.engines.openmined import OpenMinedEngine
from mutuals.engines.x25519 import X25519Engine
from mutuals.protocol import hello, reveal, transcript
from mutuals.protocol.confirm import Confirmation
from mutuals.protocol.exchange import EnvelopeReceiver
from mutuals.protocol.lists import PartnerList
from mutuals.protocol.match import MatchSession
from mutuals.protocol.reveal import RevealSession
from mutuals.runs import exchange as runs_exchange
from mutuals.runs import guards
from mutuals.runs import match as runs_match
from mutuals.runs import reveal as runs_reveal


@dataclass(frozen=True)
class Mutation:
    """In ``where``, ``old`` becomes ``new``; then the rows of exactly these attacks fail (of ``role``, if given)."""

    check: str
    where: Any
    old: str
    new: str
    attacks: tuple[str, ...]
    role: str = ""

    def fails(self, row: Row) -> bool:
        """Whether this row must fail without the check."""
        return row.attack.name in self.attacks and row.cheat.value.startswith(self.role)


def _never(check: str, where: Any, condition: str, *attacks: str, role: str = "") -> Mutation:
    """The condition under which the check objects never holds."""
    return Mutation(check, where, f"if {condition}:", "if False:", attacks, role)


def _silent(check: str, where: Any, objection: str, *attacks: str) -> Mutation:
    """The check finds out, and says nothing."""
    return Mutation(check, where, objection, "pass", attacks)


MUTATIONS: tuple[Mutation, ...] = (
    _never(
        "greeting: the agreed agreement",
        hello.check_hello,
        "hello.agreement != terms.agreement",
        "an agreement nobody signed",
        "somebody else's agreement",
        role="responder",
    ),
    Mutation(
        "greeting: the agreement is with this partner",
        runs_match.agreement_with,
        "row is None or row.partner != partner.fingerprint",
        "row is None",
        ("somebody else's agreement",),
        "initiator",
    ),
    _never(
        "greeting: a receiving key that can be used",
        hello.check_hello,
        "not hpke.usable(hello.receiving_key)",
        "a receiving key that is none",
        "a receiving key of small order",
    ),
    _silent(
        "budget: items",
        guards.charge_match,
        "_check_budget(tx, active, partner_items=partner_size, now=now)",
        "more items than agreed",
    ),
    _never(
        "points of P-256: canonical",
        OpenMinedEngine.check_points,
        "not below.all()",
        "not canonical",
        "x of all ones",
    ),
    _never(
        "points of Curve25519: canonical",
        X25519Engine.check_points,
        "beyond.any()",
        "u not reduced",
        "u of all ones",
        "u of zero, not reduced",
    ),
    _never(
        "points of Curve25519: bit 255",
        X25519Engine.check_points,
        "(top > _TOP).any()",
        "bit 255",
        "repeated with bit 255",
    ),
    _never(
        "points: in order",
        PartnerList.take,
        "message.start != self._received",
        "a repeated chunk",
        "chunks in another order",
    ),
    _never(
        "points: no more than announced",
        PartnerList.take,
        "stop > len(self.points)",
        "too many",
        "a smaller announcement",
    ),
    _never(
        "points: distinct", MatchSession._blinding_done, "not distinct_points(partner.points)", "repeated"
    ),
    _never(
        "points: none of ours",
        MatchSession._blinding_done,
        "not distinct_points(own.points, partner.points)",
        "one reflected",
        "all reflected",
    ),
    _never(
        "points: distinct under our key",
        MatchSession._blinding_done,
        "not all_distinct(partner.tags)",
        "torsion of order 2",
        "torsion of order 4",
        "torsion of order 8",
    ),
    _never(
        "tags: as committed to",
        MatchSession._count,
        "not hmac.compare_digest(commitment, self._commitments[self.role.other])",
        "copied commitment and tags",
        "other tags than committed to",
        "another nonce",
        "a run relayed into another",
    ),
    Mutation(
        "tags: the commitment names the role",
        transcript.tag_commitment,
        "        role.value,\n",
        "",
        ("copied commitment and tags",),
    ),
    _never(
        "tags: ascending",
        MatchSession._count,
        "not comparison.ascending",
        "tags out of order",
        "a tag twice",
    ),
    _silent(
        "count: signed",
        MatchSession._take_counted,
        'raise _fault("The partner saw another transcript or another count.") from error',
        "a count of its own",
        "Counted echoed",
    ),
    _silent(
        "reveal: authorised",
        runs_reveal._check,
        'require_authorisation(tx, "reveal", run, active, now)',
        "no authorisation",
    ),
    _silent(
        "reveal: the approval is signed",
        reveal.check_approve,
        'raise _fault("The partner\'s approval is not a signature over this run and its count.") from error',
        "approval under another count",
        "approval of an earlier run",
        "approval echoed",
    ),
    _never(
        "reveal: positions in range",
        RevealSession._take_positions,
        "any(not 0 <= position < self.outcome.own_size for position in message.positions)",
        "a position outside of the list",
        "a huge position",
    ),
    _never(
        "reveal: positions distinct",
        RevealSession._take_positions,
        "len(np.unique(self._received)) != expected",
        "a position twice",
    ),
    _never(
        "reveal: the proof",
        Confirmation.check_mac,
        "not hmac.compare_digest(mac, self._mac(self._role.other))",
        "one displaced position",
        "another proof",
        "Confirm MAC echoed",
        "another run after a half revealed one",  # there is none
    ),
    Mutation(
        "reveal: the proof names the role",
        transcript.confirm_mac,
        "Context.CONFIRM_MAC, role.value, th",
        "Context.CONFIRM_MAC, th",
        ("Confirm MAC echoed",),
    ),
    _never(
        "reveal: a half revealed run blocks",
        guards.check_not_blocked,
        "blocking is not None",
        "another run after a half revealed one",
    ),
    _silent(
        "envelopes: signed",
        EnvelopeReceiver.receive,
        'raise _fault("sent an envelope whose signature does not fit") from error',
        "signed by another",
        "an envelope echoed",
    ),
    _never(
        "envelopes: for this run and direction",
        EnvelopeReceiver._check_binding,
        "found != wanted",
        "sealed for another run",
        "sealed under another agreement",
        "sealed to another key",
        "in the other direction",
        "to somebody else",
    ),
    Mutation(
        "envelopes: the records that were signed",
        EnvelopeReceiver.receive,
        "header.count != len(envelope.records) or header.batch != batch_digest(encoded)",
        "header.count != len(envelope.records)",
        ("records changed",),
    ),
    _never(
        "envelopes: chained",
        EnvelopeReceiver._check_new,
        "header.previous != (self._digests[-1] if self._digests else NO_PREVIOUS)",
        "another predecessor",
    ),
    _never(
        "envelopes: ranks in the overlap",
        EnvelopeReceiver._check_record,
        "not all(0 <= rank < self._flow.pairs for rank in (record.rank, *record.also))",
        "a rank outside of the overlap",
        "further ranks outside of the overlap",
    ),
    _never(
        "envelopes: again only where the acknowledgement was lost",
        runs_exchange._Exchange._check_repeated,
        "self._taken or (known and not last)",
        "an envelope replayed",
    ),
    Mutation(
        "reveal: still allowed before positions leave",
        runs_reveal._Execution._before_positions,
        "load_for_run(tx, self.run, now, own=self.peer.fingerprint.hex())",
        "pass",
        ("suspended while the reveal waits",),
        "initiator",
    ),
    Mutation(
        "envelopes: still allowed between two",
        runs_exchange._Exchange._require_still_allowed,
        "load_for_run(tx, run, self._peer.clock(), own=self._peer.fingerprint.hex())",
        "self._active",
        ("goes on after a suspension",),
    ),
)


@contextmanager
def without(mutation: Mutation) -> Iterator[None]:
    """The product without the check."""
    function: FunctionType = mutation.where
    source = textwrap.dedent(inspect.getsource(function))
    old = mutation.old
    if source.count(old) != 1:
        old = textwrap.dedent(old)
    assert source.count(old) == 1, f"{mutation.check}: its line stands there {source.count(old)} times"
    names: dict[str, Any] = dict(function.__globals__)
    changed = compile(
        source.replace(old, mutation.new),
        f"<without {mutation.check}>",
        "exec",
        flags=__future__.annotations.compiler_flag,
        dont_inherit=True,
    )
    exec(changed, names)  # noqa: S102 - the product's own source
    before, function.__code__ = function.__code__, names[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = before


@contextmanager
def _impatient() -> Iterator[None]:
    """Nobody waits long for an end that a missing check does not bring."""
    before, Line.patience = Line.patience, 3.0
    try:
        yield
    finally:
        Line.patience = before


def neighbours(mutation: Mutation, distance: int = 2) -> list[Row]:
    """The rows that must fail, and those that stand next to them."""
    chosen = {
        place
        for index, row in enumerate(ROWS)
        if mutation.fails(row)
        for place in range(index - distance, index + distance + 1)
    }
    return [row for index, row in enumerate(ROWS) if index in chosen]


def same_call(mutation: Mutation) -> list[Row]:
    """All rows of the calls in which the rows stand that must fail."""
    calls = {row.attack.stage for row in ROWS if mutation.fails(row)}
    return [row for row in ROWS if row.attack.stage in calls]


def failed_without(world: World, mutation: Mutation, rows: Sequence[Row]) -> list[Row]:
    """Those of ``rows`` that are not stopped where they say once the check is out."""
    failed = []
    if "untouched" not in world.saved:
        world.clear()
        world.save("untouched", True)
    with without(mutation), _impatient():
        for row in rows:
            world.restore("untouched")  # what one row gets away with must not show in the next
            try:
                stopped = carry_out(world, row).stopped
            except AssertionError:  # not even the run before the attack went through
                stopped = False
            if not stopped:
                failed.append(row)
    return failed


def carry_out_mutations(
    world: World,
    mutations: Sequence[Mutation],
    rows_of: Callable[[Mutation], list[Row]] = same_call,
    done: Callable[[str], object] = lambda check: None,
) -> list[dict[str, Any]]:
    """What fails without each check, among ``rows_of`` it."""
    results = []
    for mutation in mutations:
        rows = rows_of(mutation)
        failed = failed_without(world, mutation, rows)
        expected = [row for row in rows if mutation.fails(row)]
        results.append(
            {
                "check": mutation.check,
                "tried": len(rows),
                "failed": [row.name for row in failed],
                "as_expected": failed == expected,
            }
        )
        done(mutation.check)
    return results
