"""What a target is, and what may come of an input."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mutuals.errors import ErrorCode, MutualsError

MOST_BYTES = 4 << 20
"""No input is larger: what a partner can send in one message, and more than a person would look at."""

CPU_SECONDS = 2.0
"""So long one input may be computed at, in processor time, unless its target says otherwise."""

MEMORY_BYTES = 1 << 30
"""So much one process may ask for, on top of what it had when it began."""

MESSAGE_CHARACTERS = 4000
"""No sentence about an input is longer."""

Mutate = Callable[[random.Random, bytes, Sequence[bytes]], bytes]
"""An input made of one seed, of chance, and of all the seeds."""


@dataclass(frozen=True)
class Ready:
    """A target that can be tried: its ``seeds``, and ``parse``, which takes any bytes."""

    seeds: Sequence[bytes]
    parse: Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """One parser. ``prepare`` is called once in a process; ``errors`` are all that ``parse`` may raise.

    MutualsError stands for itself and its subclasses, but never with the code INTERNAL; every other class for itself
    alone: a function that promises ValueError must not let pydantic's or codecs' through, which quote the input.
    ``seconds`` bounds the processor time of one input, ``everyday`` how many inputs ``make test`` tries: none where
    the target takes long to prepare.
    """

    name: str
    prepare: Callable[[], Ready]
    mutate: Mutate
    errors: tuple[type[Exception], ...] = (MutualsError,)
    count: int = 100_000
    everyday: int = 20
    seconds: float = CPU_SECONDS


class Outcome(StrEnum):
    """What an input came to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAULT = "fault"


@dataclass(frozen=True)
class Tried:
    """An input that was tried: what it came to, why where that is a fault, and its processor time in nanoseconds."""

    outcome: Outcome
    fault: str = ""
    nanoseconds: int = 0
    error: BaseException | None = None


FOUND = Path(__file__).parent / "found"


def found(target: Target) -> list[Path]:
    """The files with inputs that once were faults of the target."""
    return sorted((FOUND / target.name).glob("*"))


def input_of(target: Target, ready: Ready, seed: int) -> bytes:
    """The input with this number, always the same; those below 0 are what was ever found."""
    if seed < 0:
        return found(target)[-seed - 1].read_bytes()
    chance = random.Random(f"{target.name} {seed}")
    data = target.mutate(chance, chance.choice(ready.seeds), ready.seeds)
    return data[:MOST_BYTES]


def attempt(target: Target, ready: Ready, data: bytes) -> Tried:
    """Parse ``data`` and judge what came of it."""
    before = time.process_time_ns()
    error: BaseException | None = None
    try:
        ready.parse(data)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as raised:  # pyo3's panics are no Exception
        error = raised
    spent = time.process_time_ns() - before
    fault = "" if error is None else why_not_allowed(target, error)
    if not fault and spent > target.seconds * 1e9:
        fault = f"took {spent / 1e9:.1f} s"
    if fault:
        return Tried(Outcome.FAULT, fault, spent, error)
    return Tried(Outcome.ACCEPTED if error is None else Outcome.REFUSED, "", spent)


def why_not_allowed(target: Target, error: BaseException) -> str:
    """Nothing where ``error`` is one that the target may raise."""
    for allowed in target.errors:
        if isinstance(error, MutualsError) and isinstance(error, allowed):
            return _unfit_for_people(error)
        if type(error) is allowed:
            return ""
    return f"raised {type(error).__name__}"


def _unfit_for_people(error: MutualsError) -> str:
    text = f"{error.message}\n{error.hint or ''}"
    if error.code is ErrorCode.INTERNAL:
        return "raised INTERNAL"
    if len(text) > MESSAGE_CHARACTERS:
        return f"told of it in {len(text):,} characters"
    if any(character < " " and character != "\n" for character in text):
        return "told of it with a control character"
    return ""


def peak_bytes() -> int:
    """The most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
