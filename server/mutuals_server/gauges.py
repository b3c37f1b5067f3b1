"""What is read at every scrape rather than counted: readiness, budgets, outboxes, certificates, what is overdue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mutuals.engines.workers import Pool
from mutuals.monitoring.readings import PartnerReadings, Readings
from mutuals_server.readiness import CHECKS, Readiness

_PARTNER = ("partner",)


class Gauges(Collector):
    """A collector for the registry of one server. Where the store does not answer its last numbers are shown, and
    ``mutuals_store_reading_age_seconds`` says of when they are. ``label`` makes a label of a partner's name.
    """

    def __init__(self, readiness: Readiness, pool: Pool, label: Callable[[str | None], str]) -> None:
        self._readiness = readiness
        self._pool = pool
        self._label = label

    def collect(self) -> Iterator[Metric]:
        """The gauges as they are now."""
        look = self._readiness.look()
        ready = _gauge(
            "mutuals_ready", "Whether the peer passes this check of /ready (1) or not (0).", "check"
        )
        for check in CHECKS:
            ready.add_metric([check], float(check not in look.problems))
        yield ready
        workers = _gauge("mutuals_workers", "Processes, or threads of a cluster, that compute.")
        workers.add_metric([], self._pool.processes)
        yield workers
        sample = look.readings
        age = _gauge("mutuals_store_reading_age_seconds", "How old the numbers out of the store are.")
        age.add_metric([], sample.age)
        yield age
        if sample.value is not None:
            yield from self._of_store(sample.value)

    def _of_store(self, readings: Readings) -> Iterator[Metric]:
        yield _single(
            "mutuals_certificate_days_left",
            "Days until the own TLS certificate expires; negative afterwards.",
            _days(readings.valid_until, readings.at),
        )
        yield self._by_partner(
            readings,
            "mutuals_partner_certificate_days_left",
            "Days until the TLS certificate on a partner's card expires; negative afterwards.",
            lambda one: None if one.valid_until is None else _days(one.valid_until, readings.at),
        )
        yield from self._budgets(readings)
        yield self._by_partner(
            readings,
            "mutuals_outbox_documents",
            "Signed documents that wait for a partner.",
            lambda one: one.documents,
        )
        yield self._by_partner(
            readings,
            "mutuals_outbox_oldest_age_seconds",
            "How long the oldest of them has waited; 0 where there is none.",
            lambda one: _since(one.waiting_since, readings.at),
        )
        yield _single(
            "mutuals_retention_overdue_seconds",
            "For how long a received record has been in the store past its date; 0 where there is none.",
            _since(readings.records_due, readings.at),
        )
        yield _single("mutuals_disk_free_bytes", "Free space on the disk of the home.", readings.disk_free)
        stored = _gauge(
            "mutuals_runs_stored", "Runs in the store, by own role and state.", "partner", "role", "state"
        )
        for (partner, role, state), count in readings.runs.items():
            stored.add_metric([self._label(partner), role.value, state.value], count)
        yield stored

    def _budgets(self, readings: Readings) -> Iterator[Metric]:
        for what in ("runs", "items"):
            yield self._by_partner(
                readings,
                f"mutuals_budget_{what}_used",
                f"How many {what} were charged to a partner in the last 30 days.",
                lambda one, what=what: getattr(one.used, what),  # type: ignore[misc]  # bound now, not later
            )
            yield self._by_partner(
                readings,
                f"mutuals_budget_{what}_allowed",
                f"How many {what} in 30 days the strictest agreement in force with a partner allows.",
                lambda one, what=what: one.allowed and getattr(one.allowed, what),  # type: ignore[misc]  # likewise
            )

    def _by_partner(
        self, readings: Readings, name: str, text: str, value: Callable[[PartnerReadings], float | None]
    ) -> Metric:
        gauge = _gauge(name, text, *_PARTNER)
        for one in readings.partners:
            found = value(one)
            if found is not None:
                gauge.add_metric([self._label(one.name)], found)
        return gauge


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _single(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _days(until: datetime, now: datetime) -> float:
    return round((until - now) / timedelta(days=1), 3)


def _since(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())
