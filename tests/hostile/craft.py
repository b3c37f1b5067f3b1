"""Crooked messages: made from proper ones, or signed by the cheat itself as any partner can sign."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from hostile.attack import Cheat
from hostile.curves import Curve
from hostile.wire import Alter
from mutuals.crypto.signing import SigningKey
from mutuals.models.run import Role
from mutuals.protocol.envelopes import EnvelopeHeader, batch_digest
from mutuals.protocol.messages import Blinded, Envelope, Hello, TagCommit, Tags
from mutuals.protocol.transcript import BlindedDigest, session_id, tag_commitment

Change = Callable[[Any], Iterable[Any]]

STRANGER = SigningKey(b"\x07" * 32)


def on(kind: type, change: Change) -> Callable[[Cheat], Alter]:
    """Alter the messages of this kind, and send the others as they are."""
    return lambda cheat: lambda message: change(message) if isinstance(message, kind) else [message]


def on_nth(kind: type, nth: int, change: Change) -> Callable[[Cheat], Alter]:
    """Alter the ``nth`` message of this kind alone."""

    def make(cheat: Cheat) -> Alter:
        count = iter(range(1_000_000))

        def alter(message: Any) -> Iterable[Any]:
            if isinstance(message, kind) and next(count) == nth:
                return change(message)
            return [message]

        return alter

    return make


def with_cheat(kind: type, change: Callable[[Cheat, Any], Iterable[Any]]) -> Callable[[Cheat], Alter]:
    """Like ``on``, where the change needs to know more than the message."""
    return lambda cheat: lambda message: change(cheat, message) if isinstance(message, kind) else [message]


# --- greetings ------------------------------------------------------------------------------------------------------


def greeting(**changes: Any) -> Callable[[Cheat], Alter]:
    """A greeting that says something else, properly signed; callables get the cheat."""

    def change(cheat: Cheat, hello: Hello) -> list[Any]:
        values = {name: value(cheat, hello) if callable(value) else value for name, value in changes.items()}
        other = replace(hello, **values)
        return [replace(other, signature=cheat.key.sign(other.signed_bytes()))]

    return with_cheat(Hello, change)


# --- points ---------------------------------------------------------------------------------------------------------


def points(change: Callable[[Curve, list[bytes]], list[bytes]]) -> Callable[[Cheat], Alter]:
    """Other points in the one chunk of the list."""

    def changed(cheat: Cheat, message: Blinded) -> list[Any]:
        return [Blinded(message.start, b"".join(change(cheat.curve, cheat.curve.split(message.points))))]

    return with_cheat(Blinded, changed)


def third(value: Callable[[list[bytes]], bytes]) -> Callable[[Cheat], Alter]:
    """Another point in the third place."""
    return points(lambda _, all_: [*all_[:2], value(all_), *all_[3:]])


def both(*makers: Callable[[Cheat], Alter]) -> Callable[[Cheat], Alter]:
    """One alteration after the other."""

    def make(cheat: Cheat) -> Alter:
        alters = [maker(cheat) for maker in makers]

        def alter(message: Any) -> list[Any]:
            messages = [message]
            for each in alters:
                messages = [altered for one in messages for altered in each(one)]
            return messages

        return alter

    return make


# --- tags -----------------------------------------------------------------------------------------------------------


def forged_tags(forge: Callable[[bytes], bytes], keep: slice = slice(None)) -> Callable[[Cheat], Alter]:
    """Other tags under a commitment that fits them; of those committed to, ``keep`` are sent."""

    def make(cheat: Cheat) -> Alter:
        sent: list[Any] = []

        def alter(message: Any) -> list[Any]:
            sent.append(message)
            if isinstance(message, TagCommit):
                return []  # until the tags are known
            if not isinstance(message, Tags):
                return [message]
            tags = forge(message.tags)
            blinded = {cheat.role: sent, cheat.role.other: cheat.line.seen}
            digests = {role: blinded_digest(role, messages) for role, messages in blinded.items()}
            hellos = {role: _first(Hello, messages) for role, messages in blinded.items()}
            commitment = tag_commitment(
                session_id(hellos[Role.INITIATOR], hellos[Role.RESPONDER]),
                cheat.role,
                digests[Role.INITIATOR],
                digests[Role.RESPONDER],
                message.nonce,
                hashlib.sha256(tags).digest(),
            )
            return [TagCommit(commitment), Tags(0, tags[keep], message.nonce)]

        return alter

    return make


def blinded_digest(role: Role, messages: list[Any]) -> bytes:
    """Step 7 over what ``role`` sent."""
    state = BlindedDigest(role, _first(Hello, messages).set_size)
    for message in messages:
        if isinstance(message, Blinded):
            state.update(message.points)
    return state.digest()


def _first(kind: type, messages: list[Any]) -> Any:
    return next(message for message in messages if isinstance(message, kind))


# --- envelopes ------------------------------------------------------------------------------------------------------


def envelope(
    nth: int, *, records: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None, **changes: Any
) -> Callable[[Cheat], Alter]:
    """Another header, or other records, in the ``nth`` envelope, signed by the cheat; callables get its header."""

    def make(cheat: Cheat) -> Alter:
        def change(message: Envelope) -> list[Any]:
            return [resealed(cheat.key, message, records=records, **changes)]

        return on_nth(Envelope, nth, change)(cheat)

    return make


def resealed(key: SigningKey, message: Envelope, *, records: Any = None, **changes: Any) -> Envelope:
    """The envelope with another header, signed by ``key``."""
    header = EnvelopeHeader.from_bytes(message.header)
    carried = records(message.records) if records else message.records
    values = {name: value(header) if callable(value) else value for name, value in changes.items()}
    if records:
        values = {"batch": batch_digest(carried), "count": len(carried), **values}
    data = replace(header, **values).to_bytes()
    return Envelope(data, key.sign(data), carried)
