"""A second implementation of the match and the reveal (steps 1 to 19), written after docs/protocol.md.

It shares no code with the product: plain integers, hashlib, and Ed25519 signatures and HKDF from ``cryptography``.
The engines' curves are in ``reference_engines``, that of SPAKE2 is here. It is slow, leaks its keys through time, and
is for comparing bytes, not for use.

    side = Side("initiator", items, signing_seed=..., key=..., ...)
    talk = match(side, terms)            # a generator: a dict it gives is a message to send,
    matched = ...                        # None asks for the partner's next; what it returns is a Matched

Messages are dicts with the fields of docs/protocol.md and their kind under ``type``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Generator
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from reference_engines import ENGINES, Affine, Q

Message = dict[str, Any]
Talk = Generator[Message | None, Message, Any]

OTHER = {"initiator": "responder", "responder": "initiator"}
POINTS_PER_MESSAGE = 3  # any number will do; small, so that small lists take several messages


# --- bytes --------------------------------------------------------------------------------------------------------


def frame(context: str, *fields: bytes | str | int) -> bytes:
    """Every field behind its length: u32, big-endian. A number is a u64, a text UTF-8."""
    framed = b""
    for value in (context, *fields):
        if isinstance(value, int):
            value = value.to_bytes(8, "big")  # noqa: PLW2901
        elif isinstance(value, str):
            value = value.encode()  # noqa: PLW2901
        framed += len(value).to_bytes(4, "big") + value
    return framed


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def item_of(agreement: bytes, identifier: str) -> bytes:
    return sha(frame("mutuals/v1/item", agreement, identifier))


def fingerprint_of(public_key: bytes) -> bytes:
    return sha(frame("mutuals/v1/fingerprint", public_key))


def short_name(letter: str, digest: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in digest[:5])
    digits = [int(bits[start : start + 5], 2) for start in range(0, 40, 5)]
    return f"{letter}-" + "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[digit] for digit in digits)


# --- SPAKE2 over the prime-order group of edwards25519 ------------------------------------------------------------

L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, Q) % Q


def edwards_add(one: Affine, two: Affine) -> Affine:
    (x1, y1), (x2, y2) = one, two
    k = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + k, -1, Q) % Q,
        (y1 * y2 + x1 * x2) * pow(1 - k, -1, Q) % Q,
    )


def edwards_multiply(scalar: int, point: Affine) -> Affine:
    """Double and add in extended coordinates (RFC 8032 §5.1.4), whose one law of addition has no exceptions."""
    x, y = point
    addend = (x, y, 1, x * y % Q)
    result = (0, 1, 1, 0)
    for bit in f"{scalar:b}":
        result = _extended_add(result, result)
        if bit == "1":
            result = _extended_add(result, addend)
    inverse = pow(result[2], -1, Q)
    return result[0] * inverse % Q, result[1] * inverse % Q


def _extended_add(
    one: tuple[int, int, int, int], two: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, two
    a, b = (y1 - x1) * (y2 - x2) % Q, (y1 + x1) * (y2 + x2) % Q
    c, d = 2 * D * t1 * t2 % Q, 2 * z1 * z2 % Q
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % Q, g * h % Q, f * g % Q, e * h % Q


def edwards_x(y: int) -> int | None:
    """The even x of the points with this y, if there is one."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, Q) % Q
    x = pow(square, (Q + 3) // 8, Q)
    if x * x % Q != square:
        x = x * pow(2, (Q - 1) // 4, Q) % Q
    if x * x % Q != square:
        return None
    return x if x % 2 == 0 else Q - x


def edwards_encode(point: Affine) -> bytes:
    x, y = point
    return (y | (x % 2) << 255).to_bytes(32, "little")


def edwards_decode(data: bytes) -> Affine:
    number = int.from_bytes(data, "little")
    y, odd = number % 2**255, number >> 255
    x = edwards_x(y)
    assert x is not None
    point = (x, y) if x % 2 == odd else (Q - x, y)
    assert point != (0, 1)
    assert edwards_multiply(L, point) == (0, 1)
    return point


def _expand(data: bytes, info: bytes) -> int:
    return int.from_bytes(HKDF(SHA256(), length=48, salt=None, info=info).derive(data), "big")


def _arbitrary(seed: bytes) -> Affine:
    """A point whose logarithm nobody knows: the first y on the curve from the hash on, times 8."""
    start = _expand(seed, b"SPAKE2 arbitrary element") % Q
    for y in count(start):
        x = edwards_x(y % Q)
        if x is not None and (point := edwards_multiply(8, (x, y % Q))) != (0, 1):
            return point
    raise AssertionError


BASE_Y = 4 * pow(5, -1, Q) % Q
BASE = (edwards_x(BASE_Y) or 0, BASE_Y)
M, N = _arbitrary(b"M"), _arbitrary(b"N")


class Spake2:
    """One side; ``random`` is 64 bytes."""

    def __init__(self, role: str, password: bytes, id_a: bytes, id_b: bytes, random: bytes) -> None:
        self.first = role == "initiator"
        self.password, self.id_a, self.id_b = password, id_a, id_b
        self.w = _expand(password, b"SPAKE2 pw") % L
        self.x = int.from_bytes(random, "big") % L
        mask = edwards_multiply(self.w, M if self.first else N)
        self.own = edwards_encode(edwards_add(edwards_multiply(self.x, BASE), mask))
        self.share = (b"A" if self.first else b"B") + self.own

    def key(self, share: bytes) -> bytes:
        assert share[:1] == (b"B" if self.first else b"A")
        theirs = share[1:]
        unmask = edwards_multiply(L - self.w, N if self.first else M)
        k = edwards_encode(edwards_multiply(self.x, edwards_add(edwards_decode(theirs), unmask)))
        x, y = (self.own, theirs) if self.first else (theirs, self.own)
        return sha(sha(self.password) + sha(self.id_a) + sha(self.id_b) + x + y + k)


# --- the match, steps 1 to 12 -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Terms:
    """What both sides hold to be agreed."""

    agreement: bytes
    engine: str
    profile: str
    profile_digest: bytes
    initiator: bytes
    responder: bytes
    count_only: bool = False


@dataclass(frozen=True)
class Side:
    """One side's secrets. ``items`` are in the order in which they are sent; ``random`` is for SPAKE2."""

    role: str
    items: list[bytes]
    signing_seed: bytes
    partner_public: bytes
    receiving_key: bytes
    sent_at: int
    key: bytes
    hello_nonce: bytes
    tag_nonce: bytes
    random: bytes

    def sign(self, message: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.signing_seed).sign(message)

    def verify(self, message: bytes, signature: bytes) -> None:
        Ed25519PublicKey.from_public_bytes(self.partner_public).verify(signature, message)


@dataclass(frozen=True)
class Matched:
    """Everything a match leaves, public and secret. ``positions`` are what step 15 or 16 sends."""

    sid: bytes
    blinded: dict[str, bytes]
    tags: dict[str, list[bytes]]
    commitments: dict[str, bytes]
    count: int
    th: bytes
    counted: dict[str, bytes]
    positions: list[int]


def hello_bytes(hello: Message) -> bytes:
    """What Open and Accept sign."""
    return frame(
        "mutuals/v1/open" if hello["role"] == "initiator" else "mutuals/v1/accept",
        hello["version"],
        hello["role"],
        hello["agreement"],
        hello["engine"],
        hello["profile"],
        hello["profile_digest"],
        hello["set_size"],
        hello["initiator"],
        hello["responder"],
        hello["nonce"],
        hello["receiving_key"],
        hello["sent_at"],
        int(hello["count_only"]),
    )


def make_hello(side: Side, terms: Terms) -> Message:
    hello = {
        "type": "Hello",
        "version": 1,
        "role": side.role,
        **vars(terms),
        "set_size": len(side.items),
        "nonce": side.hello_nonce,
        "receiving_key": side.receiving_key,
        "sent_at": side.sent_at,
    }
    return {**hello, "signature": side.sign(hello_bytes(hello))}


def check_hello(side: Side, terms: Terms, hello: Message) -> None:
    assert hello["version"] == 1
    assert hello["role"] == OTHER[side.role]
    side.verify(hello_bytes(hello), hello["signature"])
    assert all(hello[name] == value for name, value in vars(terms).items())
    assert len(hello["nonce"]) == 32
    assert len(hello["receiving_key"]) == 1216
    assert abs(hello["sent_at"] - side.sent_at) <= 300


def match(side: Side, terms: Terms) -> Talk:
    """Steps 1 to 12; gives a Matched."""
    own, other = side.role, OTHER[side.role]
    # 1, 2
    if own == "initiator":
        yield (opened := make_hello(side, terms))
        partner = accepted = yield None
    else:
        partner = opened = yield None
        yield (accepted := make_hello(side, terms))
    check_hello(side, terms, partner)
    # 3
    sid = sha(frame("mutuals/v1/sid", hello_bytes(opened), hello_bytes(accepted)))
    # 4
    engine = ENGINES[terms.engine]
    points = [engine.blind(side.key, item) for item in side.items]
    for start in range(0, len(points), POINTS_PER_MESSAGE):
        yield {
            "type": "Blinded",
            "start": start,
            "points": b"".join(points[start : start + POINTS_PER_MESSAGE]),
        }
    # 5
    theirs: list[bytes] = []
    while len(theirs) < partner["set_size"]:
        message = yield None
        assert message["type"] == "Blinded"
        assert message["start"] == len(theirs)
        theirs += _split(message["points"], engine.point_size)
    assert len(theirs) == partner["set_size"]
    assert len({*theirs, *points}) == len(theirs) + len(points)
    doubly = [engine.reblind(side.key, point) for point in theirs]
    assert len(set(doubly)) == len(doubly)
    # 6
    tag_of = {position: sha(frame("mutuals/v1/tag", sid, w))[:16] for position, w in enumerate(doubly)}
    assert len(set(tag_of.values())) == len(tag_of)
    ascending = sorted(tag_of, key=lambda position: tag_of[position])
    tags = {own: [tag_of[position] for position in ascending]}
    # 7
    blinded = {
        role: sha(frame("mutuals/v1/blinded", role, len(listed)) + b"".join(listed))
        for role, listed in ((own, points), (other, theirs))
    }

    def commitment(role: str, nonce: bytes) -> bytes:
        both = blinded["initiator"], blinded["responder"]
        return sha(frame("mutuals/v1/tags", sid, role, *both, nonce, sha(b"".join(tags[role]))))

    # 8, 9
    commitments = {own: commitment(own, side.tag_nonce)}
    yield {"type": "TagCommit", "commitment": commitments[own]}
    message = yield None
    assert message["type"] == "TagCommit"
    commitments[other] = message["commitment"]
    # 10
    yield {"type": "Tags", "start": 0, "tags": b"".join(tags[own]), "nonce": side.tag_nonce}
    tags[other] = []
    nonce = b""
    while not nonce or len(tags[other]) < len(side.items):
        message = yield None
        assert message["type"] == "Tags"
        assert message["start"] == len(tags[other])
        nonce = nonce or message["nonce"]
        tags[other] += _split(message["tags"], 16)
    assert len(tags[other]) == len(side.items)
    assert all(low < high for low, high in pairwise(tags[other]))
    assert commitments[other] == commitment(other, nonce)
    # 11
    common = sorted(set(tags[own]) & set(tags[other]))
    place = {tag: position for position, tag in tag_of.items()}
    th = sha(
        frame(
            "mutuals/v1/th",
            sid,
            blinded["initiator"],
            blinded["responder"],
            commitments["initiator"],
            commitments["responder"],
            len(common),
        )
    )
    # 12
    counted = {own: side.sign(frame("mutuals/v1/counted", own, th))}
    yield {"type": "Counted", "signature": counted[own]}
    message = yield None
    assert message["type"] == "Counted"
    counted[other] = message["signature"]
    side.verify(frame("mutuals/v1/counted", other, th), counted[other])
    positions = [place[tag] for tag in common]
    return Matched(sid, blinded, tags, commitments, len(common), th, counted, positions)


# --- the reveal, steps 13 to 19 -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Revealed:
    """``pairs``: for each rank the position in the own list. The rest is what it took to get there."""

    pairs: list[int]
    handles: list[bytes]
    password: bytes
    spake_key: bytes
    shares: dict[str, bytes]
    macs: dict[str, bytes]
    approvals: dict[str, bytes]


def reveal(side: Side, terms: Terms, matched: Matched) -> Talk:
    """Steps 13 to 19; gives a Revealed."""
    own, other = side.role, OTHER[side.role]
    th = matched.th
    approve = {
        "type": "Approve",
        "sid": matched.sid,
        "signature": side.sign(frame("mutuals/v1/approve", own, th)),
    }
    # 13
    if own == "initiator":
        yield approve
        answer = yield None
    else:
        answer = yield None
    assert answer["type"] == "Approve"
    assert answer["sid"] == matched.sid
    side.verify(frame("mutuals/v1/approve", other, th), answer["signature"])
    if own == "responder":
        yield approve
    approvals = {own: approve["signature"], other: answer["signature"]}
    # 15, 16
    positions = {"type": "Positions", "start": 0, "positions": tuple(matched.positions)}
    if own == "initiator":
        yield positions
    mine: list[int] = []
    first = True
    while first or len(mine) < matched.count:
        message = yield None
        assert message["type"] == "Positions"
        assert message["start"] == len(mine)
        mine += message["positions"]
        first = False
    assert len(set(mine)) == len(mine) == matched.count
    assert all(0 <= position < len(side.items) for position in mine)
    if own == "responder":
        yield positions
    # 17
    handle = {
        position: hmac.digest(side.items[position], frame("mutuals/v1/pair", matched.sid), "sha256")
        for position in mine
    }
    pairs = sorted(mine, key=lambda position: handle[position])
    handles = [handle[position] for position in pairs]
    # 18
    password = sha(frame("mutuals/v1/confirm", th, b"".join(handles)))
    spake = Spake2(
        own,
        password,
        frame("mutuals/v1/confirm-identity", "initiator", terms.initiator),
        frame("mutuals/v1/confirm-identity", "responder", terms.responder),
        side.random,
    )
    share = {"type": "ConfirmShare", "share": spake.share}
    if own == "initiator":
        yield share
        answer = yield None
    else:
        answer = yield None
        yield share
    assert answer["type"] == "ConfirmShare"
    key = spake.key(answer["share"])
    shares = {own: spake.share, other: answer["share"]}
    both = shares["initiator"], shares["responder"]
    macs = {
        role: hmac.digest(key, frame("mutuals/v1/confirm-mac", role, th, *both), "sha256")
        for role in ("initiator", "responder")
    }
    mac = {"type": "ConfirmMac", "mac": macs[own]}
    if own == "responder":
        yield mac
    answer = yield None
    assert answer == {"type": "ConfirmMac", "mac": macs[other]}
    if own == "initiator":
        yield mac
    # 19
    return Revealed(pairs, handles, password, key, shares, macs, approvals)


def _split(data: bytes, size: int) -> list[bytes]:
    assert len(data) % size == 0
    return [data[start : start + size] for start in range(0, len(data), size)]
