"""What the server counts for Prometheus: told of events by its log, and nothing else of the server knows of it.

    metrics = Metrics()
    log.observe(metrics.note)
    generate_latest(metrics.registry)

No label says anything about a contact. Each takes its values from a closed list or is the name of a partner, and of
partners no more are told apart than ``MAX_PARTNERS``. Names: prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from mutuals import __version__
from mutuals.errors import ErrorCode
from mutuals.models.run import Role
from mutuals.runs.acts import STAGES
from mutuals_server.refusals import Reason

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nothing here reads

MAX_PARTNERS = 500
OTHER = "other"
"""What a label says in place of a value that it does not take."""

KINDS = frozenset({"match", "reveal", "exchange"})
METHODS = frozenset({"Ping", "Sync", "Match", "Reveal", "Exchange", "Check"})
CODES = frozenset({"OK", *(code.value for code in ErrorCode)})
ROLES = frozenset(role.value for role in Role)
REASONS = frozenset(reason.value for reason in Reason)
STAGE_NAMES = frozenset(STAGES.values())

_CALL_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600, 10000)
_STAGE_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600, 10000)

_FAULTS = {
    "retention_failed": "failed",
    "retention_incomplete": "incomplete",
    "card_failed": "card",
}
"""The events that mean that a round of housekeeping did not do all it should have."""


class Metrics:
    """The counters of one server, in a registry of their own. Any thread may call ``note``."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self._lock = threading.Lock()
        self._partners: set[str] = set()
        ProcessCollector(registry=registry)
        build = Gauge(
            "mutuals_build_info",
            "Always 1; the labels say what runs.",
            ["version", "python"],
            registry=registry,
        )
        build.labels(__version__, ".".join(map(str, sys.version_info[:3]))).set(1)
        self._calls = Counter(
            "mutuals_calls",
            "Calls of partners that have ended, by error code; refusals for a limit are counted apart.",
            ["partner", "method", "code"],
            registry=registry,
        )
        self._call_seconds = Histogram(
            "mutuals_call_duration_seconds",
            "How long calls took, with all they waited for.",
            ["method"],
            buckets=_CALL_SECONDS,
            registry=registry,
        )
        self._refusals = Counter(
            "mutuals_refusals",
            "Calls refused because a limit was reached, or because the certificate is no longer good (identity).",
            ["partner", "reason"],
            registry=registry,
        )
        self._runs = Counter(
            "mutuals_runs",
            "Acts of runs that have ended, answered here or started by a command, by error code.",
            ["partner", "role", "kind", "code"],
            registry=registry,
        )
        self._under_way = Gauge(
            "mutuals_runs_under_way",
            "Acts of runs that this server is answering.",
            ["partner", "kind"],
            registry=registry,
        )
        self._run_seconds = Histogram(
            "mutuals_run_duration_seconds",
            "How long acts of runs took, also those that failed.",
            ["role", "kind"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._stage_seconds = Histogram(
            "mutuals_stage_duration_seconds",
            "How long the stages of runs took, also of runs that failed.",
            ["role", "kind", "stage"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._items = Counter(
            "mutuals_items",
            "Blinded points, positions and records that went over the wire.",
            ["partner", "kind", "direction"],
            registry=registry,
        )
        self._bytes = Counter(
            "mutuals_message_bytes",
            "Bytes of the messages of runs, without what Protobuf, gRPC and TLS add.",
            ["partner", "kind", "direction"],
            registry=registry,
        )
        self._events = Counter(
            "mutuals_events",
            "Everything that the server noted, by event.",
            ["event"],
            registry=registry,
        )
        self._success = Gauge(
            "mutuals_housekeeping_last_success_timestamp_seconds",
            "When a round of housekeeping last did all it had to; 0 before the first.",
            registry=registry,
        )
        self._failures = Counter(
            "mutuals_housekeeping_failures",
            "What housekeeping could not do, and tries again in its next round.",
            ["what"],
            registry=registry,
        )
        for what in _FAULTS.values():
            self._failures.labels(what)
        for reason in sorted({*REASONS, "identity"}):
            self._refusals.labels("", reason)

    def note(self, event: str, fields: dict[str, Any]) -> None:
        """Count one event of the server's log."""
        self._events.labels(event).inc()
        if event == "call":
            self._note_call(fields)
        elif event == "refused":
            reason = _one_of(REASONS, fields.get("reason"))
            self._refusals.labels(self.partner(fields.get("partner")), reason).inc(fields.get("times", 1))
        elif event == "act_began":
            self._under_way.labels(self.partner(fields["partner"]), _one_of(KINDS, fields["kind"])).inc()
        elif event == "act":
            self._under_way.labels(self.partner(fields["partner"]), _one_of(KINDS, fields["kind"])).dec()
            self.note_act(fields)
        elif event == "housekeeping":
            self._success.set_to_current_time()
        elif event in _FAULTS:
            self._failures.labels(_FAULTS[event]).inc()

    def note_act(self, fields: dict[str, Any]) -> None:
        """Count an act that has ended, answered here or started by a command of this home."""
        partner = self.partner(fields["partner"])
        kind, role = _one_of(KINDS, fields["kind"]), _one_of(ROLES, fields["role"])
        self._runs.labels(partner, role, kind, _one_of(CODES, fields["code"])).inc()
        self._run_seconds.labels(role, kind).observe(fields["seconds"])
        for stage, seconds in fields["stages"].items():
            self._stage_seconds.labels(role, kind, _one_of(STAGE_NAMES, stage)).observe(seconds)
        for direction in ("sent", "received"):
            self._items.labels(partner, kind, direction).inc(fields[f"items_{direction}"])
            self._bytes.labels(partner, kind, direction).inc(fields[f"bytes_{direction}"])

    def partner(self, name: str | None) -> str:
        """The label of a partner, empty where nobody knows who it was. A partner chooses its name, and may choose anew,
        so only so many are told apart.
        """
        if name is None:
            return ""
        with self._lock:
            if name not in self._partners and len(self._partners) >= MAX_PARTNERS:
                return OTHER
            self._partners.add(name)
        return name

    def _note_call(self, fields: dict[str, Any]) -> None:
        partner = self.partner(fields.get("partner"))
        method, code = _one_of(METHODS, fields["method"]), _one_of(CODES, fields["code"])
        self._calls.labels(partner, method, code).inc()
        self._call_seconds.labels(method).observe(fields["seconds"])
        if code == ErrorCode.PEER_IDENTITY:
            self._refusals.labels(partner, "identity").inc()


def _one_of(values: Collection[str], value: object) -> str:
    return value if isinstance(value, str) and value in values else OTHER
