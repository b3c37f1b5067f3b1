"""Runs as commands and Python show them: found by id, and described without keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.errors import ErrorCode, MutualsError

if TYPE_CHECKING:
    from mutuals.models.run import Run
    from mutuals.peer import Peer


def find_run(peer: Peer, run_id: str) -> Run:
    """The run a person named. Raises MutualsError (RUN_UNKNOWN)."""
    with peer.store.transaction() as tx:
        run = tx.runs.get(run_id.upper())
    if run is None:
        raise MutualsError(
            ErrorCode.RUN_UNKNOWN, f"There is no run {run_id} in this home.", hint="List them: mutuals runs"
        )
    return run


def run_facts(peer: Peer, run: Run) -> dict[str, object]:
    """A run for ``--json``, and whose turn it is: no keys, no receiving keys."""
    from mutuals.agreement.document import agreement_id
    from mutuals.runs.waiting import waits_for

    with peer.store.transaction() as tx:
        waiting = waits_for(tx, run, peer.clock())
        partner = tx.partners.get(run.partner)  # its runs stay where it was removed
    return {
        "run": run.run_id,
        "agreement": run.agreement,
        "agreement_id": agreement_id(run.agreement),
        "partner": run.partner,
        "partner_name": partner.name if partner else run.partner[:12],
        "role": run.role.value,
        "engine": run.engine,
        "backend": run.backend,
        "executor": run.executor,
        "state": run.state.value,
        "own_size": run.own_size,
        "partner_size": run.partner_size,
        "overlap": run.count,
        "contacts": run.contacts,
        "opened_at": run.opened_at,
        "reveal_by": run.reveal_by,
        "finished_at": run.finished_at,
        "reason": run.reason,
        "waits_for": waiting,
    }
