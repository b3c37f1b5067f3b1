"""How an error becomes a gRPC status and back.

Only the code and the fixed public sentence of ``mutuals.errors.ERRORS`` cross the wire, in the trailing
metadata ``mutuals-error-bin``; the text of an exception never does. What comes back is judged by the code
alone: the partner's sentence is not shown, ours for that code is.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError

from mutuals.errors import ERRORS, ErrorCode, MutualsError, PartnerFault, PartnerRefused
from mutuals.v1 import error_pb2

ERROR_METADATA = "mutuals-error-bin"

# This side's own troubles are no business of the partner's: it learns that the peer failed.
_KEPT_PRIVATE = frozenset({ErrorCode.LOCAL, ErrorCode.USAGE})

_SAME_RELEASE = "Install the same release on both sides."
_THEIR_SET = (
    "It must be the set of {partner}, since yours was checked before. Ask it to run: mutuals source check"
)

# What a person can do about a refusal by ``{partner}``.
_HINTS: dict[ErrorCode, str] = {
    ErrorCode.INTERNAL: "Ask {partner} to look at its log: log/server.log",
    ErrorCode.BAD_MESSAGE: f"{_SAME_RELEASE} If they have it, please report this.",
    ErrorCode.VERSION: _SAME_RELEASE,
    ErrorCode.CLOCK_SKEW: "Check the clock of both machines (time synchronisation).",
    ErrorCode.PEER_IDENTITY: "Send {partner} your current card: mutuals card",
    ErrorCode.AGREEMENT_UNKNOWN: "See whether the proposal was delivered: mutuals agreement list",
    ErrorCode.AGREEMENT_NOT_ACTIVE: "See where it stands: mutuals agreement list",
    ErrorCode.AGREEMENT_FORBIDS: "See what was agreed: mutuals agreement show",
    ErrorCode.PROFILE_MISMATCH: _SAME_RELEASE,
    ErrorCode.ENGINE_MISMATCH: _SAME_RELEASE,
    ErrorCode.SET_TOO_LARGE: _THEIR_SET,
    ErrorCode.SET_TOO_SMALL: _THEIR_SET,
    ErrorCode.BUDGET_EXHAUSTED: "{partner} counts what you put in. See what was agreed: mutuals agreement show",
    ErrorCode.BELOW_THRESHOLD: "Nothing was kept. See the agreed minimum: mutuals agreement show",
    ErrorCode.NOT_AUTHORISED_YET: "Ask {partner} to authorise it, then repeat the command.",
    ErrorCode.PREVIEW_CHANGED: "Ask {partner} to authorise it again, then repeat the command.",
    ErrorCode.STALE: "Start a new match: mutuals match",
    ErrorCode.RUN_UNKNOWN: "Compare the runs of both sides: mutuals runs",
    ErrorCode.RUN_STATE: "Compare where it stands on both sides: mutuals runs",
    ErrorCode.BLOCKED: "Look into it together with {partner}: mutuals runs",
    ErrorCode.LOG_ROLLED_BACK: "Ask {partner} which log, and look at yours: mutuals audit verify",
    ErrorCode.CONFIRMATION_FAILED: "Find out why together with {partner} before the next run.",
    ErrorCode.INPUT_QUALITY: "Ask {partner} to run: mutuals source check",
    ErrorCode.NOT_ENTITLED: "Ask {partner} who may do it there.",
    ErrorCode.BUSY: "Try again in a few minutes.",
    ErrorCode.NO_ROOM: "Reveal and exchange, or destroy, the runs that wait with {partner}; or ask it to make room.",
    ErrorCode.WORKER_DIED: "Repeat the command.",
}
_TRY_AGAIN = "Nothing is lost; try again."

# What a status means that came without a code of ours: from gRPC itself, or from something else altogether.
_STATUS_CODES: dict[grpc.StatusCode, ErrorCode] = {
    grpc.StatusCode.UNAVAILABLE: ErrorCode.UNREACHABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ErrorCode.UNREACHABLE,
    grpc.StatusCode.CANCELLED: ErrorCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ErrorCode.BUSY,
    grpc.StatusCode.UNIMPLEMENTED: ErrorCode.VERSION,
}


@dataclass(frozen=True)
class WireStatus:
    """What the caller gets to see of an error."""

    code: ErrorCode
    status: grpc.StatusCode
    public: str

    @property
    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """The trailing metadata."""
        detail = error_pb2.ErrorDetail(code=self.code.value, message=self.public)
        return ((ERROR_METADATA, detail.SerializeToString()),)


def to_wire(error: BaseException) -> WireStatus:
    """What a partner may know of ``error``: its public code, or INTERNAL for anything that is not ours."""
    code = error.code if isinstance(error, MutualsError) else ErrorCode.INTERNAL
    if code in _KEPT_PRIVATE:
        code = ErrorCode.INTERNAL
    info = ERRORS[code]
    return WireStatus(code, grpc.StatusCode[info.status], info.public)


def from_rpc_error(error: grpc.RpcError, partner: str) -> MutualsError:
    """What a failed call means to this side's operator; ``partner`` is the organisation that was called."""
    if not isinstance(error, grpc.Call):
        return MutualsError(ErrorCode.INTERNAL, f"The call to {partner} failed.")
    code, details = _code_of(error), error.details() or ""
    if code is ErrorCode.UNREACHABLE:
        return PartnerRefused(code, f"{partner} gave up waiting for this side.", hint=_TRY_AGAIN)
    code = code or _STATUS_CODES.get(error.code(), ErrorCode.INTERNAL)
    if code is ErrorCode.UNREACHABLE and error.code() is grpc.StatusCode.UNAVAILABLE:
        return _unavailable(details, partner)
    if code is ErrorCode.UNREACHABLE:
        return MutualsError(code, f"{partner} did not answer in time.", hint=_TRY_AGAIN)
    if code is ErrorCode.CANCELLED:
        return MutualsError(code, f"The call to {partner} was cancelled.", hint="Try again.")
    if code is ErrorCode.BUSY and "larger than max" in details:  # gRPC's own words, on this side
        return PartnerFault(ErrorCode.BAD_MESSAGE, f"A message to or from {partner} is over the limit.")
    return PartnerRefused(
        code, f"{partner} refused: {ERRORS[code].public}", hint=_HINTS[code].format(partner=partner)
    )


def _code_of(error: grpc.Call) -> ErrorCode | None:
    """The code the partner gave, INTERNAL for one that we do not know or no peer tells, nothing where it gave none."""
    for key, value in error.trailing_metadata() or ():
        if key == ERROR_METADATA and isinstance(value, bytes):
            try:
                code = ErrorCode(error_pb2.ErrorDetail.FromString(value).code)
            except (DecodeError, ValueError):
                return ErrorCode.INTERNAL
            return ErrorCode.INTERNAL if code in _KEPT_PRIVATE else code
    return None


def _unavailable(details: str, partner: str) -> MutualsError:
    """gRPC has one status for a closed port, a failed handshake and a broken line; its text differs."""
    if "CERTIFICATE_VERIFY_FAILED" in details or "Hostname Verification" in details:
        return MutualsError(
            ErrorCode.PEER_IDENTITY,
            f"What answers at the endpoint of {partner} does not have the certificate of its card.",
            hint=f"If {partner} renewed its card, import the new one: mutuals partner add FILE. Otherwise "
            "somebody else may be answering.",
        )
    if "Tls handshake failed" in details or "SSL_ERROR" in details:
        return MutualsError(
            ErrorCode.UNREACHABLE,
            f"{partner} is there, but no secure connection came about.",
            hint="The endpoint may belong to something else, or a firewall may break the connection.",
        )
    if "Socket closed" in details or "Connection reset" in details or "EOF" in details:
        return MutualsError(
            ErrorCode.UNREACHABLE,
            f"{partner} closed the connection.",
            hint=f"{_TRY_AGAIN} If it always happens, {partner} may not have your current card yet: "
            "mutuals card",
        )
    return MutualsError(
        ErrorCode.UNREACHABLE,
        f"{partner} cannot be reached at the endpoint of its card.",
        hint=f"{_TRY_AGAIN} Its operator starts it with: mutuals serve",
    )
