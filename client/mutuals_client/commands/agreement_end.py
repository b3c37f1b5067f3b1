"""``mutuals agreement terminate``, ``suspend`` and ``resume``: stopping for good or for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.commands.agreement_show import agreement_facts, partner_name
from mutuals_client.commands.agreement_signed import partner_of
from mutuals_client.commands.retention import report_facts, tell_report
from mutuals_client.console import OperatorCommand, confirm, open_peer, result, say
from mutuals_client.rehearsal import about, rehearse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mutuals.peer import Peer
    from mutuals.store.rows import AgreementRow

ID = typer.Argument(..., metavar="ID", help="The agreement's id or digest, or its beginning.")
REASON = typer.Option(..., metavar="TEXT", help="Why; your partner will read it.")
DRY_RUN = typer.Option(False, "-n", "--dry-run", help="Say what would be signed and sent; change nothing.")


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

    Where it ends at once, the same command destroys what was received, and signs the certificate.
    Example: mutuals agreement terminate A-7Q3K2M9X --reason "The campaign is over."
    """
    from mutuals.agreement.active import verify_stored
    from mutuals.agreement.acts import plain_reason
    from mutuals.agreement.ending import terminate as sign_and_terminate
    from mutuals.agreement.suspension import living
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals.obligations.retention import keep_retention
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            row = living(tx, reference, "terminate")
            days = 0 if cause else verify_stored(row).termination.notice_days
        reason = plain_reason(reason)
        when = "at once" if not days else f"after {counted(days, 'day')} of notice"
        if row.ends_at is not None:
            when += f", or on {row.ends_at:%Y-%m-%d %H:%M} UTC as already set, whichever comes first"
        if dry_run:
            say(f"Agreement {row.agreement_id} would end {when}.")
            facts = {**about(row, reason=reason), "notice_days": days}
            second = _needs_second(peer, row, {"reason": reason, "cause": cause})
            partner = partner_of(peer, row)
            rehearse(
                peer,
                partner,
                ["termination"],
                facts,
                roles=SIGN_ROLES,
                act="terminate an agreement",
                second=second,
            )
            return
        if not confirm(
            f"End {row.agreement_id} {when}? What was received under it is destroyed then, on both sides."
        ):
            raise MutualsError(ErrorCode.USAGE, "Nothing was terminated.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="terminate an agreement")
        ends_at = sign_and_terminate(peer, row.digest, reason, keys, cause=cause)
        if ends_at > peer.clock():
            _finish(peer, row.digest, f"ends on {ends_at:%Y-%m-%d %H:%M} UTC.")
            return
        report = keep_retention(peer)
        tell_report(report, {})
        _finish(peer, row.digest, "has ended.", problems=report.problems, retention=report_facts(report))


def suspend(reference: str = ID, reason: str = REASON, dry_run: bool = DRY_RUN) -> None:
    """Halt an agreement: nothing is matched, exchanged or exported until you resume it.

    Example: mutuals agreement suspend A-7Q3K2M9X --reason "We look into a complaint."
    """
    from mutuals.agreement.acts import plain_reason
    from mutuals.agreement.suspension import living, refuse_repeated
    from mutuals.agreement.suspension import suspend as sign_and_suspend
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        reason = plain_reason(reason)
        with peer.store.transaction() as tx:
            row = living(tx, reference, "suspend")
            refuse_repeated(tx, row, reason, None)
        if dry_run:
            facts, partner = about(row, reason=reason), partner_of(peer, row)
            rehearse(peer, partner, ["suspension"], facts, roles=SIGN_ROLES, act="suspend an agreement")
            return
        if not confirm(f"Suspend {row.agreement_id}, “{row.title}”?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was suspended.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="suspend an agreement")
        with peer.store.transaction() as tx:
            identity = sign_and_suspend(tx, peer, row.digest, reason, None, keys)
        _finish(
            peer,
            row.digest,
            f"is suspended. To lift it: mutuals agreement resume {row.agreement_id}",
            suspension=identity,
        )


def resume(
    reference: str = ID,
    suspension: str | None = typer.Argument(
        None, metavar="[SUSPENSION]", help="Which one, where several of yours are open."
    ),
    dry_run: bool = DRY_RUN,
) -> None:
    """Lift your own suspension of an agreement; the partner's is the partner's to lift.

    Example: mutuals agreement resume A-7Q3K2M9X
    """
    from mutuals.agreement.active import find_agreement
    from mutuals.agreement.suspension import own_suspension, own_suspensions
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
                hint="Name one: "
                + "; ".join(
                    f"mutuals agreement resume {row.agreement_id} {halt.suspension_id} ({halt.reason})"
                    for halt in own
                )
                if own
                else "What the partner suspended, the partner lifts.",
            )
        chosen = suspension or own[0].suspension_id
        with peer.store.transaction() as tx:
            own_suspension(tx, row, chosen)
        if dry_run:
            facts, partner = about(row, suspension=chosen), partner_of(peer, row)
            rehearse(peer, partner, ["resumption"], facts, roles=SIGN_ROLES, act="resume an agreement")
            return
        if not confirm(f"Resume {row.agreement_id}, “{row.title}”?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was resumed.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="resume an agreement")
        with peer.store.transaction() as tx:
            state = sign_and_resume(tx, peer, row.digest, chosen, keys)
        still = " again" if state.value == "active" else "; another suspension is open"
        _finish(peer, row.digest, f"is {state.value}{still}.", suspension=chosen)


def _needs_second(peer: Peer, row: AgreementRow, facts: dict[str, Any]) -> bool:
    """Whether the policy asks for a second operator to end it, and none waits for the acting operator."""
    from mutuals.policy.current import operators_required
    from mutuals.policy.four_eyes import signers
    from mutuals_client.session import acting_operator

    own = acting_operator(peer).name
    with peer.store.transaction() as tx:
        held = signers(tx, "terminate", row.digest, facts)
        return len({*held, own}) < operators_required(tx, "terminate")


def _finish(
    peer: Peer,
    digest: str,
    said: str,
    *,
    problems: Sequence[str] = (),
    **more: Any,
) -> None:
    """Try to deliver, and tell how it stands; ``more`` is for ``--json``. Raises LOCAL for the first problem."""
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
    if problems:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"Agreement {row.agreement_id} {said} {problems[0]}",
            hint="Nothing was certified that may not be gone. Try again: mutuals retention",
        )
    result(**agreement_facts(row, partner_name(partner)), delivery=delivery, **more)
