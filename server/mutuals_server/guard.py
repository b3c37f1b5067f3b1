"""Who may call, and what a caller gets to see when something fails.

Every call passes the guard, also one over an old connection and one to the health service. First it needs a place
(``mutuals_server.admission``); then:

1. the connection is TLS 1.3;
2. the public key of its certificate is on the card of a partner, who has not been removed since;
3. the certificate is the very one on that card, or on the card before while a rotation lasts, and valid at this
   moment by our clock.

Whatever a handler raises becomes a public code and the fixed sentence for it (``mutuals.transport.status``); the
rest goes into the log. Requests reach handlers as bytes, so that nothing of them is parsed outside the guard.

To gRPC every call is a stream, also those with one message each way: gRPC would wait for the message of a call before
it asks the guard, for ever, in a thread that all partners share.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import grpc

from mutuals.crypto.tls import BadCertificate, check_certificate
from mutuals.errors import ERRORS, ErrorCode, MutualsError, PartnerFault
from mutuals.identity.cards import tls_pin
from mutuals.identity.partners import good_certificates
from mutuals.peer import Peer
from mutuals.store.rows import PartnerRow
from mutuals.transport.options import DEFAULT_LIMITS, Limits
from mutuals.transport.status import WireStatus, to_wire
from mutuals_server.admission import Account, Admission
from mutuals_server.log import ServerLog, describe
from mutuals_server.refusals import Reason, Refusals, Refused
from mutuals_server.room import Place
from mutuals_server.underway import CallsUnderWay

TLS_VERSION = b"TLSv1.3"

_FAILED = WireStatus(ErrorCode.INTERNAL, grpc.StatusCode.INTERNAL, ERRORS[ErrorCode.INTERNAL].public)


class Call:
    """One admitted call: what a handler gets in place of gRPC's context, whose methods it also has.

    A handler sets ``run_id`` for the log once it knows which run the call is about, and ``place`` where the call has
    one for a run. ``account`` counts what the partner sends.
    """

    def __init__(self, context: grpc.ServicerContext, partner: PartnerRow, account: Account) -> None:
        self.context = context
        self.partner = partner
        self.account = account
        self.run_id: str | None = None
        self.place: Place | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)


class Guard(grpc.ServerInterceptor):
    """The interceptor. ``hidden`` are methods answered as if they did not exist."""

    def __init__(
        self,
        peer: Peer,
        log: ServerLog,
        hidden: frozenset[str] = frozenset(),
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._peer = peer
        self._log = log
        self._hidden = hidden
        self._limits = limits
        self._admission = Admission(limits)
        self._underway = CallsUnderWay()
        self.refusals = Refusals(log)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler of the call, whatever kind it is."""
        method = handler_call_details.method
        handler = None if method in self._hidden else continuation(handler_call_details)
        if handler is None:
            return None
        read = _reader(handler)
        write = handler.response_serializer or _unchanged
        name = method.rpartition("/")[2]
        if handler.response_streaming:
            behaviour: Any = handler.stream_stream if handler.request_streaming else handler.unary_stream

            def stream(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[bytes]:
                with (
                    self._entered(name, context, streaming=True) as account,
                    self._admitted(name, context, account) as call,
                ):
                    request = requests if handler.request_streaming else _only(requests)
                    for response in behaviour(read(request), call):
                        yield write(response)

            return grpc.stream_stream_rpc_method_handler(stream)
        answer: Any = handler.stream_unary if handler.request_streaming else handler.unary_unary

        def single(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[bytes]:
            with self._entered(name, context, streaming=False) as account, ExitStack() as until_taken:
                with self._admitted(name, context, account) as call:
                    late = until_taken.enter_context(self._in_time(context))
                    request = requests if handler.request_streaming else _only(requests, late)
                    response: bytes = write(answer(read(request), call))
                yield response  # whoever does not take it still holds the place

        return grpc.stream_stream_rpc_method_handler(single)

    @contextmanager
    def _entered(self, method: str, context: grpc.ServicerContext, *, streaming: bool) -> Iterator[Account]:
        """Hold a place for the call while the block lasts; refuse it where there is none."""
        certificates: Any = context.auth_context().get("x509_pem_cert", ())
        account = self._admission.account(b"".join(certificates))
        try:
            self._admission.enter(account, method, streaming=streaming)
        except Refused as refused:
            self.refusals.note(refused.reason, account.name)
            seen = to_wire(refused)
            context.set_trailing_metadata(seen.trailers)
            context.abort(seen.status, seen.public)
        try:
            yield account
        finally:
            self._admission.leave(account, streaming=streaming)

    @contextmanager
    def _in_time(self, context: grpc.ServicerContext) -> Iterator[Callable[[], bool]]:
        """Cancel the call once it has taken too long; whether that has happened.

        A caller of ours has given up by then. One that sends nothing, or takes no answer, would hold its thread.
        """
        late = threading.Event()

        def cancel() -> None:
            late.set()
            context.cancel()

        timer = threading.Timer(self._limits.unary, cancel)
        timer.daemon = True
        timer.start()
        try:
            yield late.is_set
        finally:
            timer.cancel()

    @contextmanager
    def _admitted(self, method: str, context: grpc.ServicerContext, account: Account) -> Iterator[Call]:
        """The call, if it may enter; ends it with a public error where anything inside fails. Logs it."""
        started = time.monotonic()
        call: Call | None = None
        try:
            call = Call(context, self.admit(context), account)
            account.name = call.partner.name
            with self._underway.including(context):
                yield call
        except GeneratorExit:  # gRPC dropped a stream that the caller has left
            self._note(method, call, started, {"code": ErrorCode.CANCELLED.value})
            raise
        except BaseException as error:
            seen = _FAILED
            try:
                if isinstance(error, Refused):
                    self.refusals.note(error.reason, account.name)
                else:
                    self._note(method, call, started, describe(error))
                seen = to_wire(error)
                context.set_trailing_metadata(seen.trailers)
            finally:
                # Whatever else leaves a handler, gRPC sends its text to the caller.
                context.abort(seen.status, seen.public)
        else:
            self._note(method, call, started, {"code": "OK"})

    def end_outdated(self) -> None:
        """Cancel the calls under way that would not be let in any more."""
        ended = self._underway.end(self.admit)
        if ended:
            self._log.event("calls_ended", calls=ended, why="their certificate or partner is no longer good")

    def admit(self, context: grpc.ServicerContext) -> PartnerRow:
        """The partner at the other end of the call. Raises MutualsError (PEER_IDENTITY)."""
        # The stubs take the values for bytes; they are sequences of bytes.
        connection: Mapping[str, Any] = context.auth_context()
        if list(connection.get("ssl_tls_version", ())) != [TLS_VERSION]:
            raise _stranger("it is not TLS 1.3")
        certificates = list(connection.get("x509_pem_cert", ()))
        if len(certificates) != 1:
            raise _stranger("it has no certificate")
        certificate: bytes = certificates[0]
        try:
            pin = tls_pin(certificate.decode("ascii"))
        except ValueError as error:
            raise _stranger("its certificate cannot be read") from error
        with self._peer.store.transaction() as tx:
            partner = tx.partners.by_pin(pin) or tx.partners.by_previous_pin(pin)
        if partner is None or partner.removed_at is not None:
            raise _stranger("its certificate is on no partner's card")
        now = self._peer.clock()
        good = {_der(pem) for pem in good_certificates(partner, now)}
        if _der(certificate.decode("ascii")) not in good:
            raise _stranger(f"its certificate is not the one on the card of {partner.name}")
        try:
            check_certificate(certificate, bytes.fromhex(partner.fingerprint), now)
        except BadCertificate as error:
            raise _stranger(f"{error} ({partner.name})") from error
        return partner

    def _note(self, method: str, call: Call | None, started: float, outcome: dict[str, str]) -> None:
        # A call that has been dealt with does not fail because it cannot be logged.
        with suppress(Exception):
            self._log.event(
                "call",
                method=method,
                partner=call.partner.name if call else None,
                run=call.run_id if call else None,
                seconds=round(time.monotonic() - started, 3),
                **outcome,
            )


def _reader(handler: grpc.RpcMethodHandler[Any, Any]) -> Callable[[Any], Any]:
    parse = handler.request_deserializer or _unchanged
    if handler.request_streaming:
        return lambda requests: (parse(request) for request in requests)
    return parse


def _only(requests: Iterator[Any], late: Callable[[], bool] = lambda: False) -> Any:
    """The one message of a call. Raises MutualsError where none comes."""
    try:
        return next(requests)
    except (StopIteration, grpc.RpcError) as error:  # gRPC tells a call that is over by either
        if late():
            raise Refused(Reason.STALLED, "The partner sent no message.", ErrorCode.UNREACHABLE) from None
        if isinstance(error, StopIteration):
            raise PartnerFault(ErrorCode.BAD_MESSAGE, "The partner sent no message.") from None
        raise MutualsError(ErrorCode.CANCELLED, "The caller left.") from None


def _unchanged(value: Any) -> Any:
    return value


def _der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.strip())


def _stranger(why: str) -> MutualsError:
    return MutualsError(ErrorCode.PEER_IDENTITY, f"A connection was refused: {why}.")
