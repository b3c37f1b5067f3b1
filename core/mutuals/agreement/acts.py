"""Documents about an agreement that carry the signed act of an operator: read as crafted until they prove sound.

    note = read_note(Suspension, body)                       # a handler; raises PartnerFault
    check_act(note, "agreement.suspend", facts)              # the operator signed exactly this
    row = partners_agreement(tx, partner, note.digest)       # and it is about an agreement with this partner

That the operator's key is that person's, and the role theirs, is the partner's word, as in a statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from mutuals.agreement.statements import Hex64
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.errors import ErrorCode, MutualsError, PartnerFault
from mutuals.identity.acts import SignedAct, verify_act
from mutuals.identity.text import deceptive_character
from mutuals.models.card import Hex32
from mutuals.store.rows import AgreementRow, PartnerRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

MAX_REASON = 1000
_MAX_ACT = 16_384


class Note(BaseModel):
    """A document about the agreement with this ``digest``; ``act`` is the canonical act its operator signed.

    Both parts of the act are missing where the peer did it by itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Hex32
    act: str | None = Field(max_length=_MAX_ACT)
    act_signature: Hex64 | None


N = TypeVar("N", bound=Note)


def act_fields(signed: SignedAct | None) -> dict[str, str | None]:
    """The two keys of a note that hold its operator's act."""
    if signed is None:
        return {"act": None, "act_signature": None}
    return {"act": signed.body.decode(), "act_signature": signed.signature.hex()}


def read_note(kind: type[N], body: bytes) -> N:
    """The note in ``body``: canonical, every key known and valid, no disguised text. Raises PartnerFault."""
    try:
        value = parse_canonical(body)
        note = kind.model_validate_json(body, strict=True)
        if canonical_json(note) != body:
            raise ValueError("not in its one byte form")
        if any(isinstance(text, str) and deceptive_character(text, lines=True) for text in value.values()):
            raise ValueError("a text holds a control or invisible character")
    except (ValueError, RecursionError) as error:
        raise fault(f"A {kind.__name__.lower()} is not in the form it must have.") from error
    return note


def check_act(note: Note, act: str, facts: Mapping[str, Any]) -> None:
    """Check that an operator signed ``act`` on the note's agreement with these ``facts``. Raises PartnerFault."""
    try:
        if note.act is None or note.act_signature is None:
            raise ValueError("no act")
        signed = verify_act(note.act.encode(), bytes.fromhex(note.act_signature))
        if (signed.act, signed.subject, signed.facts) != (act, note.digest, dict(facts)):
            raise ValueError("another act")
        if any(deceptive_character(text) for text in (signed.operator, signed.department, *signed.roles)):
            raise ValueError("a name holds a control or invisible character")
    except (ValueError, RecursionError) as error:
        raise fault(f"No operator signed what a {type(note).__name__.lower()} says.") from error


def partners_agreement(tx: Transaction, partner: PartnerRow, digest: str) -> AgreementRow:
    """The stored version with this digest, where it is with ``partner``. Raises PartnerFault (AGREEMENT_UNKNOWN)."""
    row = tx.agreements.get(digest)
    if row is None or row.partner != partner.fingerprint:
        raise PartnerFault(
            ErrorCode.AGREEMENT_UNKNOWN, "A document came about an agreement that is not with this partner."
        )
    return row


def plain_reason(text: str) -> str:
    """``text`` without surrounding blanks, as the partner will read it. Raises MutualsError (USAGE)."""
    reason = text.strip()
    if not 0 < len(reason) <= MAX_REASON or deceptive_character(reason, lines=True):
        raise MutualsError(
            ErrorCode.USAGE,
            f"A reason is plain text of at most {MAX_REASON} characters.",
            hint="--reason TEXT",
        )
    return reason


def fault(message: str) -> PartnerFault:
    """The refusal of a document that the partner should not have sent."""
    return PartnerFault(ErrorCode.BAD_MESSAGE, message)
