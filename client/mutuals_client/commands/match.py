"""``mutuals match AGREEMENT``: find out how many contacts both sides know."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.commands.runs import run_facts
from mutuals_client.console import NamedCommand, open_peer, result, say
from mutuals_client.progress import progress_bars

if TYPE_CHECKING:
    from mutuals.agreement.active import ActiveAgreement
    from mutuals.models.run import Run
    from mutuals.peer import Peer
    from mutuals.store.rows import AgreementRow
    from mutuals_client.patience import Patience


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
    says --unless-since, so that it may be started twice or anew and charges once.
    Example: mutuals match A-7Q3K2M9X --unless-since 20h --wait-for-partner 30m
    """
    from mutuals.runs.lifecycle import expire_runs
    from mutuals.runs.match import prepare_match, require_starter
    from mutuals.runs.once import matching
    from mutuals_client.patience import Patience, duration
    from mutuals_client.session import acting_operator

    patience = Patience.of(wait_for_partner)
    window = None if unless_since is None else duration(unless_since, "--unless-since")
    with open_peer() as peer:
        expire_runs(peer)
        starter = acting_operator(peer)
        require_starter(starter)
        if dry_run:
            active = _active(peer, agreement)
            own = prepare_match(peer, active)
            say(f"[bold]{len(own.items):,}[/] identifiers would take part. Nothing was sent.")
            result(agreement=active.agreement_id, own_size=len(own.items), dry_run=True)
            return
        row = _usable_or_proposed(peer, agreement)
        with matching(peer, row.digest, alone=window is not None) as alone:
            found = None if window is None else _recent(peer, row.digest, window, count_only, alone)
            run = found or _carry_out(peer, row, count_only, starter.name, patience)
        if found is None:
            _tell(run, count_only)
        else:
            say(f"There is run {run.run_id} of {run.opened_at:%Y-%m-%d %H:%M} UTC; none was started.")
        result(**run_facts(peer, run), started=found is None)


def _recent(peer: Peer, digest: str, window: timedelta, count_only: bool, alone: bool) -> Run | None:
    from mutuals.runs.once import recent_run

    with peer.store.transaction() as tx:
        return recent_run(tx, digest, peer.clock() - window, count_only=count_only, alone=alone)


def _active(peer: Peer, reference: str) -> ActiveAgreement:
    from mutuals.agreement.active import load_active

    with peer.store.transaction() as tx:
        return load_active(tx, reference, peer.clock(), own=peer.fingerprint.hex())


def _carry_out(peer: Peer, row: AgreementRow, count_only: bool, operator: str, patience: Patience) -> Run:
    while True:
        try:
            return _match_once(peer, row, count_only, operator, patience)
        except MutualsError as error:
            if error.code is not ErrorCode.BUSY:  # after any other end the partner may have charged the run
                raise
            patience.pause(error)


def _match_once(peer: Peer, row: AgreementRow, count_only: bool, operator: str, patience: Patience) -> Run:
    from mutuals.runs.match import initiate_match
    from mutuals_client.calls import partner_connection

    with (
        peer.open_pool() as pool,  # before the channel exists: DESIGN §11
        partner_connection(peer, row.partner, to_match=row.agreement_id, patience=patience) as connection,
    ):
        active = _active(peer, row.digest)  # the partner's acceptance may just have come
        with progress_bars() as progress, connection.match() as stream:
            return initiate_match(
                peer, active.digest, stream, pool, progress=progress, count_only=count_only, operator=operator
            )


def _usable_or_proposed(peer: Peer, reference: str) -> AgreementRow:
    """The agreement, if it can be matched under now or once the partner's acceptance has come.

    So nobody is called in vain. Raises what ``load_active`` raises.
    """
    from mutuals.agreement.active import find_agreement
    from mutuals.identity.partners import partner_card
    from mutuals.models.agreement import AgreementState

    with peer.store.transaction() as tx:
        row = find_agreement(tx, reference)
        partner = tx.partners.get(row.partner)
    try:
        _active(peer, row.digest)
    except MutualsError as error:
        proposed = error.code is ErrorCode.AGREEMENT_NOT_ACTIVE and row.state is AgreementState.PROPOSED
        if not proposed or partner is None or partner_card(partner).endpoint is None:
            raise
    return row


def _tell(run: Run, count_only: bool) -> None:
    say(f"Run {run.run_id}: [bold]{run.count:,}[/] identifiers are shared,")
    say(f"of {run.own_size:,} that you and {run.partner_size:,} that the partner put in.")
    if count_only:
        say("As you asked, nothing else was kept.")
    else:
        say(f"Next, on both sides by {run.reveal_by:%Y-%m-%d}: mutuals reveal {run.run_id}")
