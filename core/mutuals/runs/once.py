"""One match for one occasion: what a scheduled job asks for that may be started twice, or be killed and started again.

    with matching(peer, digest, alone=True) as held:
        run = recent_run(tx, digest, since, alone=held)

The store cannot tell a match that another process is carrying out from one whose process was killed; a lock on a
file can, since the system takes it away with the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.files import CAN_LOCK, PRIVATE_FILE, lock, make_private_directory
from mutuals.models.run import Role, Run, RunState
from mutuals.peer import Peer
from mutuals.store.database import Transaction

_WITHOUT_RESULT = frozenset({RunState.FAILED, RunState.STALE, RunState.EXPIRED, RunState.HALF_REVEALED})


@contextmanager
def matching(peer: Peer, digest: str, *, alone: bool) -> Iterator[bool]:
    """While a command of this home matches under an agreement (digest in hex); ``alone`` lets no other one in.

    Gives whether that is certain: on Windows it is not. Raises MutualsError (BUSY) where one is under way that is in
    the way.
    """
    if not CAN_LOCK:
        yield False
        return
    make_private_directory(peer.home.locks)
    descriptor = os.open(peer.home.locks / f"{digest}.match", os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        if not lock(descriptor, shared=not alone):
            raise under_way()
        yield alone
    finally:
        os.close(descriptor)


def recent_run(
    tx: Transaction, digest: str, since: datetime, *, count_only: bool = False, alone: bool = False
) -> Run | None:
    """The newest run under an agreement (digest in hex) since ``since`` (aware) that makes another one needless.

    That is one with a result, whoever started it, also where the result was too small an overlap; not one that
    failed or lapsed. One with only a count serves who asks for no more (``count_only``). A match that this side started
    and left is no obstacle where ``alone`` says that nobody is at work on it. Raises MutualsError: BUSY where a match
    is under way, BELOW_THRESHOLD where there was too little overlap, as the run itself raised it.
    """
    runs = [run for run in tx.runs.list() if run.agreement == digest and run.opened_at >= since]
    for run in sorted(runs, key=lambda run: run.opened_at, reverse=True):
        if run.state is RunState.MATCHING:
            if alone and run.role is Role.INITIATOR:
                continue
            raise under_way()
        if run.state is RunState.BELOW_THRESHOLD:
            raise MutualsError(
                ErrorCode.BELOW_THRESHOLD,
                f"Run {run.run_id} of {run.opened_at:%Y-%m-%d %H:%M} UTC found too few shared; none was started.",
                hint="Wait until the lists have changed, or match without --unless-since.",
            )
        if run.state in _WITHOUT_RESULT or (run.state is RunState.COUNT_ONLY and not count_only):
            continue
        return run
    return None


def under_way() -> MutualsError:
    """The error where another match under the agreement is going on."""
    return MutualsError(
        ErrorCode.BUSY,
        "Another match under this agreement is under way; none was started.",
        hint="See how it stands: mutuals runs",
    )
