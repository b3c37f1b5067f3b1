"""Withdrawn contacts and their identifiers, as keyed hashes in the store (DESIGN §8).

    suppressor = open_suppressor(peer)                      # makes the key where there is none
    with peer.store.transaction() as tx:
        suppressor.keep(tx, {("contact", "C-1001"), ("email", "jane@example.com")}, "withdrawal", None, now)

A hash is HMAC-SHA256 under the key in ``keys/suppression.key`` over ``frame(SUPPRESSION, scope, kind, value)``. A plain
hash of a phone number is found by trying all numbers; without the key there is nothing to try. The scope is the digest
of the agreement's first version, which its amendments share, or empty for every agreement. Identifiers are hashed as
``PROFILE`` writes them, and addresses as ``WIDER`` does, too, whatever profile an agreement names: together they take
the most spellings for one person of all published ones, and a published profile never changes.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.files import writable, write_private
from mutuals.identity.home import SUPPRESSION_KEY_BYTES, Home
from mutuals.normalisation import get_profile
from mutuals.peer import Peer
from mutuals.store.rows import SuppressionRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

Kind = Literal["contact", "email", "phone"]
PROFILE = get_profile("uid2-v1")
WIDER = get_profile("google-v1")
"""Takes as one what ``PROFILE`` tells apart: addresses at googlemail.com or with white space. Numbers are the same."""
EVERY_AGREEMENT = b""

KEY_CHECK = "key-check"
"""The reason of the one row that names nobody: it tells whether a key is the one the others were made with."""
_LENGTH = struct.Struct(">I")
_BLOCK_BYTES = 64


@dataclass(frozen=True)
class Suppressor:
    """The open suppression key (32 bytes)."""

    key: bytes = field(repr=False)

    def hashes(self, scope: bytes, kind: str, values: Iterable[str]) -> list[bytes]:
        """The hash (32 bytes) of each of ``values``, which are of one kind; ``scope`` has 32 bytes or none.

        HMAC (RFC 2104) with both keyed states made once and copied, because a list may have millions of values:
        2 µs each, where ``hmac.digest`` takes 4.
        """
        padded = self.key.ljust(_BLOCK_BYTES, b"\0")
        inner = hashlib.sha256(
            bytes(byte ^ 0x36 for byte in padded) + frame(Context.SUPPRESSION, scope, kind)
        )
        outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
        hashes = []
        for value in values:
            encoded = value.encode()
            message, tag = inner.copy(), outer.copy()
            message.update(_LENGTH.pack(len(encoded)) + encoded)
            tag.update(message.digest())
            hashes.append(tag.digest())
        return hashes

    def keep(
        self,
        tx: Transaction,
        named: Iterable[tuple[str, str]],
        reason: str,
        agreement: str | None,
        now: datetime,
    ) -> int:
        """Remember contacts and identifiers, given as (kind, value), for one agreement (digest) or all; how many
        were not known yet.
        """
        scope = first_version(tx, agreement)
        rows = tx.suppressions.list()
        self.check(rows)
        if not rows:
            tx.suppressions.put(SuppressionRow(self._check_hash(), KEY_CHECK, now))
        new = set(self._all(scope, named)) - {row.hash for row in rows}
        for value in sorted(new):
            tx.suppressions.put(SuppressionRow(value, reason, now, scope))
        return len(new)

    def lift(self, tx: Transaction, named: Iterable[tuple[str, str]], agreement: str | None) -> int:
        """Let contacts and identifiers take part again that were kept out of this agreement, or of all; how many."""
        self.check(tx.suppressions.list())
        hashes = set(self._all(first_version(tx, agreement), named))
        return sum(tx.suppressions.remove(value) for value in hashes)

    def check(self, rows: Sequence[SuppressionRow]) -> None:
        """Raise MutualsError (LOCAL) unless ``rows`` were made with this key, or there are none."""
        if rows and self._check_hash() not in {row.hash for row in rows}:
            raise MutualsError(
                ErrorCode.LOCAL,
                "keys/suppression.key is not the key under which withdrawn contacts were remembered, so nobody can say "
                "who must stay out.",
                hint="Restore it from the backup that the store belongs to.",
            )

    def _all(self, scope: str | None, named: Iterable[tuple[str, str]]) -> list[bytes]:
        place = scope_bytes(scope)
        return [self.hashes(place, kind, [value])[0] for kind, value in named]

    def _check_hash(self) -> bytes:
        return self.hashes(EVERY_AGREEMENT, "key", [""])[0]


def open_suppressor(peer: Peer) -> Suppressor:
    """The suppression key; a new one where nothing was hashed under an earlier one. Raises MutualsError (LOCAL)."""
    try:
        return read_suppressor(peer.home)
    except FileNotFoundError:
        with peer.store.transaction() as tx:
            if tx.suppressions.list():
                raise _lost() from None
        with writable(peer.home.root):
            write_private(peer.home.suppression_key, secrets.token_bytes(SUPPRESSION_KEY_BYTES))
        return read_suppressor(peer.home)


def read_suppressor(home: Home) -> Suppressor:
    """The suppression key as it lies in the home. Raises FileNotFoundError, MutualsError (LOCAL) for a damaged one."""
    try:
        key = home.suppression_key.read_bytes()
    except PermissionError as error:
        raise MutualsError(ErrorCode.LOCAL, f"{home.suppression_key} cannot be read.") from error
    if len(key) != SUPPRESSION_KEY_BYTES:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"{home.suppression_key} holds no suppression key.",
            hint="Restore it from a backup.",
        )
    return Suppressor(key)


def suppressor_for(peer: Peer, rows: Sequence[SuppressionRow]) -> Suppressor:
    """The key that ``rows``, of which there are some, were made with. Raises MutualsError (LOCAL)."""
    try:
        suppressor = read_suppressor(peer.home)
    except FileNotFoundError:
        raise _lost() from None
    suppressor.check(rows)
    return suppressor


def first_version(tx: Transaction, agreement: str | None) -> str | None:
    """The digest of the first version of the agreement with this digest: the scope that all its versions share."""
    digest, seen = agreement, set[str]()
    while digest is not None and digest not in seen:
        seen.add(digest)
        row = tx.agreements.get(digest)
        if row is None or row.replaces is None:
            break
        digest = row.replaces
    return digest


def scope_bytes(scope: str | None) -> bytes:
    """A scope as it is hashed."""
    return EVERY_AGREEMENT if scope is None else bytes.fromhex(scope)


def _lost() -> MutualsError:
    return MutualsError(
        ErrorCode.LOCAL,
        "keys/suppression.key is gone, and contacts were withdrawn under it, so nobody can say who must stay out.",
        hint="Restore it from the backup that the store belongs to.",
    )
