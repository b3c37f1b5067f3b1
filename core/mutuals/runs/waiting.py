"""What a run waits for, and on whom: the sentence `mutuals runs` shows, from what this side knows."""

from __future__ import annotations

from datetime import datetime

from mutuals.agreement.active import ActiveAgreement, load_for_run
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import Role, Run, RunState
from mutuals.runs.authorisation import RunAct, require_authorisation
from mutuals.runs.lifecycle import ABANDONED_AFTER
from mutuals.store.database import Transaction

_ACTS: dict[RunState, RunAct] = {RunState.COUNTED: "reveal", RunState.REVEALED: "exchange"}

_OTHERWISE = {
    RunState.REVEALING: "the reveal to end",
    RunState.HALF_REVEALED: "a person: mutuals runs clear",
}


def waits_for(tx: Transaction, run: Run, now: datetime) -> str | None:
    """What has to happen next, or nothing where the run has ended.

    ``your …`` where an operator of this side has to act, ``the partner …`` where this side has done its part.
    """
    until = f" by {run.reveal_by:%Y-%m-%d}" if run.reveal_by else ""
    if run.state is RunState.MATCHING:
        return _end_of_match(run)
    if run.state is RunState.EXCHANGING:
        return f"{_whose_turn(run, 'exchange')}{until}"
    act = _ACTS.get(run.state)
    if act is None:
        return _OTHERWISE.get(run.state)
    try:
        active = load_for_run(tx, run, now)
    except MutualsError as error:
        if error.code is not ErrorCode.AGREEMENT_NOT_ACTIVE:
            raise
        return "an agreement in force: mutuals agreement list"
    if _authorised(tx, act, run, active, now):
        mandate = getattr(active.agreement.permission, act) == "mandate"
        return f"{_whose_turn(run, act, mandate=mandate)}{until}"
    again = (
        " again, because what it would send has changed" if tx.authorisations.voided(act, run.run_id) else ""
    )
    return f"your mutuals {act}{again}{until}"


def _end_of_match(run: Run) -> str:
    lapses = run.opened_at + ABANDONED_AFTER
    if run.role is Role.INITIATOR:
        return f"the match to end; if it broke off, your mutuals match by {lapses:%Y-%m-%d %H:%M} UTC"
    return "the match to end; if it broke off, the partner, who goes on with it: mutuals match"


def _whose_turn(run: Run, act: RunAct, *, mandate: bool = False) -> str:
    """This side has authorised; the side that started the run carries it out, once the other has authorised too.

    Under a ``mandate`` whoever signed the agreement there has: nobody at the partner has to do anything.
    """
    if run.role is Role.INITIATOR and mandate:
        return f"your mutuals {act}"
    if run.role is Role.INITIATOR:
        return f"the partner to authorise, then your mutuals {act}"
    return f"the partner, who carries it out: mutuals {act}"


def _authorised(tx: Transaction, act: RunAct, run: Run, active: ActiveAgreement, now: datetime) -> bool:
    if act == "exchange" and not active.agreement.sends(active.own_side):
        return True  # nothing of ours leaves, so nothing has to be authorised
    try:
        require_authorisation(tx, act, run, active, now)
    except MutualsError as error:
        if error.code is not ErrorCode.NOT_AUTHORISED_YET:
            raise
        return False
    return True
