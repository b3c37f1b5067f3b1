"""An operator's signature under what they did: approving a policy, disabling a colleague, ending an agreement.

    signed = sign_act(keys, "agreement.terminate", digest, {"reason": "..."}, now)
    tx.log.append(digest, "agreement.terminated", {**signed.evidence()}, now)
    verify_act(signed.body, signed.signature, row.signing_public)

The body is canonical JSON and says what was done, to what, by whom and when; the operator's key signs
``frame(ACT, body)``. It names no contact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.signing import BadSignature, VerifyKey
from mutuals.framing import Context, frame
from mutuals.identity.operators import OperatorKeys
from mutuals.models.card import Hex32, Line
from mutuals.models.moment import Moment


class Act(BaseModel):
    """What an operator signs. ``subject`` is what the act is about: a digest, a run id, a name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mutuals/v1/act"] = "mutuals/v1/act"
    act: Line
    subject: Line
    facts: dict[str, Any] = Field(default_factory=dict)
    operator: Line
    roles: tuple[Line, ...]
    department: str
    public_key: Hex32
    at: Moment


@dataclass(frozen=True)
class SignedAct:
    """The canonical body of an act, and the operator's Ed25519 signature over it (64 bytes)."""

    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def evidence(self) -> dict[str, str]:
        """The act as an entry of the log carries it."""
        return {"act": self.body.decode(), "act_signature": self.signature.hex()}


def sign_act(
    keys: OperatorKeys, act: str, subject: str, facts: Mapping[str, Any], now: datetime
) -> SignedAct:
    """``act`` on ``subject``, signed by an unlocked operator; ``facts`` are JSON values. Nobody's right is checked."""
    body = canonical_json(
        Act(
            act=act,
            subject=subject,
            facts=dict(facts),
            operator=keys.name,
            roles=keys.roles,
            department=keys.department,
            public_key=keys.signing.public.raw.hex(),
            at=now.astimezone(UTC).replace(microsecond=0),
        )
    )
    return SignedAct(body, keys.signing.sign(frame(Context.ACT, body)))


def verify_act(body: bytes, signature: bytes, public_key: bytes | None = None) -> Act:
    """The act in ``body``, if the key it names signed it, which must be ``public_key`` (32 bytes) where that is given.

    Raises ValueError (BadSignature is one).
    """
    try:
        parse_canonical(body)
        act = Act.model_validate_json(body, strict=True)
        key = VerifyKey(bytes.fromhex(act.public_key))
        if canonical_json(act) != body or (public_key is not None and key.raw != public_key):
            raise ValueError("not an act in its one byte form, or by somebody else")
        key.verify(frame(Context.ACT, body), signature)
    except BadSignature:
        raise
    except (ValueError, RecursionError) as error:
        raise ValueError("not an act") from error
    return act
