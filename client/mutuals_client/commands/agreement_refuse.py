"""``mutuals agreement reject`` and ``withdraw``: a proposal is off the table."""

from __future__ import annotations

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.commands.agreement_sign import ID
from mutuals_client.commands.agreement_signed import finish, partner_of, proposal_of
from mutuals_client.console import OperatorCommand, confirm, open_peer
from mutuals_client.rehearsal import about, rehearse

REASON = typer.Option(..., metavar="TEXT", help="Why; your partner will read it.")
DRY_RUN = typer.Option(False, "-n", "--dry-run", help="Say what would be signed and sent; change nothing.")


def register(group: typer.Typer) -> None:
    """Add the commands to the group ``agreement``."""
    group.command("reject", cls=OperatorCommand)(reject)
    group.command("withdraw", cls=OperatorCommand)(withdraw)


def reject(reference: str = ID, reason: str = REASON, dry_run: bool = DRY_RUN) -> None:
    """Turn a partner's proposal down.

    Example: mutuals agreement reject A-7Q3K2M9X --reason "Retention is too long for us."
    """
    from mutuals.agreement.acts import plain_reason
    from mutuals.agreement.lifecycle import refuse_accepted
    from mutuals.agreement.lifecycle import reject as sign_and_reject
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        row, _, partner = proposal_of(peer, reference)
        refuse_accepted(row)
        reason = plain_reason(reason)
        if dry_run:
            facts = about(row, reason=reason)
            rehearse(peer, partner, ["rejection"], facts, roles=SIGN_ROLES, act="sign agreements")
            return
        if not confirm(f"Reject {row.agreement_id}, “{row.title}”, of {partner.name}?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was rejected.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="sign agreements")
        sign_and_reject(peer, row.digest, reason, keys)
        finish(peer, row, partner, "is rejected; it came from")


def withdraw(reference: str = ID, reason: str = REASON, dry_run: bool = DRY_RUN) -> None:
    """Take back a proposal of yours that the partner has not answered.

    Example: mutuals agreement withdraw A-7Q3K2M9X --reason "The campaign is off."
    """
    from mutuals.agreement.acts import plain_reason
    from mutuals.agreement.lifecycle import withdraw as sign_and_withdraw
    from mutuals.agreement.lifecycle import withdrawable
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals.models.agreement import AgreementState
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            row = withdrawable(tx, reference)
        partner = partner_of(peer, row)
        reason = plain_reason(reason)
        if dry_run:
            documents = ["withdrawal"] if row.state is AgreementState.PROPOSED else []
            facts = about(row, reason=reason)
            rehearse(peer, partner, documents, facts, roles=SIGN_ROLES, act="withdraw a proposal")
            return
        if not confirm(f"Withdraw {row.agreement_id}, “{row.title}”, proposed to {partner.name}?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was withdrawn.")
        keys = unlock_operator(peer, roles=SIGN_ROLES, act="withdraw a proposal")
        sign_and_withdraw(peer, row.digest, reason, keys)
        following = f"An acceptance that {partner.name} has sent before it hears of this still counts."
        finish(peer, row, partner, "is withdrawn; it went to", note=following)
