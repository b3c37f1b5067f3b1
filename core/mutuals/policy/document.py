"""The policy as bytes: canonical JSON, and the digest that operators sign."""

from __future__ import annotations

from pydantic import ValidationError

from mutuals.canonical import canonical_json, parse_canonical
from mutuals.framing import Context, digest
from mutuals.models.policy import Policy


def policy_bytes(policy: Policy) -> bytes:
    """The policy in its one byte form (RFC 8785), every key present."""
    return canonical_json(policy)


def policy_digest(document: bytes) -> str:
    """SHA-256 over ``frame(POLICY, document)``, in hex."""
    return digest(Context.POLICY, document).hex()


def parse_policy(document: bytes) -> Policy:
    """The policy in ``document``. Raises ValueError where it is none, or not in its one byte form."""
    try:
        parse_canonical(document)
        policy = Policy.model_validate_json(document, strict=True)
    except (ValidationError, RecursionError) as error:
        raise ValueError("not a policy") from error
    if policy_bytes(policy) != document:
        raise ValueError("not a policy in its one byte form")
    return policy
