"""Vectors of the engines by themselves: hashing an item, blinding it, and what a partner may send as a point."""

from __future__ import annotations

import reference_engines

from mutuals.engines import get_engine
from mutuals.engines.hash_to_curve import encode_to_curve
from mutuals.errors import PartnerFault
from support.vectors import Case, Json, VectorFile


def _number(value: int) -> str:
    return value.to_bytes(32, "big").hex()


def _little(value: int) -> str:
    return value.to_bytes(32, "little").hex()


# --- openmined ----------------------------------------------------------------------------------------------------


def _make_p256(inputs: Json) -> Json:
    key, item = bytes.fromhex(inputs["key"]), bytes.fromhex(inputs["item"])
    return {"point": get_engine("openmined").blind(key, item).hex()}


def _p256_cases() -> list[Case]:
    one = _number(1)
    cases: list[Case] = [
        ("first candidate", "The first x is on the curve; key 1 shows the hashed point itself.", _number(0)),
        ("second candidate", "The first x is not on the curve and is hashed again.", _number(1)),
        (
            "leading zero",
            "The first x is below 2^248 and not on the curve: it is hashed again as 31 bytes.",
            _number(0x1C7),
        ),
    ]
    return [(name, outcome, {"key": one, "item": item}) for name, outcome, item in cases] + [
        (
            "largest key",
            "n − 1: the hashed point's negative, so prefix 03.",
            {"key": _number(reference_engines.ORDER - 1), "item": _number(0)},
        )
    ]


# --- x25519 -------------------------------------------------------------------------------------------------------


def _make_curve25519(inputs: Json) -> Json:
    key, item = bytes.fromhex(inputs["key"]), bytes.fromhex(inputs["item"])
    second = reference_engines.ENGINES["x25519"]
    hashed, point = encode_to_curve(item), get_engine("x25519").blind(key, item)
    assert (hashed, point) == (reference_engines.encode_to_curve(item), second.blind(key, item))
    return {"hashed": hashed.hex(), "point": point.hex()}


def _curve25519_cases() -> list[Case]:
    key = "11" * 32
    return [
        (
            "first candidate",
            "x1 is on the curve, so it is the one. hashed is u(Q), before any key.",
            {"key": key, "item": _number(FIRST)},
        ),
        (
            "second candidate",
            "x1 is on the twist, so x2 = −x1 − J is the one.",
            {"key": key, "item": _number(SECOND)},
        ),
        (
            "key clamped",
            "Bits 0 to 2 and 255 of the key do not count, and bit 254 counts as set: the same point as above.",
            {"key": "16" + "11" * 30 + "d1", "item": _number(SECOND)},
        ),
        ("key of zeros", "Clamped it is 2^254.", {"key": _number(0), "item": _number(FIRST)}),
        ("key of ones", "Clamped it is 2^255 − 8.", {"key": "ff" * 32, "item": _number(FIRST)}),
    ]


def _first_candidate(item: int) -> bool:
    u = reference_engines.hash_to_field(item.to_bytes(32, "big"), reference_engines.DST)
    x1 = -reference_engines.J * reference_engines.inverse_or_zero(1 + 2 * u * u) % reference_engines.Q
    return x1 == reference_engines.map_to_curve_elligator2(u)


FIRST = next(item for item in range(100) if _first_candidate(item))
SECOND = next(item for item in range(100) if not _first_candidate(item))


# --- points a partner sends ---------------------------------------------------------------------------------------


def _make_points(inputs: Json) -> Json:
    engine, point = get_engine(inputs["engine"]), bytes.fromhex(inputs["point"])
    try:
        engine.check_points(point)
        return {"accepted": True, "reblinded": engine.reblind(bytes.fromhex(inputs["key"]), point).hex()}
    except PartnerFault:
        return {"accepted": False}


def _points_of_x25519() -> list[tuple[str, str, str]]:
    q = reference_engines.Q
    small = (
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
    return [
        ("on the curve", "u = 9, the base point.", _little(9)),
        ("on the twist", "u = 2 belongs to the twist, and passes; no item comes to lie there.", _little(2)),
        ("largest", "p − 2.", _little(q - 2)),
        ("bit 255", "u = 9 with the bit that X25519 ignores.", _little(9 | 1 << 255)),
        ("not reduced", "p + 9, the same as 9.", _little(q + 9)),
        ("p", "Zero, not reduced.", _little(q)),
        ("zero", "Of order 2.", _little(0)),
        ("one", "Of order 4.", _little(1)),
        ("minus one", "Of order 4, on the twist.", _little(q - 1)),
        ("order 8", "Of order 8.", _little(small[0])),
        ("the other of order 8", "Of order 8.", _little(small[1])),
        ("short", "31 bytes.", _little(9)[:-2]),
        ("long", "33 bytes.", _little(9) + "00"),
    ]


def _points_of_openmined() -> list[tuple[str, str, str]]:
    p = reference_engines.P
    x = next(x for x in range(1, 100) if _on_p256(x))
    none = next(x for x in range(1, 100) if not _on_p256(x))
    return [
        ("even y", f"x = {x}, prefix 02.", "02" + _number(x)),
        ("odd y", f"x = {x}, prefix 03.", "03" + _number(x)),
        ("off the curve", f"No point has x = {none}.", "02" + _number(none)),
        ("not reduced", f"p + {x}, the same as {x}.", "02" + _number(p + x)),
        ("all ones", "The largest x that fits.", "02" + "ff" * 32),
        ("uncompressed prefix", "04 before 32 bytes.", "04" + _number(x)),
        ("uncompressed", "65 bytes.", "04" + _uncompressed(x)),
        ("identity", "One zero byte.", "00"),
        ("identity of 33 bytes", "Zeros.", "00" * 33),
    ]


def _on_p256(x: int) -> bool:
    square = x**3 + reference_engines.A * x + reference_engines.B
    return reference_engines.square_root(square) is not None


def _uncompressed(x: int) -> str:
    """x and its even y, without the prefix."""
    y = reference_engines.square_root(x**3 + reference_engines.A * x + reference_engines.B)
    assert y is not None
    return _number(x) + _number(y if y % 2 == 0 else reference_engines.P - y)


def _point_cases() -> list[Case]:
    return [
        (f"{name}, {engine}", outcome, {"engine": engine, "key": _number(7), "point": point})
        for engine, points in (("x25519", _points_of_x25519()), ("openmined", _points_of_openmined()))
        for name, outcome, point in points
    ]


FILES = [
    VectorFile(
        "x25519",
        "Hashing an item to Curve25519 and multiplying by the key.",
        _curve25519_cases,
        _make_curve25519,
    ),
    VectorFile("openmined", "Hashing an item to P-256 and multiplying by the key.", _p256_cases, _make_p256),
    VectorFile(
        "points",
        "What a partner may send as a point, and what it becomes under the own key.",
        _point_cases,
        _make_points,
    ),
]
