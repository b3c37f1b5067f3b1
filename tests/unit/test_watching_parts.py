"""The parts that watching a server is made of, each by itself."""

from __future__ import annotations

import io
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mutuals.errors import ErrorCode, MutualsError
from mutuals.eventlog import EventLog, describe, human_line
from mutuals.identity.home import parse_config
from mutuals.identity.local import is_loopback, metrics_address
from mutuals_server.follow import Follower
from mutuals_server.log import ServerLog
from mutuals_server.sampling import Sampled

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


# --- logs -------------------------------------------------------------------------------------------------------


def test_a_line_is_for_people_or_for_machines_and_observers_hear_it_whole() -> None:
    heard: list[tuple[str, dict[str, Any]]] = []
    stream = io.StringIO()
    log = EventLog(lambda: NOW)
    log.write_to(stream, human_line)
    log.observe(lambda event, fields: 1 / 0)
    log.observe(lambda event, fields: heard.append((event, fields)))
    log.event("act", partner='Evil "Ltd"\nnext', run=None, seconds=1.5, stages={"read": 0.25, "blind": 1.0})
    log.file_event("listening")
    log.quiet_event("housekeeping")
    assert stream.getvalue() == (
        '2026-05-01 12:00:00Z act partner="Evil \\"Ltd\\"\\nnext" seconds=1.500 stages=read:0.250,blind:1.000\n'
    )
    assert [event for event, _ in heard] == ["act", "listening", "housekeeping"]
    assert "run" not in heard[0][1]


def test_standard_error_may_be_json(capsys: pytest.CaptureFixture[str]) -> None:
    ServerLog(lambda: NOW, layout="json").event("call", **describe(ValueError("jane@example.com")))
    line = json.loads(capsys.readouterr().err)
    assert line == {
        "at": "2026-05-01T12:00:00+00:00",
        "event": "call",
        "code": "INTERNAL",
        "error": "ValueError",
        "place": "unknown",
    }


def test_what_a_person_stopped_is_no_failure() -> None:
    assert describe(KeyboardInterrupt())["code"] == "CANCELLED"


# --- following the commands -------------------------------------------------------------------------------------


def line(number: int, event: str = "act") -> bytes:
    """A line of a log."""
    return json.dumps({"event": event, "number": number}).encode() + b"\n"


def test_a_log_is_followed_from_its_end_over_turns_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "client.log"
    seen: list[int] = []
    path.write_bytes(line(1))
    follower = Follower(path, lambda fields: seen.append(fields["number"]))
    follower.update()
    assert seen == [], "what was before is not counted"
    with path.open("ab") as stream:
        stream.write(line(2) + b"not json\n\xff\n[1]\n" + line(3, "other") + line(4)[:5])
        stream.flush()
        follower.update()
        assert seen == [2]
        stream.write(line(4)[5:])
    path.rename(tmp_path / "client.log.1")
    path.write_bytes(line(5))
    follower.update()
    assert seen == [2, 4, 5]
    path.unlink()
    follower.update()
    path.write_bytes(line(6))
    follower.update()
    assert seen == [2, 4, 5, 6]
    follower.close()


def test_a_log_that_is_not_there_yet_is_read_from_its_beginning(tmp_path: Path) -> None:
    seen: list[int] = []
    follower = Follower(tmp_path / "client.log", lambda fields: seen.append(fields["number"]))
    follower.update()
    (tmp_path / "client.log").write_bytes(line(1))
    follower.update()
    assert seen == [1]
    follower.close()


# --- looking now and then ---------------------------------------------------------------------------------------


class Seconds:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_look_counts_for_a_while_and_a_failed_one_keeps_the_last() -> None:
    clock = Seconds()
    results: list[Any] = [
        1,
        MutualsError(ErrorCode.LOCAL, "It is locked."),
        ValueError("jane@example.com"),
        4,
    ]

    def look() -> int:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        value: int = result
        return value

    sampled = Sampled(look, fresh_seconds=10, clock=clock)
    assert sampled.latest().value == 1
    clock.now = 9
    assert (sampled.latest().value, sampled.latest().age) == (1, 9)
    clock.now = 10
    locked = sampled.latest()
    assert (locked.value, locked.problem) == (1, "It is locked.")
    clock.now = 20
    assert "jane" not in str(sampled.latest().problem)
    clock.now = 30
    assert (sampled.latest().value, sampled.latest().problem) == (4, None)


def test_a_look_that_takes_long_is_taken_seldom() -> None:
    clock = Seconds()
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        clock.now += 1 if len(looks) == 1 else 30

    sampled = Sampled(look, fresh_seconds=10, clock=clock)
    for now, count in ((0, 1), (50, 1), (51, 2), (140, 2), (141, 3)):
        clock.now = now
        sampled.latest()
        assert len(looks) == count, f"after {now} seconds"


def test_a_look_that_hangs_is_waited_for_once() -> None:
    go_on = threading.Event()
    begun: list[int] = []

    def look() -> int:
        begun.append(1)
        go_on.wait(30)
        return 1

    sampled = Sampled(look, fresh_seconds=0, wait_seconds=0.01)
    for _ in range(3):
        assert sampled.latest().problem == "There is no answer."
    assert len(begun) == 1, "no thread is added to one that hangs"
    go_on.set()


# --- the address ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["127.0.0.1:9464", "localhost:9464", "[::1]:9464", "127.1.2.3:1"])
def test_metrics_are_for_this_machine(text: str) -> None:
    host, port = metrics_address(text)
    assert is_loopback(host)
    assert text.endswith(str(port))
    assert parse_config({"organisation": "Acme Ltd", "metrics": text}, "config.toml").metrics == text


@pytest.mark.parametrize(
    "text", ["0.0.0.0:9464", "10.0.0.5:9464", "[::]:9464", "peer.example:9464", "127.0.0.1.evil.example:9464"]
)
def test_for_others_only_where_it_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="everybody on the network"):
        metrics_address(text)
    with pytest.raises(MutualsError, match="metrics would show"):
        parse_config({"organisation": "Acme Ltd", "metrics": text}, "config.toml")
    host, port = metrics_address(f"network:{text}")
    assert (f"[{host}]" if ":" in host else host) + f":{port}" == text


@pytest.mark.parametrize("text", ["9464", "127.0.0.1", "127.0.0.1:99999", "unix:metrics", "network:", ""])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        metrics_address(text)
