from __future__ import annotations

import importlib.util
import os
import pickle

import pytest

from mutuals.engines import get_engine
from mutuals.engines.openmined import POINT_SIZE, OpenMinedEngine
from mutuals.errors import ErrorCode, MutualsError, PartnerFault

P = 2**256 - 2**224 + 2**192 + 2**96 - 1

if importlib.util.find_spec("private_set_intersection") is None:
    pytest.skip("openmined-psi has no wheel for this platform", allow_module_level=True)


@pytest.fixture(scope="module")
def engine() -> OpenMinedEngine:
    return OpenMinedEngine()


def point(prefix: int, x: int) -> bytes:
    return bytes([prefix]) + x.to_bytes(32, "big")


def test_blinding_commutes_and_keeps_the_order(engine: OpenMinedEngine) -> None:
    items = os.urandom(32 * 50)
    a, b = engine.generate_key(), engine.generate_key()
    ab, ba = engine.reblind(b, engine.blind(a, items)), engine.reblind(a, engine.blind(b, items))
    assert ab == ba
    assert len(ab) == 50 * POINT_SIZE
    one = engine.reblind(b, engine.blind(a, items[32 * 7 : 32 * 8]))
    assert one == ab[POINT_SIZE * 7 : POINT_SIZE * 8]


def test_own_points_pass_the_check(engine: OpenMinedEngine) -> None:
    engine.check_points(engine.blind(engine.generate_key(), os.urandom(32 * 300)))


def test_no_items_make_no_points(engine: OpenMinedEngine) -> None:
    key = engine.generate_key()
    assert engine.blind(key, b"") == engine.reblind(key, b"") == b""


def test_keys_are_fresh(engine: OpenMinedEngine) -> None:
    assert len({engine.generate_key() for _ in range(20)}) == 20


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(point(4, 5), id="uncompressed prefix"),
        pytest.param(point(0, 5), id="point at infinity"),
        pytest.param(point(2, P), id="x is p"),
        pytest.param(point(3, P + 5), id="x is 5 but not reduced"),
        pytest.param(point(2, 2**256 - 1), id="all ones"),
        pytest.param(point(2, 5)[:-1], id="a byte short"),
        pytest.param(point(2, 5) + b"\x00", id="a byte long"),
        pytest.param(b"\x04" + bytes(64), id="uncompressed point"),
    ],
)
def test_a_point_out_of_form_is_refused_before_the_library_sees_it(
    engine: OpenMinedEngine, bad: bytes
) -> None:
    good = engine.blind(engine.generate_key(), bytes(64))
    for points in (bad, good + bad):
        with pytest.raises(PartnerFault) as caught:
            engine.check_points(points)
        assert caught.value.code is ErrorCode.BAD_MESSAGE


@pytest.mark.parametrize("x", [0, 5, 2**64, 2**224 - 1, P - 1, P - 2, P - 2**96, 2**255])
def test_every_reduced_coordinate_is_in_form(engine: OpenMinedEngine, x: int) -> None:
    engine.check_points(point(2, x) + point(3, x))


def test_a_point_off_the_curve_is_the_partners_fault(engine: OpenMinedEngine) -> None:
    good = engine.blind(engine.generate_key(), bytes(64))
    with pytest.raises(PartnerFault) as caught:
        engine.reblind(engine.generate_key(), good + point(2, 1))
    assert caught.value.code is ErrorCode.BAD_MESSAGE
    assert good.hex()[:20] not in str(caught.value)


def test_a_fault_survives_the_way_between_processes() -> None:
    fault = pickle.loads(pickle.dumps(PartnerFault(ErrorCode.BAD_MESSAGE, "One sentence.", hint="Another.")))  # noqa: S301
    assert (type(fault), fault.code, fault.message, fault.hint) == (
        PartnerFault,
        ErrorCode.BAD_MESSAGE,
        "One sentence.",
        "Another.",
    )


def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(MutualsError, match="no engine called 'rot13'") as caught:
        get_engine("rot13")
    assert caught.value.code is ErrorCode.ENGINE_MISMATCH


def test_without_a_wheel_the_engine_says_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MutualsError, match="no wheel for this platform") as caught:
        get_engine("openmined")
    assert caught.value.code is ErrorCode.ENGINE_MISMATCH
