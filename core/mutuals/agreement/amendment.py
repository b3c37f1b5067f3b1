"""Amendments: a later version of an agreement, which binds when both sides have signed it (DESIGN §5).

    row, agreement = ... of version 2, which replaces version 1
    bind(tx, peer, row, agreement, stop_runs)     # both have signed: version 1 is superseded, in one transaction

Either side may propose one; whoever does is its proposer. The two sides may accept each other's amendment of the same
version at the same time. Both are then signed by both; on each side the one with the lower digest binds, as soon as
the acceptances have crossed. No run can have begun under the other: until then the sides are under different versions,
and each refuses the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mutuals.agreement.active import is_over, utc_date, verify_stored
from mutuals.agreement.chain import BOUND, LIVING, chain_of
from mutuals.agreement.ending import announce_end
from mutuals.agreement.suspension import state_when_bound
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Agreement, AgreementState, Side
from mutuals.protocol.hello import MAX_SKEW_SECONDS
from mutuals.store.rows import AgreementRow

if TYPE_CHECKING:
    from datetime import datetime

    from mutuals.peer import Peer
    from mutuals.store.database import Transaction

StopRuns = Callable[["Transaction", "Peer", Iterable[str], str], Any]
"""Closes the unfinished runs under versions (digests) for a reason: ``mutuals.runs.ending.stop_runs``."""

_WAITING = frozenset({AgreementState.PROPOSED, AgreementState.DRAFT})


def amended(tx: Transaction, agreement: Agreement, partner: str, now: datetime) -> AgreementRow | None:
    """The version that ``agreement`` amends, if it may; nothing where it is no amendment.

    ``partner`` is the fingerprint (hex) of the other party. Raises MutualsError: AGREEMENT_UNKNOWN where what it
    replaces is not between the two peers, AGREEMENT_NOT_ACTIVE where that is not bound or over, BAD_MESSAGE for a
    version that is not the next one, INPUT_QUALITY where neither version would be in force for a while.
    """
    if agreement.replaces is None:
        if agreement.version != 1:
            raise MutualsError(
                ErrorCode.BAD_MESSAGE, f"It is version {agreement.version} and replaces nothing."
            )
        return None
    row = tx.agreements.get(agreement.replaces)
    if row is None or row.partner != partner:
        raise MutualsError(
            ErrorCode.AGREEMENT_UNKNOWN, "It replaces an agreement that is not between these two peers."
        )
    expected = verify_stored(row).version + 1
    if agreement.version != expected:
        raise MutualsError(
            ErrorCode.BAD_MESSAGE,
            f"It is version {agreement.version}, where {expected} follows on {row.agreement_id}.",
        )
    if row.state not in LIVING or is_over(row, now):
        state = "over" if row.state in LIVING else row.state.value
        raise MutualsError(
            ErrorCode.AGREEMENT_NOT_ACTIVE,
            f"It replaces {row.agreement_id}, which is {state}; only what binds now can be amended.",
            hint="See those there are: mutuals agreement list",
        )
    _refuse_gap(row, agreement, now)
    return row


def _refuse_gap(row: AgreementRow, agreement: Agreement, now: datetime) -> None:
    """A version replaces the one before when both have signed; from then on it must be in force, or as soon as that.

    Where the two clocks differ by as much as a run allows, one of them may say that it is tomorrow.
    """
    replaced_from = verify_stored(row).valid_from
    if agreement.valid_from > max(utc_date(now + timedelta(seconds=MAX_SKEW_SECONDS)), replaced_from):
        raise MutualsError(
            ErrorCode.INPUT_QUALITY,
            f"It takes the place of {row.agreement_id} when both have signed, and is in force only from "
            f"{agreement.valid_from} (valid_from): until then neither version would be.",
            hint=f"Write valid_from = {max(utc_date(now), replaced_from)} or an earlier day, or amend it on the day "
            "itself; until both have signed, the version before stays in force.",
        )


def bind(
    tx: Transaction, peer: Peer, row: AgreementRow, agreement: Agreement, stop_runs: StopRuns | None
) -> None:
    """Let a version bind that both sides have signed; the one that it replaces is superseded, its rivals are void.

    It begins suspended where a suspension is open, and keeps the end that a termination has set. ``stop_runs`` is
    needed for an amendment (TypeError).
    """
    now = peer.clock()
    tx.agreements.set_state(row.digest, state_when_bound(tx, row.digest), now, None)
    replaced = tx.agreements.get(row.replaces) if row.replaces else None
    if replaced is None:
        return
    _supersede(tx, peer, row, agreement, replaced, stop_runs)
    if replaced.ends_at is not None:
        ends_at = replaced.ends_at if row.ends_at is None else min(row.ends_at, replaced.ends_at)
        tx.agreements.set_end(row.digest, ends_at=ends_at, ended_at=None)
    for rival in _rivals(tx, row):
        if rival.state in _WAITING:
            make_void(tx, rival, f"Amendment {row.agreement_id} of the same version binds.", now)


def bind_late(
    tx: Transaction, peer: Peer, row: AgreementRow, agreement: Agreement, stop_runs: StopRuns | None
) -> str:
    """Take an acceptance of the own amendment ``row`` that is void or withdrawn here; what became of it, in a word.

    The partner did not know; both have signed. ``bound`` where it binds after all; ``void`` where the partner's
    amendment of the same version binds, which has the lower digest; ``ended`` where the agreement had ended before.
    Raises MutualsError (BAD_MESSAGE) where no honest partner could have accepted it.
    """
    now = peer.clock()
    replaced = tx.agreements.get(row.replaces) if row.replaces else None
    if replaced is None or (replaced.state in LIVING and not is_over(replaced, now)):
        bind(tx, peer, row, agreement, stop_runs)
        return "bound"
    rival = next((other for other in _rivals(tx, row) if other.state in BOUND), None)
    if rival is None:
        return _end_with(tx, peer, row, replaced, now)
    if rival.own_side is Side.PROPOSER:
        raise MutualsError(ErrorCode.BAD_MESSAGE, "The partner accepted two amendments of the same version.")
    if rival.digest < row.digest:
        return "void"
    used = any(run.agreement == rival.digest for run in tx.runs.list(row.partner))
    if used or rival.state is AgreementState.SUPERSEDED:
        raise MutualsError(
            ErrorCode.BAD_MESSAGE, "The partner accepted an amendment after it worked under another."
        )
    make_void(tx, rival, f"Amendment {row.agreement_id} crossed with it, and has the lower digest.", now)
    tx.agreements.set_end(rival.digest, ends_at=None, ended_at=None)
    tx.agreements.set_state(row.digest, rival.state, now, rival.reason)
    tx.agreements.set_end(row.digest, ends_at=rival.ends_at, ended_at=rival.ended_at)
    if rival.state in LIVING:
        _supersede(tx, peer, row, agreement, replaced, stop_runs)
    if stop_runs is not None:
        stop_runs(tx, peer, [rival.digest], "Another amendment of the same version binds.")
    return "bound"


def make_void(tx: Transaction, row: AgreementRow, reason: str, now: datetime) -> None:
    """Let a version never bind, for ``reason``, without anybody having turned it down."""
    tx.agreements.set_state(row.digest, AgreementState.REJECTED, now, reason)
    tx.log.append(row.digest, "agreement.void", {"reason": reason}, now)


def _supersede(
    tx: Transaction,
    peer: Peer,
    row: AgreementRow,
    agreement: Agreement,
    replaced: AgreementRow,
    stop_runs: StopRuns | None,
) -> None:
    if stop_runs is None:
        raise TypeError("an amendment must be told how the runs of the version it replaces are stopped")
    now = peer.clock()
    reason = f"Replaced by {row.agreement_id}, version {agreement.version}."
    tx.agreements.set_state(replaced.digest, AgreementState.SUPERSEDED, now, reason)
    tx.log.append(replaced.digest, "agreement.superseded", {"by": row.digest}, now)
    if agreement.runs_of_replaced == "stop":
        versions = [
            version.digest for version in chain_of(tx, replaced.digest) if version.digest != row.digest
        ]
        stop_runs(
            tx, peer, versions, f"Amendment {row.agreement_id} stops the runs of the version before it."
        )


def _rivals(tx: Transaction, row: AgreementRow) -> list[AgreementRow]:
    """The other amendments of the version that ``row`` replaces."""
    return [
        other
        for other in tx.agreements.list()
        if other.replaces is not None and other.replaces == row.replaces and other.digest != row.digest
    ]


def _end_with(tx: Transaction, peer: Peer, row: AgreementRow, replaced: AgreementRow, now: datetime) -> str:
    """The agreement was over here when the acceptance came; there it may be thought alive, so say so."""
    tx.agreements.set_state(row.digest, AgreementState.ENDED, now, "The version it amends ended before.")
    tx.agreements.set_end(row.digest, ends_at=replaced.ends_at or now, ended_at=now)
    tx.log.append(row.digest, "agreement.ended", {"reason": "The version it amends ended before."}, now)
    announce_end(tx, peer, row, "The agreement had ended before the acceptance of this amendment came.")
    return "ended"
