"""``mutuals sync [PARTNER]``: deliver what waits in the outbox, and fetch what waits at partners."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.console import Command, open_peer, result, say
from mutuals_client.next_steps import say_setup

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.rows import PartnerRow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sync", cls=Command)(sync)


def sync(
    partner: str | None = typer.Argument(
        None, metavar="[PARTNER]", help="Name or fingerprint. [default: all partners that can be called]"
    ),
) -> None:
    """Exchange waiting documents with partners: proposals, acceptances, and whatever else was signed.

    A peer that partners cannot call runs this from time to time; it keeps retention and the TLS certificate as well, so
    that deletion certificates and a renewed card go along. Example: mutuals sync "Beta SA"
    """
    from mutuals.identity.partners import find_partner
    from mutuals.obligations.retention import keep_retention
    from mutuals.rotation import keep_rotation
    from mutuals_client.delivery import can_be_called

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            rows = tx.partners.list() if partner is None else [find_partner(tx, partner)]
        if not rows:
            say("There is no partner yet.")
        keep_retention(peer)
        keep_rotation(peer)
        reports: list[dict[str, Any]] = []
        failures: list[MutualsError] = []
        for row in rows:
            if partner is None and not can_be_called(row):
                reports.append(_uncallable(peer, row))
                continue
            try:
                report, fault = _sync(peer, row)
                reports.append(report)
                if fault is not None:
                    failures.append(fault)
            except MutualsError as error:
                if partner is not None:
                    raise
                failures.append(error)
                reports.append(_failed(row, error, alone=len(rows) == 1))
    if failures:
        raise _summary(failures, len(rows))
    say_setup()
    result(partners=reports)


def _sync(peer: Peer, row: PartnerRow) -> tuple[dict[str, Any], MutualsError | None]:
    """What was done, and the refusal where a log shared with the partner is not what it was."""
    from rich.text import Text

    from mutuals.obligations.retention import keep_retention
    from mutuals.transport.connection import connect
    from mutuals.transport.sync import sync_partner
    from mutuals_client.delivery import documents, log_problems

    with connect(peer, row) as connection:
        done = sync_partner(peer, connection)
        if keep_retention(peer).certificates:  # what the partner ended by what it just sent
            later = sync_partner(peer, connection)
            done = replace(
                later,
                delivered=done.delivered + later.delivered,
                refused=done.refused + later.refused,
                received=done.received + later.received,
            )
    refused = f" ({done.refused} refused)" if done.refused else ""
    say(
        Text(
            f"{row.name}: {documents(done.delivered)} delivered{refused}, {documents(done.received)} received."
        )
    )
    for problem in done.problems:
        say(Text(f"  Not taken yet: {problem}"))
    problems = log_problems(row, done)
    hint = done.faults[0].hint() if done.faults else None
    fault = MutualsError(ErrorCode.LOG_ROLLED_BACK, problems[0], hint=hint) if problems else None
    report = {
        **_facts(row, "done" if fault is None else "log_refused"),
        "delivered": done.delivered,
        "refused": done.refused,
        "received": done.received,
        "not_taken": list(done.problems),
        "log_problems": problems,
    }
    return report, fault


def _uncallable(peer: Peer, row: PartnerRow) -> dict[str, Any]:
    from rich.text import Text

    from mutuals_client.delivery import documents

    with peer.store.transaction() as tx:
        waiting = len(tx.outbox.pending(row.fingerprint))
    kept = f" {documents(waiting).capitalize()} for it in the outbox." if waiting else ""
    say(Text(f"{row.name}: its card has no endpoint, so it has to call you.{kept}"))
    return {**_facts(row, "has_to_call"), "waiting": waiting}


def _failed(row: PartnerRow, error: MutualsError, *, alone: bool) -> dict[str, Any]:
    from rich.text import Text

    if not alone:  # else the command ends with that very sentence
        say(Text(f"{row.name}: {error.message}"))
    return {**_facts(row, "failed"), "code": error.code.value}


def _facts(row: PartnerRow, outcome: str) -> dict[str, Any]:
    return {"partner": row.name, "fingerprint": row.fingerprint, "outcome": outcome}


def _summary(failures: list[MutualsError], partners: int) -> MutualsError:
    """One error for all: their common code, or UNREACHABLE, which says that nothing is lost."""
    codes = {error.code for error in failures}
    if partners == len(failures) == 1:
        return failures[0]
    return MutualsError(
        codes.pop() if len(codes) == 1 else ErrorCode.UNREACHABLE,
        f"{len(failures)} of {counted(partners, 'partner')} could not be synchronised.",
        hint="Nothing is lost; what waits stays in the outbox. Try again, or one by one: mutuals sync PARTNER",
    )
