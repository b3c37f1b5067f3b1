"""What a match leaves behind: the transcript both sides signed, and what the reveal will need.

kept = outcome.to_bytes()                 # secret: it goes into the encrypted spool
MatchOutcome.from_bytes(kept)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mutuals.engines.base import ITEM_SIZE
from mutuals.framing import Context, frame
from mutuals.models.run import Role
from mutuals.protocol.items import Rows, as_rows
from mutuals.protocol.transcript import Transcript

_FORMAT = "match-outcome-1"
_FIELDS = 15
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, eq=False)
class MatchOutcome:
    """The end of step 12, as one side holds it.

    ``initiator`` and ``responder`` are card fingerprints; ``partner_size`` is the size the partner announced;
    ``counted_own`` and ``counted_partner`` are both signatures over the transcript hash. ``items`` are the own items
    as sent, shape (n, 32); ``partner_positions`` (uint32) are the positions, in the *partner's* list, of the common
    tags in ascending order of tag: what step 15 or 16 sends.
    """

    role: Role
    transcript: Transcript
    initiator: bytes
    responder: bytes
    partner_size: int
    counted_own: bytes
    counted_partner: bytes
    items: Rows = field(repr=False)
    partner_positions: npt.NDArray[np.uint32] = field(repr=False)

    @property
    def sid(self) -> bytes:
        """The run's id, 32 bytes."""
        return self.transcript.sid

    @property
    def th(self) -> bytes:
        """The transcript hash, 32 bytes."""
        return self.transcript.th

    @property
    def count(self) -> int:
        """Size of the overlap, in items."""
        return self.transcript.count

    @property
    def own_size(self) -> int:
        """Size of the own list as announced, dummies included."""
        return len(self.items)

    def to_bytes(self) -> bytes:
        """Everything, framed: as secret as the items are."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes | memoryview]:
        """What ``to_bytes`` joins; a list of millions is not copied for it."""
        transcript = self.transcript
        yield frame(
            Context.SPOOL,
            _FORMAT,
            self.role.value,
            transcript.sid,
            transcript.blinded_initiator,
            transcript.blinded_responder,
            transcript.commitment_initiator,
            transcript.commitment_responder,
            transcript.count,
            self.initiator,
            self.responder,
            self.partner_size,
            self.counted_own,
            self.counted_partner,
        )
        for array in (self.items, self.partner_positions.astype("<u4")):
            yield _LENGTH.pack(array.nbytes)
            if array.size:  # an empty array cannot be looked at as bytes
                yield np.ascontiguousarray(array).data.cast("B")

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> MatchOutcome:
        """Read what ``to_bytes`` wrote, without copying the items. Raises ValueError where it is something else."""
        context, *fields = _unframe(memoryview(data))
        if context != Context.SPOOL.encode() or len(fields) != _FIELDS or fields[0] != _FORMAT.encode():
            raise ValueError("not the outcome of a match")
        (
            _,
            role,
            sid,
            b_i,
            b_r,
            c_i,
            c_r,
            count,
            initiator,
            responder,
            partner_size,
            own,
            partner,
            items,
            positions,
        ) = fields
        return cls(
            role=Role(bytes(role).decode()),
            transcript=Transcript(
                bytes(sid), bytes(b_i), bytes(b_r), bytes(c_i), bytes(c_r), int.from_bytes(count, "big")
            ),
            initiator=bytes(initiator),
            responder=bytes(responder),
            partner_size=int.from_bytes(partner_size, "big"),
            counted_own=bytes(own),
            counted_partner=bytes(partner),
            items=as_rows(items, ITEM_SIZE),
            partner_positions=np.frombuffer(positions, "<u4").astype(np.uint32),
        )


def _unframe(data: memoryview) -> list[memoryview]:
    fields, at = [], 0
    while at < len(data):
        try:
            (size,) = _LENGTH.unpack_from(data, at)
        except struct.error as error:
            raise ValueError("not framed bytes") from error
        content = data[at + _LENGTH.size : at + _LENGTH.size + size]
        if len(content) != size:
            raise ValueError("not framed bytes")
        fields.append(content)
        at += _LENGTH.size + size
    return fields or [data]
