"""What a proposal must fulfil besides being a sound document: parties named as on their cards, nothing said twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.agreement.document import parse_agreement
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.partners import partner_card
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.models.card import Card
from mutuals.store.rows import PartnerRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

_LASTING = (AgreementState.DRAFT, AgreementState.PROPOSED, AgreementState.ACTIVE, AgreementState.SUSPENDED)


def misnamed_party(agreement: Agreement, own: Card, partner: PartnerRow, own_side: Side) -> str | None:
    """How the agreement calls a party otherwise than the card known for its key does, as a clause; or nothing.

    Asked when a proposal is made, received and accepted: a card renewed later under another name changes nothing
    about what was signed.
    """
    cards = {own_side: own, own_side.other: partner_card(partner)}
    for side in Side:
        written, name = agreement.party(side).organisation, cards[side].organisation
        if written != name:
            return f"calls the {side.value} “{written}”, while the card says “{name}”"
    return None


def refuse_misnamed(name: str, agreement: Agreement, own: Card, partner: PartnerRow) -> None:
    """Refuse to accept a partner's proposal ``name`` that misnames a party. Raises MutualsError (PEER_IDENTITY)."""
    misnamed = misnamed_party(agreement, own, partner, Side.PARTNER)
    if misnamed is not None:
        raise MutualsError(
            ErrorCode.PEER_IDENTITY,
            f"Agreement {name} {misnamed}.",
            hint="If that card was renewed under another name, ask the partner to propose the agreement anew.",
        )


def refuse_repeated(tx: Transaction, agreement: Agreement) -> None:
    """Refuse a proposal of ours that says the same as one which still stands. Raises MutualsError (USAGE).

    Only the nonce would tell the two apart, and the partner could accept both.
    """
    for row in tx.agreements.list():
        if (
            row.own_side is Side.PROPOSER
            and row.state in _LASTING
            and _says_the_same(row.document, agreement)
        ):
            raise MutualsError(
                ErrorCode.USAGE,
                f"You proposed exactly this before: agreement {row.agreement_id} is {row.state.value}.",
                hint=f"A second operator signs it: mutuals agreement sign {row.agreement_id} --operator NAME. "
                "To propose another, change the draft."
                if row.state is AgreementState.DRAFT
                else "Deliver it and fetch the answer: mutuals sync. To propose another, change the draft.",
            )


def _says_the_same(document: bytes, agreement: Agreement) -> bool:
    try:
        other = parse_agreement(document)
    except ValueError:  # damaged in the store; whoever uses it is told
        return False
    return other.model_copy(update={"nonce": agreement.nonce}) == agreement
