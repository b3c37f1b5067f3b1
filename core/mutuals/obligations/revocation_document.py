"""What the two sides write to each other about a contact that was withdrawn after it had been sent.

    {"id", "sid", "ranks", "reason", "at"}          revocation: these pairs of that run must be deleted
    {"id", "deleted", "exports"}                    revocation-done: so many records were, so many files may remain

Neither names a contact to anybody who does not hold the run's overlap: a rank is a pair's place in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mutuals.canonical import canonical_json, parse_canonical
from mutuals.errors import ErrorCode, PartnerFault
from mutuals.framing import Context, digest
from mutuals.models.card import Hex32
from mutuals.models.moment import Moment

REVOCATION = "revocation"
REVOCATION_DONE = "revocation-done"
MAX_RANKS = 10_000
"""How many pairs one document names at most; whoever withdraws more writes several."""

Reason = Literal["withdrawal", "objection", "erasure", "correction"]
REASONS: tuple[Reason, ...] = get_args(Reason)

_Rank = Annotated[int, Field(ge=0, lt=2**32)]
_Count = Annotated[int, Field(ge=0, lt=2**32)]


class Revocation(BaseModel):
    """The pairs of run ``sid`` (hex) whose records the recipient must delete; ``ranks`` ascend."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Hex32
    sid: Hex32
    ranks: tuple[_Rank, ...] = Field(min_length=1, max_length=MAX_RANKS)
    reason: Reason
    at: Moment

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if any(high <= low for low, high in pairwise(self.ranks)):
            raise ValueError("the ranks do not ascend")
        return self


class RevocationDone(BaseModel):
    """What the recipient did: how many records it deleted, and how many files it had exported from that run before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Hex32
    deleted: _Count
    exports: _Count


def make_revocation(
    sender: bytes, sid: bytes, ranks: Sequence[int], reason: Reason, now: datetime
) -> Revocation:
    """A revocation by the peer with fingerprint ``sender``; ``sid`` and it have 32 bytes. Raises ValueError."""
    at = now.astimezone(UTC).replace(microsecond=0)
    identity = revocation_id(sender, sid, ranks, reason, at)
    return Revocation(id=identity, sid=sid.hex(), ranks=tuple(ranks), reason=reason, at=at)


def revocation_id(sender: bytes, sid: bytes, ranks: Sequence[int], reason: str, at: datetime) -> str:
    """What names a revocation (hex): SHA-256 of ``frame(REVOCATION, sid, sender, reason, at, ranks)``."""
    moment = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return digest(
        Context.REVOCATION, sid, sender, reason, moment, [rank.to_bytes(4, "big") for rank in ranks]
    ).hex()


def parse_revocation(body: bytes, sender: bytes) -> Revocation:
    """The revocation in ``body``, as the peer with fingerprint ``sender`` makes it. Raises PartnerFault."""
    found = _parse(Revocation, body)
    expected = revocation_id(sender, bytes.fromhex(found.sid), found.ranks, found.reason, found.at)
    if found.id != expected:
        raise _fault("sent a revocation under an id that is not its own")
    return found


def parse_done(body: bytes) -> RevocationDone:
    """The acknowledgement in ``body``. Raises PartnerFault."""
    return _parse(RevocationDone, body)


_M = TypeVar("_M", Revocation, RevocationDone)


def _parse(model: type[_M], body: bytes) -> _M:
    try:
        parse_canonical(body)
        found = model.model_validate_json(body, strict=True)
        if canonical_json(found) != body:
            raise ValueError("not in its one byte form")
    except (ValueError, RecursionError) as error:
        raise _fault("sent a document about a withdrawn contact that cannot be read") from error
    return found


def _fault(what: str) -> PartnerFault:
    return PartnerFault(ErrorCode.BAD_MESSAGE, f"The partner {what}.")
