"""``mutuals status``: how the agreements stand, what is overdue, what looks wrong, and what to do about it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import typer

from mutuals_client.console import Command, open_peer, result, say, say_commands

if TYPE_CHECKING:
    from mutuals.monitoring.facts import Status

OVERDUE = 10
"""The exit code where something is overdue (docs/cli.md)."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status", cls=Command)(status)


def status(
    agreement: str | None = typer.Argument(
        None,
        metavar="[AGREEMENT]",
        help="Its id or digest, or the beginning of one. [default: all that live]",
    ),
    everything: bool = typer.Option(
        False, "--all", help="Also agreements that are closed or were turned down; every run and export."
    ),
    quick: bool = typer.Option(False, "--quick", help="Do not read the contact lists for consents."),
) -> None:
    """Show how the agreements stand, what is overdue, what looks wrong, and what to do.

    Needs no passphrase, and changes nothing. Ends with 10 where something is overdue.
    Example: mutuals status A-7Q3K2M9X
    """
    from mutuals.monitoring.status import peer_status
    from mutuals_client.status_view import blocks, to_do

    with open_peer() as peer:
        found = peer_status(peer, agreement, everything=everything, sources=not quick)
    say(*blocks(found, detailed=everything or agreement is not None))
    sentences = to_do(found)
    if sentences:
        say("[bold]What to do[/bold]")
    for sentence, command in sentences:
        say(sentence)
        if command:
            say_commands(f"    {command}")
    if not sentences:
        say("Nothing to do.")
    result(**as_json(found))
    if found.overdue:
        raise typer.Exit(OVERDUE)


def as_json(found: Status) -> dict[str, Any]:
    """Every fact under its name in ``mutuals.monitoring.facts``, and whether anything is overdue."""
    return {"overdue": found.overdue, **dataclasses.asdict(found)}
