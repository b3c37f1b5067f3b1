"""``mutuals reveal RUN``: authorise the reveal of a counted run, and carry it out once both sides have."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.commands.runs import find_run, run_facts
from mutuals_client.console import SETTINGS, OperatorCommand, confirm, open_peer, result, say
from mutuals_client.progress import progress_bars

if TYPE_CHECKING:
    from mutuals.agreement.active import ActiveAgreement
    from mutuals.models.run import Run
    from mutuals.peer import Peer
    from mutuals_client.patience import Patience

POLL_SECONDS = 5.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reveal", cls=OperatorCommand)(reveal)


def reveal(
    run_id: str = typer.Argument(..., metavar="RUN"),
    wait: bool = typer.Option(False, "--wait", help="Wait until the partner has authorised it too."),
    wait_for_partner: str | None = typer.Option(
        None,
        metavar="DURATION",
        help="Keep calling a partner that is down or busy for so long: 90s, 30m, 2h.",
    ),
) -> None:
    """Reveal which contacts are shared: yours to you, theirs to them.

    Both sides must authorise it. The side that started the run carries it out; the other side's command records
    the authorisation, which its server acts on. A run that was revealed before stays as it is, and that is no error.
    Example: mutuals reveal R-7Q3K2M9X
    """
    from mutuals.agreement.active import load_for_run
    from mutuals.models.run import Role, RunState
    from mutuals.runs.lifecycle import expire_runs
    from mutuals_client.patience import Patience

    patience = Patience.of(wait_for_partner)
    with open_peer() as peer:
        expire_runs(peer)
        run = find_run(peer, run_id)
        if run.state in {RunState.REVEALED, RunState.EXCHANGING, RunState.DONE}:
            _tell(run)
            result(**run_facts(peer, run))
            return
        if run.state is not RunState.COUNTED:
            raise MutualsError(
                ErrorCode.RUN_STATE,
                f"Run {run.run_id} is {run.state.value.replace('_', ' ')}"
                + (f" ({run.reason})" if run.reason else "")
                + "; only a counted run can be revealed.",
                hint="Start a new one: mutuals match"
                if run.state.final
                else "See what it waits for: mutuals runs",
            )
        with peer.store.transaction() as tx:
            active = load_for_run(tx, run, peer.clock(), own=peer.fingerprint.hex())
        _authorise(peer, run, active)
        if run.role is Role.RESPONDER:
            revealed = _await_partner(peer, run) if wait else run
            if revealed.state is RunState.COUNTED:
                say(
                    f"Run {run.run_id} is authorised on this side. Your server reveals it when the partner,",
                    f"who started the run, calls: mutuals reveal {run.run_id}",
                )
                result(**run_facts(peer, revealed))
                return
        else:
            revealed = _carry_out(peer, run, wait, patience)
        _tell(revealed)
        result(**run_facts(peer, revealed))


def _authorise(peer: Peer, run: Run, active: ActiveAgreement) -> None:
    from mutuals.identity.operators import AUTHORISE_ROLES
    from mutuals.runs.authorisation import authorise_reveal, require_authorisation
    from mutuals_client.session import acting_operator, unlock_operator

    if SETTINGS.operator is not None:
        acting_operator(peer)  # whoever is named must be there, even where nobody has to sign any more
    try:
        with peer.store.transaction() as tx:
            authorised = require_authorisation(tx, "reveal", run, active, peer.clock())
    except MutualsError as error:
        if error.code is not ErrorCode.NOT_AUTHORISED_YET:
            raise
    else:
        how = "standing mandate" if authorised.by_mandate else "authorisation"
        say(f"Covered by the {how} of {authorised.operator}.")
        return
    partner = active.agreement.party(active.own_side.other).organisation
    say(
        f"Run {run.run_id} found [bold]{run.count:,}[/] shared identifiers.",
        "Revealing shows each side which of its own contacts the other side holds too, and nothing else.",
    )
    if not confirm(f"Reveal them to {partner} and to yourselves?"):
        raise MutualsError(ErrorCode.USAGE, f"Run {run.run_id} was not revealed.")
    authorise_reveal(peer, run, unlock_operator(peer, roles=AUTHORISE_ROLES, act="authorise a reveal"))
    with peer.store.transaction() as tx:  # where the policy asks for four eyes, a second operator must
        require_authorisation(tx, "reveal", run, active, peer.clock())


def _carry_out(peer: Peer, run: Run, wait: bool, patience: Patience) -> Run:
    from mutuals.runs.reveal import initiate_reveal
    from mutuals_client.calls import partner_connection

    while True:
        try:
            with (
                partner_connection(peer, run.partner, patience=patience) as connection,
                progress_bars() as progress,
                connection.reveal() as stream,
            ):
                return initiate_reveal(peer, run.run_id, stream, progress=progress)
        except MutualsError as error:
            if error.code in (ErrorCode.STALE, ErrorCode.BELOW_THRESHOLD):
                _tell_partner(peer, run)
            if error.code is ErrorCode.BUSY:
                patience.pause(error)
                continue
            if not (wait and error.code is ErrorCode.NOT_AUTHORISED_YET):
                raise
        time.sleep(POLL_SECONDS)


def _tell_partner(peer: Peer, run: Run) -> None:
    """Deliver the note that the run ended here, so that nobody there waits for it."""
    from mutuals_client.delivery import try_sync

    with peer.store.transaction() as tx:
        partner = tx.partners.get(run.partner)
    if partner is not None:
        try_sync(peer, partner)


def _await_partner(peer: Peer, run: Run) -> Run:
    from mutuals.models.run import RunState
    from mutuals.runs.lifecycle import expire_runs

    current = run
    while current.state in {RunState.COUNTED, RunState.REVEALING}:
        time.sleep(POLL_SECONDS)
        expire_runs(peer)
        current = find_run(peer, run.run_id)
    if current.state is RunState.HALF_REVEALED or (
        current.state.final and current.state is not RunState.DONE
    ):
        raise MutualsError(
            ErrorCode.RUN_STATE, f"Run {run.run_id} ended: {current.reason or current.state.value}"
        )
    return current


def _tell(run: Run) -> None:
    say(
        f"Run {run.run_id} is revealed: [bold]{run.contacts:,}[/] of your contacts are shared.",
        f"See what would be sent, then exchange: mutuals exchange {run.run_id} --dry-run",
    )
