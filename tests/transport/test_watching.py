"""What a server tells those who watch it, against what really happened; and the examples in deploy/ against that."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.companies import QUICK, free_port
from support.pairing import Pair, contact, paired
from support.revealed import authorise_both
from support.watching import Key, Watcher, key, watched

from mutuals.agreement.document import agreement_id
from mutuals.agreement.suspension import suspend
from mutuals.engines.workers import InlinePool
from mutuals.models.agreement import Side
from mutuals.models.run import Run
from mutuals.runs.acts import STAGES
from mutuals.runs.authorisation import authorise_reveal
from mutuals.runs.drive_match import STAGE_POINTS
from mutuals.runs.ports import Progress, Silent
from mutuals_client import driving
from mutuals_client.patience import Patience
from mutuals_server import readiness, sampling
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus-alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana-dashboard.json"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()

SHARED = [contact(str(number), f"both{number}@example.com") for number in range(3)]
LEFT = [*SHARED, contact("l", "left@example.com", "+4930123456")]
RIGHT = [*SHARED, contact("r", "right@example.com")]
DAYS = 900


@dataclass
class Story:
    """A whole run, then a match that is stopped by hand: the acts that both sides logged, and one scrape of each.

    ``later`` is one of the right side, which serves, when ``DAYS`` have passed.
    """

    run: Run
    acts: dict[str, list[dict[str, Any]]]
    left: dict[Key, float]
    right: dict[Key, float]
    later: dict[Key, float]


@contextmanager
def stage(root: Path) -> Iterator[tuple[Pair, PeerServer, Watcher, Watcher]]:
    """Two companies, the right one's server, and who watches them: the left one for what its commands do."""
    lists = {Side.PROPOSER: LEFT, Side.PARTNER: RIGHT}
    endpoint = f"127.0.0.1:{free_port()}"
    with (
        paired(root, lists, endpoint=endpoint, matching={"runs_per_30_days": 7}) as pair,
        ExitStack() as stack,
    ):
        right = pair.right.peer
        log = ServerLog(pair.right.clock, right.home.server_log, stderr=False)
        stack.callback(log.close)
        left = stack.enter_context(watched(pair.left.peer, ServerLog(pair.left.clock, stderr=False)))
        watcher = stack.enter_context(watched(right, log))
        server = PeerServer(right, InlinePool(), endpoint, log=log, limits=QUICK)
        server.start()
        stack.callback(server.stop, 0)
        yield pair, server, left, watcher


class Stopped(Silent):
    """A person who stops a match when its points are on the way."""

    def stage(self, name: str, total: int) -> None:
        """See ``Progress.stage``."""
        if name == STAGE_POINTS:
            raise KeyboardInterrupt


def match(pair: Pair, progress: Progress) -> Run:
    """As the command does, but for its worker processes."""
    peer = pair.left.peer
    peer.open_pool = lambda: nullcontext(InlinePool())  # type: ignore[method-assign,assignment]  # a test's
    return driving.match(
        peer,
        agreement_id(pair.digest),
        operator="anna",
        patience=Patience(),
        showing=lambda: nullcontext(progress),
    ).run


def acts(path: Path) -> list[dict[str, Any]]:
    """The acts in a log."""
    return [line for line in map(json.loads, path.read_text().splitlines()) if line["event"] == "act"]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Played once."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(readiness, "FRESH_SECONDS", 0)
        patch.setattr(sampling, "REST", 0)
        played = stack.enter_context(stage(tmp_path_factory.mktemp("story")))
        pair, server, left_watcher, right_watcher = played
        left, right = pair.left, pair.right
        run = match(pair, Silent())
        for side in (left, right):
            authorise_reveal(side.peer, side.run(run.run_id), side.keys)
        options: dict[str, Any] = {"patience": Patience(), "showing": lambda: nullcontext(Silent())}
        driving.reveal(left.peer, run, lambda *_: None, **options)
        authorise_both(pair, run.run_id)
        driving.exchange(left.peer, left.run(run.run_id), **options)
        with pytest.raises(KeyboardInterrupt):
            match(pair, Stopped())
        assert server._places.wait_until_empty(10)
        noted = {"left": acts(left.peer.home.client_log), "right": acts(right.peer.home.server_log)}
        samples = left_watcher.samples(), right_watcher.samples()
        with right.peer.store.transaction() as tx:
            suspend(tx, right.peer, pair.digest, "A pause.", None, right.keys)
        right.clock.now += timedelta(days=DAYS)
        yield Story(run, noted, *samples, right_watcher.samples())


def test_one_id_finds_a_run_in_the_logs_of_both_sides(story: Story) -> None:
    for side, role in (("left", "initiator"), ("right", "responder")):
        found = story.acts[side]
        assert [line["kind"] for line in found] == ["match", "reveal", "exchange", "match"]
        assert {line["role"] for line in found} == {role}
        assert [(line["run"], line["code"]) for line in found[:3]] == [(story.run.run_id, "OK")] * 3
    stopped = [story.acts[side][3] for side in ("left", "right")]
    assert stopped[0]["run"] == stopped[1]["run"] != story.run.run_id, "also of one that fails in the middle"
    assert [line["code"] for line in stopped] == ["CANCELLED", "CANCELLED"]


def test_runs_items_and_bytes_are_those_that_were(story: Story) -> None:
    run = story.run
    moved = ((run.own_size, run.partner_size), (3, 3), (3, 3))
    for (ours, theirs), here, there in zip(moved, story.acts["left"], story.acts["right"], strict=False):
        assert (here["items_sent"], here["items_received"]) == (ours, theirs)
        for one, other in (("sent", "received"), ("received", "sent")):
            assert here[f"items_{one}"] == there[f"items_{other}"]
            assert here[f"bytes_{one}"] == there[f"bytes_{other}"] > 0
    for side, role, partner in (("left", "initiator", "Right SA"), ("right", "responder", "Left Ltd")):
        samples: dict[Key, float] = getattr(story, side)
        for kind in ("match", "reveal", "exchange"):
            lines = [line for line in story.acts[side] if line["kind"] == kind]
            act = {"partner": partner, "kind": kind}
            assert samples[key("mutuals_runs_total", **act, role=role, code="OK")] == 1
            assert samples[key("mutuals_run_duration_seconds_count", role=role, kind=kind)] == len(lines)
            for way in ("sent", "received"):
                for what, name in (
                    ("items", "mutuals_items_total"),
                    ("bytes", "mutuals_message_bytes_total"),
                ):
                    total = sum(line[f"{what}_{way}"] for line in lines)
                    assert samples[key(name, **act, direction=way)] == total
        stopped = {"role": role, "kind": "match", "code": "CANCELLED"}
        assert samples[key("mutuals_runs_total", partner=partner, **stopped)] == 1
    for kind in ("match", "reveal", "exchange"):
        assert story.right[key("mutuals_runs_under_way", partner="Left Ltd", kind=kind)] == 0
    assert story.right[key("mutuals_runs_stored", partner="Left Ltd", role="responder", state="done")] == 1


def test_calls_and_stages_are_counted(story: Story) -> None:
    for method, least in {"Match": 1, "Reveal": 1, "Exchange": 1, "Sync": 4}.items():
        assert story.right[key("mutuals_calls_total", partner="Left Ltd", method=method, code="OK")] >= least
        assert story.right[key("mutuals_call_duration_seconds_count", method=method)] >= least
    stages = {
        (found["kind"], found["stage"])
        for name, labels in story.right
        if name == "mutuals_stage_duration_seconds_count" and (found := dict(labels))
    }
    assert stages == {
        *(("match", stage) for stage in ("read", "blind", "partner_blinds", "compare")),
        *{("reveal", "read"), ("reveal", "reveal"), ("exchange", "exchange")},
    }


def test_every_stage_that_a_person_is_told_has_a_name_in_the_metrics() -> None:
    told = set()
    for path in (ROOT / "core" / "mutuals" / "runs").glob("*.py"):
        told |= set(re.findall(r'^STAGE_\w+ = "(.+)"$', path.read_text(), re.MULTILINE))
    assert told == set(STAGES)


def test_budgets_outboxes_certificates_and_what_is_overdue(story: Story) -> None:
    now = {
        "mutuals_budget_runs_used": 2,
        "mutuals_budget_runs_allowed": 7,
        "mutuals_budget_items_used": 2 * story.run.own_size,
        "mutuals_outbox_documents": 0,
        "mutuals_outbox_oldest_age_seconds": 0,
    }
    later = {
        "mutuals_budget_runs_used": 0,
        "mutuals_outbox_documents": 1,
        "mutuals_outbox_oldest_age_seconds": DAYS * 86400,
    }
    for samples, values in ((story.right, now), (story.later, later)):
        for name, value in values.items():
            assert samples[key(name, partner="Left Ltd")] == value, name
    for name in ("mutuals_certificate_days_left", "mutuals_partner_certificate_days_left"):
        partner = {"partner": "Left Ltd"} if "partner" in name else {}
        assert 390 < story.right[key(name, **partner)] <= 397
        assert story.later[key(name, **partner)] < -500
    assert story.right[key("mutuals_retention_overdue_seconds")] == 0
    assert story.later[key("mutuals_retention_overdue_seconds")] > 86400
    assert story.right[key("mutuals_housekeeping_last_success_timestamp_seconds")] > 0


# --- what is written about it -----------------------------------------------------------------------------------


_CLAUSE = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"\b([a-z_:]\w*)\b(?!\s*\()\s*(?:\{([^}]*)\})?", re.IGNORECASE)
_WORDS = {"or", "and", "unless", "offset", "bool", "sum", "min", "max"}
_ADDED = {"instance", "job"}
"""The labels that Prometheus adds to what it scrapes."""


def expressions() -> list[str]:
    """Every expression of the alerts and of the dashboard."""
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [
        *(rule["expr"] for rule in rules),
        *(target["expr"] for panel in panels for target in panel.get("targets", [])),
    ]


def unknown(expression: str, offered: dict[str, set[str]]) -> set[str]:
    """Metrics and labels in ``expression`` that no server has; ``offered`` are labels by name of a metric."""
    grouped = {label for names in _CLAUSE.findall(expression) for label in re.split(r"\W+", names)} - {""}
    plain = re.sub(r"\[[^\]]*\]|\boffset \w+|\b\d\w*", " ", _CLAUSE.sub(" ", expression))
    found: set[str] = set()
    used: set[str] = set()
    for name, matchers in _SELECTOR.findall(plain):
        if name in _WORDS and not matchers:
            continue
        if name not in offered:
            found.add(name)
            continue
        used |= offered[name]
        found |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) - offered[name] - _ADDED
    return found | (grouped - used - _ADDED)


@pytest.fixture
def offered(story: Story) -> dict[str, set[str]]:
    """The labels of every metric that the server really showed, and of Prometheus's own."""
    names: dict[str, set[str]] = {"up": {"job"}}
    for name, labels in story.right:
        names.setdefault(name, set()).update(label for label, _ in labels)
    return names


def test_alerts_and_dashboard_ask_for_what_a_server_has(offered: dict[str, set[str]]) -> None:
    asked = expressions()
    assert len(asked) > 30
    for expression in asked:
        assert unknown(expression, offered) == set(), expression
    wrong = 'sum by (who) (rate(mutuals_runs_total{colour="red"}[5m])) / mutuals_nothing offset 1h'
    assert unknown(wrong, offered) == {"who", "colour", "mutuals_nothing"}


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["schemaVersion"] >= 36
    assert {"datasource", "instance", "partner"} == {one["name"] for one in dashboard["templating"]["list"]}
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["type"] in {"row", "stat", "timeseries", "bargauge"}
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another one"
        assert all(x < 24 for x, _ in cells)
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}"
            assert "$instance" in target["expr"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool here")
def test_prometheus_understands_the_alerts(tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(ROOT / "tests" / "data" / "watching" / "alerts.test.yml", tmp_path)
    for order in (["check", "rules", ALERTS.name], ["test", "rules", "alerts.test.yml"]):
        done = subprocess.run(["promtool", *order], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_metrics_in_the_documents_are_those_of_a_server(offered: dict[str, set[str]]) -> None:
    documented = {
        name: set(re.findall(r"`(\w+)`", labels))
        for names, labels in re.findall(r"^\| (`mutuals_.+?) \| (.*?) \|", OPERATIONS, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    shown: dict[str, set[str]] = {}
    for name, labels in offered.items():
        if name.startswith("mutuals_"):
            family = re.sub(r"(?<=_seconds)_(bucket|count|sum)$", "", name)
            shown.setdefault(family, set()).update(labels - {"le"})
    assert documented == shown


def test_the_events_in_the_documents_are_those_in_the_code() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| [^|]+ \|([^|]*)\|$", _events_chapter(), re.MULTILINE)
    documented = {
        name: set(re.findall(r"`(\w+)`", fields)) | ({"outcome"} if "*outcome*" in fields else set())
        for name, fields in rows
    }
    assert documented == _logged()


def _events_chapter() -> str:
    return OPERATIONS[OPERATIONS.index("| event | what happened") : OPERATIONS.index("**The port.**")]


def _logged() -> dict[str, set[str]]:
    """Every event that the code writes, with its fields; fields that are spread are those of an outcome."""
    found: dict[str, set[str]] = {}
    for folder in ("server/mutuals_server", "client/mutuals_client", "core/mutuals/runs"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            for node in ast.walk(ast.parse(text)) if "event(" in text else ():
                match node:
                    case ast.Call(
                        func=ast.Attribute(attr="event" | "file_event"), args=[ast.Constant(value=str(name))]
                    ):
                        fields = {word.arg or "outcome" for word in node.keywords}
                        found.setdefault(name, set()).update(fields)
    return found
