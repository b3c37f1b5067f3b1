"""A run's stream over real loopback TLS: nothing lost, nobody left waiting, no text of an error across."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.companies import QUICK, Company

import mutuals_server.service
from mutuals.errors import ErrorCode, MutualsError, PartnerFault, PartnerRefused
from mutuals.protocol.messages import MAX_CHUNK_BYTES, Blinded, Counted, TagCommit
from mutuals.runs.ports import Cancelled, MessageStream
from mutuals.transport.connection import PartnerConnection
from mutuals.transport.options import Limits
from mutuals.transport.wire import MATCH

SECRET = "jane@example.com"
FIRST = TagCommit(b"c" * 32)
LAST = Counted(b"s" * 64)

Stream = MessageStream[Any, Any]


@dataclass
class Called:
    """Acme with a responder that the test chose, and Beta calling it."""

    acme: Company
    beta: Company
    respond: Callable[[Stream, Cancelled], None]
    stack: ExitStack

    def serve(self, limits: Limits = QUICK) -> PartnerConnection:
        """Start, and give a connection."""
        self.stack.enter_context(self.acme.serving(limits))
        return self.stack.enter_context(self.beta.call(self.acme, limits))


def talk(connection: PartnerConnection, say: Callable[[Stream], None]) -> None:
    """Say something in one call and leave it properly."""
    with connection.match() as stream:
        say(stream)


def error_of(connection: PartnerConnection, say: Callable[[Stream], None]) -> MutualsError:
    """How a call ended in which that was said."""
    with pytest.raises(MutualsError) as caught:
        talk(connection, say)
    return caught.value


def hear_first_and_go_on(stream: Stream) -> None:
    assert stream.receive() == FIRST
    stream.receive()


@pytest.fixture
def called(pair: tuple[Company, Company], monkeypatch: pytest.MonkeyPatch) -> Iterator[Called]:
    with ExitStack() as stack:
        made = Called(*pair, lambda stream, cancelled: None, stack)
        monkeypatch.setattr(
            mutuals_server.service,
            "respond_match",
            lambda _peer, _partner, stream, _pool, *, cancelled, **_: made.respond(stream, cancelled),
        )
        yield made


def test_large_chunks_both_ways_at_once_and_the_last_word_arrives(called: Called) -> None:
    chunks = [Blinded(number, bytes([number]) * MAX_CHUNK_BYTES) for number in range(40)]
    received: list[Any] = []

    def both(stream: Stream) -> list[Any]:
        """Send everything while receiving everything, as the match does."""
        taken: list[Any] = []
        sender = threading.Thread(target=lambda: [stream.send(chunk) for chunk in chunks])
        sender.start()
        taken += [stream.receive() for _ in chunks]
        sender.join()
        return taken

    def respond(stream: Stream, _: Cancelled) -> None:
        received.extend(both(stream))
        received.append(stream.receive())
        stream.send(LAST)

    called.respond = respond
    with called.serve().match() as stream:
        assert both(stream) == chunks
        stream.send(LAST)
        assert stream.receive() == LAST
    assert received == [*chunks, LAST]


def test_a_message_sent_last_is_not_lost(called: Called) -> None:
    done = threading.Event()

    def respond(stream: Stream, _: Cancelled) -> None:
        time.sleep(0.2)
        assert stream.receive() == LAST
        done.set()

    called.respond = respond
    with called.serve().match() as stream:
        stream.send(LAST)
    assert done.is_set()


def test_whoever_is_ahead_waits(called: Called) -> None:
    sent: list[int] = []
    go_on = threading.Event()

    def respond(stream: Stream, _: Cancelled) -> None:
        for number in range(100):
            stream.send(Blinded(number, b"p" * MAX_CHUNK_BYTES))
            sent.append(number)
        go_on.set()

    called.respond = respond
    with called.serve().match() as stream:
        assert not go_on.wait(1)
        assert len(sent) < 60
        for number in range(100):
            assert stream.receive().start == number


@pytest.mark.parametrize("error", [ValueError(SECRET), RuntimeError(SECRET), SystemExit(SECRET)])
def test_an_exception_shows_no_text(called: Called, error: BaseException) -> None:
    def respond(stream: Stream, _: Cancelled) -> None:
        stream.send(FIRST)
        raise error

    called.respond = respond
    refused = error_of(called.serve(), hear_first_and_go_on)
    assert refused.code is ErrorCode.INTERNAL
    assert SECRET not in refused.message
    assert SECRET not in str(refused.__cause__)
    assert SECRET not in called.acme.log_text()
    lines = called.acme.log_lines()
    assert sorted(line["event"] for line in lines) == ["act", "call"]
    for line in lines:
        assert line["error"] == type(error).__name__
        assert line["partner"] == "Beta SA"


def test_an_exception_in_a_plain_call_shows_no_text(
    called: Called, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> Any:
        raise ValueError(SECRET)

    monkeypatch.setattr(mutuals_server.service, "answer_sync", fail)
    with pytest.raises(PartnerRefused) as refused:
        called.serve().sync(mutuals_server.service.SYNC.request.decode(b""))
    assert refused.value.code is ErrorCode.INTERNAL
    assert SECRET not in called.acme.log_text()
    assert SECRET not in "".join(capfd.readouterr())


def test_a_public_error_arrives_as_its_code_after_the_messages_before_it(called: Called) -> None:
    def respond(stream: Stream, _: Cancelled) -> None:
        stream.send(FIRST)
        raise MutualsError(ErrorCode.BUDGET_EXHAUSTED, f"Not for {SECRET}.", hint=SECRET)

    called.respond = respond
    refused = error_of(called.serve(), hear_first_and_go_on)
    assert isinstance(refused, PartnerRefused)
    assert refused.code is ErrorCode.BUDGET_EXHAUSTED
    assert refused.exit_code == 3
    assert SECRET not in refused.message


def test_an_error_after_the_last_message_is_noticed_on_leaving(called: Called) -> None:
    def respond(stream: Stream, _: Cancelled) -> None:
        stream.receive()
        raise MutualsError(ErrorCode.STALE, "Stale.")

    called.respond = respond
    assert error_of(called.serve(), lambda stream: stream.send(LAST)).code is ErrorCode.STALE


def test_sending_to_a_partner_that_refused_raises_its_reason(called: Called) -> None:
    def respond(stream: Stream, _: Cancelled) -> None:
        raise MutualsError(ErrorCode.BLOCKED, "Blocked.")

    called.respond = respond

    def send_for_ever(stream: Stream) -> None:
        while True:
            stream.send(FIRST)

    assert error_of(called.serve(), send_for_ever).code is ErrorCode.BLOCKED


def test_a_partner_that_ends_early_left_and_is_not_at_fault(called: Called) -> None:
    ended = error_of(called.serve(), lambda stream: stream.receive())
    assert not isinstance(ended, PartnerFault)
    assert (ended.code, ended.message) == (ErrorCode.CANCELLED, "Acme Ltd left before the end.")


def test_a_caller_that_ends_early_left_and_is_not_at_fault(called: Called) -> None:
    seen: list[MutualsError] = []

    def respond(stream: Stream, _: Cancelled) -> None:
        try:
            stream.receive()
        except MutualsError as error:
            seen.append(error)
            raise

    called.respond = respond
    assert error_of(called.serve(), lambda stream: None).code is ErrorCode.CANCELLED
    assert [(type(error), error.message) for error in seen] == [
        (MutualsError, "Beta SA left before the end.")
    ]


def test_the_log_names_a_caller_who_stopped_as_cancelled(called: Called) -> None:
    began = threading.Event()

    def respond(stream: Stream, _: Cancelled) -> None:
        began.set()
        stream.receive()

    def stop_by_hand(_: Stream) -> None:
        assert began.wait(5)
        raise KeyboardInterrupt

    called.respond = respond
    with pytest.raises(KeyboardInterrupt):
        talk(called.serve(), stop_by_hand)
    deadline = time.monotonic() + 5
    while not (lines := [line for line in called.acme.log_lines() if line.get("method") == "Match"]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [(line["event"], line["code"]) for line in lines] == [("call", "CANCELLED")]
    assert "INTERNAL" not in called.acme.log_text()


def test_a_message_after_the_last_one_is_a_fault(called: Called) -> None:
    called.respond = lambda stream, cancelled: stream.send(FIRST)
    with pytest.raises(PartnerFault, match="after the last"):
        talk(called.serve(), lambda stream: None)


@pytest.mark.parametrize("busy", ["receiving", "sending", "computing"])
def test_cancelling_stops_the_work_within_a_second(called: Called, busy: str) -> None:
    began, stopped = threading.Event(), threading.Event()

    def respond(stream: Stream, cancelled: Cancelled) -> None:
        began.set()
        try:
            while busy == "receiving":
                stream.receive()
            while busy == "sending":
                stream.send(Blinded(0, b"p" * MAX_CHUNK_BYTES))
            while not cancelled():
                time.sleep(0.01)
        finally:
            stopped.set()

    called.respond = respond
    connection = called.serve(replace(QUICK, runs=1))

    def give_up(stream: Stream) -> None:
        assert began.wait(5)
        time.sleep(0.2)
        assert not stopped.is_set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        talk(connection, give_up)
    assert stopped.wait(1)
    called.respond = lambda stream, cancelled: None
    time.sleep(0.2)
    talk(connection, lambda stream: None)  # the place is free again


def test_a_connection_that_vanishes_stops_the_work_within_a_second(called: Called) -> None:
    began, stopped = threading.Event(), threading.Event()

    def respond(stream: Stream, cancelled: Cancelled) -> None:
        began.set()
        while not cancelled():
            time.sleep(0.01)
        stopped.set()

    called.respond = respond
    connection = called.serve()

    def vanish(stream: Stream) -> None:
        assert began.wait(5)
        connection.close()
        stream.receive()

    assert error_of(connection, vanish).code in {ErrorCode.CANCELLED, ErrorCode.UNREACHABLE}
    assert stopped.wait(1)


@pytest.mark.parametrize("how", ["cancelled", "lost"])
def test_a_broken_call_is_nobodys_fault(called: Called, how: str) -> None:
    """gRPC may report the end of the messages a moment before the break; a fault would end the run for good."""
    heard: list[BaseException] = []
    began, done = threading.Event(), threading.Event()

    def respond(stream: Stream, _: Cancelled) -> None:
        assert stream.receive() == FIRST
        began.set()
        try:
            stream.receive()
        except BaseException as error:
            heard.append(error)
            raise
        finally:
            done.set()

    called.respond = respond
    called.stack.enter_context(called.acme.serving())
    for _ in range(10):
        connection = called.beta.call(called.acme)

        def break_off(stream: Stream, connection: PartnerConnection = connection) -> None:
            stream.send(FIRST)
            assert began.wait(5)
            if how == "lost":
                connection.close()
            raise KeyboardInterrupt

        began.clear()
        done.clear()
        with connection, pytest.raises(KeyboardInterrupt):
            talk(connection, break_off)
        assert done.wait(5)
    assert [type(error) for error in heard] == [MutualsError] * 10
    assert {error.code for error in heard if isinstance(error, MutualsError)} == {ErrorCode.CANCELLED}


def test_a_server_that_goes_away_is_unreachable(called: Called) -> None:
    began = threading.Event()

    def respond(stream: Stream, _: Cancelled) -> None:
        began.set()
        stream.receive()

    called.respond = respond
    server = called.stack.enter_context(called.acme.serving())
    connection = called.stack.enter_context(called.beta.call(called.acme))

    def outlive(stream: Stream) -> None:
        assert began.wait(5)
        server.stop(grace=0)
        stream.receive()

    assert error_of(connection, outlive).code in {ErrorCode.UNREACHABLE, ErrorCode.CANCELLED}


def test_a_silent_caller_is_given_up(called: Called) -> None:
    called.respond = lambda stream, cancelled: stream.receive()
    called.stack.enter_context(called.acme.serving(replace(QUICK, idle=0.3)))
    patient = called.stack.enter_context(called.beta.call(called.acme))
    start = time.monotonic()
    ended = error_of(patient, lambda stream: stream.receive())
    assert time.monotonic() - start < 3
    assert ended.code is ErrorCode.UNREACHABLE
    assert "gave up waiting" in ended.message


def test_a_caller_that_does_not_read_is_given_up(called: Called) -> None:
    stopped = threading.Event()

    def respond(stream: Stream, _: Cancelled) -> None:
        try:
            while True:
                stream.send(Blinded(0, b"p" * MAX_CHUNK_BYTES))
        finally:
            stopped.set()

    called.respond = respond
    called.stack.enter_context(called.acme.serving(replace(QUICK, idle=0.5)))
    slow = called.stack.enter_context(called.beta.call(called.acme))

    def read_much_later(stream: Stream) -> None:
        assert stopped.wait(5)
        while True:
            stream.receive()

    assert error_of(slow, read_much_later).code in {ErrorCode.UNREACHABLE, ErrorCode.CANCELLED}


def test_a_silent_partner_is_given_up(called: Called) -> None:
    called.respond = lambda stream, cancelled: time.sleep(1)
    called.stack.enter_context(called.acme.serving())
    hasty = called.stack.enter_context(called.beta.call(called.acme, replace(QUICK, idle=0.3)))
    ended = error_of(hasty, lambda stream: stream.receive())
    assert "has sent nothing" in ended.message
    assert ended.exit_code == 8


def test_runs_over_the_limit_are_refused_politely(called: Called) -> None:
    release = threading.Event()

    def respond(stream: Stream, _: Cancelled) -> None:
        release.wait(10)

    called.respond = respond
    connection = called.serve(replace(QUICK, runs=5, runs_per_partner=2))
    with ExitStack() as going_on:
        for _ in range(2):
            going_on.enter_context(connection.match())
        time.sleep(0.3)
        assert error_of(connection, lambda stream: stream.receive()).code is ErrorCode.BUSY
        connection.ping()  # everything else is still answered
        release.set()
    talk(connection, lambda stream: None)


def test_malformed_messages_end_the_call_with_a_public_code(called: Called) -> None:
    seen: list[Exception] = []

    def respond(stream: Stream, _: Cancelled) -> None:
        try:
            stream.receive()
        except MutualsError as error:
            seen.append(error)
            raise

    called.respond = respond
    connection = called.serve()
    raw: Any = connection._channel.stream_stream(MATCH.path)
    call = raw(iter([b"\xff\xff\xff"]), timeout=5)
    with pytest.raises(Exception, match="broke the protocol"):
        next(call)
    assert isinstance(seen[0], PartnerFault)
