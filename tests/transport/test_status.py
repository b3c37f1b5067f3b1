"""Errors cross the wire as a code and a fixed sentence, and come back as something a person can act on."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from mutuals.errors import ERRORS, ErrorCode, MutualsError, PartnerFault, PartnerRefused
from mutuals.transport.status import ERROR_METADATA, from_rpc_error, to_wire
from mutuals.v1 import error_pb2

SECRET = "jane@example.com"


class FailedCall(grpc.RpcError, grpc.Call):
    """What a stub raises."""

    def __init__(self, status: grpc.StatusCode, details: str = "", trailers: Any = ()) -> None:
        self._status, self._details, self._trailers = status, details, trailers

    def code(self) -> grpc.StatusCode:
        return self._status

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._trailers

    def _unused(self, *_: Any) -> Any:
        raise NotImplementedError

    initial_metadata = is_active = time_remaining = cancel = add_callback = _unused


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_a_status_and_comes_back(code: ErrorCode) -> None:
    seen = to_wire(MutualsError(code, f"About {SECRET}.", hint=SECRET))
    shown = ErrorCode.INTERNAL if code in {ErrorCode.LOCAL, ErrorCode.USAGE} else code
    assert seen.status.name == ERRORS[shown].status
    assert SECRET not in repr(seen)
    back = from_rpc_error(FailedCall(seen.status, seen.public, seen.trailers), "Beta SA")
    assert back.code is shown
    assert "Beta SA" in back.message


@pytest.mark.parametrize("code", ErrorCode)
def test_every_refusal_says_what_to_do(code: ErrorCode) -> None:
    seen = to_wire(MutualsError(code, "A sentence."))
    hint = from_rpc_error(FailedCall(seen.status, seen.public, seen.trailers), "{Beta} SA").hint
    assert hint
    assert "{partner}" not in hint


def test_a_set_of_the_wrong_size_is_said_to_be_the_partners() -> None:
    seen = to_wire(MutualsError(ErrorCode.SET_TOO_SMALL, "A sentence."))
    hint = from_rpc_error(FailedCall(seen.status, seen.public, seen.trailers), "Beta SA").hint
    assert hint is not None
    assert hint.startswith("It must be the set of Beta SA")


@pytest.mark.parametrize(
    "error", [ValueError(SECRET), KeyError(SECRET), KeyboardInterrupt(), SystemExit(SECRET)]
)
def test_foreign_errors_show_nothing(error: BaseException) -> None:
    seen = to_wire(error)
    assert seen.code is ErrorCode.INTERNAL
    assert SECRET not in repr(seen)
    assert SECRET.encode() not in seen.trailers[0][1]


def test_the_partners_own_words_are_not_shown() -> None:
    detail = error_pb2.ErrorDetail(code="BUDGET_EXHAUSTED", message="Call this number now")
    call = FailedCall(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "Or this one", ((ERROR_METADATA, detail.SerializeToString()),)
    )
    error = from_rpc_error(call, "Beta SA")
    assert isinstance(error, PartnerRefused)
    assert error.message == f"Beta SA refused: {ERRORS[ErrorCode.BUDGET_EXHAUSTED].public}"


@pytest.mark.parametrize(
    "value", [b"\xff\xff", error_pb2.ErrorDetail(code="NO_SUCH").SerializeToString(), b""]
)
def test_an_unknown_code_counts_as_internal(value: bytes) -> None:
    error = from_rpc_error(FailedCall(grpc.StatusCode.NOT_FOUND, "", ((ERROR_METADATA, value),)), "Beta SA")
    assert error.code is ErrorCode.INTERNAL


@pytest.mark.parametrize(
    ("status", "details", "code", "exit_code"),
    [
        (grpc.StatusCode.UNAVAILABLE, "failed to connect: Connection refused", ErrorCode.UNREACHABLE, 8),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", ErrorCode.UNREACHABLE, 8),
        (grpc.StatusCode.UNAVAILABLE, "CERTIFICATE_VERIFY_FAILED", ErrorCode.PEER_IDENTITY, 4),
        (grpc.StatusCode.UNAVAILABLE, "Hostname Verification Check failed", ErrorCode.PEER_IDENTITY, 4),
        (grpc.StatusCode.UNAVAILABLE, "Tls handshake failed", ErrorCode.UNREACHABLE, 8),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", ErrorCode.UNREACHABLE, 8),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", ErrorCode.BUSY, 8),
        (grpc.StatusCode.UNIMPLEMENTED, "Method not found!", ErrorCode.VERSION, 1),
        (grpc.StatusCode.CANCELLED, "Locally cancelled", ErrorCode.CANCELLED, 1),
        (grpc.StatusCode.UNKNOWN, f"Exception: {SECRET}", ErrorCode.INTERNAL, 1),
    ],
)
def test_status_of_grpcs_own(status: grpc.StatusCode, details: str, code: ErrorCode, exit_code: int) -> None:
    error = from_rpc_error(FailedCall(status, details), "Beta SA")
    assert (error.code, error.exit_code) == (code, exit_code)
    assert SECRET not in error.message


def test_a_message_over_the_limit_is_a_fault() -> None:
    call = FailedCall(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "CLIENT: Received message larger than max (9 vs. 1)"
    )
    assert isinstance(from_rpc_error(call, "Beta SA"), PartnerFault)
