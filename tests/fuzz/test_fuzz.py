"""The short form of ``make fuzz``: some inputs of every parser that is ready at once, and all that was ever found."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.target import FOUND, Outcome, Ready, Target, attempt, found, input_of
from fuzz.targets import BY_NAME, TARGETS
from fuzz.watch import fuzz
from mutuals.errors import ErrorCode, MutualsError, PartnerFault

EVERYDAY = [target for target in TARGETS if target.everyday]
REFUSED = {"wire.error", "key.tls"}
"""Some of their seeds are sound and say no."""


@cache
def ready(name: str) -> Ready:
    return BY_NAME[name].prepare()


def no_fault(target: Target, data: bytes) -> Outcome:
    tried = attempt(target, ready(target.name), data)
    if tried.outcome is Outcome.FAULT:
        raise AssertionError(f"{target.name} {tried.fault}: {data[:200]!r}") from tried.error
    return tried.outcome


@pytest.mark.parametrize("target", EVERYDAY, ids=lambda target: target.name)
def test_a_parser_answers_with_a_value_or_an_error_of_ours(target: Target) -> None:
    for seed in ready(target.name).seeds:
        assert no_fault(target, seed) is Outcome.ACCEPTED or target.name in REFUSED

    @settings(max_examples=target.everyday)
    @given(
        st.one_of(
            st.integers(0, 2**32).map(lambda seed: input_of(target, ready(target.name), seed)), st.binary()
        )
    )
    def tried(data: bytes) -> None:
        no_fault(target, data)

    tried()


def test_what_was_found_once_stays_mended() -> None:
    assert {folder.name for folder in FOUND.iterdir()} <= BY_NAME.keys()
    for target in EVERYDAY:
        for path in found(target):
            no_fault(target, path.read_bytes())


def test_the_same_number_is_the_same_input() -> None:
    for target in EVERYDAY:
        made = [input_of(target, ready(target.name), 4711) for _ in range(2)]
        assert made[0] == made[1], target.name


def test_only_the_errors_that_are_promised_are_none() -> None:
    for target, error in (
        (BY_NAME["canonical"], UnicodeDecodeError("utf-8", b"\xff", 0, 1, "jane@example.com")),
        (BY_NAME["card"], ValueError("no sentence")),
        (BY_NAME["card"], MutualsError(ErrorCode.INTERNAL, "It failed.")),
        (BY_NAME["wire.match.request"], MutualsError(ErrorCode.BAD_MESSAGE, "Not the partner's.")),
    ):
        tried = attempt(target, Ready([], _raising(error)), b"")
        assert tried.outcome is Outcome.FAULT, (target.name, error)
    promised = PartnerFault(ErrorCode.BAD_MESSAGE, "Why.")
    fine = attempt(BY_NAME["wire.match.request"], Ready([], _raising(promised)), b"")
    assert fine.outcome is Outcome.REFUSED


def _raising(error: Exception) -> Callable[[bytes], None]:
    def parse(_: bytes) -> None:
        raise error

    return parse


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bad.hang", "computed for too long"),
        ("bad.crash", "SIGSEGV"),
        ("bad.memory", "raised MemoryError"),
        ("bad.error", "raised KeyError"),
    ],
)
def test_every_kind_of_fault_is_found_and_its_input_kept(tmp_path: Path, name: str, words: str) -> None:
    total = fuzz(BY_NAME[name], 5, 2, 1, tmp_path)
    assert (total.inputs, total.faults) == (2, 2)
    kept = tmp_path / name / "5"
    assert words in kept.with_suffix(".txt").read_text()
    target = BY_NAME[name]
    assert kept.with_suffix(".bin").read_bytes() == input_of(target, target.prepare(), 5)
