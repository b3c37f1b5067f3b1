"""Operators who come and go, and the keys they hold: what is wrapped for whom, and what ends with whom (DESIGN §8).

    wrapped = take_on(peer, row, keys)                             # add an operator
    foreseen = consequences(tx, "bea", keys)                       # what disabling would end
    disable(peer, "bea", keys, may_destroy=foreseen.lost_runs)     # once a person has agreed to that

Who acts is an admin. A run's key goes to a new reader if the admin holds a copy, and to nobody whose row in the store
is not what an admin signed. When somebody leaves, every run is put under a new share, so that copies made of the store
and passphrases known before open nothing more.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity import accountability
from mutuals.identity.acts import sign_act
from mutuals.identity.appointment import appointed_operators, check_appointed, log_appointment
from mutuals.identity.operators import (
    ACCOUNTABILITY_ROLES,
    READ_ROLES,
    OperatorKeys,
    disable_operator,
    entitled_to_read,
    get_operator,
    require_current,
    require_role,
)
from mutuals.models.policy import FourEyesAct
from mutuals.models.run import RunState
from mutuals.peer import Peer
from mutuals.policy.current import current_policy
from mutuals.policy.four_eyes import unsatisfiable
from mutuals.runs.keys import open_receiving_key, runs_with_keys, subject, wrap_for_operator
from mutuals.runs.lifecycle import end_run, log_run
from mutuals.runs.shares import load_shares, rotate_shares, settle_shares
from mutuals.store.database import Transaction
from mutuals.store.rows import OperatorRow

_ADMINS = frozenset({"admin"})


@dataclass(frozen=True)
class Consequences:
    """What disabling ``operator`` ends.

    ``lost_runs`` are those whose key nobody else holds and the acting admin cannot hand on, with ``lost_records`` in
    them; ``authorisations`` and ``approvals`` lose their force; ``four_eyes`` names acts that two operators could then
    no longer be found for, which forbids the disabling.
    """

    operator: str
    lost_runs: tuple[str, ...]
    lost_records: int
    four_eyes: tuple[FourEyesAct, ...]


@dataclass(frozen=True)
class Disabled:
    """What was done: runs put under a new share, runs and records that ended, permissions that lost their force."""

    operator: OperatorRow
    rotated: int
    lost_runs: tuple[str, ...]
    lost_records: int
    voided: int


def take_on(peer: Peer, row: OperatorRow, keys: OperatorKeys) -> int:
    """Add ``row`` as an operator, with copies of the keys that its roles ask for; of how many runs.

    Raises MutualsError: NOT_ENTITLED for the acting operator, USAGE for a name that is or was somebody's.
    """
    now = peer.clock()
    with peer.store.transaction() as tx:
        _require_admin(tx, keys, "add operators")
        refuse_known(tx, row.name)
        tx.operators.put(row)
        if ACCOUNTABILITY_ROLES.intersection(row.roles):
            public = peer.accountability_public
            private = accountability.open_accountability(tx, keys, public)
            accountability.wrap_accountability(tx, row, public, private)
        wrapped = _hand_on(tx, peer, keys, [row]) if READ_ROLES.intersection(row.roles) else 0
        log_appointment(tx, row, keys, now, runs=wrapped)
    return wrapped


def refuse_known(tx: Transaction, name: str) -> None:
    """Raise MutualsError (USAGE) where an operator has or had this name, in whatever case it is written."""
    if any(row.name.casefold() == name.casefold() for row in tx.operators.list()):
        raise MutualsError(
            ErrorCode.USAGE,
            "There is an operator of that name already, or was one.",
            hint="Signatures name operators for good, so choose another: mutuals operator list",
        )


def consequences(tx: Transaction, name: str, keys: OperatorKeys) -> Consequences:
    """What would end if operator ``name`` were disabled by ``keys`` now. Raises MutualsError (USAGE) for nobody."""
    row = get_operator(tx, name)
    remaining = [
        other for other in appointed_operators(tx) if other.disabled_at is None and other.name != row.name
    ]
    readers = {other.name for other in entitled_to_read(remaining)}
    lost = tuple(
        sorted(run_id for run_id in runs_with_keys(tx) if _is_lost(tx, run_id, row.name, readers, keys))
    )
    policy = current_policy(tx)
    acts = () if policy is None else policy.four_eyes
    before = set(unsatisfiable([*remaining, replace(row, disabled_at=None)], acts))
    broken = tuple(act for act in unsatisfiable(remaining, acts) if act not in before)
    return Consequences(row.name, lost, sum(tx.received.count(run_id) for run_id in lost), broken)


def disable(peer: Peer, name: str, keys: OperatorKeys, *, may_destroy: Collection[str] = ()) -> Disabled:
    """Disable operator ``name``: hand on what the acting admin can open, take away theirs, end what is left.

    ``may_destroy`` names the runs whose received records somebody agreed to lose. Raises MutualsError: NOT_ENTITLED
    for the acting operator; USAGE for nobody, somebody disabled already, the last admin, four eyes that could not be
    found any more, or more loss than was agreed to.
    """
    now = peer.clock()
    with peer.store.transaction() as tx:
        _require_admin(tx, keys, "disable operators")
        foreseen = consequences(tx, name, keys)
        _refuse(foreseen, may_destroy)
        lost = [run for run_id in foreseen.lost_runs if (run := tx.runs.get(run_id)) is not None]
        facts = {"lost_runs": list(foreseen.lost_runs), "lost_records": foreseen.lost_records}
        signed = sign_act(keys, "operator.disable", foreseen.operator, facts, now)
        remaining = [
            row
            for row in appointed_operators(tx)
            if row.disabled_at is None and row.name != foreseen.operator
        ]
        readers = entitled_to_read(remaining)
        _hand_on(tx, peer, keys, readers)
        _hand_on_accountability(tx, peer, keys, remaining)
        row = disable_operator(tx, name, by=keys.name, now=now, evidence=signed.evidence())
        tx.operators.put(replace(row, sealed_private=b""))
        tx.keys.destroy_copy(accountability.SUBJECT, row.name)
        voided = tx.authorisations.void_by(row.name, now) + tx.approvals.void_by(row.name, now)
        for run in lost:
            records = tx.received.destroy(run.run_id)
            tx.overlaps.destroy(run.run_id)
            tx.keys.destroy(subject(run.run_id))
            log_run(tx, run, "destroyed", now, why="operator disabled", records_destroyed=records)
        rotated = rotate_shares(tx, peer, {reader.name for reader in readers})
    settle_shares(peer)
    for run in lost:
        if run.state not in {RunState.DONE, RunState.MATCHING} and not run.state.final:
            end_run(
                peer,
                run,
                RunState.FAILED,
                reason=f"Only operator {row.name} could read it, who was disabled.",
            )
    return Disabled(row, len(rotated), foreseen.lost_runs, foreseen.lost_records, voided)


def _require_admin(tx: Transaction, keys: OperatorKeys, act: str) -> None:
    row = require_current(tx, keys)
    check_appointed(tx, row)
    require_role(row, _ADMINS, act)


def _refuse(foreseen: Consequences, may_destroy: Collection[str]) -> None:
    if foreseen.four_eyes:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Without operator {foreseen.operator} there would not be the two operators whom the policy asks for: "
            f"{', '.join(foreseen.four_eyes)}.",
            hint="Add another first (mutuals operator add), or approve a policy with other four_eyes.",
        )
    unagreed = [run_id for run_id in foreseen.lost_runs if run_id not in may_destroy]
    if unagreed:
        raise MutualsError(
            ErrorCode.USAGE,
            f"Only operator {foreseen.operator} can open what was received in {', '.join(unagreed)}; disabling them "
            "destroys it.",
            hint="Let them add a reader or export it first, or agree: mutuals operator disable "
            f"{foreseen.operator} --destroy-lost",
        )


def _is_lost(
    tx: Transaction, run_id: str, leaving: str, readers: Collection[str], keys: OperatorKeys
) -> bool:
    """Whether nobody could open the run after ``leaving`` left: no other reader's copy, none to hand on."""
    holders = set(tx.keys.blobs(subject(run_id)))
    if holders & set(readers):
        return False
    return keys.name not in holders or not readers


def _hand_on(tx: Transaction, peer: Peer, keys: OperatorKeys, readers: Collection[OperatorRow]) -> int:
    """Give each of ``readers`` who has none a copy of every run's key that ``keys`` opens; how many runs."""
    handed = 0
    for run_id in sorted(runs_with_keys(tx)):
        run = tx.runs.get(run_id)
        held = tx.keys.blobs(subject(run_id))
        lacking = [row for row in readers if row.name not in held]
        shares = load_shares(peer, run_id)
        if run is None or keys.name not in held or not lacking or not shares:
            continue
        private = open_receiving_key(tx, run_id, run.own_receiving_key, keys, shares)
        for row in lacking:
            wrap_for_operator(tx, run_id, run.own_receiving_key, private, shares, row)
        handed += 1
    return handed


def _hand_on_accountability(
    tx: Transaction, peer: Peer, keys: OperatorKeys, operators: Collection[OperatorRow]
) -> None:
    lacking = [
        row
        for row in operators
        if ACCOUNTABILITY_ROLES.intersection(row.roles)
        and tx.keys.wrapped(accountability.SUBJECT, row.name) is None
    ]
    if not lacking:
        return
    public = peer.accountability_public
    private = accountability.open_accountability(tx, keys, public)
    for row in lacking:
        accountability.wrap_accountability(tx, row, public, private)
