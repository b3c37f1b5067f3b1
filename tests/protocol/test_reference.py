"""The product and a second implementation that shares no code with it agree, byte for byte, in either role."""

from __future__ import annotations

import random

import pytest
import reference_match as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from support.talks import (
    ENGINE,
    Fixed,
    FixedSide,
    converse,
    product_match,
    product_reveal,
    reference_match,
    reference_reveal,
)

from mutuals.crypto.hpke import generate_keypair
from mutuals.models.run import Role
from mutuals.protocol.messages import Tags
from mutuals.shortid import short_id


def compare(fixed: Fixed, role: Role) -> None:
    """A match and a reveal between the product in this role and the reference in the other."""
    other = role.other
    talk = converse({role: product_match(fixed, role), other: reference_match(fixed, other)})
    outcome, matched = talk.results[role], talk.results[other]
    shared = set(fixed.sides[role].identifiers) & set(fixed.sides[other].identifiers)

    transcript = outcome.transcript
    assert (transcript.sid, outcome.th, outcome.count) == (matched.sid, matched.th, matched.count)
    assert transcript.blinded_initiator == matched.blinded["initiator"]
    assert transcript.blinded_responder == matched.blinded["responder"]
    assert transcript.commitment_initiator == matched.commitments["initiator"]
    assert transcript.commitment_responder == matched.commitments["responder"]
    assert outcome.counted_own == matched.counted[role.value]
    assert outcome.counted_partner == matched.counted[other.value]
    assert talk.joined(role, Tags, "tags") == b"".join(matched.tags[role.value])
    assert matched.count == len(shared)
    assert short_id("R", matched.sid) == reference.short_name("R", matched.sid)

    talk = converse(
        {role: product_reveal(fixed, role, outcome), other: reference_reveal(fixed, other, matched)}
    )
    pairs = [fixed.sides[role].identifiers[position] for position in talk.results[role]]
    assert pairs == [fixed.sides[other].identifiers[position] for position in talk.results[other].pairs]
    assert set(pairs) == shared


@st.composite
def runs(draw: st.DrawFn) -> Fixed:
    """Two lists with any overlap, in any order, and random secrets."""
    both = draw(st.lists(st.integers(0, 40), max_size=6, unique=True))
    generator = random.Random(draw(st.integers(0, 2**64)))
    sides = {}
    for role in Role:
        only = draw(st.lists(st.integers(100, 140), max_size=5, unique=True))
        numbers = [f"{number}" for number in both] + [f"{number}.{role.value}" for number in only]
        sides[role] = FixedSide(
            identifiers=tuple(f"email:{number}@example.com" for number in draw(st.permutations(numbers))),
            signing_seed=generator.randbytes(32),
            key=generator.randrange(1, reference.ORDER).to_bytes(32, "big"),
            hello_nonce=generator.randbytes(32),
            tag_nonce=generator.randbytes(32),
            random=generator.randbytes(64),
            receiving_key=generate_keypair().public,
            sent_at=1_777_636_800 + generator.randrange(300),
        )
    return Fixed(generator.randbytes(32), "strict-v1", generator.randbytes(32), draw(st.booleans()), sides)


@settings(max_examples=8, deadline=None)
@given(fixed=runs())
def test_the_product_starts_and_the_reference_answers(fixed: Fixed) -> None:
    compare(fixed, Role.INITIATOR)


@settings(max_examples=8, deadline=None)
@given(fixed=runs())
def test_the_reference_starts_and_the_product_answers(fixed: Fixed) -> None:
    compare(fixed, Role.RESPONDER)


@settings(max_examples=20, deadline=None)
@given(item=st.binary(min_size=32, max_size=32), key=st.integers(1, reference.ORDER - 1))
def test_the_reference_blinds_as_the_library_does(item: bytes, key: int) -> None:
    raw = key.to_bytes(32, "big")
    point = reference.blind(key, item)
    assert ENGINE.blind(raw, item) == point
    assert ENGINE.reblind(raw, point) == reference.reblind(key, point)


@pytest.mark.parametrize("number", [0x1C7, 0x1DC, 0x471])
def test_a_rehashed_coordinate_loses_its_leading_zeros(number: int) -> None:
    """The first candidate of these items is below 2^248 and not on the curve."""
    item = number.to_bytes(32, "big")
    x = reference.oracle(item)
    assert x < 2**248
    assert reference.square_root(x**3 + reference.A * x + reference.B) is None
    assert ENGINE.blind((5).to_bytes(32, "big"), item) == reference.blind(5, item)
