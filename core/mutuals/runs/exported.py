"""The record of an export, to a file or into a program: what the operator signs, the log says and the store keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mutuals.identity.acts import sign_act
from mutuals.identity.operators import OperatorKeys
from mutuals.models.run import Run
from mutuals.policy.current import policy_in_force
from mutuals.runs.export_approval import use_approvals
from mutuals.runs.lifecycle import log_run
from mutuals.store.database import Transaction
from mutuals.store.rows import ExportRow

EXPORTED = "records.export"
"""The act that an operator signs under an export; its subject is the run."""


def log_export(
    tx: Transaction,
    run: Run,
    keys: OperatorKeys,
    *,
    rows: int,
    fields: Sequence[str],
    file: str,
    kind: str,
    approved_by: Sequence[str],
    now: datetime,
    further: Mapping[str, object] | None = None,
) -> None:
    """Sign, log and keep that the operator takes ``rows`` rows of ``fields`` out; approvals for it are used up.

    ``file`` stays in the own store; of it the log has only its ``kind``, and what there is ``further`` to say.
    """
    names, more = list(fields), dict(further or {})
    tx.exports.put(ExportRow(run.run_id, keys.name, file, rows, tuple(names), now))
    facts = {
        "rows": rows,
        "fields": names,
        "kind": kind,
        "approved_by": list(approved_by),
        "policy": policy_in_force(tx),
        **more,
    }
    signed = sign_act(keys, EXPORTED, run.run_id, facts, now)
    log_run(
        tx,
        run,
        "exported",
        now,
        operator=keys.name,
        rows=rows,
        fields=names,
        file=kind,
        **more,
        **signed.evidence(),
    )
    use_approvals(tx, run.run_id, now)
