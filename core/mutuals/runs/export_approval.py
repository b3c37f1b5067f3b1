"""The second pair of eyes of an export, where the policy asks for four.

    approve_export(peer, run_id, "bea", keys)            # another operator: bea may take these fields out, once
    require_approval(tx, run_id, "bea", ["score"])       # when bea exports

An approval names the run, who exports, which fields and which own columns beside them, holds under the policy it was
given under, and is used up by the export.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from mutuals.agreement.active import load_readable
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import READ_ROLES, OperatorKeys, get_operator, require_current, require_role
from mutuals.peer import Peer
from mutuals.policy.current import current_policy, operators_required
from mutuals.policy.four_eyes import EYES, co_sign, signers
from mutuals.runs.lifecycle import log_run
from mutuals.runs.own_contacts import OwnTable, require_own_exportable
from mutuals.runs.permitted import readable_fields, require_readable
from mutuals.store.database import Transaction


def approve_export(
    peer: Peer, run_id: str, exporter: str, keys: OperatorKeys, own: Sequence[str] = ()
) -> tuple[str, ...]:
    """Approve that ``exporter`` takes out what they may of run ``run_id``; the names of the fields.

    ``own`` names the own columns that may be in the file beside them: exactly these. Raises MutualsError: RUN_UNKNOWN,
    USAGE (the own export, no such operator or column), NOT_ENTITLED, AGREEMENT_NOT_ACTIVE.
    """
    now = peer.clock()
    columns = _own_columns(peer, run_id, own)
    with peer.store.transaction() as tx:
        require_current(tx, keys)
        run = tx.runs.get(run_id)
        if run is None:
            raise MutualsError(
                ErrorCode.RUN_UNKNOWN, f"There is no run {run_id}.", hint="List them: mutuals runs"
            )
        if exporter == keys.name:
            raise MutualsError(
                ErrorCode.USAGE,
                "Four eyes are two people: nobody approves their own export.",
                hint=f"Somebody else must: mutuals export {run_id} --approve {exporter} --operator NAME",
            )
        row = get_operator(tx, exporter)
        require_role(row, READ_ROLES, "export received records")
        active = load_readable(tx, run.agreement, now, own=peer.fingerprint.hex())
        fields, refused = readable_fields(current_policy(tx), active, "export", row)
        require_readable(fields, refused, "export", row)
        names = tuple(item.name for item in fields)
        require_own_exportable(current_policy(tx), columns, row)
        facts = _facts(exporter, names, columns)
        signed = co_sign(tx, keys, "export", run_id, facts, now)
        further = {"own": facts["own"]} if columns else {}
        log_run(
            tx,
            run,
            "export_approved",
            now,
            operator=exporter,
            fields=list(names),
            **further,
            **signed.own.evidence(),
        )
    return names


def _own_columns(peer: Peer, run_id: str, own: Sequence[str]) -> tuple[str, ...]:
    """The headings of the bound source that ``own`` names; an unknown run is told by the caller."""
    if not own:
        return ()
    with peer.store.transaction() as tx:
        run = tx.runs.get(run_id)
        active = run and load_readable(tx, run.agreement, peer.clock(), own=peer.fingerprint.hex())
    return OwnTable.open(peer, active).resolve(own) if active else ()


def require_approval(
    tx: Transaction, run_id: str, exporter: str, fields: Sequence[str], own: Sequence[str] = ()
) -> tuple[str, ...]:
    """Who approved that ``exporter`` takes out ``fields`` with the own columns ``own``.

    Nobody need have where the policy does not ask for it.

    Raises MutualsError (NOT_AUTHORISED_YET) where it does and nobody else has.
    """
    if operators_required(tx, "export") == 1:
        return ()
    others = tuple(
        name for name in signers(tx, "export", run_id, _facts(exporter, fields, own)) if name != exporter
    )
    if not others:
        columns = ", ".join(f"“{heading}”" for heading in sorted(own))
        beside = f" with the own columns {columns}" if own else ""
        options = "".join(f" --own {shlex.quote(heading)}" for heading in sorted(own))
        roles = " or ".join(sorted(EYES["export"])).replace("_", " ")
        raise MutualsError(
            ErrorCode.NOT_AUTHORISED_YET,
            f"The policy asks for four eyes: an export needs a second operator's approval, and nobody has approved "
            f"that {exporter} exports {', '.join(sorted(fields))} of run {run_id}{beside}.",
            hint=f"A second operator ({roles}) must run: "
            f"mutuals export {run_id} --approve {exporter}{options} --operator NAME",
        )
    return others


def use_approvals(tx: Transaction, run_id: str, now: datetime) -> None:
    """An approval is for one export."""
    tx.approvals.void("export", run_id, now)


def _facts(exporter: str, fields: Iterable[str], own: Iterable[str]) -> dict[str, Any]:
    columns = sorted(own)
    return {"exporter": exporter, "fields": sorted(fields), **({"own": columns} if columns else {})}
