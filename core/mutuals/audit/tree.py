"""The logs as trees: what a leaf is, and the head of a log that this peer signs.

A leaf is the canonical JSON of an entry and its salt. The salt comes from the log key, so that a partner who sees
hashes in proofs cannot try out what an entry may say; who is shown the entries gets the salts with them
(docs/protocol.md).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mutuals.audit.merkle import Tree
from mutuals.audit.notes import (
    COSIGNATURE_V1,
    BadNote,
    Checkpoint,
    Note,
    NoteKey,
    cosign_note,
    parse_checkpoint,
    parse_note,
    sign_note,
    verify_note,
)
from mutuals.canonical import canonical_json
from mutuals.crypto.signing import SigningKey, VerifyKey
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.store.rows import LogRow

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

OWN_LOG = "peer"
"""The last part of the origin of a peer's own log, which belongs to no agreement."""


@dataclass(frozen=True)
class Entry:
    """An entry of one log as a leaf has it: ``seq`` from 1 within the log, ``at`` in UTC, ``salt`` in hex."""

    seq: int
    event: str
    body: dict[str, Any]
    at: str
    salt: str

    def leaf(self) -> bytes:
        """The bytes that are hashed. Raises ValueError where the body is nothing that canonical JSON can say."""
        return canonical_json(
            {"at": self.at, "body": self.body, "event": self.event, "salt": self.salt, "seq": self.seq}
        )


def entries_of(rows: Iterable[LogRow], key: SigningKey, log: str | None) -> list[Entry]:
    """The entries of one log (an agreement's digest, or none for the peer's own), whose rows come in order."""
    return [
        Entry(number, row.event, row.body, moment(row.at), salt(key, log, number))
        for number, row in enumerate(rows, 1)
    ]


def tree_of(tx: Transaction, peer: Peer, log: str | None) -> Tree:
    """The tree over a log as it is in the store. Raises MutualsError (LOCAL) where an entry is beyond repair."""
    try:
        return Tree(entry.leaf() for entry in entries_of(tx.log.of(log), peer.log_key, log))
    except ValueError as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            "An entry of the log cannot be read: the store was changed by hand.",
            hint="Put the newest backup of the home back. See what is wrong with: mutuals audit verify",
        ) from error


class Trees:
    """The trees of one transaction, each built once as long as its log does not grow."""

    def __init__(self, tx: Transaction, peer: Peer) -> None:
        self._tx = tx
        self._peer = peer
        self._built: dict[str | None, Tree] = {}

    def of(self, log: str | None) -> Tree:
        """The tree over a log as it is now. Raises as ``tree_of`` does."""
        tree = self._built.get(log)
        if tree is None or tree.size != self._tx.log.count(log):
            tree = self._built[log] = tree_of(self._tx, self._peer, log)
        return tree


def salt(key: SigningKey, log: str | None, number: int) -> str:
    """The salt of entry ``number`` (from 1): HMAC-SHA256 under the log key's seed, in hex."""
    name = b"" if log is None else bytes.fromhex(log)
    return hmac.digest(key.raw(), frame(Context.LOG_SALT, name, number), "sha256").hex()


def moment(at: datetime) -> str:
    """A time as leaves have it, to the microsecond in UTC: ``2026-05-01T12:00:00.000000Z``."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def origin(fingerprint: str, log: str | None) -> str:
    """Who a checkpoint is of: ``mutuals/`` fingerprint ``/`` digest of the agreement, or ``peer``."""
    return f"mutuals/{fingerprint}/{log or OWN_LOG}"


def log_key(fingerprint: str, log: str | None, key: VerifyKey) -> NoteKey:
    """The key that a peer signs checkpoints of this log with."""
    return NoteKey(origin(fingerprint, log), key)


def cosigner(fingerprint: str, key: VerifyKey) -> NoteKey:
    """The key that a peer cosigns its partners' checkpoints with: the same, under another type and name."""
    return NoteKey(f"mutuals/{fingerprint}", key, COSIGNATURE_V1)


def sign_head(peer: Peer, log: str | None, tree: Tree) -> bytes:
    """The own log's checkpoint over all of ``tree``, as a signed note."""
    own = origin(peer.fingerprint.hex(), log)
    text = Checkpoint(own, tree.size, tree.root()).text()
    return Note(text, (sign_note(text, peer.log_key, own),)).encode()


def cosign_head(peer: Peer, note: bytes, now: datetime) -> bytes:
    """This peer's cosignature under a partner's checkpoint, as the line that is added to the note."""
    name = f"mutuals/{peer.fingerprint.hex()}"
    return cosign_note(parse_note(note).text, peer.log_key, name, now).line().encode()


def read_head(note: bytes, *keys: NoteKey) -> Checkpoint:
    """The checkpoint in ``note`` if *every* one of ``keys`` signed it; the first is the log's. Raises BadNote."""
    parsed = parse_note(note)
    signed = {(key.name, key.kind) for key, _ in verify_note(parsed, keys)}
    if signed != {(key.name, key.kind) for key in keys}:
        raise BadNote("a signature is missing")
    checkpoint = parse_checkpoint(parsed.text)
    if checkpoint.origin != keys[0].name:
        raise BadNote("a checkpoint of another log")
    return checkpoint
