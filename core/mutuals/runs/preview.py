"""The preview of an exchange: what this side would send now, and the digest that an operator authorises.

preview = preview_exchange(peer, run_id)
preview.outgoing.withheld     # {"no_consent": 3}
preview.id                    # "3f2a-91c0-77de-0b12"
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from mutuals.agreement.active import ActiveAgreement, load_for_run, utc_date
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import ConsentRule
from mutuals.models.run import Run, RunState
from mutuals.peer import Peer
from mutuals.policy.consent_age import carried_out
from mutuals.policy.current import current_policy, policy_in_force
from mutuals.runs.overlap import Overlap
from mutuals.runs.permitted import RefusedField, sendable_fields
from mutuals.runs.prepare import read_bound_source
from mutuals.runs.preview_id import preview_id
from mutuals.runs.records import NOTHING, OutgoingRecords, build_records, preview_digest
from mutuals.runs.spool import load_overlap
from mutuals.sources import ContactTable


@dataclass(frozen=True)
class Preview:
    """What a run would send: ``digest`` (32 bytes) is over exactly ``outgoing.records``.

    ``policy`` is the digest (hex) of the policy in force, ``kept_back`` the agreed fields that it does not let leave,
    ``withdrawals`` the mark of the suppressions when the source was read, ``day`` (UTC) the day for which consent was
    judged and ``rule`` how: the agreement's, or the policy's where that is stricter.
    """

    run: Run
    active: ActiveAgreement
    outgoing: OutgoingRecords
    digest: bytes = field(repr=False)
    day: date
    rule: ConsentRule
    policy: str | None
    kept_back: tuple[RefusedField, ...]
    withdrawals: str

    @property
    def id(self) -> str:
        """Its short name, by which two people know that they saw the same."""
        return preview_id(self.digest)

    @property
    def sends(self) -> bool:
        """False where the agreement has this side send nothing."""
        return bool(self.active.agreement.sends(self.active.own_side))


def preview_exchange(peer: Peer, run_id: str) -> Preview:
    """What the revealed run ``run_id`` would send now, with the values at hand (``outgoing.columns``).

    Raises MutualsError: RUN_UNKNOWN, RUN_STATE, AGREEMENT_NOT_ACTIVE, INPUT_QUALITY.
    """
    with peer.store.transaction() as tx:
        run = tx.runs.get(run_id)
        if run is None:
            raise MutualsError(
                ErrorCode.RUN_UNKNOWN, f"There is no run {run_id}.", hint="List them: mutuals runs"
            )
        if run.state is not RunState.REVEALED:
            raise wrong_state(run)
        active = load_for_run(tx, run, peer.clock(), own=peer.fingerprint.hex())
    return preview_run(peer, run, active, keep_columns=True)


def preview_run(peer: Peer, run: Run, active: ActiveAgreement, *, keep_columns: bool = False) -> Preview:
    """As ``preview_exchange``, for a run and an agreement that were already looked at."""
    if run.spool_key is None:
        raise wrong_state(run)
    with peer.store.transaction() as tx:
        policy, withdrawals = policy_in_force(tx), tx.suppressions.mark()
        current = current_policy(tx)
    _, kept_back = sendable_fields(current, active)
    agreement, day = carried_out(current, active.agreement), utc_date(peer.clock())
    outgoing = NOTHING
    if active.agreement.sends(active.own_side):
        overlap, table = read_overlap_and_source(peer, run, active)
        outgoing = build_records(
            agreement,
            active.own_side,
            overlap,
            table,
            mapping=active.mapping,
            today=day,
            kept_back=[item.field for item in kept_back],
            keep_columns=keep_columns,
        )
    digest = preview_digest(run.spool_key, run.sid, run.role, outgoing.records)
    return Preview(run, active, outgoing, digest, day, agreement.consent, policy, kept_back, withdrawals)


def read_overlap_and_source(peer: Peer, run: Run, active: ActiveAgreement) -> tuple[Overlap, ContactTable]:
    """The own contacts of the run by rank, and of the bound source as it is now these contacts and the agreed fields.

    Raises MutualsError: RUN_STATE where the overlap is gone, INPUT_QUALITY where the source cannot be used.
    """
    overlap = load_overlap(peer, run)
    _, table = read_bound_source(peer, active, set(active.mapping.values()), overlap.contacts)
    return overlap, table


def wrong_state(run: Run) -> MutualsError:
    """The refusal of a run that is not revealed, or no longer."""
    why = f": {run.reason}" if run.reason else "."
    return MutualsError(
        ErrorCode.RUN_STATE,
        f"Run {run.run_id} is {run.state.value.replace('_', ' ')}, and only a revealed run can be exchanged{why}",
        hint="See where it stands: mutuals runs",
    )
