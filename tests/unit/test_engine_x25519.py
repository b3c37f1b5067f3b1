"""Engine ``x25519``: the published vectors, both backends against one another, and what a cheat may send."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from mutuals.engines import get_engine
from mutuals.engines.hash_to_curve import encode_to_curve, hash_to_field, map_to_curve
from mutuals.engines.montgomery import (
    Backend,
    CryptographyBackend,
    CryptoMbBackend,
    SmallOrder,
    choose_backend,
    has_full_limb,
)
from mutuals.engines.x25519 import X25519Engine
from mutuals.errors import ErrorCode, MutualsError, PartnerFault

VECTORS = Path(__file__).parent.parent / "vectors"
P = 2**255 - 19
J = 486662


def flawed_multiply8(key: bytes, points: bytes) -> tuple[bytes, int]:
    """Eight at once as crypto_mb does it, flaws included: wrong where a limb is all ones, a nibble a lane."""
    products, status = b"", 0
    private = X25519PrivateKey.from_private_bytes(key)
    for lane in range(8):
        point = points[32 * lane : 32 * lane + 32]
        u = int.from_bytes(point, "little")
        try:
            product = private.exchange(X25519PublicKey.from_public_bytes(point))
        except ValueError:
            product, status = bytes(32), status | 4 << (4 * lane)
        limbs = [u >> shift & (2**52 - 1) for shift in (0, 52, 104, 156)]
        flaw = 2**52 - 1 in limbs or u >> 208 & (2**47 - 1) == 2**47 - 1
        products += os.urandom(32) if flaw else product
    return products, status


BACKENDS = [
    pytest.param(CryptographyBackend(), id="cryptography"),
    pytest.param(CryptoMbBackend(flawed_multiply8), id="crypto_mb's way of working"),
]


def try_crypto_mb() -> CryptoMbBackend | None:
    try:
        return CryptoMbBackend()
    except MutualsError:
        return None


CRYPTO_MB = try_crypto_mb()
if CRYPTO_MB is not None:
    BACKENDS.append(pytest.param(CRYPTO_MB, id="crypto_mb"))


def u_bytes(value: int) -> bytes:
    return value.to_bytes(32, "little")


def test_hashing_to_the_curve_is_that_of_rfc_9380() -> None:
    content = json.loads((VECTORS / "rfc9380_curve25519_ell2_nu.json").read_text())
    dst = content["dst"].encode()
    for case in content["vectors"]:
        (element,) = hash_to_field([case["msg"].encode()], dst)
        assert element == int(case["u"], 16)
        q = map_to_curve([element])
        assert int.from_bytes(q, "little") == int(case["Q_x"], 16)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40))
def test_a_batch_is_the_items_one_by_one_and_every_point_lies_on_the_curve(items: list[bytes]) -> None:
    points = encode_to_curve(b"".join(items))
    assert points == b"".join(encode_to_curve(item) for item in items)
    for start in range(0, len(points), 32):
        u = int.from_bytes(points[start : start + 32], "little")
        assert pow(u**3 + J * u**2 + u, (P - 1) // 2, P) in (0, 1)


def test_a_batch_may_be_longer_than_those_that_share_an_inversion() -> None:
    items = os.urandom(32 * 2500)
    points = encode_to_curve(items)
    for index in (0, 1023, 1024, 2047, 2048, 2499):
        assert points[32 * index : 32 * index + 32] == encode_to_curve(items[32 * index : 32 * index + 32])


@pytest.mark.parametrize("backend", BACKENDS)
def test_x25519_is_that_of_rfc_7748(backend: Backend) -> None:
    key = u = u_bytes(9)
    for _ in range(1000):  # §5.2
        key, u = backend.multiply(key, u), key
    assert key.hex() == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"


@pytest.mark.parametrize("backend", BACKENDS)
def test_x25519_agrees_with_wycheproof_on_all_that_the_engine_accepts(backend: Backend) -> None:
    engine = X25519Engine()
    cases = json.loads((VECTORS / "wycheproof_x25519.json").read_text())["cases"]
    accepted = 0
    for number, private, public, shared, _ in cases:
        key, point = bytes.fromhex(private), bytes.fromhex(public)
        try:
            engine.check_points(point)
        except PartnerFault:
            continue
        accepted += 1
        try:
            assert backend.multiply(key, point).hex() == shared, number
        except SmallOrder:
            assert shared == "00" * 32, number
    assert len(cases) == 518
    assert accepted > 450


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 30])
def test_the_backends_compute_the_same_in_the_same_order(backend: Backend, count: int) -> None:
    key, points = os.urandom(32), encode_to_curve(os.urandom(32 * count))
    assert backend.multiply(key, points) == CryptographyBackend().multiply(key, points)


@given(st.integers(0, P - 1))
def test_a_limb_of_ones_is_noticed(u: int) -> None:
    limbs = [(u >> shift) & (2**52 - 1) for shift in (0, 52, 104, 156)]
    full = any(limb >= 2**52 - 2**32 for limb in limbs) or u >> 208 >= 2**47 - 2**27
    assert has_full_limb(rows(u_bytes(u))).tolist() == [full]


def rows(points: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(points, np.uint8).reshape(-1, 32)


@pytest.mark.parametrize("shift", [0, 52, 104, 156, 208])
def test_a_full_limb_goes_to_the_exact_backend(shift: int) -> None:
    width = 47 if shift == 208 else 52
    u = (7 | ((2**width - 1) << shift)) % 2**255
    points = encode_to_curve(os.urandom(64)) + u_bytes(u) + encode_to_curve(os.urandom(64))
    key = os.urandom(32)
    assert CryptoMbBackend(flawed_multiply8).multiply(key, points) == CryptographyBackend().multiply(
        key, points
    )


def test_a_backend_that_computes_wrongly_is_found_out() -> None:
    backend = CryptoMbBackend(lambda key, points: (os.urandom(256), 0))
    with pytest.raises(MutualsError, match="computes otherwise") as caught:
        backend.multiply(os.urandom(32), encode_to_curve(os.urandom(32 * 20)))
    assert caught.value.code is ErrorCode.INTERNAL


def test_a_backend_that_fails_says_so() -> None:
    backend = CryptoMbBackend(lambda key, points: (bytes(256), 0x00A00000))
    with pytest.raises(MutualsError, match="status 0x00a00000"):
        backend.multiply(os.urandom(32), encode_to_curve(os.urandom(32)))


def test_blinding_commutes_and_keeps_the_order() -> None:
    engine = X25519Engine()
    items = os.urandom(32 * 50)
    a, b = engine.generate_key(), engine.generate_key()
    ab, ba = engine.reblind(b, engine.blind(a, items)), engine.reblind(a, engine.blind(b, items))
    assert ab == ba
    one = engine.reblind(b, engine.blind(a, items[32 * 7 : 32 * 8]))
    assert one == ab[32 * 7 : 32 * 8]
    engine.check_points(ab)


SMALL_ORDER = (
    0,
    1,
    P - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)


@pytest.mark.parametrize(
    "bad",
    [
        *(pytest.param(u_bytes(u), id=f"small order {u}") for u in SMALL_ORDER),
        pytest.param(u_bytes(P), id="p"),
        pytest.param(u_bytes(P + 9), id="9, not reduced"),
        pytest.param(u_bytes(2**255 - 1), id="all ones below bit 255"),
        pytest.param(u_bytes(9 | 1 << 255), id="bit 255"),
        pytest.param(b"\xff" * 32, id="all ones"),
        pytest.param(u_bytes(9)[:-1], id="a byte short"),
        pytest.param(u_bytes(9) + b"\x00", id="a byte long"),
    ],
)
def test_a_point_out_of_form_is_refused(bad: bytes) -> None:
    engine = X25519Engine()
    good = engine.blind(engine.generate_key(), os.urandom(96))
    for points in (bad, good + bad):
        with pytest.raises(PartnerFault) as caught:
            engine.check_points(points)
        assert caught.value.code is ErrorCode.BAD_MESSAGE


@pytest.mark.parametrize("u", SMALL_ORDER)
def test_the_five_points_named_are_those_of_small_order(u: int) -> None:
    for backend in (CryptographyBackend(), CryptoMbBackend(flawed_multiply8)):
        with pytest.raises(SmallOrder):
            backend.multiply(os.urandom(32), u_bytes(u))


@pytest.mark.parametrize("u", [2, 9, 2**64, 2**192, P - 2, P - 3, 2**254])
def test_every_other_reduced_coordinate_is_in_form(u: int) -> None:
    X25519Engine().check_points(u_bytes(u))


def test_what_a_cheat_adds_of_small_order_makes_equal_outputs() -> None:
    """A point and the point plus torsion: the engine gives the same for both, and the match refuses equal points."""
    # (0, 0) has order 2: u(Q + (0, 0)) = 1/u(Q).
    engine = X25519Engine()
    point = engine.blind(engine.generate_key(), os.urandom(32))
    marked = u_bytes(pow(int.from_bytes(point, "little"), -1, P))
    products = engine.reblind(engine.generate_key(), point + marked)
    assert products[:32] == products[32:]


def test_a_backend_can_be_forced_and_is_refused_where_it_does_not_run() -> None:
    assert X25519Engine("cryptography").backend == "cryptography"
    with pytest.raises(MutualsError, match="no X25519 backend") as caught:
        choose_backend("abacus")
    assert caught.value.code is ErrorCode.ENGINE_MISMATCH
    if CRYPTO_MB is None:
        with pytest.raises(MutualsError, match="crypto_mb cannot run here: ") as caught:
            X25519Engine("crypto_mb")
        assert caught.value.code is ErrorCode.ENGINE_MISMATCH


def test_the_engine_is_known_by_its_name() -> None:
    assert get_engine("x25519").point_size == 32
