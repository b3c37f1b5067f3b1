"""``mutuals runs``: every run, its state, and what it waits for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import (
    Command,
    ListingGroup,
    OperatorCommand,
    confirm,
    open_peer,
    result,
    say,
    table,
)
from mutuals_client.run_facts import find_run, run_facts

if TYPE_CHECKING:
    from mutuals.models.run import Run
    from mutuals.peer import Peer


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(cls=ListingGroup, help="List runs and what each waits for; clear one that broke off.")
    group.command("list", cls=Command)(list_runs)
    group.command("show", cls=Command)(show)
    group.command("clear", cls=OperatorCommand)(clear)
    app.add_typer(group, name="runs")


def list_runs() -> None:
    """List all runs, newest first.

    Example: mutuals runs list
    """
    from mutuals.runs.lifecycle import expire_runs

    with open_peer() as peer:
        expire_runs(peer)
        with peer.store.transaction() as tx:
            runs = sorted(tx.runs.list(), key=lambda run: run.opened_at, reverse=True)
        listed = [run_facts(peer, run) for run in runs]
        if not runs:
            say("No runs yet. Start one: mutuals match AGREEMENT")
        else:
            table(
                None,
                ("Run", "Partner", "Opened", "State", "Overlap", "Waits for"),
                [
                    (
                        run.run_id,
                        facts["partner_name"],
                        run.opened_at.strftime("%Y-%m-%d"),
                        run.state.value.replace("_", " "),
                        "" if run.count is None else f"{run.count:,}",
                        facts["waits_for"] or "",
                    )
                    for run, facts in zip(runs, listed, strict=True)
                ],
            )
        result(runs=listed)


def show(run_id: str = typer.Argument(..., metavar="RUN")) -> None:
    """Show one run.

    Example: mutuals runs show R-7Q3K2M9X
    """
    from rich.text import Text

    with open_peer() as peer:
        run = find_run(peer, run_id)
        facts = run_facts(peer, run) | _previews(peer, run)
        for name, value in _for_people(facts).items():
            say(Text(f"{name.replace('_', ' '):>19}  {value}"))
        result(**facts)


def clear(run_id: str = typer.Argument(..., metavar="RUN")) -> None:
    """Clear a half-revealed run, after you found out with the partner why it broke off.

    New runs with the partner are refused until somebody does. Example: mutuals runs clear R-7Q3K2M9X
    """
    from mutuals.models.run import RunState
    from mutuals.runs.lifecycle import end_run
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        run = find_run(peer, run_id)
        if run.state is not RunState.HALF_REVEALED:
            raise MutualsError(
                ErrorCode.RUN_STATE, f"Run {run.run_id} is not half revealed; there is nothing to clear."
            )
        say(f"Run {run.run_id} broke off: {run.reason}")
        if not confirm("Have you found out why, with the partner?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was cleared.")
        operator = unlock_operator(peer)
        end_run(peer, run, RunState.FAILED, reason=f"{run.reason} Cleared by {operator.name}.")
        say(f"Run {run.run_id} is cleared; new runs with the partner are possible.")
        result(run=run.run_id, state=RunState.FAILED.value)


def _previews(peer: Peer, run: Run) -> dict[str, object]:
    """Which preview of its exchange was authorised, by whom, and which one was sealed for sending."""
    from mutuals.runs.authorisation import standing_previews
    from mutuals.runs.moved import exchange_summary

    with peer.store.transaction() as tx:
        standing = standing_previews(tx, run, peer.clock())
    return {
        "preview_sent": exchange_summary(peer, run).preview,
        "previews_authorised": {item.operator: item.preview for item in reversed(standing)},
    }


def _for_people(facts: dict[str, object]) -> dict[str, str]:
    """What a person wants to read of a run's facts: names in place of digests, minutes in UTC."""
    names = {"agreement": facts["agreement_id"], "partner": facts["partner_name"]}
    told = {name: value for name, value in facts.items() if name not in {"agreement_id", "partner_name"}}
    return {name: _text(value) for name, value in (told | names).items() if value not in (None, {})}


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{item} by {name}" for name, item in value.items())
    return str(value)
