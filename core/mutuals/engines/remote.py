"""What runs on a worker of a cluster: loaded there by its name, and as little as the arithmetic needs.

Answers are bytes, and failures are answers: an exception would have dask print the task, and bring one of its own
back. Nothing is kept between tasks, written to disk or logged.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field

from mutuals import __version__
from mutuals.engines.base import Operation
from mutuals.engines.workers import backends_here, perform
from mutuals.errors import ErrorCode, MutualsError, PartnerFault

POINTS = b"\x00"
FAULT = b"\x01"
PARTNER_FAULT = b"\x02"
"""The first byte of an answer: points follow, or the code, sentence and hint of an error as JSON."""

LONGEST_FAULT = 4096
"""Bytes of the longest error that is taken back from a worker."""


def release() -> str:
    """What must be the same here and there for a task to mean the same."""
    return f"mutuals {__version__} under Python {sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Task:
    """The arguments of ``perform``. ``key`` and ``data`` appear in no representation, and so in no log."""

    release: str
    engine: str
    operation: Operation
    x25519_backend: str | None
    key: bytes = field(repr=False)
    data: bytes = field(repr=False)


def compute(task: Task) -> bytes:
    """Carry out ``task``; the answer, as ``points_of`` reads it. Raises nothing."""
    try:
        _require(task.release)
        return POINTS + perform(task.engine, task.operation, task.key, task.data, task.x25519_backend)
    except Exception as error:
        return _fault(error)


def probe(wanted: str, x25519_backend: str | None) -> bytes:
    """The backends of the engines that run on this worker, as an answer: JSON. Raises nothing."""
    try:
        _require(wanted)
        return POINTS + json.dumps(backends_here(x25519_backend)).encode()
    except Exception as error:
        return _fault(error)


def content(answer: object) -> bytes:
    """What follows the first byte of a good answer.

    Raises the MutualsError that the worker answered with, and INTERNAL where the answer is none of ours.
    """
    if not isinstance(answer, bytes) or not answer:
        raise _no_answer()
    kind, rest = answer[:1], answer[1:]
    if kind == POINTS:
        return rest
    if kind not in (FAULT, PARTNER_FAULT) or len(rest) > LONGEST_FAULT:
        raise _no_answer()
    try:
        code, message, hint = json.loads(rest)
        known = ErrorCode(code)
    except (ValueError, TypeError, RecursionError):
        raise _no_answer() from None
    error = PartnerFault if kind == PARTNER_FAULT else MutualsError
    raise error(known, str(message), hint=None if hint is None else str(hint))


def _require(wanted: str) -> None:
    if wanted != release():
        raise MutualsError(
            ErrorCode.LOCAL,
            f"A worker of the cluster runs {release()}; this peer runs {wanted}.",
            hint="Install the same release on every worker, and start it again.",
        )


def _fault(error: Exception) -> bytes:
    if isinstance(error, MutualsError):
        kind = PARTNER_FAULT if isinstance(error, PartnerFault) else FAULT
        return kind + json.dumps([error.code.value, error.message, error.hint]).encode()
    # Never the text of a foreign exception: it may hold data.
    sentence = f"A worker of the cluster failed ({type(error).__name__})."
    return FAULT + json.dumps([ErrorCode.INTERNAL.value, sentence, None]).encode()


def _no_answer() -> MutualsError:
    return MutualsError(ErrorCode.INTERNAL, "A worker of the cluster sent something that is no answer.")
