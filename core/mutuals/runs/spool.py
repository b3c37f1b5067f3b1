"""What a run must remember between the count and the end, encrypted on disk under the run's own key.

The key lies in the store (``Run.spool_key``), the ciphertext in the home's spool folder: destroying either ends what
was remembered. Two parts exist, one after the other: ``matched`` (the outcome of the match and which positions are
padding) until the reveal, then ``overlap`` (own contact ids by rank) until the exchange is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.files import remove_if_possible, sync_directory, writable
from mutuals.models.run import Run
from mutuals.peer import Peer
from mutuals.protocol.outcome import MatchOutcome
from mutuals.runs.overlap import Overlap
from mutuals.runs.spool_files import make_spool, spool_path

_NONCE_BYTES = 12
_TAG_BYTES = 16
_PIECE_BYTES = 1 << 20
_MATCHED = "matched"
_OVERLAP = "overlap"


@dataclass(frozen=True)
class Matched:
    """The outcome of a match, and which of the own positions are padding (``dummies``: uint32, ascending)."""

    outcome: MatchOutcome
    dummies: np.ndarray


def new_spool_key() -> bytes:
    """A fresh 32-byte run key."""
    return AESGCM.generate_key(bit_length=256)


def save_matched(peer: Peer, run: Run, matched: Matched) -> None:
    """Remember the match until the reveal."""
    dummies = matched.dummies.astype("<u4").tobytes()
    _write(peer, run, _MATCHED, [len(dummies).to_bytes(8, "big"), dummies, *matched.outcome.pieces()])


def load_matched(peer: Peer, run: Run) -> Matched:
    """What ``save_matched`` wrote. Raises MutualsError (RUN_STATE) where it is gone or damaged."""
    data = memoryview(_read(peer, run, _MATCHED))
    size = int.from_bytes(data[:8], "big")
    dummies = np.frombuffer(data[8 : 8 + size], dtype="<u4")
    return Matched(outcome=MatchOutcome.from_bytes(data[8 + size :]), dummies=dummies)


def save_overlap(peer: Peer, run: Run, overlap: Overlap) -> None:
    """Remember the overlap until the exchange is done, in place of the match."""
    _write(peer, run, _OVERLAP, [overlap.to_bytes()])


def load_overlap(peer: Peer, run: Run) -> Overlap:
    """What ``save_overlap`` wrote. Raises MutualsError (RUN_STATE) where it is gone or damaged."""
    return Overlap.from_bytes(_read(peer, run, _OVERLAP))


def _associated(run: Run, part: str, number: int, last: bool) -> bytes:
    return frame(Context.SPOOL, run.sid, part, number, int(last))


def _write(peer: Peer, run: Run, part: str, data: Iterable[bytes | memoryview]) -> None:
    if run.spool_key is None:
        raise MutualsError(ErrorCode.RUN_STATE, f"Run {run.run_id} has ended; nothing is kept of it.")
    cipher = AESGCM(run.spool_key)
    path = spool_path(peer, run)
    partial = path.with_suffix(".part")
    try:
        with writable(path.parent):
            make_spool(path.parent)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                for number, (piece, last) in enumerate(_cut(data)):
                    nonce = os.urandom(_NONCE_BYTES)
                    stream.write(nonce + cipher.encrypt(nonce, piece, _associated(run, part, number, last)))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
            sync_directory(path.parent)  # the store is about to say that it is there
    except BaseException:
        remove_if_possible(partial)
        raise


def _cut(data: Iterable[bytes | memoryview]) -> Iterator[tuple[bytes, bool]]:
    """``data`` in pieces of ``_PIECE_BYTES``, the last of them shorter and perhaps empty; whether it is the last."""
    rest = bytearray()
    for given in data:
        view = memoryview(given)
        while len(rest) + len(view) >= _PIECE_BYTES:
            room = _PIECE_BYTES - len(rest)
            yield bytes(rest) + bytes(view[:room]), False
            rest.clear()
            view = view[room:]
        rest += view
    yield bytes(rest), True


def _read(peer: Peer, run: Run, part: str) -> bytearray:
    gone = MutualsError(
        ErrorCode.RUN_STATE,
        f"What run {run.run_id} had to remember is gone or damaged.",
        hint="Start a new match.",
    )
    if run.spool_key is None:
        raise gone
    cipher = AESGCM(run.spool_key)
    sealed_bytes = _NONCE_BYTES + _PIECE_BYTES + _TAG_BYTES
    try:
        with spool_path(peer, run).open("rb") as stream:
            data = bytearray()
            number, last = 0, False
            while not last:
                sealed = stream.read(sealed_bytes)
                last = len(sealed) < sealed_bytes
                data += cipher.decrypt(
                    sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _associated(run, part, number, last)
                )
                number += 1
            return data
    except (OSError, InvalidTag, ValueError) as error:
        raise gone from error
