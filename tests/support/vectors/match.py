"""Vectors of items, greetings, matches and reveals, sizes and names.

What a side keeps to itself (doubly blinded points, handles, the SPAKE2 key) comes from the reference; making a case
fails where it and the product disagree on anything that is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from mutuals.engines import get_engine
from mutuals.models.run import Role
from mutuals.protocol.items import items_for
from mutuals.protocol.messages import ConfirmMac, ConfirmShare, Hello, Positions
from mutuals.protocol.padding import padded_size
from mutuals.shortid import short_id
from support.hpke import public_of
from support.talks import (
    Fixed,
    FixedSide,
    converse,
    product_match,
    product_reveal,
    reference_match,
    reference_reveal,
)
from support.vectors import Case, Json, VectorFile

AGREEMENT = "aa" * 32
INITIATOR, RESPONDER = Role


def stream(label: str, size: int) -> bytes:
    """Fixed bytes that look random: SHAKE-256 of ``label``."""
    return hashlib.shake_256(f"mutuals test vector: {label}".encode()).digest(size)


# --- inputs -------------------------------------------------------------------------------------------------------


def _emails(*names: str) -> list[str]:
    return [f"email:{name}@example.com" for name in names]


LISTS: dict[str, tuple[list[str], list[str], str]] = {
    "normal": (
        [*_emails("anna", "bert", "clara", "dora"), "phone:+4930901820"],
        [*_emails("zoe", "clara"), "phone:+4930901820", *_emails("yann", "anna", "xenia")],
        "Three of five and six items are shared.",
    ),
    "one item": (_emails("anna"), _emails("anna"), "Each side has one item, the same."),
    "no overlap": (_emails("anna", "bert"), _emails("yann", "zoe", "xenia"), "Nothing is shared; count 0."),
    "full overlap": (
        _emails("anna", "bert", "clara"),
        _emails("clara", "anna", "bert"),
        "The same three items in another order.",
    ),
    "empty set": (
        [],
        _emails("anna", "bert"),
        "The initiator has no item: no Blinded from it, no tags from the responder; count 0. Agreements do not "
        "allow it (min_set_size is at least 1), so this is for implementations.",
    ),
    "both empty": ([], [], "Nobody has an item; count 0. Likewise."),
}


def _inputs(name: str, engine: str) -> Json:
    lists = dict(zip(Role, LISTS[name][:2], strict=True))
    sides = {}
    for number, role in enumerate(Role):
        # The top bit cleared: below the order of P-256. For X25519 any 32 bytes are a key.
        key = bytes([stream(f"{name} {role} key", 1)[0] & 0x7F]) + stream(f"{name} {role} rest", 31)
        sides[role.value] = {
            "identifiers": lists[role],
            "signing_seed": bytes([number + 1] * 32).hex(),
            "key": key.hex(),
            "hello_nonce": stream(f"{name} {role} hello nonce", 32).hex(),
            "tag_nonce": stream(f"{name} {role} tag nonce", 32).hex(),
            "spake2_random": stream(f"{name} {role} spake2", 64).hex(),
            "receiving_key": public_of(stream(f"{name} {role} receiving key", 96)).hex(),
            "sent_at": 1_777_636_800 + number,
        }
    return {
        "agreement": AGREEMENT,
        "engine": engine,
        "profile": "strict-v1",
        "profile_digest": "bb" * 32,
        "count_only": False,
        **sides,
    }


def fixed(inputs: Json) -> Fixed:
    """The run that ``inputs`` describe."""
    return Fixed(
        agreement=bytes.fromhex(inputs["agreement"]),
        engine=inputs["engine"],
        profile=inputs["profile"],
        profile_digest=bytes.fromhex(inputs["profile_digest"]),
        count_only=inputs["count_only"],
        sides={
            role: FixedSide(
                identifiers=tuple(side["identifiers"]),
                signing_seed=bytes.fromhex(side["signing_seed"]),
                key=bytes.fromhex(side["key"]),
                hello_nonce=bytes.fromhex(side["hello_nonce"]),
                tag_nonce=bytes.fromhex(side["tag_nonce"]),
                random=bytes.fromhex(side["spake2_random"]),
                receiving_key=bytes.fromhex(side["receiving_key"]),
                sent_at=side["sent_at"],
            )
            for role in Role
            for side in [inputs[role.value]]
        },
    )


# --- makers -------------------------------------------------------------------------------------------------------


def _matched(run: Fixed) -> tuple[Any, Any]:
    """A match of the product with itself, and one of the reference with itself, which must be the same."""
    product = converse({role: product_match(run, role) for role in Role})
    second = converse({role: reference_match(run, role) for role in Role})
    for role in Role:
        outcome, matched = product.results[role], second.results[role]
        assert (outcome.sid, outcome.th, outcome.count) == (matched.sid, matched.th, matched.count)
        assert outcome.counted_own == matched.counted[role.value]
        assert outcome.partner_positions.tolist() == matched.positions
        assert _hello(product, role) == _hello(second, role)
    return product, second


def _hello(talk: Any, role: Role) -> Hello:
    (hello,) = (message for sender, message in talk.messages if sender is role and isinstance(message, Hello))
    return hello


def _make_hello(inputs: Json) -> Json:
    product, _ = _matched(fixed(inputs))
    expected: Json = {}
    for role, name in ((INITIATOR, "open"), (RESPONDER, "accept")):
        hello = _hello(product, role)
        expected[name] = {"signed": hello.signed_bytes().hex(), "signature": hello.signature.hex()}
    sid = product.results[INITIATOR].sid
    return {**expected, "sid": sid.hex(), "run_id": short_id("R", sid)}


def _make_match(inputs: Json) -> Json:
    run = fixed(inputs)
    product, second = _matched(run)
    engine = get_engine(run.engine)
    expected: Json = {}
    for role in Role:
        own, other = run.sides[role], run.sides[role.other]
        items = items_for(run.agreement, own.identifiers).tobytes()
        theirs = engine.blind(other.key, items_for(run.agreement, other.identifiers).tobytes())
        expected[role.value] = {
            "items": _hexes(items, 32),
            "blinded": _hexes(engine.blind(own.key, items), engine.point_size),
            "doubly_blinded": _hexes(engine.reblind(own.key, theirs), engine.point_size),
            "tags": [tag.hex() for tag in second.results[role].tags[role.value]],
            "blinded_digest": second.results[role].blinded[role.value].hex(),
            "commitment": second.results[role].commitments[role.value].hex(),
            "counted": product.results[role].counted_own.hex(),
            "positions": product.results[role].partner_positions.tolist(),
        }
    outcome = product.results[INITIATOR]
    return {
        "sid": outcome.sid.hex(),
        **expected,
        "count": outcome.count,
        "th": outcome.th.hex(),
    }


def _make_reveal(inputs: Json) -> Json:
    run = fixed(inputs)
    product, second = _matched(run)
    ours = converse({role: product_reveal(run, role, product.results[role]) for role in Role})
    theirs = converse({role: reference_reveal(run, role, second.results[role]) for role in Role})
    expected: Json = {}
    for role in Role:
        end = theirs.results[role]
        assert ours.results[role] == end.pairs
        assert ours.joined(role, ConfirmShare, "share") == end.shares[role.value]
        assert ours.joined(role, ConfirmMac, "mac") == end.macs[role.value]
        positions = [
            position
            for sender, message in ours.messages
            if sender is role and isinstance(message, Positions)
            for position in message.positions
        ]
        expected[role.value] = {
            "approve": end.approvals[role.value].hex(),
            "positions": positions,
            "pairs": end.pairs,
            "share": end.shares[role.value].hex(),
            "mac": end.macs[role.value].hex(),
        }
    end = theirs.results[INITIATOR]
    return {
        "sid": product.results[INITIATOR].sid.hex(),
        "th": product.results[INITIATOR].th.hex(),
        "handles": [handle.hex() for handle in end.handles],
        "password": end.password.hex(),
        "spake2_key": end.spake_key.hex(),
        **expected,
    }


def _hexes(data: bytes, size: int) -> list[str]:
    return [data[start : start + size].hex() for start in range(0, len(data), size)]


def _cases(names: Iterable[str], *engines: str) -> list[Case]:
    return [
        (f"{name}, {engine}", LISTS[name][2], _inputs(name, engine)) for engine in engines for name in names
    ]


def _make_items(inputs: Json) -> Json:
    items = items_for(bytes.fromhex(inputs["agreement"]), inputs["identifiers"])
    engine = get_engine(inputs["engine"])
    points = engine.blind(bytes.fromhex(inputs["key"]), items.tobytes())
    return {"items": _hexes(items.tobytes(), 32), "blinded": _hexes(points, engine.point_size)}


def _item_cases() -> list[Case]:
    identifiers = ["email:jane@example.com", "phone:+14155550100", "email:jürgen@example.com"]
    key = (b"\x00" * 31 + b"\x07").hex()
    return [
        (
            "identifiers",
            "SHA-256 over the framed identifier in UTF-8; the points are under the key 7, which X25519 clamps.",
            {"agreement": AGREEMENT, "engine": "x25519", "identifiers": identifiers, "key": key},
        ),
        (
            "identifiers, openmined",
            "The same items as points of P-256, under the key 7.",
            {"agreement": AGREEMENT, "engine": "openmined", "identifiers": identifiers, "key": key},
        ),
        (
            "another agreement",
            "The same identifiers, and not one item is the same.",
            {"agreement": "ac" * 32, "engine": "x25519", "identifiers": identifiers, "key": key},
        ),
    ]


def _make_padding(inputs: Json) -> Json:
    return {"announced": padded_size(inputs["size"], inputs["limit"])}


def _padding_cases() -> list[Case]:
    sizes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 999, 1000, 1001, 10_000, 100_000, 1_000_000]
    open_ended = [(f"{size} items", "The next rung.", {"size": size, "limit": None}) for size in sizes]
    return [
        *open_ended,
        ("capped", "The agreement's largest set ends the ladder.", {"size": 1000, "limit": 1050}),
        ("above the limit", "Never below the true size.", {"size": 1000, "limit": 900}),
    ]


FILES = [
    VectorFile(
        "items", "From identifiers to items, and their points under one key.", _item_cases, _make_items
    ),
    VectorFile(
        "hello",
        "Open and Accept as signed, the session id and the run's short name.",
        lambda: [*_cases(["normal", "empty set"], "x25519"), *_cases(["normal"], "openmined")],
        _make_hello,
    ),
    VectorFile(
        "match",
        "Steps 3 to 12 with every secret given. positions are what step 15 or 16 sends.",
        lambda: _cases(LISTS, "x25519", "openmined"),
        _make_match,
    ),
    VectorFile(
        "reveal",
        "Steps 13 to 19 after the match of the same inputs. pairs: position in the own list, by rank.",
        lambda: [*_cases(["normal", "one item", "full overlap"], "x25519"), *_cases(["normal"], "openmined")],
        _make_reveal,
    ),
    VectorFile("padding", "Announced sizes where the agreement pads them.", _padding_cases, _make_padding),
]
