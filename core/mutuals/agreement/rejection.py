"""What a side sends when it turns a proposal down: which one, why, and which operator says so."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from mutuals.agreement.acts import MAX_REASON, plain_reason
from mutuals.agreement.statements import BadStatement, OperatorSignature
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.signing import BadSignature, SigningKey, VerifyKey
from mutuals.framing import Context, frame
from mutuals.identity.text import deceptive_character
from mutuals.models.card import Hex32
from mutuals.models.moment import Moment


class Rejection(BaseModel):
    """``reason`` is for the partner's people to read; ``operator`` signed it together with the digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Hex32
    reason: str = Field(min_length=1, max_length=MAX_REASON)
    operator: OperatorSignature
    rejected_at: Moment


def make_rejection(
    digest: str, reason: str, name: str, role: str, key: SigningKey, now: datetime
) -> Rejection:
    """The rejection of agreement ``digest`` (hex) by operator ``name``. Raises MutualsError (USAGE) for the reason."""
    reason = plain_reason(reason)
    signature = OperatorSignature(
        name=name,
        role=role,
        public_key=key.public.raw.hex(),
        signature=key.sign(_signed(digest, name, role, reason)).hex(),
    )
    at = now.astimezone(UTC).replace(microsecond=0)
    return Rejection(digest=digest, reason=reason, operator=signature, rejected_at=at)


def verify_rejection(body: bytes) -> Rejection:
    """The rejection in ``body``, its operator's signature checked. Raises BadStatement."""
    try:
        parse_canonical(body)
        rejection = Rejection.model_validate_json(body, strict=True)
        if canonical_json(rejection) != body or deceptive_character(rejection.reason, lines=True):
            raise ValueError("not in its one byte form, or not plain text")
        key = VerifyKey(bytes.fromhex(rejection.operator.public_key))
        signature = bytes.fromhex(rejection.operator.signature)
        by = rejection.operator
        key.verify(_signed(rejection.digest, by.name, by.role, rejection.reason), signature)
    except BadSignature as error:
        raise BadStatement("a signature does not fit") from error
    except (ValueError, RecursionError) as error:
        raise BadStatement("not a rejection") from error
    return rejection


def _signed(digest: str, name: str, role: str, reason: str) -> bytes:
    return frame(Context.REJECTION, bytes.fromhex(digest), name, role, reason)
