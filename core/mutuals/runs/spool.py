"""What a run must remember between the count and the end, encrypted on disk under the run's own key.

The key lies in the store (``Run.spool_key``), the ciphertext in the home's spool folder: destroying either ends what
was remembered. Two parts exist, one after the other: ``matched`` (the outcome of the match and which positions are
padding) until the reveal, then ``overlap`` (own contact ids by rank) until the exchange is done.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.models.run import Run
from mutuals.peer import Peer
from mutuals.protocol.outcome import MatchOutcome
from mutuals.runs.overlap import Overlap

_NONCE_BYTES = 12
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
    _write(peer, run, _MATCHED, len(dummies).to_bytes(8, "big") + dummies + matched.outcome.to_bytes())


def load_matched(peer: Peer, run: Run) -> Matched:
    """What ``save_matched`` wrote. Raises MutualsError (RUN_STATE) where it is gone or damaged."""
    data = _read(peer, run, _MATCHED)
    size = int.from_bytes(data[:8], "big")
    dummies = np.frombuffer(data[8 : 8 + size], dtype="<u4")
    return Matched(outcome=MatchOutcome.from_bytes(data[8 + size :]), dummies=dummies)


def save_overlap(peer: Peer, run: Run, overlap: Overlap) -> None:
    """Remember the overlap until the exchange is done, in place of the match."""
    _write(peer, run, _OVERLAP, json.dumps([list(contacts) for contacts in overlap.pairs]).encode())


def load_overlap(peer: Peer, run: Run) -> Overlap:
    """What ``save_overlap`` wrote. Raises MutualsError (RUN_STATE) where it is gone or damaged."""
    return Overlap(tuple(tuple(contacts) for contacts in json.loads(_read(peer, run, _OVERLAP))))


def destroy_spool(peer: Peer, run: Run) -> None:
    """Remove the file; the caller clears ``Run.spool_key`` in the store, which alone already ends it."""
    _path(peer, run).unlink(missing_ok=True)


def sweep_spools(peer: Peer, alive: Collection[str]) -> None:
    """Remove the files of all runs but those named; without their keys they are noise, but noise takes room."""
    for path in peer.home.spool.glob("*.spool"):
        if path.stem not in alive:
            path.unlink(missing_ok=True)


def _path(peer: Peer, run: Run) -> Path:
    return peer.home.spool / f"{run.run_id}.spool"


def _associated(run: Run, part: str) -> bytes:
    return frame(Context.SPOOL, run.sid, part)


def _write(peer: Peer, run: Run, part: str, data: bytes) -> None:
    if run.spool_key is None:
        raise MutualsError(ErrorCode.RUN_STATE, f"Run {run.run_id} has ended; nothing is kept of it.")
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(run.spool_key).encrypt(nonce, data, _associated(run, part))
    path = _path(peer, run)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    partial = path.with_suffix(".part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(sealed)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def _read(peer: Peer, run: Run, part: str) -> bytes:
    gone = MutualsError(
        ErrorCode.RUN_STATE,
        f"What run {run.run_id} had to remember is gone or damaged.",
        hint="Start a new match.",
    )
    if run.spool_key is None:
        raise gone
    try:
        sealed = _path(peer, run).read_bytes()
        return AESGCM(run.spool_key).decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _associated(run, part)
        )
    except (OSError, InvalidTag, ValueError) as error:
        raise gone from error
