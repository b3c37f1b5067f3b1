"""``mutuals agreement terminate``, ``suspend`` and ``resume``: stopping for good or for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.commands.agreement_show import agreement_facts, partner_name
from mutuals_client.console import OperatorCommand, confirm, open_peer, result, say

if TYPE_CHECKING:
    from mutuals.peer import Peer

ID = typer.Argument(..., metavar="ID", help="The agreement's id or digest, or its beginning.")
REASON = typer.Option(..., metavar="TEXT", help="Why; your partner will read it.")


def register(group: typer.Typer) -> None:
    """Add the commands to the group ``agreement``."""
    for name, command in (("terminate", terminate), ("suspend", suspend), ("resume", resume)):
        group.command(name, cls=OperatorCommand)(command)


def terminate(
    reference: str = ID,
    reason: str = REASON,
    cause: bool = typer.Option(False, "--cause", help="At once, for a cause; else after the agreed notice."),
    dry_run: bool = typer.Option(False, "-n", "--dry-run", help="Say when it would end, and send nothing."),
) -> None:
    """End an agreement: at once for a cause, else after its notice. What was received is destroyed then.

    Example: mutuals agreement terminate A-7Q3K2M9X --reason "The campaign is over."
    """
    from mutuals.agreement.active import verify_stored
    from mutuals.agreement.ending import terminate as sign_and_terminate
    from mutuals.agreement.suspension import living
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals.runs.ending import end_due
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            row = living(tx, reference, "terminate")
            days = 0 if cause else verify_stored(row).termination.notice_days
        when = "at once" if not days else f"after {days} days of notice"
        if row.ends_at is not None:
            when += f", or on {row.ends_at:%Y-%m-%d %H:%M} UTC as already set, whichever comes first"
        if dry_run:
            say(f"Agreement {row.agreement_id} would end {when}. Nothing was signed or sent.")
            result(id=row.agreement_id, digest=row.digest, notice_days=days, dry_run=True)
            return
        if not confirm(
            f"End {row.agreement_id} {when}? What was received under it is destroyed then, on both sides."
        ):
            raise MutualsError(ErrorCode.USAGE, "Nothing was terminated.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="terminate an agreement")
        ends_at = sign_and_terminate(peer, row.digest, reason, keys, cause=cause)
        end_due(peer)
        if ends_at <= peer.clock():
            said = "has ended. Destroy what was received, and certify it: mutuals retention"
        else:
            said = f"ends on {ends_at:%Y-%m-%d %H:%M} UTC."
        _finish(peer, row.digest, said)


def suspend(reference: str = ID, reason: str = REASON) -> None:
    """Halt an agreement: nothing is matched, exchanged or exported until you resume it.

    Example: mutuals agreement suspend A-7Q3K2M9X --reason "We look into a complaint."
    """
    from mutuals.agreement.suspension import living
    from mutuals.agreement.suspension import suspend as sign_and_suspend
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            row = living(tx, reference, "suspend")
        if not confirm(f"Suspend {row.agreement_id}, “{row.title}”?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was suspended.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="suspend an agreement")
        with peer.store.transaction() as tx:
            identity = sign_and_suspend(tx, peer, row.digest, reason, None, keys)
        _finish(
            peer,
            row.digest,
            f"is suspended. To lift it: mutuals agreement resume {row.agreement_id}",
            identity,
        )


def resume(
    reference: str = ID,
    suspension: str | None = typer.Argument(
        None, metavar="[SUSPENSION]", help="Which one, where several of yours are open."
    ),
) -> None:
    """Lift your own suspension of an agreement; the partner's is the partner's to lift.

    Example: mutuals agreement resume A-7Q3K2M9X
    """
    from mutuals.agreement.active import find_agreement
    from mutuals.agreement.suspension import own_suspensions
    from mutuals.agreement.suspension import resume as sign_and_resume
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            row = find_agreement(tx, reference)
            own = own_suspensions(tx, row.digest)
        if suspension is None and len(own) != 1:
            raise MutualsError(
                ErrorCode.USAGE,
                f"You have {len(own) or 'no'} open suspensions of {row.agreement_id}.",
                hint="Name one: " + ", ".join(f"{halt.suspension_id} ({halt.reason})" for halt in own)
                if own
                else "What the partner suspended, the partner lifts.",
            )
        chosen = suspension or own[0].suspension_id
        if not confirm(f"Resume {row.agreement_id}, “{row.title}”?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was resumed.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="resume an agreement")
        with peer.store.transaction() as tx:
            state = sign_and_resume(tx, peer, row.digest, chosen, keys)
        still = " again" if state.value == "active" else "; another suspension is open"
        _finish(peer, row.digest, f"is {state.value}{still}.", chosen)


def _finish(peer: Peer, digest: str, said: str, suspension: str | None = None) -> None:
    """Try to deliver, and tell how it stands."""
    from rich.text import Text

    from mutuals.agreement.chain import current_of
    from mutuals_client.delivery import try_sync

    with peer.store.transaction() as tx:
        row = tx.agreements.get(digest)
        partner = tx.partners.get(row.partner) if row is not None else None
    if row is None or partner is None:
        raise MutualsError(ErrorCode.INTERNAL, "The agreement is gone from the store.")
    delivery = try_sync(peer, partner)
    with peer.store.transaction() as tx:
        row = current_of(tx, row)
    say(Text(f"Agreement {row.agreement_id} {said}"), Text(delivery))
    facts = agreement_facts(row, partner_name(partner))
    result(**facts, delivery=delivery, **({"suspension": suspension} if suspension else {}))
