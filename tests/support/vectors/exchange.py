"""Vectors of sealing: HPKE, and the secret of an exchange. Envelopes have a file of their own, envelope.json.

HPKE draws its own randomness, so the sealed bytes are an input here and what they open to is expected. They come from
the file itself; where it is missing, they are sealed anew.
"""

from __future__ import annotations

import json
from pathlib import Path

from mutuals.crypto.hpke import open_sealed, seal
from mutuals.framing import Context, frame
from mutuals.models.run import Role
from mutuals.protocol.envelopes import receiving_key_id
from mutuals.protocol.sealing import open_secret
from support.hpke import open_by_hand, public_of
from support.vectors import Case, Json, VectorFile
from support.vectors.match import stream

FOLDER = Path(__file__).parents[2] / "vectors"
SID = "cc" * 32


def _make_hpke(inputs: Json) -> Json:
    private, info = bytes.fromhex(inputs["private"]), bytes.fromhex(inputs["info"])
    sealed = bytes.fromhex(inputs["sealed"])
    opened = open_sealed(private, info, sealed)
    assert open_by_hand(private, info, sealed) == opened
    return {"public": public_of(private).hex(), "opened": opened.hex()}


def _make_secret(inputs: Json) -> Json:
    private, sid = bytes.fromhex(inputs["private"]), bytes.fromhex(inputs["sid"])
    public = public_of(private)
    return {
        "receiving_key": public.hex(),
        "receiving_key_id": receiving_key_id(public).hex(),
        "info": frame(Context.EXCHANGE_SECRET, sid, inputs["direction"]).hex(),
        "secret": open_secret(private, sid, Role(inputs["direction"]), bytes.fromhex(inputs["sealed"])).hex(),
    }


def _hpke_cases() -> list[Case]:
    private, info = stream("hpke", 96), b"mutuals test vector"
    fresh = {
        "private": private.hex(),
        "info": info.hex(),
        "sealed": lambda: seal(public_of(private), info, b"Frieda").hex(),
    }
    return [("sealed", "Opens; opens to nothing else under another info or key.", _kept("hpke", fresh))]


def _secret_cases() -> list[Case]:
    private = stream("receiving key", 96)
    info = frame(Context.EXCHANGE_SECRET, bytes.fromhex(SID), "responder")
    fresh = {
        "private": private.hex(),
        "sid": SID,
        "direction": "responder",
        "sealed": lambda: seal(public_of(private), info, stream("exchange secret", 32)).hex(),
    }
    return [("responder's", "Opens to 32 bytes; 1,168 bytes sealed.", _kept("exchange_secret", fresh))]


def _kept(name: str, fresh: Json) -> Json:
    """``fresh`` inputs, with the sealed bytes that the file has, if it is there."""
    path = FOLDER / f"{name}.json"
    if path.exists():
        return {**fresh, "sealed": json.loads(path.read_text("utf-8"))["cases"][0]["inputs"]["sealed"]}
    return {**fresh, "sealed": fresh["sealed"]()}


FILES = [
    VectorFile("hpke", "What HPKE sealed for a key opens under it.", _hpke_cases, _make_hpke),
    VectorFile(
        "exchange_secret",
        "The sealed secret of one direction of an exchange, and the id of the key it is sealed to.",
        _secret_cases,
        _make_secret,
    ),
]
