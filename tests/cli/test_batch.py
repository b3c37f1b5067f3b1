"""What scheduled jobs rely on: one run for one occasion, patience with a partner that is down, exit codes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from support.pairing import Pair, contact, paired

from mutuals.engines.workers import InlinePool
from mutuals.errors import ERRORS, ErrorCode, MutualsError
from mutuals.models.agreement import Side
from mutuals.models.run import Role, Run, RunState
from mutuals.peer import Peer
from mutuals.runs.once import matching, recent_run
from mutuals_client import main, patience
from mutuals_client.exit_codes import EXIT_CODES
from mutuals_client.patience import Patience, duration

ROWS = {
    Side.PROPOSER: [contact(f"L{i}", f"p{i}@example.com") for i in range(3)],
    Side.PARTNER: [contact(f"R{i}", f"p{i}@example.com", score="1") for i in range(3)],
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two companies with one counted run; the partner has an endpoint where nobody answers."""
    with paired(tmp_path_factory.mktemp("batch"), ROWS, endpoint="127.0.0.1:1") as pair:
        pair.match()
        yield pair


@pytest.fixture
def run(pair: Pair) -> Run:
    with pair.left.peer.store.transaction() as tx:
        (run,) = tx.runs.list()
    return run


class Time:
    """A clock that passes only while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        monkeypatch.setattr(patience, "monotonic", lambda: self.now)
        monkeypatch.setattr(patience, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


def mutuals(pair: Pair, capture: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and object of a command of the left company."""
    main.reset_settings()
    code = main.run([*arguments, "--json", "--home", str(pair.left.peer.home.root)])
    return code, json.loads(capture.readouterr().out)


def test_a_run_of_today_is_shown_and_no_other_one_started(
    pair: Pair, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = mutuals(pair, capsys, "match", pair.digest, "--unless-since", "2d")
    assert (code, found["run"], found["started"]) == (0, run.run_id, False)
    # RFC 3339, which a blank between day and time is not.
    assert found["opened_at"] == run.opened_at.isoformat()


def test_without_a_run_of_the_time_the_partner_is_called_until_patience_ends(
    pair: Pair, capsys: pytest.CaptureFixture[str], time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Peer, "open_pool", lambda _: nullcontext(InlinePool()))
    code, found = mutuals(
        pair, capsys, *("match", pair.digest, "--unless-since", "0s", "--wait-for-partner", "10m")
    )
    assert (code, found["error"]["code"]) == (8, "UNREACHABLE")
    assert sum(time.pauses) == pytest.approx(600)
    assert len(time.pauses) < 20
    assert max(time.pauses) <= 72
    with pair.left.peer.store.transaction() as tx:
        assert len(tx.runs.list()) == 1


def test_a_reveal_waits_for_the_partner_too(
    pair: Pair, run: Run, capsys: pytest.CaptureFixture[str], time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mutuals_client.commands.reveal._authorise", lambda *_: None)
    code, _ = mutuals(pair, capsys, "reveal", run.run_id, "--wait-for-partner", "90s")
    assert code == 8
    assert sum(time.pauses) == pytest.approx(90)


@pytest.mark.parametrize("code", [ErrorCode.BUDGET_EXHAUSTED, ErrorCode.PEER_IDENTITY, ErrorCode.STALE])
def test_a_refusal_is_never_waited_out(time: Time, code: ErrorCode) -> None:
    with pytest.raises(MutualsError):
        Patience(timedelta(hours=1)).pause(MutualsError(code, "No."))
    assert time.pauses == []


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("20h", 72000), ("2d", 172800)])
def test_durations(text: str, seconds: int) -> None:
    assert duration(text, "--x") == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "20", "h", "-1h", "1.5h", "1w", "20 h", "1h30m", "99999999d"])
def test_what_is_no_duration(pair: Pair, capsys: pytest.CaptureFixture[str], text: str) -> None:
    code, found = mutuals(pair, capsys, "match", pair.digest, f"--unless-since={text}")
    assert (code, found["error"]["code"]) == (2, "USAGE")


def test_what_stands_for_a_result(pair: Pair, run: Run) -> None:
    """A run of each state in turn, as the only one there is."""
    since = run.opened_at - timedelta(hours=1)
    peer = pair.left.peer

    def seen(state: RunState, role: Role = Role.INITIATOR, **asked: bool) -> str:
        class Rows:
            class runs:
                @staticmethod
                def list() -> list[Run]:
                    return [replace(run, state=state, role=role)]

        try:
            found = recent_run(Rows, pair.digest, since, **asked)  # type: ignore[arg-type]  # all it asks for
        except MutualsError as error:
            return error.code.value
        return "nothing" if found is None else "it"

    results = {state: seen(state) for state in RunState}
    having = {RunState.COUNTED, RunState.REVEALING, RunState.REVEALED, RunState.EXCHANGING, RunState.DONE}
    assert {state for state, what in results.items() if what == "it"} == having
    assert results[RunState.BELOW_THRESHOLD] == "BELOW_THRESHOLD"
    assert results[RunState.MATCHING] == "BUSY"
    assert seen(RunState.MATCHING, alone=True) == "nothing"  # whoever started it is gone
    assert seen(RunState.MATCHING, Role.RESPONDER, alone=True) == "BUSY"
    assert seen(RunState.COUNT_ONLY, count_only=True) == "it"
    with peer.store.transaction() as tx:
        assert recent_run(tx, pair.digest, run.opened_at + timedelta(seconds=1)) is None
        assert recent_run(tx, "00" * 32, since) is None


def test_two_jobs_at_once_are_one(pair: Pair) -> None:
    """The second is refused while the first is at work, as is one that was started by hand meanwhile."""
    peer, refused = pair.left.peer, []

    def other(alone: bool) -> None:
        try:
            with matching(peer, pair.digest, alone=alone):
                pass
        except MutualsError as error:
            refused.append(error.exit_code)

    with matching(peer, pair.digest, alone=True) as certain:
        assert certain
        for alone in (True, False):
            thread = threading.Thread(target=other, args=(alone,))
            thread.start()
            thread.join()
    other(True)
    assert refused == [8, 8]
    assert (peer.home.locks.stat().st_mode & 0o077, len(list(peer.home.locks.iterdir()))) == (0, 1)


def test_a_run_revealed_before_is_no_error(
    pair: Pair, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    revealed = replace(run, state=RunState.REVEALED, contacts=3)
    monkeypatch.setattr("mutuals_client.commands.reveal.find_run", lambda *_: revealed)
    code, found = mutuals(pair, capsys, "reveal", run.run_id)
    assert (code, found["state"]) == (0, "revealed")


def test_every_error_ends_with_a_code_that_is_documented(
    pair: Pair, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    meant = {one.code for one in EXIT_CODES}
    for code in {ERRORS[code].exit_code: code for code in ErrorCode}.values():
        failure = MutualsError(code, "It failed.")
        monkeypatch.setattr("mutuals.runs.lifecycle.expire_runs", Mock(side_effect=failure))
        ended, found = mutuals(pair, capsys, "match", pair.digest)
        assert (ended, found["error"]["code"]) == (failure.exit_code, code.value)
        assert ended in meant
