"""The product and a second implementation that shares no code with it agree, byte for byte, in either role."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import reference_engines
import reference_match as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engines import EACH_ENGINE, ENGINES, needs_openmined
from support.talks import (
    Fixed,
    FixedSide,
    converse,
    product_match,
    product_reveal,
    reference_match,
    reference_reveal,
)

from mutuals.crypto.hpke import generate_keypair
from mutuals.engines import get_engine
from mutuals.models.run import Role
from mutuals.protocol.messages import Tags
from mutuals.shortid import short_id

VECTORS = Path(__file__).parents[1] / "vectors"


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
    """Two lists with any overlap, in any order, an engine, and random secrets."""
    both = draw(st.lists(st.integers(0, 40), max_size=6, unique=True))
    generator = random.Random(draw(st.integers(0, 2**64)))
    sides = {}
    for role in Role:
        only = draw(st.lists(st.integers(100, 140), max_size=5, unique=True))
        numbers = [f"{number}" for number in both] + [f"{number}.{role.value}" for number in only]
        sides[role] = FixedSide(
            identifiers=tuple(f"email:{number}@example.com" for number in draw(st.permutations(numbers))),
            signing_seed=generator.randbytes(32),
            key=generator.randrange(1, reference_engines.ORDER).to_bytes(32, "big"),
            hello_nonce=generator.randbytes(32),
            tag_nonce=generator.randbytes(32),
            random=generator.randbytes(64),
            receiving_key=generate_keypair().public,
            sent_at=1_777_636_800 + generator.randrange(300),
        )
    engine = draw(st.sampled_from(ENGINES))
    return Fixed(
        generator.randbytes(32), engine, "strict-v1", generator.randbytes(32), draw(st.booleans()), sides
    )


@settings(max_examples=8, deadline=None)
@given(fixed=runs())
def test_the_product_starts_and_the_reference_answers(fixed: Fixed) -> None:
    compare(fixed, Role.INITIATOR)


@settings(max_examples=8, deadline=None)
@given(fixed=runs())
def test_the_reference_starts_and_the_product_answers(fixed: Fixed) -> None:
    compare(fixed, Role.RESPONDER)


@pytest.mark.parametrize("engine", EACH_ENGINE)
@settings(max_examples=15, deadline=None)
@given(item=st.binary(min_size=32, max_size=32), number=st.integers(1, reference_engines.ORDER - 1))
def test_the_reference_blinds_as_the_engine_does(engine: str, item: bytes, number: int) -> None:
    product, second, key = get_engine(engine), reference_engines.ENGINES[engine], number.to_bytes(32, "big")
    point = second.blind(key, item)
    assert product.blind(key, item) == point
    assert product.reblind(key, point) == second.reblind(key, point)


@needs_openmined
@pytest.mark.parametrize("number", [0x1C7, 0x1DC, 0x471])
def test_a_rehashed_coordinate_loses_its_leading_zeros(number: int) -> None:
    """The first candidate of these items is below 2^248 and not on the curve."""
    item, key = number.to_bytes(32, "big"), (5).to_bytes(32, "big")
    x = reference_engines.oracle(item)
    assert x < 2**248
    assert reference_engines.square_root(x**3 + reference_engines.A * x + reference_engines.B) is None
    assert get_engine("openmined").blind(key, item) == reference_engines.ENGINES["openmined"].blind(key, item)


def test_the_reference_hashes_to_curve25519_as_rfc_9380_does() -> None:
    content = json.loads((VECTORS / "rfc9380_curve25519_ell2_nu.json").read_text(encoding="utf-8"))
    for case in content["vectors"]:
        message, dst = case["msg"].encode(), content["dst"].encode()
        assert reference_engines.hash_to_field(message, dst) == int(case["u"], 16)
        assert int.from_bytes(reference_engines.encode_to_curve(message, dst), "little") == int(
            case["Q_x"], 16
        )


def test_the_reference_multiplies_as_rfc_7748_does() -> None:
    """§5.2; the loop of 1,000 is the product's to do."""
    nine = (9).to_bytes(32, "little")
    once = reference_engines.x25519(nine, nine)
    assert once.hex() == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    assert (
        reference_engines.x25519(scalar, point).hex()
        == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    )
