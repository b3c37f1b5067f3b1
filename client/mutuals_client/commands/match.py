"""``mutuals match AGREEMENT``: find out how many contacts both sides know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mutuals_client.commands.runs import run_facts
from mutuals_client.console import Command, open_peer, result, say
from mutuals_client.progress import progress_bars

if TYPE_CHECKING:
    from mutuals.models.run import Run
    from mutuals.peer import Peer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("match", cls=Command)(match)


def match(
    agreement: str = typer.Argument(..., metavar="AGREEMENT", help="Its id, as in: mutuals agreement list"),
    count_only: bool = typer.Option(
        False, "--count-only", help="End with the count; destroy all else at once."
    ),
    dry_run: bool = typer.Option(False, "-n", "--dry-run", help="Check this side and send nothing."),
) -> None:
    """Match your contacts with the partner's under an active agreement.

    Charges one run of the budget. Example: mutuals match A-7Q3K2M9X
    """
    from mutuals.agreement.active import load_active
    from mutuals.runs.lifecycle import expire_runs
    from mutuals.runs.match import prepare_match

    with open_peer() as peer:
        expire_runs(peer)
        partner = _partner_of(peer, agreement)
        if dry_run:
            with peer.store.transaction() as tx:
                active = load_active(tx, agreement, peer.clock(), own=peer.fingerprint.hex())
            own = prepare_match(peer, active)
            say(f"[bold]{len(own.items):,}[/] identifiers would take part. Nothing was sent.")
            result(agreement=active.agreement_id, own_size=len(own.items), dry_run=True)
            return
        run = _carry_out(peer, agreement, partner, count_only)
        _tell(run, count_only)
        result(**run_facts(run))


def _partner_of(peer: Peer, reference: str) -> str:
    from mutuals.agreement.active import find_agreement

    with peer.store.transaction() as tx:
        return find_agreement(tx, reference).partner


def _carry_out(peer: Peer, agreement: str, partner: str, count_only: bool) -> Run:
    from mutuals.engines.workers import WorkerPool
    from mutuals.runs.match import initiate_match
    from mutuals_client.calls import partner_connection

    pool = WorkerPool(peer.workers)
    pool.start()  # before the channel exists: DESIGN §11
    try:
        with (
            partner_connection(peer, partner) as connection,
            progress_bars() as progress,
            connection.match() as stream,
        ):
            return initiate_match(peer, agreement, stream, pool, progress=progress, count_only=count_only)
    finally:
        pool.close()


def _tell(run: Run, count_only: bool) -> None:
    say(f"Run {run.run_id}: [bold]{run.count:,}[/] identifiers are shared,")
    say(f"of {run.own_size:,} that you and {run.partner_size:,} that the partner put in.")
    if count_only:
        say("As you asked, nothing else was kept.")
    else:
        say(f"Next, on both sides by {run.reveal_by:%Y-%m-%d}: mutuals reveal {run.run_id}")
