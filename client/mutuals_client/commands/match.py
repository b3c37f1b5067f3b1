"""``mutuals match AGREEMENT``: find out how many contacts both sides know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mutuals_client import driving
from mutuals_client.console import NamedCommand, open_peer, result, say
from mutuals_client.next_steps import say_next
from mutuals_client.progress import progress_bars, tell_waiting
from mutuals_client.run_facts import run_facts

if TYPE_CHECKING:
    from mutuals.models.run import Run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("match", cls=NamedCommand)(match)


def match(
    agreement: str = typer.Argument(..., metavar="AGREEMENT", help="Its id, as in: mutuals agreement list"),
    count_only: bool = typer.Option(
        False, "--count-only", help="End with the count; destroy all else at once."
    ),
    unless_since: str | None = typer.Option(
        None,
        metavar="DURATION",
        help="Start none if there is one with a result of the last so many hours (20h) or days; show that one.",
    ),
    wait_for_partner: str | None = typer.Option(
        None,
        metavar="DURATION",
        help="Keep calling a partner that is down or busy for so long: 90s, 30m, 2h.",
    ),
    dry_run: bool = typer.Option(False, "-n", "--dry-run", help="Check this side and send nothing."),
) -> None:
    """Match your contacts with the partner's under an active agreement.

    A steward, analyst or service operator starts it (--operator); it charges one run of the budget. A scheduled job
    says --unless-since, so that it may be started twice or anew and charges once. A match that was interrupted goes on
    where it stopped, for up to a day, and is not charged again.
    Example: mutuals match A-7Q3K2M9X --unless-since 20h --wait-for-partner 30m
    """
    from mutuals.runs.lifecycle import expire_runs
    from mutuals.runs.match import prepare_match, require_starter
    from mutuals_client.patience import Patience, duration
    from mutuals_client.session import acting_operator

    patience = Patience.of(wait_for_partner, tell_waiting)
    window = None if unless_since is None else duration(unless_since, "--unless-since")
    with open_peer() as peer:
        expire_runs(peer)
        starter = acting_operator(peer)
        require_starter(starter)
        if dry_run:
            active = driving.active_agreement(peer, agreement)
            own = prepare_match(peer, active)
            say(f"[bold]{len(own.items):,}[/] identifiers would take part. Nothing was sent.")
            result(agreement=active.agreement_id, own_size=len(own.items), dry_run=True)
            return
        matched = driving.match(
            peer,
            agreement,
            operator=starter.name,
            count_only=count_only,
            unless_since=window,
            patience=patience,
            showing=progress_bars,
        )
        run = matched.run
        if matched.resumed:
            say(
                f"Run {run.run_id} went on where it had been interrupted on {run.opened_at:%Y-%m-%d %H:%M} UTC."
            )
        if matched.started:
            _tell(run, count_only)
        else:
            say(f"There is run {run.run_id} of {run.opened_at:%Y-%m-%d %H:%M} UTC; none was started.")
        result(**run_facts(peer, run), started=matched.started, resumed=matched.resumed)


def _tell(run: Run, count_only: bool) -> None:
    say(f"Run {run.run_id}: [bold]{run.count:,}[/] identifiers are shared,")
    say(f"of {run.own_size:,} that you and {run.partner_size:,} that the partner put in.")
    if count_only:
        say("As you asked, nothing else was kept.")
    else:
        say_next(
            (f"mutuals reveal {run.run_id}", f"find out which; both of you do, by {run.reveal_by:%Y-%m-%d}"),
        )
