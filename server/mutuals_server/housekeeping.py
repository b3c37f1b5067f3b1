"""Keeping retention while the server runs, by a timer of its own and without anybody's passphrase.

    housekeeping = Housekeeping(peer, log)
    housekeeping.start()       # at once, then every so many minutes as configured
    housekeeping.wake()        # something may be due now: a document came
    housekeeping.stop()

Whatever fails is logged and tried again; it never takes the server down.
"""

from __future__ import annotations

import threading
from datetime import timedelta

from mutuals.obligations.retention import RetentionReport, keep_retention
from mutuals.peer import Peer
from mutuals_server.log import ServerLog, describe

STOP_SECONDS = 5.0
"""How long a stopping server waits for a retention under way; what it leaves is made up for at the next start."""


class Housekeeping:
    """One thread; ``interval`` is the time between two rounds, by default the configured one."""

    def __init__(self, peer: Peer, log: ServerLog, interval: timedelta | None = None) -> None:
        self._peer = peer
        self._log = log
        self._seconds = (interval or timedelta(minutes=peer.config.housekeeping_minutes)).total_seconds()
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="mutuals-housekeeping", daemon=True)

    def start(self) -> None:
        """Begin, with a first round at once."""
        self._thread.start()

    def wake(self) -> None:
        """Have a round as soon as the one under way is over."""
        self._woken.set()

    def stop(self) -> None:
        """End after the round under way, for which this waits a little. Safe to call twice, and before ``start``."""
        self._stopping = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _work(self) -> None:
        while not self._stopping:
            self._round()
            self._woken.wait(self._seconds)
            self._woken.clear()

    def _round(self) -> None:
        try:
            report = keep_retention(self._peer, trigger="server")
        except Exception as error:  # the server must go on, and its log says what happened
            self._log.event("retention_failed", **describe(error))
        else:
            self._tell(report)

    def _tell(self, report: RetentionReport) -> None:
        for gone in report.destroyed:
            self._log.event(
                "destroyed", agreement=gone.agreement[:16], run=gone.run, records=gone.records, why=gone.why
            )
        for certificate in report.certificates:
            self._log.event("certified", agreement=certificate.agreement[:16])
        for problem in report.problems:
            self._log.event("retention_incomplete", problem=problem)
