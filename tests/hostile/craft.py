"""Crooked messages: made from proper ones, or signed by the cheat itself as any partner can sign."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from hostile.attack import Cheat
from hostile.wire import Alter
from mutuals.crypto.signing import SigningKey
from mutuals.models.run import Role
from mutuals.protocol.envelopes import EnvelopeHeader, batch_digest
from mutuals.protocol.messages import Blinded, Envelope, Hello, TagCommit, Tags
from mutuals.protocol.transcript import BlindedDigest, session_id, tag_commitment

Change = Callable[[Any], Iterable[Any]]

# NIST P-256: y² = x³ − 3x + b over p (SEC 2).
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
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


def split(message: Blinded, size: int = 33) -> list[bytes]:
    """The points one by one."""
    return [message.points[at : at + size] for at in range(0, len(message.points), size)]


def points(change: Callable[[list[bytes]], list[bytes]], size: int = 33) -> Callable[[Cheat], Alter]:
    """Other points in the one chunk of the list."""
    return on(Blinded, lambda m: [Blinded(m.start, b"".join(change(split(m, size))))])


def third(value: Callable[[list[bytes]], bytes], size: int = 33) -> Callable[[Cheat], Alter]:
    """Another point in the third place."""
    return points(lambda all_: [*all_[:2], value(all_), *all_[3:]], size)


def square_root(x: int) -> int | None:
    """y with (x, y) on the curve, or nothing."""
    square = (x**3 - 3 * x + B) % P
    y = pow(square, (P + 1) // 4, P)
    return y if y * y % P == square else None


def off_curve() -> bytes:
    """33 bytes in the right form that are no point."""
    x = next(x for x in range(1, 100) if square_root(x) is None)
    return b"\x02" + x.to_bytes(32, "big")


def on_curve(start: int = 1) -> Iterator[bytes]:
    """Points that nobody knows the logarithm of, without end."""
    x = start
    while True:
        if square_root(x) is not None:
            yield b"\x02" + x.to_bytes(32, "big")
        x += 1


def negated(point: bytes) -> bytes:
    """−P: the same x, the other prefix."""
    return bytes([point[0] ^ 1]) + point[1:]


def uncompressed(point: bytes) -> bytes:
    """The 65-byte form."""
    y = square_root(int.from_bytes(point[1:], "big"))
    assert y is not None
    if y % 2 != point[0] % 2:
        y = P - y
    return b"\x04" + point[1:] + y.to_bytes(32, "big")


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
                tags,
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
