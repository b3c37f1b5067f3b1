"""``mutuals reveal RUN``: authorise the reveal of a counted run, and carry it out once both sides have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client import driving
from mutuals_client.console import SETTINGS, OperatorCommand, confirm, open_peer, result, say
from mutuals_client.next_steps import partners_turn, say_next
from mutuals_client.progress import progress_bars, tell_waiting
from mutuals_client.run_facts import find_run, run_facts

if TYPE_CHECKING:
    from mutuals.agreement.active import ActiveAgreement
    from mutuals.models.run import Run
    from mutuals.peer import Peer


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
    from mutuals.models.run import RunState
    from mutuals.runs.lifecycle import expire_runs
    from mutuals_client.patience import Patience

    patience = Patience.of(wait_for_partner, tell_waiting)
    with open_peer() as peer:
        expire_runs(peer)
        run = find_run(peer, run_id)
        with partners_turn(f"mutuals reveal {run.run_id}"):
            revealed = driving.reveal(
                peer,
                run,
                lambda run, active: _authorise(peer, run, active),
                wait=wait,
                patience=patience,
                showing=progress_bars,
            )
        if revealed.state is RunState.COUNTED:
            say(
                f"Run {revealed.run_id} is authorised on this side. Your server reveals it when the partner, who",
                f"started the run, calls. They run: mutuals reveal {revealed.run_id}",
            )
            say_next((f"mutuals exchange {revealed.run_id} --dry-run", "after that: see what you would send"))
        else:
            _tell(revealed)
        result(**run_facts(peer, revealed))


def _authorise(peer: Peer, run: Run, active: ActiveAgreement) -> None:
    from mutuals.identity.operators import AUTHORISE_ROLES
    from mutuals.runs.authorisation import authorise_reveal, require_authorisation
    from mutuals_client.session import acting_operator, unlock_operator

    if SETTINGS.operator is not None:
        acting_operator(peer)  # whoever is named must be there, even where nobody has to sign any more
    authorised = driving.reveal_authorised(peer, run, active)
    if authorised is not None:
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


def _tell(run: Run) -> None:
    say(
        f"Run {run.run_id} is revealed: [bold]{run.contacts:,}[/] of your contacts are shared.",
    )
    say_next((f"mutuals exchange {run.run_id} --dry-run", "see what you would send"))
