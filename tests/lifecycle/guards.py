"""The product without one of its guards, to show that the histories find what it holds back.

Each is a context in which one check does nothing; what leaves then is what ``truth`` must object to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import polars as pl

from mutuals.consent import Withdrawals
from mutuals.identity import operators
from mutuals.models.agreement import AgreementState
from mutuals.obligations.traces import Traces
from mutuals.runs import authorisation, export, export_approval, outgoing, reveal
from mutuals.runs.overlap import Overlap
from mutuals.store.received import Received
from mutuals.store.rows import ReceivedRow

Removal = Callable[[ExitStack], None]


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _no_exclusions(frame: pl.DataFrame, *_: Any, **__: Any) -> pl.Series:
    return pl.Series("reason", [None] * frame.height, dtype=pl.String)


def _consent(stack: ExitStack) -> None:
    for module in ("sources.participants", "runs.records"):
        stack.enter_context(patch(f"mutuals.{module}.consent_exclusions", _no_exclusions))


def _withdrawals(stack: ExitStack) -> None:
    stack.enter_context(patch("mutuals.runs.prepare.open_withdrawals", lambda *_: Withdrawals(None)))


def _still_eligible(stack: ExitStack) -> None:
    stack.enter_context(patch("mutuals.runs.exchange.require_still_eligible", _nothing))


def _still_permitted(stack: ExitStack) -> None:
    for module in ("exchange", "outgoing"):
        stack.enter_context(patch(f"mutuals.runs.{module}.require_still_permitted", _nothing))


def _authorisation(stack: ExitStack) -> None:
    def anything(_: Any, act: Any, *__: Any) -> authorisation.Authorisation:
        return authorisation.Authorisation("x", act, ("nobody",), None, datetime.max.replace(tzinfo=UTC))

    for module in (outgoing, reveal):
        stack.enter_context(patch.object(module, "require_authorisation", anything))


def _four_eyes(stack: ExitStack) -> None:
    stack.enter_context(patch.object(authorisation, "operators_required", lambda *_: 1))


def _export_approval(stack: ExitStack) -> None:
    stack.enter_context(patch.object(export_approval, "operators_required", lambda *_: 1))


def _roles(stack: ExitStack) -> None:
    everybody = frozenset(operators.ROLES)
    for name in ("AUTHORISE_ROLES", "MANDATE_ROLES"):
        stack.enter_context(patch.object(authorisation, name, everybody))


def _disabled(stack: ExitStack) -> None:
    """The row stays as it was, nor is it held against what an admin signed."""
    stack.enter_context(patch("mutuals.store.operators.Operators.disable", _nothing))
    stack.enter_context(patch("mutuals.identity.appointment._as_logged", lambda *_: True))
    stack.enter_context(patch("mutuals.store.authorisations.Authorisations.void", _nothing))


def _sharing_policy(stack: ExitStack) -> None:
    def everything(_: Any, active: Any) -> Any:
        return active.agreement.sends(active.own_side), ()

    for module in ("runs.preview", "runs.permitted"):
        stack.enter_context(patch(f"mutuals.{module}.sendable_fields", everything))
    stack.enter_context(patch.object(authorisation, "refused_sender", lambda *_: ()))
    stack.enter_context(patch.object(authorisation, "require_sender", _nothing))


def _departments(stack: ExitStack) -> None:
    def everything(_: Any, active: Any, *__: Any) -> Any:
        return active.agreement.sends(active.own_side.other), ()

    stack.enter_context(patch.object(export, "readable_fields", everything))


def _term(stack: ExitStack) -> None:
    stack.enter_context(patch("mutuals.agreement.active.check_in_force", _nothing))


def _suspension(stack: ExitStack) -> None:
    stack.enter_context(patch("mutuals.agreement.suspension._settle", lambda *_: AgreementState.ACTIVE))


def _supersession(stack: ExitStack) -> None:
    stack.enter_context(patch("mutuals.agreement.amendment._supersede", _nothing))


def _signatures(stack: ExitStack) -> None:
    """What was proposed counts as agreed on the side that proposed it, and on the one that has read it."""
    stack.enter_context(patch("mutuals.agreement.active.verify_stored_statement", _nothing))
    for module in ("lifecycle", "answers"):
        stack.enter_context(patch(f"mutuals.agreement.{module}.AgreementState", _Hasty))


class _Hasty:
    """The states, in which proposed is active."""

    DRAFT = AgreementState.DRAFT
    PROPOSED = AgreementState.ACTIVE
    ACTIVE = AgreementState.ACTIVE
    SUSPENDED = AgreementState.SUSPENDED
    SUPERSEDED = AgreementState.SUPERSEDED
    REJECTED = AgreementState.REJECTED
    ENDED = AgreementState.ENDED
    CLOSED = AgreementState.CLOSED


def _pairs(stack: ExitStack) -> None:
    """The overlap is read in another order than both sides confirmed."""
    real = export.open_overlap
    stack.enter_context(
        patch.object(export, "open_overlap", lambda *args: Overlap.of(real(*args).pairs[::-1]))
    )


def _retention(stack: ExitStack) -> None:
    """The records do not know any more when they are to be deleted."""
    real = Received.list
    later = timedelta(days=1000)

    def ageless(self: Received, run_id: str) -> list[ReceivedRow]:
        return [replace(row, delete_after=row.delete_after + later) for row in real(self, run_id)]

    stack.enter_context(patch.object(Received, "list", ageless))


def _destruction(stack: ExitStack) -> None:
    def kept(*_: Any) -> Any:
        return [], Traces()

    stack.enter_context(patch("mutuals.obligations.retention.destroy_ended", kept))


@dataclass(frozen=True)
class Guard:
    """How to take it out, where histories begin and what happens in them where it matters, and what is then found."""

    remove: Removal
    stages: tuple[str, ...]
    events: tuple[str, ...]
    objection: str


GUARDS: dict[str, Guard] = {
    "consent": Guard(_consent, ("active",), ("purpose", "age", "suppress"), "may take part"),
    "withdrawals": Guard(_withdrawals, ("active", "revealed"), ("revoke",), "may take part|does not cover"),
    "consent once more before a retry": Guard(
        _still_eligible, ("revealed",), ("purpose", "notice", "suppress"), "consent does not cover"
    ),
    "authorisation": Guard(_authorisation, ("revealed",), ("time",), "of 1 permissions"),
    "authorisation once more before a retry": Guard(
        _still_permitted, ("revealed",), ("disable", "time"), "of 1 permissions"
    ),
    "four eyes": Guard(_four_eyes, ("revealed",), ("policy",), "of 2 permissions"),
    "four eyes at export": Guard(_export_approval, ("exchanged",), ("policy",), "no approval"),
    "roles": Guard(_roles, ("revealed",), ("restart",), "of 1 permissions"),
    "disabled operators": Guard(_disabled, ("revealed",), ("disable",), "of 1 permissions"),
    "sharing policy": Guard(_sharing_policy, ("revealed",), ("policy",), "its policy|permissions"),
    "departments": Guard(_departments, ("exchanged",), ("restart",), "exported (score|visits|city|spend)"),
    "term": Guard(_term, ("active", "revealed"), ("time", "terminate"), "not in force|terminated"),
    "suspension": Guard(_suspension, ("active", "revealed"), ("suspend",), "suspended"),
    "supersession": Guard(_supersession, ("revealed",), ("restart",), "superseded"),
    "signatures": Guard(_signatures, ("partners",), ("restart",), "not signed by both|no statement"),
    "pairs": Guard(_pairs, ("exchanged",), ("restart",), "joins two people"),
    "retention": Guard(_retention, ("exchanged",), ("time",), "after its retention"),
    "destruction": Guard(_destruction, ("exchanged",), ("terminate with cause",), "after the end"),
}


@contextmanager
def without(name: str) -> Iterator[None]:
    """The product without this guard."""
    with ExitStack() as stack:
        GUARDS[name].remove(stack)
        yield
