"""The vectors in ``tests/vectors/`` hold: the product makes every expected byte from what the file says goes in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.engines import OPENMINED_RUNS
from support.vectors import VectorFile, vector_files

from mutuals.crypto.hpke import open_sealed
from mutuals.documents import HANDLERS
from mutuals.framing import Context

FOLDER = Path(__file__).parents[1] / "vectors"
FILES = {file.name: file for file in vector_files()}
ELSEWHERE = {
    "card": "tests/unit/test_identity_cards.py",
    "envelope": "tests/protocol/test_exchange_envelopes.py",
    "normalisation": "tests/unit/test_normalisation.py",
    "operator": "tests/unit/test_identity_operators.py",
    "rfc9380_curve25519_ell2_nu": "tests/unit/test_engine_x25519.py",
    "rfc6962": "tests/unit/test_audit_merkle.py",
    "signed_note": "tests/unit/test_audit_notes.py",
    "wycheproof_x25519": "tests/unit/test_engine_x25519.py",
}
"""Vector files that other tests replay."""


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_the_product_makes_what_the_file_expects(file: VectorFile) -> None:
    for case in load(file.name)["cases"]:
        if not OPENMINED_RUNS and "openmined" in (file.name, case["inputs"].get("engine")):
            continue
        assert file.make(case["inputs"]) == case["expected"], case["name"]


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_a_file_holds_the_cases_that_are_written_anew(file: VectorFile) -> None:
    content = load(file.name)
    assert content["purpose"] == file.purpose
    written = [(case["name"], case["outcome"], case["inputs"]) for case in content["cases"]]
    assert written == file.cases()


def test_every_file_has_a_purpose_and_is_replayed_somewhere() -> None:
    names = {path.stem for path in FOLDER.glob("*.json")}
    assert names == FILES.keys() | ELSEWHERE.keys()


def test_every_context_has_a_vector() -> None:
    contexts = {case["inputs"]["context"] for case in load("contexts")["cases"]}
    assert contexts == {context.value for context in Context}


def test_every_kind_of_document_has_a_vector() -> None:
    assert {case["inputs"]["kind"] for case in load("document")["cases"]} == HANDLERS.keys()


@pytest.mark.parametrize("changed", ["info", "sealed", "private"])
def test_what_was_sealed_opens_to_nothing_else(changed: str) -> None:
    inputs = {name: bytes.fromhex(value) for name, value in load("hpke")["cases"][0]["inputs"].items()}
    inputs[changed] = bytes([inputs[changed][0] ^ 1]) + inputs[changed][1:]
    with pytest.raises(ValueError, match="do not open"):
        open_sealed(inputs["private"], inputs["info"], inputs["sealed"])
