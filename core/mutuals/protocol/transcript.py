"""Every byte string of the match and the reveal that is hashed, signed or proved, in one place (DESIGN §6).

The numbers are the steps of DESIGN §6. All results are 32 bytes unless said otherwise; ``role`` is always the side
that commits, signs or proves.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mutuals.framing import Context, digest, frame
from mutuals.models.run import Role
from mutuals.protocol.messages import Hello

TAG_SIZE = 16
HANDLE_SIZE = 32

_LENGTH = struct.Struct(">I")


def session_id(opened: Hello, accepted: Hello) -> bytes:
    """Step 3: the run's id, over the signed bytes of both Hellos and so over both nonces."""
    return digest(Context.SID, opened.signed_bytes(), accepted.signed_bytes())


class BlindedDigest:
    """Step 7: SHA-256 of one side's Blinded list as sent, however it was cut into chunks.

    It covers ``frame(BLINDED, role, number of points)`` followed by the points, one after the other: number and
    point size (by the engine named in ``sid``) fix where each point begins.
    """

    def __init__(self, role: Role, count: int) -> None:
        self._state = hashlib.sha256(frame(Context.BLINDED, role.value, count))

    def update(self, points: bytes) -> None:
        """Take the next points of the list."""
        self._state.update(points)

    def digest(self) -> bytes:
        """The digest over what was taken so far."""
        return self._state.digest()


def tags_of(sid: bytes, points: bytes, point_size: int) -> bytes:
    """Step 6: the tags of doubly blinded ``points`` (n × ``point_size`` bytes), n × 16 bytes in the same order."""
    copy = hashlib.sha256(frame(Context.TAG, sid) + _LENGTH.pack(point_size)).copy
    tags = []
    for offset in range(0, len(points), point_size):
        state = copy()
        state.update(points[offset : offset + point_size])
        tags.append(state.digest()[:TAG_SIZE])
    return b"".join(tags)


@dataclass(frozen=True)
class Transcript:
    """What both sides saw of a match: the run's id, both Blinded lists' digests, both commitments, the count."""

    sid: bytes
    blinded_initiator: bytes
    blinded_responder: bytes
    commitment_initiator: bytes
    commitment_responder: bytes
    count: int

    @property
    def th(self) -> bytes:
        """Step 11: the transcript hash that both sides sign."""
        return digest(
            Context.TH,
            self.sid,
            self.blinded_initiator,
            self.blinded_responder,
            self.commitment_initiator,
            self.commitment_responder,
            self.count,
        )


def tag_commitment(
    sid: bytes,
    role: Role,
    blinded_initiator: bytes,
    blinded_responder: bytes,
    nonce: bytes,
    tags_digest: bytes,
) -> bytes:
    """Step 8: commitment to the tags (sorted, one after the other) with this SHA-256, opened later by ``nonce``."""
    return digest(
        Context.TAGS,
        sid,
        role.value,
        blinded_initiator,
        blinded_responder,
        nonce,
        tags_digest,
    )


def counted_bytes(role: Role, th: bytes) -> bytes:
    """Step 12: what ``role`` signs to say that it saw the count in ``th``."""
    return frame(Context.COUNTED, role.value, th)


def approve_bytes(role: Role, th: bytes) -> bytes:
    """Step 13: what ``role`` signs to allow the reveal of the run that ended in ``th``."""
    return frame(Context.APPROVE, role.value, th)


def pair_handles(sid: bytes, items: npt.NDArray[np.bytes_]) -> npt.NDArray[np.bytes_]:
    """Step 17: the handle of each shared item (array of n ``S32``), in the same order: n ``S32``.

    The item is the key, so that a handle says nothing to those who do not hold the item.
    """
    message = frame(Context.PAIR, sid)
    handles = b"".join(hmac.digest(item, message, "sha256") for item in _fixed_width(items))
    return np.frombuffer(handles, f"S{HANDLE_SIZE}")


def confirm_password(th: bytes, handles: bytes) -> bytes:
    """Step 18: the SPAKE2 password over the sorted handles (n × 32 bytes)."""
    return digest(Context.CONFIRM, th, handles)


def confirm_identity(role: Role, fingerprint: bytes) -> bytes:
    """Step 18: who a side is to SPAKE2: its role and its card's fingerprint."""
    return frame(Context.CONFIRM_IDENTITY, role.value, fingerprint)


def confirm_mac(key: bytes, role: Role, th: bytes, share_initiator: bytes, share_responder: bytes) -> bytes:
    """Step 18: ``role``'s proof that it holds the SPAKE2 key, over both shares as sent."""
    return hmac.digest(
        key, frame(Context.CONFIRM_MAC, role.value, th, share_initiator, share_responder), "sha256"
    )


def _fixed_width(rows: npt.NDArray[np.bytes_]) -> list[bytes]:
    """The rows with their trailing zero bytes, which NumPy drops from a single element."""
    data, width = rows.tobytes(), rows.dtype.itemsize
    return [data[start : start + width] for start in range(0, len(data), width)]
