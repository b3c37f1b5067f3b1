"""Keeping retention, and the TLS certificate good, while the server runs: by a timer, without anybody's passphrase.

    housekeeping = Housekeeping(peer, log)
    housekeeping.start()       # at once, then every so many minutes as configured
    housekeeping.wake()        # something may be due now: a document came
    housekeeping.stop()

Whatever fails is logged and tried again; it never takes the server down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from mutuals.obligations.retention import RetentionReport, keep_retention
from mutuals.peer import Peer
from mutuals.rotation import keep_rotation
from mutuals_server.log import ServerLog, describe

LOOK_SECONDS = 60.0
"""How often to look whether a certificate has had its time."""

STOP_SECONDS = 5.0
"""How long a stopping server waits for a retention under way; what it leaves is made up for at the next start."""


class Housekeeping:
    """One thread; ``interval`` is the time between two rounds, by default the configured one. ``after`` is called after
    every round.
    """

    def __init__(
        self,
        peer: Peer,
        log: ServerLog,
        interval: timedelta | None = None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._after = after
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
            self._rest()

    def _rest(self) -> None:
        """Until the next round; every minute a look at the certificates, since a command may have renewed the card."""
        until = time.monotonic() + self._seconds
        while not self._stopping:
            due = self._keep_certificate()
            left = until - time.monotonic()
            if left <= 0 or self._woken.wait(
                min(left, LOOK_SECONDS if due is None else min(LOOK_SECONDS, due))
            ):
                break
        self._woken.clear()

    def _round(self) -> None:
        try:
            report = keep_retention(self._peer, trigger="server")
        except Exception as error:  # the server must go on, and its log says what happened
            self._log.event("retention_failed", **describe(error))
        else:
            self._tell(report)
            if not report.problems:
                self._log.quiet_event("housekeeping")

    def _keep_certificate(self) -> float | None:
        """What is due of the own and the partners' certificates; in how many seconds the next of it is."""
        try:
            kept = keep_rotation(self._peer)
            self._after()
        except Exception as error:  # as above
            self._log.event("card_failed", **describe(error))
            return None
        if kept.renewed is not None:
            self._log.event("card_renewed", serial=kept.renewed.card.serial)
        if kept.destroyed:
            self._log.event("card_retired")
        return None if kept.due is None else max(1.0, (kept.due - self._peer.clock()).total_seconds())

    def _tell(self, report: RetentionReport) -> None:
        for gone in report.destroyed:
            self._log.event(
                "destroyed", agreement=gone.agreement[:16], run=gone.run, records=gone.records, why=gone.why
            )
        for certificate in report.certificates:
            self._log.event("certified", agreement=certificate.agreement[:16])
        for problem in report.problems:
            self._log.event("retention_incomplete", problem=problem)
