"""Limits: who enters, who is told to come back, what is written about it; with a clock that the test moves."""

from __future__ import annotations

import dataclasses
import resource
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.pairing import Pair, contact, paired

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.config_text import config_toml
from mutuals.identity.home import Config, parse_config
from mutuals.identity.limits import OWN_FILES, LimitSettings
from mutuals.models.agreement import Side
from mutuals.runs.match import initiate_match, respond_match
from mutuals.runs.needs import memory_needed, spool_needed
from mutuals.runs.spill import SPILL_ABOVE_BYTES
from mutuals.transport.options import DEFAULT_LIMITS, Limits, server_options
from mutuals_server.admission import Admission
from mutuals_server.limits import limits_of, machine_memory, within_open_files
from mutuals_server.log import ServerLog
from mutuals_server.rates import Bucket
from mutuals_server.refusals import TOGETHER_SECONDS, Reason, Refusals, Refused
from mutuals_server.room import Room

MIB = 1024 * 1024
GREEDY, HONEST = b"certificate of one", b"certificate of another"


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(action: Callable[[], Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        action()
    return caught.value


# Rates


def test_a_bucket_gives_what_it_holds_and_then_as_fast_as_it_fills() -> None:
    clock = Seconds()
    bucket = Bucket(per_second=2, burst=3, clock=clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.now += 0.5
    assert [bucket.take(), bucket.take()] == [True, False]
    clock.now += 3600
    assert [bucket.take() for _ in range(4)] == [True, True, True, False], (
        "it never holds more than its burst"
    )


def test_what_is_owed_to_a_bucket_is_waited_for_in_the_order_of_coming() -> None:
    clock = Seconds()
    bucket = Bucket(per_second=10, burst=10, clock=clock)
    assert bucket.spend(10) == 0
    assert bucket.spend(20) == pytest.approx(2)
    assert bucket.spend(10) == pytest.approx(3)
    clock.now += 3
    assert bucket.spend(1) == pytest.approx(0.1)


# Admission


def test_calls_a_minute_are_a_partners_own() -> None:
    clock = Seconds()
    admission = Admission(Limits(calls_per_minute=60, unary_calls=100, unary_calls_per_partner=100), clock)
    greedy, honest = admission.account(GREEDY), admission.account(HONEST)
    for _ in range(60):
        admission.enter(greedy, "Ping", streaming=False)
        admission.leave(greedy, streaming=False)
    over = refused(lambda: admission.enter(greedy, "Ping", streaming=False))
    assert (over.reason, over.code) == (Reason.CALLS, ErrorCode.BUSY)
    admission.enter(honest, "Ping", streaming=False)
    clock.now += 1
    admission.enter(greedy, "Ping", streaming=False)
    assert refused(lambda: admission.enter(greedy, "Sync", streaming=False)).reason is Reason.CALLS


def test_a_partner_opens_few_matches_a_minute() -> None:
    clock = Seconds()
    admission = Admission(Limits(matches_per_minute=2), clock)
    account = admission.account(GREEDY)
    for _ in range(2):
        admission.enter(account, "Match", streaming=True)
        admission.leave(account, streaming=True)
    assert refused(lambda: admission.enter(account, "Match", streaming=True)).reason is Reason.MATCHES
    admission.enter(account, "Reveal", streaming=True)  # what it has matched it may go on with
    clock.now += 30
    admission.enter(account, "Match", streaming=True)


@pytest.mark.parametrize(("streaming", "reason"), [(True, Reason.RUNS), (False, Reason.CALLS_AT_A_TIME)])
def test_one_partner_cannot_take_the_places_of_others(streaming: bool, reason: Reason) -> None:
    limits = Limits(runs=5, runs_per_partner=3, unary_calls=5, unary_calls_per_partner=3)
    admission = Admission(limits, Seconds())
    greedy, honest = admission.account(GREEDY), admission.account(HONEST)

    def enter(who: Any) -> None:
        admission.enter(who, "Exchange", streaming=streaming)

    for _ in range(3):
        enter(greedy)
    assert refused(lambda: enter(greedy)).reason is reason
    enter(honest)
    enter(honest)
    assert refused(lambda: enter(honest)).reason is reason, "all five are taken"
    admission.leave(greedy, streaming=streaming)
    enter(honest)
    assert refused(lambda: enter(greedy)).reason is reason


def test_a_call_that_is_refused_takes_no_place() -> None:
    admission = Admission(Limits(runs_per_partner=1, matches_per_minute=1), Seconds())
    account = admission.account(GREEDY)
    admission.enter(account, "Match", streaming=True)
    for _ in range(5):
        refused(lambda: admission.enter(account, "Match", streaming=True))
    admission.leave(account, streaming=True)
    assert refused(lambda: admission.enter(account, "Match", streaming=True)).reason is Reason.MATCHES
    admission.enter(account, "Reveal", streaming=True)


def test_bytes_are_slowed_down_for_whoever_sends_many_and_for_all_where_all_do() -> None:
    clock = Seconds()
    limits = Limits(bytes_per_second=30 * MIB, bytes_per_second_per_partner=10 * MIB)
    admission = Admission(limits, clock)
    greedy, honest = admission.account(GREEDY), admission.account(HONEST)
    assert greedy.received(20 * MIB) == 0, "a burst of two seconds is free"
    assert greedy.received(10 * MIB) == pytest.approx(1)
    assert honest.received(MIB) == 0
    others = [admission.account(bytes([number])) for number in range(3)]
    assert [other.received(20 * MIB) for other in others] == [pytest.approx(n / 30) for n in (0, 11, 31)]


# The log


def test_a_flood_of_refusals_is_few_lines(tmp_path: Path) -> None:
    log = ServerLog(lambda: datetime.now(UTC), stderr=False)
    lines: list[dict[str, Any]] = []
    log.event = lambda event, **fields: lines.append({"event": event, **fields})  # type: ignore[method-assign]
    waiting: list[Callable[[], None]] = []

    def later(seconds: float, action: Callable[[], None]) -> None:
        assert seconds == TOGETHER_SECONDS
        waiting.append(action)

    refusals = Refusals(log, later)
    for _ in range(1000):
        refusals.note(Reason.CALLS, "Beta SA")
    refusals.note(Reason.RUNS, "Beta SA")
    refusals.note(Reason.CALLS, None)
    (tell,) = waiting
    tell()
    assert lines == [
        {"event": "refused", "reason": "calls", "partner": "Beta SA", "times": 1},
        {"event": "refused", "reason": "runs", "partner": "Beta SA", "times": 1},
        {"event": "refused", "reason": "calls", "partner": None, "times": 1},
        {"event": "refused", "reason": "calls", "partner": "Beta SA", "times": 999},
    ]
    refusals.note(Reason.CALLS, "Beta SA")
    assert lines[-1]["times"] == 1
    assert len(waiting) == 2


# Memory and disk

LISTS = {
    Side.PROPOSER: [contact(f"L{n}", f"person{n}@example.com") for n in range(6)],
    Side.PARTNER: [contact(f"R{n}", f"person{n}@example.com") for n in range(2, 8)],
}


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    with paired(tmp_path, LISTS) as made:
        yield made


def room(pair: Pair, free: int = 10**12, **changes: Any) -> Room:
    return Room(pair.right.peer, dataclasses.replace(DEFAULT_LIMITS, **changes), lambda: free)


def test_memory_is_claimed_by_what_is_announced(pair: Pair) -> None:
    need = memory_needed(1_000_000, 1_000_000)
    narrow = room(pair, memory=3 * need, memory_per_partner=2 * need)
    with narrow.place("a") as one, narrow.place("a") as two, narrow.place("a") as three:
        one.claim(0, 1_000_000)
        one.claim(1_000_000, 1_000_000)  # in place of the first claim
        two.claim(1_000_000, 1_000_000)
        assert refused(lambda: three.claim(1, 1)).code is ErrorCode.BUSY
        with narrow.place("b") as other:
            other.claim(1_000_000, 1_000_000)
            with narrow.place("c") as last:
                assert refused(lambda: last.claim(1, 1)).reason is Reason.MEMORY
    with narrow.place("a") as again:
        again.claim(2_000_000, 1_999_999)
        never = refused(lambda: again.claim(2_000_000, 2_000_001))
        assert (never.reason, never.code) == (Reason.MEMORY, ErrorCode.NO_ROOM)


def test_what_runs_left_on_disk_counts_against_their_partner(pair: Pair) -> None:
    run, _ = pair.match()
    need = spool_needed(1000, 1000)
    spool = pair.right.peer.home.spool / f"{run.run_id}.spool"
    left = spool.stat().st_size
    assert left > 0
    theirs = pair.right.partner().fingerprint
    narrow = room(pair, spool=10 * need, spool_per_partner=need + left - 1)
    with narrow.place(theirs) as place:
        full = refused(lambda: place.claim(1000, 1000))
        assert (full.reason, full.code) == (Reason.SPOOL, ErrorCode.NO_ROOM)
        place.carries(run.run_id)  # its own file is what is claimed
        place.claim(1000, 1000)
    with narrow.place("somebody else") as place:
        place.claim(1000, 1000)
    with room(pair, spool=need + left - 1).place("somebody else") as place:
        assert refused(lambda: place.claim(1000, 1000)).reason is Reason.SPOOL


def test_disk_that_is_kept_free_is_left_by_all_claims_together(pair: Pair) -> None:
    need = spool_needed(1000, 1000)
    narrow = room(pair, free=100 + 2 * need - 1, free_disk=100)
    with narrow.place("a") as one, narrow.place("b") as two:
        one.claim(1000, 1000)
        full = refused(lambda: two.claim(1000, 1000))
        assert (full.reason, full.code) == (Reason.DISK, ErrorCode.NO_ROOM)
        two.claim(900, 900)
        two.check_disk()
    assert refused(room(pair, free=99, free_disk=100).check_disk).reason is Reason.DISK


def test_a_match_without_room_is_refused_before_it_is_charged(pair: Pair) -> None:
    asked: list[tuple[int, int]] = []
    full = Refused(Reason.SPOOL, "There is no room.", ErrorCode.NO_ROOM)

    def make_room(own: int, theirs: int) -> None:
        asked.append((own, theirs))
        if own:
            raise full

    with pytest.raises(MutualsError):
        pair.both(
            lambda stream: initiate_match(pair.left.peer, pair.digest, stream, pair.pool),
            lambda stream: respond_match(
                pair.right.peer, pair.right.partner(), stream, pair.pool, make_room=make_room
            ),
        )
    assert asked == [(0, 6), (6, 6)]
    partner = pair.right.partner().fingerprint
    with pair.right.peer.store.transaction() as tx:
        assert tx.budgets.usage(partner, pair.right.clock() - timedelta(days=30)).runs == 0
    assert not list(pair.right.peer.home.spool.glob("R-*"))
    pair.match()


def test_needs_are_those_that_were_measured() -> None:
    million = 1_000_000
    assert memory_needed(million, million) == 136 * million
    assert spool_needed(million, million) == 164 * million
    long = SPILL_ABOVE_BYTES // 32
    assert spool_needed(long, 0) == long * (80 + 36 + 33)
    assert memory_needed(0, long) < 68 * long


# Configuration


def test_limits_are_read_as_they_are_written() -> None:
    config = Config(organisation="Acme Ltd")
    assert parse_config(tomllib.loads(config_toml(config)), "config.toml") == config
    changed = config.model_copy(update={"limits": LimitSettings(runs=64, runs_per_partner=8, memory_mb=4000)})
    assert parse_config(tomllib.loads(config_toml(changed)), "config.toml") == changed


@pytest.mark.parametrize("key", ["runs", "mb_per_second", "memory_mb", "spool_mb"])
def test_a_share_is_a_part(key: str) -> None:
    with pytest.raises(MutualsError, match=f"{key}_per_partner is more than {key}"):
        parse_config({"organisation": "Acme", "limits": {key: 20, f"{key}_per_partner": 21}}, "config.toml")


def test_the_defaults_of_the_configuration_are_those_of_the_code() -> None:
    made = limits_of(LimitSettings())
    assert made.memory == machine_memory() // 2
    assert made.memory_per_partner == machine_memory() // 4
    for field in dataclasses.fields(Limits):
        if not field.name.startswith("memory"):  # those are the machine's
            assert getattr(made, field.name) == getattr(DEFAULT_LIMITS, field.name), field.name


def test_64_runs_from_8_partners_can_be_configured() -> None:
    made = limits_of(LimitSettings(runs=64, runs_per_partner=8))
    assert made.threads >= 64 + 64
    assert dict(server_options(made))["grpc.max_concurrent_streams"] >= 16
    admission = Admission(made, Seconds())
    for number in range(8):
        account = admission.account(bytes([number]))
        for _ in range(8):
            admission.enter(account, "Sync", streaming=False)
            admission.enter(account, "Match", streaming=True)


def test_connections_leave_the_server_files_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: given[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: given.append(pair))
    assert within_open_files(Limits(connections=5000)).connections == 4096 - OWN_FILES
    assert given[-1] == (4096, 4096), "as far as the system permits"
    assert within_open_files(Limits(connections=100)).connections == 100
    assert len(given) == 2
