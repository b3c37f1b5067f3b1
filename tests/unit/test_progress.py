"""What people are told while a run goes on: a bar for the one who started it, lines in the log of the other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from mutuals.runs.pace import Pace
from mutuals_client.progress import measure
from mutuals_server.log import ServerLog
from mutuals_server.progress import LoggedProgress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_pace_is_that_of_the_last_half_minute() -> None:
    clock = Clock()
    pace = Pace(100_000, clock)
    assert (pace.rate, pace.left, measure(pace)) == (None, None, "0 of 100,000")
    for _ in range(100):  # fast at first
        clock.now += 1
        pace.advance(500)
    assert pace.rate == 500
    assert measure(pace) == "50,000 of 100,000, 500 a second, 0:01:40 left"
    for _ in range(40):
        clock.now += 1
        pace.advance(100)
    assert pace.rate == 100
    assert measure(pace) == "54,000 of 100,000, 100 a second, 0:07:40 left"


def test_time_left_grows_while_nothing_comes() -> None:
    clock = Clock()
    pace = Pace(1000, clock)
    clock.now += 1
    pace.advance(100)
    assert pace.left == 9
    clock.now += 9
    assert pace.left == 90


def test_a_stage_without_measure_has_a_count_and_a_rate_and_no_end() -> None:
    clock = Clock()
    pace = Pace(0, clock)
    clock.now += 10
    pace.advance(1000)
    assert measure(pace) == "1,000, 100 a second"


def test_the_server_logs_a_line_every_ten_seconds_and_none_of_a_quick_run(tmp_path: Path) -> None:
    clock = Clock()
    log = ServerLog(lambda: datetime(2026, 5, 1, tzinfo=UTC), tmp_path / "server.log", stderr=False)
    run: list[str] = []
    progress = LoggedProgress(log, "Beta SA", lambda: run[0] if run else None, clock)
    progress.stage("reading contacts", 0)
    clock.now += 12
    progress.stage("reading contacts", 9000)
    run.append("R-7Q3K2M9X")
    progress.stage("blinding both lists", 200_000)
    for _ in range(25):
        clock.now += 1
        progress.advance(1000)
    lines = [json.loads(line) for line in (tmp_path / "server.log").read_text().splitlines()]
    for line in lines:
        assert (line.pop("at"), line.pop("event")) == ("2026-05-01T00:00:00+00:00", "progress")
    assert lines == [
        {"partner": "Beta SA", "stage": "reading contacts", "done": 0, "total": 9000},
        *(
            {
                "partner": "Beta SA",
                "run": "R-7Q3K2M9X",
                "stage": "blinding both lists",
                "done": done,
                "total": 200_000,
                "rate": 1000,
                "left": (200_000 - done) // 1000,
            }
            for done in (10_000, 20_000)
        ),
    ]
