"""Whether one more call of a partner may enter: decided before anything of it is read, parsed or looked up.

    account = admission.account(certificate)
    admission.enter(account, "Match", streaming=True)    # or Refused
    ...                                                  # who that is, what it wants
    time.sleep(account.received(len(data)))              # for every message
    admission.leave(account, streaming=True)

Partners share threads, the store and the network of the server. A call of one that has its share, however it came by
it, is refused here for the price of a dictionary look-up, so that the others find free what is theirs.

A caller is told apart by the certificate of its connection, which the handshake has checked. A partner that is just
changing its certificate has two for that time, and so two shares.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mutuals.transport.options import Limits
from mutuals.transport.wire import MATCH
from mutuals_server.rates import Bucket
from mutuals_server.refusals import Reason, Refused

BURST_SECONDS = 2
"""For how many seconds' worth of bytes a caller that was quiet is not slowed down."""

Clock = Callable[[], float]


class Account:
    """What one caller has taken. ``name`` is the partner, once the guard knows it."""

    def __init__(self, limits: Limits, everybody: Bucket, clock: Clock) -> None:
        self.name: str | None = None
        self.calls = Bucket(limits.calls_per_minute / 60, limits.calls_per_minute, clock)
        self.matches = Bucket(limits.matches_per_minute / 60, limits.matches_per_minute, clock)
        self.open = {True: 0, False: 0}
        self._bytes = _bytes(limits.bytes_per_second_per_partner, clock)
        self._everybody = everybody

    def received(self, size: int) -> float:
        """Note a message of ``size`` bytes; how many seconds to wait before the next one is read."""
        return max(self._bytes.spend(size), self._everybody.spend(size))


class Admission:
    """The accounts of all callers; ``clock`` gives seconds that never go back."""

    def __init__(self, limits: Limits, clock: Clock = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._bytes = _bytes(limits.bytes_per_second, clock)
        self._lock = threading.Lock()
        self._accounts: dict[bytes, Account] = {}
        self._open = {True: 0, False: 0}
        self._most = {
            True: (limits.runs, limits.runs_per_partner, Reason.RUNS),
            False: (limits.unary_calls, limits.unary_calls_per_partner, Reason.CALLS_AT_A_TIME),
        }

    def account(self, certificate: bytes) -> Account:
        """The account of the caller with this certificate."""
        with self._lock:
            found = self._accounts.get(certificate)
            if found is None:
                found = Account(self._limits, self._bytes, self._clock)
                self._accounts[certificate] = found
            return found

    def enter(self, account: Account, method: str, *, streaming: bool) -> None:
        """Take a place for a call of ``method``, until ``leave``. Raises Refused."""
        limits = self._limits
        if not account.calls.take():
            raise Refused(
                Reason.CALLS, f"More than {limits.calls_per_minute} calls of a partner in a minute."
            )
        most, share, reason = self._most[streaming]
        with self._lock:
            if account.open[streaming] >= share:
                raise Refused(reason, f"The partner has its {share} places.")
            if self._open[streaming] >= most:
                raise Refused(reason, f"All {most} places are taken.")
            if method == MATCH.name and not account.matches.take():
                raise Refused(
                    Reason.MATCHES, f"More than {limits.matches_per_minute} matches of a partner in a minute."
                )
            account.open[streaming] += 1
            self._open[streaming] += 1

    def leave(self, account: Account, *, streaming: bool) -> None:
        """Give the place back."""
        with self._lock:
            account.open[streaming] -= 1
            self._open[streaming] -= 1


def _bytes(per_second: int, clock: Clock) -> Bucket:
    return Bucket(per_second, per_second * BURST_SECONDS, clock)
