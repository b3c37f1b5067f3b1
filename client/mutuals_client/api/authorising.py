"""Permission for a reveal and an exchange that a program asks for: the call is the answer to the command's question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mutuals.errors import ErrorCode, MutualsError

if TYPE_CHECKING:
    from mutuals.agreement.active import ActiveAgreement
    from mutuals.models.run import Run
    from mutuals.peer import Peer
    from mutuals_client.api.unlocking import Operator
    from mutuals_client.api.values import Preview


def authorise_reveal(peer: Peer, operator: Operator, run: Run, active: ActiveAgreement) -> None:
    """Have the operator permit the reveal, unless that is covered. Raises as ``require_authorisation`` does."""
    from mutuals.identity.operators import AUTHORISE_ROLES
    from mutuals.runs import authorisation
    from mutuals_client import driving

    if operator.named:
        operator.row()  # whoever is named must be there, even where nobody has to sign any more
    if driving.reveal_authorised(peer, run, active) is None:
        authorisation.authorise_reveal(peer, run, operator.keys(AUTHORISE_ROLES, "authorise a reveal"))
        with peer.store.transaction() as tx:  # where the policy asks for four eyes, a second operator must
            authorisation.require_authorisation(tx, "reveal", run, active, peer.clock())


def authorise_exchange(peer: Peer, operator: Operator, run: Run, preview: Preview[Any] | None) -> bytes:
    """Have the operator permit exactly ``preview``, unless that is covered; its digest (32 bytes).

    Where this side calls, a mandate will do: the call sends what has this digest or nothing. Where the partner
    calls, the server would send under a mandate what there is by then, so this preview is signed, if it still fits the
    source. Raises MutualsError: USAGE without a preview of this run, PREVIEW_CHANGED, NOT_ENTITLED, NOT_AUTHORISED_YET.
    """
    from mutuals.identity.operators import AUTHORISE_ROLES
    from mutuals.models.run import Role
    from mutuals.runs.outgoing import authorisation_for, authorise_preview
    from mutuals.runs.preview import preview_exchange

    if preview is None or preview.run != run.run_id:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Run {run.run_id} is exchanged with a preview of it, and none was given.",
            hint="Look at what would be sent, and give that: exchange(run, preview(run))",
        )
    shown = preview.shown
    if not shown.sends:
        return shown.digest
    if operator.named:
        operator.row()
    if run.role is Role.RESPONDER and preview_exchange(peer, run.run_id).digest != shown.digest:
        raise MutualsError(
            ErrorCode.PREVIEW_CHANGED,
            f"What run {run.run_id} would send is no longer preview {preview.id}; nothing was authorised.",
            hint="Look at the new one, and give that: exchange(run, preview(run))",
        )
    try:
        given = authorisation_for(peer, shown)
    except MutualsError as error:
        if error.code is not ErrorCode.NOT_AUTHORISED_YET:
            raise
    else:
        if run.role is Role.INITIATOR or not given.by_mandate:
            return shown.digest
    keys = operator.keys(AUTHORISE_ROLES, "authorise an exchange")
    authorise_preview(peer, shown, keys)
    authorisation_for(peer, shown)  # where the policy asks for four eyes, a second operator must, too
    return shown.digest


def require_sealed(peer: Peer, run: Run, preview: Preview[Any]) -> None:
    """A run whose records were sealed before, and perhaps sent, must have been sealed as that preview."""
    from mutuals.runs.moved import exchange_summary

    sealed = exchange_summary(peer, run).preview
    if preview.run != run.run_id or (preview.shown.sends and sealed != preview.id):
        raise MutualsError(
            ErrorCode.PREVIEW_CHANGED,
            f"What run {run.run_id} sends is preview {sealed or 'without a name'}, not the one that was given.",
            hint=f"See what was sent: mutuals report {run.run_id}",
        )
