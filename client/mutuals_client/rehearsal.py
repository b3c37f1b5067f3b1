"""What ``--dry-run`` says of a command that signs something for a partner: who would sign what, whom it would reach.

Everything that can be refused without the operator's keys has been checked by then, so no passphrase is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mutuals_client.console import result, say

if TYPE_CHECKING:
    from mutuals.models.agreement import Agreement, Side
    from mutuals.peer import Peer
    from mutuals.store.rows import AgreementRow, OperatorRow, PartnerRow


def rehearse(
    peer: Peer,
    partner: PartnerRow,
    documents: Sequence[str],
    facts: dict[str, Any],
    *,
    roles: Iterable[str],
    act: str,
    second: bool = False,
) -> None:
    """Say that the acting operator would sign ``documents`` (kinds of them), and whether they would leave at once.

    ``second``: the policy asks for another operator, so that they wait for that one. ``facts`` are for ``--json``.
    Raises MutualsError (USAGE, NOT_ENTITLED) where it is not clear who acts, or ``roles`` are needed; ``act`` completes
    “may not …”.
    """
    from mutuals.identity.operators import require_role
    from mutuals_client.session import acting_operator

    operator = acting_operator(peer)
    require_role(operator, roles, act)
    say(_sentence(operator, partner, documents, second=second), "Nothing was signed or sent.")
    result(
        **facts,
        would_sign=operator.name,
        would_send=[] if second else list(documents),
        to=partner.name,
        second_operator_needed=second,
        dry_run=True,
    )


def rehearse_signing(
    peer: Peer,
    partner: PartnerRow,
    agreement: Agreement,
    documents: Sequence[str],
    row: AgreementRow | None = None,
    assessment: str | None = None,
) -> None:
    """The same for signatures under ``agreement``; ``row`` where it is stored, with the own ``assessment`` (digest)."""
    from mutuals.agreement.signing import signing_roles
    from mutuals.models.agreement import Side

    side = row.own_side if row is not None else Side.PROPOSER
    digest = row.digest if row is not None else None
    facts = about(row) if row is not None else {"id": None, "digest": None, "title": agreement.title}
    rehearse(
        peer,
        partner,
        documents,
        facts,
        roles=signing_roles(agreement),
        act="sign this agreement",
        second=_needs_second(peer, agreement, digest, side, assessment),
    )


def about(row: AgreementRow, **more: str) -> dict[str, Any]:
    """What ``--json`` says about an agreement that nothing happens to, and ``more``."""
    return {"id": row.agreement_id, "digest": row.digest, "title": row.title, **more}


def _needs_second(
    peer: Peer, agreement: Agreement, digest: str | None, side: Side, assessment: str | None
) -> bool:
    """Whether the policy asks for a second operator's signature, and none waits for the acting operator's."""
    from mutuals.agreement.signing import signatures_so_far
    from mutuals.policy.current import operators_required
    from mutuals_client.session import acting_operator

    own = acting_operator(peer).name
    with peer.store.transaction() as tx:
        needed = operators_required(tx, "sign")
        held = signatures_so_far(tx, agreement, digest, side, assessment) if digest is not None else []
    return len({signature.name for signature in held} | {own}) < needed


def _sentence(operator: OperatorRow, partner: PartnerRow, documents: Sequence[str], *, second: bool) -> Any:
    from rich.text import Text

    from mutuals_client.delivery import can_be_called

    if not documents:
        return Text(f"{operator.name} would sign it; {partner.name} would not be told.")
    what = " and ".join(f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in documents)
    if second:
        return Text(f"{operator.name} would sign {what}, which waits here until a second operator has, too.")
    when = "at once" if can_be_called(partner) else "when it next calls"
    return Text(f"{operator.name} would sign {what} for {partner.name}, to be delivered {when}.")
