"""Every way a command or a call can fail, as one closed list.

An error reaches a person as one sentence saying what is wrong, where, and what to do; it reaches the partner as
a code and the fixed public sentence of that code, never the text of the error. Neither carries an identifier, a
hash of one, or a record.

    raise MutualsError(ErrorCode.AGREEMENT_NOT_ACTIVE, "Agreement A-7Q ended on 2026-05-01.", hint="Amend it ...")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class ErrorCode(StrEnum):
    """The closed list of error codes; the name is what crosses the wire (proto enum ``ERROR_CODE_<NAME>``)."""

    INTERNAL = "INTERNAL"
    USAGE = "USAGE"
    LOCAL = "LOCAL"
    BAD_MESSAGE = "BAD_MESSAGE"
    VERSION = "VERSION"
    CLOCK_SKEW = "CLOCK_SKEW"
    PEER_IDENTITY = "PEER_IDENTITY"
    AGREEMENT_UNKNOWN = "AGREEMENT_UNKNOWN"
    AGREEMENT_NOT_ACTIVE = "AGREEMENT_NOT_ACTIVE"
    AGREEMENT_FORBIDS = "AGREEMENT_FORBIDS"
    PROFILE_MISMATCH = "PROFILE_MISMATCH"
    ENGINE_MISMATCH = "ENGINE_MISMATCH"
    SET_TOO_LARGE = "SET_TOO_LARGE"
    SET_TOO_SMALL = "SET_TOO_SMALL"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    BELOW_THRESHOLD = "BELOW_THRESHOLD"
    NOT_AUTHORISED_YET = "NOT_AUTHORISED_YET"
    PREVIEW_CHANGED = "PREVIEW_CHANGED"
    STALE = "STALE"
    RUN_UNKNOWN = "RUN_UNKNOWN"
    RUN_STATE = "RUN_STATE"
    BLOCKED = "BLOCKED"
    LOG_ROLLED_BACK = "LOG_ROLLED_BACK"
    CONFIRMATION_FAILED = "CONFIRMATION_FAILED"
    INPUT_QUALITY = "INPUT_QUALITY"
    NOT_ENTITLED = "NOT_ENTITLED"
    UNREACHABLE = "UNREACHABLE"
    BUSY = "BUSY"
    NO_ROOM = "NO_ROOM"
    CANCELLED = "CANCELLED"
    WORKER_DIED = "WORKER_DIED"


@dataclass(frozen=True)
class ErrorInfo:
    """What a code means to a shell, to gRPC and to the partner.

    ``exit_code`` is the process exit code (docs/cli.md), ``status`` the name of the gRPC status code, ``public``
    the only sentence about it that ever crosses the wire.
    """

    exit_code: int
    status: str
    public: str


ERRORS: dict[ErrorCode, ErrorInfo] = {
    ErrorCode.INTERNAL: ErrorInfo(1, "INTERNAL", "The peer failed; its operator's log says why."),
    ErrorCode.USAGE: ErrorInfo(2, "INVALID_ARGUMENT", "The request is not valid."),
    ErrorCode.LOCAL: ErrorInfo(1, "INTERNAL", "The peer failed; its operator's log says why."),
    ErrorCode.BAD_MESSAGE: ErrorInfo(1, "INVALID_ARGUMENT", "A message broke the protocol."),
    ErrorCode.VERSION: ErrorInfo(1, "FAILED_PRECONDITION", "The peers speak different protocol versions."),
    ErrorCode.CLOCK_SKEW: ErrorInfo(
        1, "FAILED_PRECONDITION", "The peers' clocks differ by more than allowed."
    ),
    ErrorCode.PEER_IDENTITY: ErrorInfo(4, "PERMISSION_DENIED", "This connection is not a known partner's."),
    ErrorCode.AGREEMENT_UNKNOWN: ErrorInfo(6, "NOT_FOUND", "No such agreement between the two peers."),
    ErrorCode.AGREEMENT_NOT_ACTIVE: ErrorInfo(6, "FAILED_PRECONDITION", "The agreement is not active."),
    ErrorCode.AGREEMENT_FORBIDS: ErrorInfo(3, "PERMISSION_DENIED", "The agreement does not allow this."),
    ErrorCode.PROFILE_MISMATCH: ErrorInfo(
        3, "FAILED_PRECONDITION", "The peers' normalisation profiles differ; both need the same release."
    ),
    ErrorCode.ENGINE_MISMATCH: ErrorInfo(3, "FAILED_PRECONDITION", "The engine is not the agreed one."),
    ErrorCode.SET_TOO_LARGE: ErrorInfo(
        3, "FAILED_PRECONDITION", "A set is larger than the agreement allows."
    ),
    ErrorCode.SET_TOO_SMALL: ErrorInfo(
        5, "FAILED_PRECONDITION", "A set is smaller than the agreement allows."
    ),
    ErrorCode.BUDGET_EXHAUSTED: ErrorInfo(3, "RESOURCE_EXHAUSTED", "The budget for matching is used up."),
    ErrorCode.BELOW_THRESHOLD: ErrorInfo(
        5, "FAILED_PRECONDITION", "The overlap is below the agreed minimum."
    ),
    ErrorCode.NOT_AUTHORISED_YET: ErrorInfo(
        9, "FAILED_PRECONDITION", "Not yet authorised by the other side."
    ),
    ErrorCode.PREVIEW_CHANGED: ErrorInfo(
        3, "ABORTED", "What would be sent changed; a new preview is needed."
    ),
    ErrorCode.STALE: ErrorInfo(3, "ABORTED", "The run is stale and was destroyed; start a new match."),
    ErrorCode.RUN_UNKNOWN: ErrorInfo(1, "NOT_FOUND", "No such run between the two peers."),
    ErrorCode.RUN_STATE: ErrorInfo(1, "FAILED_PRECONDITION", "The run is not in a state that allows this."),
    ErrorCode.BLOCKED: ErrorInfo(
        3, "FAILED_PRECONDITION", "An earlier run must be cleared by a person first."
    ),
    ErrorCode.LOG_ROLLED_BACK: ErrorInfo(
        3, "FAILED_PRECONDITION", "A log lacks what was cosigned; a person must look at it first."
    ),
    ErrorCode.CONFIRMATION_FAILED: ErrorInfo(1, "ABORTED", "The two sides' overlaps differ; the run failed."),
    ErrorCode.INPUT_QUALITY: ErrorInfo(
        7, "FAILED_PRECONDITION", "The peer cannot use its source at present."
    ),
    ErrorCode.NOT_ENTITLED: ErrorInfo(3, "PERMISSION_DENIED", "Not allowed."),
    ErrorCode.UNREACHABLE: ErrorInfo(8, "UNAVAILABLE", "The peer cannot be reached."),
    ErrorCode.BUSY: ErrorInfo(8, "RESOURCE_EXHAUSTED", "The peer is busy; try again."),
    ErrorCode.NO_ROOM: ErrorInfo(
        8, "RESOURCE_EXHAUSTED", "The peer has no room for a run of this size at present."
    ),
    ErrorCode.CANCELLED: ErrorInfo(1, "CANCELLED", "The call was cancelled."),
    ErrorCode.WORKER_DIED: ErrorInfo(
        1, "ABORTED", "The peer lost a worker; the run failed and can be repeated."
    ),
}


class MutualsError(Exception):
    """A failure a person is meant to read.

    ``code`` decides exit code and public message; ``message`` is one sentence for this side's operator and never
    crosses the wire; ``hint`` says what to do next.
    """

    def __init__(self, code: ErrorCode, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Callable[..., MutualsError], tuple[object, ...]]:
        """Errors travel from worker processes to the run they belong to."""
        return _rebuild, (type(self), self.code, self.message, self.hint)

    @property
    def exit_code(self) -> int:
        """The process exit code for this error (DESIGN §10; docs/cli.md)."""
        return ERRORS[self.code].exit_code


def _rebuild(kind: type[MutualsError], code: ErrorCode, message: str, hint: str | None) -> MutualsError:
    return kind(code, message, hint=hint)


class PartnerFault(MutualsError):
    """The partner sent something the protocol or the agreement does not allow: the evidence is logged."""


class PartnerRefused(MutualsError):
    """The partner answered with one of the public error codes; ``message`` names the partner and the reason."""


def place_of(error: BaseException) -> str:
    """The innermost line of our code that ``error`` passed, as ``module:line``: what may be told of any error.

    The text of a foreign error may hold data and is never shown or logged.
    """
    trace = error.__traceback__
    place = "unknown"
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.startswith("mutuals"):
            place = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
