"""A side's signature under an agreement: a statement signed by the peer, with signatures of its operators inside.

    body, signature = make_statement(agreement, digest, Side.PARTNER, peer_key, [(operator, role)], now)
    verify_statement(body, signature, agreement, digest, Side.PARTNER)

The peer's key signs ``frame(STATEMENT, body)``; each operator signs ``frame(STATEMENT, "operator", digest, side,
name)``. The statement carries the peer's public key, and the agreement that key's fingerprint, so whoever holds
document and statements can check them without anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.signing import BadSignature, SigningKey, VerifyKey
from mutuals.framing import Context, frame
from mutuals.identity.text import deceptive_character
from mutuals.models.agreement import Agreement, Side
from mutuals.models.card import Hex32, Line
from mutuals.models.moment import Moment

Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]


class OperatorSignature(BaseModel):
    """One operator's signature: name, the role it was given in, Ed25519 public key and signature in hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Line
    role: Line
    public_key: Hex32
    signature: Hex64


class Statement(BaseModel):
    """What one side declares: that it, through these operators, signs the agreement with this digest.

    ``assessment`` is the digest of the side's own risk assessment where there is one; ``signed_at`` whole seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mutuals/v1/statement"] = "mutuals/v1/statement"
    digest: Hex32
    side: Side
    organisation: Line
    fingerprint: Hex32
    public_key: Hex32
    assessment: Hex32 | None = None
    operators: tuple[OperatorSignature, ...] = Field(min_length=1, max_length=20)
    signed_at: Moment


class BadStatement(ValueError):
    """The statement is not what it should be; the text says in which way, without quoting it."""


def make_statement(
    agreement: Agreement,
    digest: str,
    side: Side,
    key: SigningKey,
    operators: Sequence[tuple[str, str, SigningKey]],
    now: datetime,
    assessment: str | None = None,
    *,
    earlier: Sequence[OperatorSignature] = (),
) -> tuple[bytes, bytes]:
    """The canonical statement of ``side`` and the peer's 64-byte signature over it.

    ``digest`` is hex; ``operators`` are name, role and key of each who signs now, ``earlier`` the signatures of those
    who have signed before on the same assessment.
    """
    signatures = [
        sign_as_operator(digest, side, name, role, signing, assessment) for name, role, signing in operators
    ]
    statement = Statement(
        digest=digest,
        side=side,
        organisation=agreement.party(side).organisation,
        fingerprint=key.public.fingerprint.hex(),
        public_key=key.public.raw.hex(),
        assessment=assessment,
        operators=(*earlier, *signatures),
        signed_at=now.astimezone(UTC).replace(microsecond=0),
    )
    body = canonical_json(statement)
    return body, key.sign(frame(Context.STATEMENT, body))


def sign_as_operator(
    digest: str, side: Side, name: str, role: str, key: SigningKey, assessment: str | None
) -> OperatorSignature:
    """One operator's signature for the statement of ``side`` over the agreement ``digest`` (hex)."""
    signature = key.sign(_operator_frame(digest, side, name, role, assessment))
    return OperatorSignature(name=name, role=role, public_key=key.public.raw.hex(), signature=signature.hex())


def verify_operator(signature: OperatorSignature, digest: str, side: Side, assessment: str | None) -> None:
    """Check one operator's signature. Raises BadStatement."""
    try:
        key = VerifyKey(bytes.fromhex(signature.public_key))
        signed = _operator_frame(digest, side, signature.name, signature.role, assessment)
        key.verify(signed, bytes.fromhex(signature.signature))
    except BadSignature as error:
        raise BadStatement("a signature does not fit") from error
    except ValueError as error:
        raise BadStatement("an operator's key is unusable") from error


def verify_statement(
    body: bytes, signature: bytes, agreement: Agreement, digest: str, side: Side
) -> Statement:
    """The statement in ``body``, after every check. Raises BadStatement.

    1. ``body`` is a statement in canonical form, and nothing else.
    2. It is over this digest, by this side, in that party's name and with its fingerprint.
    3. Its public key has that fingerprint; it is neither small-order nor malformed.
    4. The peer's signature over ``body`` is that key's.
    5. Each operator's signature is right, and no operator signs twice.
    """
    statement = _parse(body)
    party = agreement.party(side)
    if statement.digest != digest:
        raise BadStatement("the statement is about another document")
    if statement.side is not side:
        raise BadStatement("the statement is made for the other side")
    if (statement.organisation, statement.fingerprint) != (party.organisation, party.fingerprint):
        raise BadStatement("the statement names another party than the agreement")
    try:
        key = VerifyKey(bytes.fromhex(statement.public_key))
    except ValueError as error:
        raise BadStatement("the statement's key is unusable") from error
    if key.fingerprint.hex() != party.fingerprint:
        raise BadStatement("the statement's key is not the party's")
    try:
        key.verify(frame(Context.STATEMENT, body), signature)
    except BadSignature as error:
        raise BadStatement("a signature does not fit") from error
    for operator in statement.operators:
        verify_operator(operator, statement.digest, statement.side, statement.assessment)
    if len({operator.public_key for operator in statement.operators}) != len(statement.operators):
        raise BadStatement("an operator signs twice")
    return statement


@lru_cache(maxsize=128)
def _parse(body: bytes) -> Statement:
    try:
        parse_canonical(body)
        statement = Statement.model_validate_json(body, strict=True)
        same = canonical_json(statement) == body
        shown = [text for operator in statement.operators for text in (operator.name, operator.role)]
        if any(deceptive_character(text) for text in shown):
            raise ValueError("a name holds a control or invisible character")
    except (ValueError, RecursionError) as error:
        raise BadStatement("not a statement") from error
    if not same:
        raise BadStatement("not a statement in its one byte form")
    return statement


def _operator_frame(digest: str, side: Side, name: str, role: str, assessment: str | None) -> bytes:
    """What an operator signs: the agreement, for which side, as whom and in which role, on which assessment."""
    assessed = bytes.fromhex(assessment) if assessment else b""
    return frame(Context.OPERATOR_STATEMENT, bytes.fromhex(digest), side.value, name, role, assessed)
