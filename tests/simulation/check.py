"""What must hold when a seed is over: nothing lost, nothing twice, nobody waiting, and both sides say the same."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from lifecycle.people import subject_of, value
from lifecycle.world import START

from mutuals.agreement.active import verify_stored
from mutuals.agreement.chain import BOUND, chain_of, current_of
from mutuals.audit.stored import verify_store
from mutuals.documents import parse_receipt, verify_receipt
from mutuals.models.agreement import AgreementState, Side
from mutuals.models.run import Role, Run, RunState
from mutuals.obligations.certificates import verify_certificate
from mutuals.obligations.destruction import left_behind
from mutuals.protocol.envelopes import EnvelopeHeader
from mutuals.protocol.sealing import RecordKeys, open_secret
from simulation.witness import BOTH_KNOW

if TYPE_CHECKING:
    from simulation.play import Found
    from simulation.simulated import Simulation


class Violation(AssertionError):
    """Something is not as it must be; says what, and how to see it again."""


def check_seed(simulation: Simulation, found: Found) -> None:
    """Add what is wrong to ``simulation.violations``, and what there was to ``found``."""
    runs = {side: {run.sid: run for run in simulation.world.runs(side)} for side in Side}
    for side in Side:
        _check_side(simulation, side, list(runs[side].values()))
    for sid in sorted(set(runs[Side.PROPOSER]) | set(runs[Side.PARTNER])):
        pair = [runs[side].get(sid) for side in Side]
        states = sorted(run.state.value if run else "unknown" for run in pair)
        found.ends["/".join(states)] += 1
        _check_pair(simulation, pair)
    _check_agreements(simulation)
    simulation.violations += simulation.world.watch.violations
    found.documents = sum(_check_outbox(simulation, side) for side in Side)


def _check_side(simulation: Simulation, side: Side, runs: list[Run]) -> None:
    wrong = simulation.violations.append
    peer = simulation.world.peer(side)
    for run in runs:
        if not run.state.final:
            wrong(f"run {run.run_id} is still {run.state} at the {side}")
        if run.state not in {RunState.DONE, RunState.COUNT_ONLY} and run.reason is None:
            wrong(f"run {run.run_id} is {run.state} at the {side} without a reason")
    with simulation.store(side).transaction() as tx:
        usage = tx.budgets.usage(simulation.world.fingerprint(side.other).hex(), START - timedelta(days=400))
        reports = verify_store(tx, peer)
    if (usage.runs, usage.items) != (len(runs), sum(run.partner_size for run in runs)):
        wrong(f"the {side} charged {usage.runs} runs of {usage.items} items, and has {len(runs)}")
    for report in reports:
        for problem in report.problems:
            wrong(f"the {side}'s log {report.name}: {problem}")
    for path in sorted(peer.home.spool.glob("*")):
        wrong(f"the {side} still has {path.name} in its spool folder")


def _check_agreements(simulation: Simulation) -> None:
    """Both sides hold the same agreements, all over and closed, and what they certified of them."""
    wrong = simulation.violations.append
    rows, certificates = {}, {}
    for side in Side:
        with simulation.store(side).transaction() as tx:
            rows[side] = {row.digest: row for row in tx.agreements.list()}
            found = [current_of(tx, row) for row in rows[side].values()]
            heads = list({row.digest: row for row in found}.values())
            certificates[side] = {  # under the version that counted when each side signed
                row.digest: [
                    one
                    for version in chain_of(tx, row.digest)
                    for one in tx.certificates.list(version.digest)
                ]
                for row in heads
                if row.state in BOUND
            }
            for row in heads:
                if row.state in BOUND and left_behind(tx, chain_of(tx, row.digest)):
                    wrong(f"something is left of agreement {row.digest[:8]} at the {side}")
    for digest in sorted(rows[Side.PROPOSER].keys() | rows[Side.PARTNER].keys()):
        states = {rows[side][digest].state if digest in rows[side] else None for side in Side}
        void = {AgreementState.REJECTED, None}  # what the partner would not have any more, it does not keep
        if states != {AgreementState.CLOSED} and not states <= void:
            wrong(f"agreement {digest[:8]} is {' and '.join(map(str, states))}")
    for side in Side:
        for digest, held in certificates[side].items():
            theirs = certificates[side.other].get(digest, [])
            signed = sorted((row.body, row.signature) for row in held)
            if len(held) != 2 or signed != sorted((row.body, row.signature) for row in theirs):
                wrong(f"the {side} has {len(held)} certificates of agreement {digest[:8]}, not both")
            keys = {simulation.world.fingerprint(each).hex(): simulation.world.peer(each) for each in Side}
            for one in held:
                signer = keys[json.loads(one.body)["fingerprint"]]
                verify_certificate(one.body, one.signature, signer.signing_key.public)


def _check_pair(simulation: Simulation, pair: list[Run | None]) -> None:
    """Both sides counted the same; who ended otherwise than the other says why, in its log too."""
    wrong = simulation.violations.append
    known = [(side, run) for side, run in zip(Side, pair, strict=True) if run is not None]
    counted = [(run.th, run.count) for _, run in known if run.th is not None]
    if len(set(counted)) > 1:
        wrong(f"run {known[0][1].run_id} has two counts or transcripts")
    if len(known) < 2 and (counted or known[0][1].state is not RunState.FAILED):
        wrong(
            f"run {known[0][1].run_id} is {known[0][1].state} at the {known[0][0]}, and unknown to the other"
        )
    if len({run.state for _, run in known}) == 1 and len(known) == 2:
        return
    for side, run in known:
        if run.state is RunState.DONE and run.role is Role.INITIATOR:
            wrong(f"run {run.run_id} is done at the {side}, which hears last, and not at the other")
        with simulation.store(side).transaction() as tx:
            told = [
                row
                for row in tx.log.of(run.agreement)
                if row.event == f"run.{run.state.value}" and row.body["run"] == run.run_id
            ]
        if not told:
            wrong(f"run {run.run_id} is {run.state} at the {side}, of which its log says nothing")


def check_received(simulation: Simulation, side: Side, run: Run) -> int:
    """Of a run that is done here every record has arrived, once; how many there are.

    Who withdrew meanwhile, from either company, may be missing, and so may a field that the sender's policy once kept.
    """
    rows, found = _received(simulation, side, run)
    with simulation.store(side).transaction() as tx:
        row = tx.agreements.get(run.agreement)
    assert row is not None
    fields = {item.name for item in verify_stored(row).sends(row.own_side.other)}
    gone = set().union(*(simulation.witness.now(each).withdrawn for each in Side))
    kept = simulation.witness.ever_kept_back[side.other]
    most = Counter(value(side.other, name, person) for name in fields for person in BOTH_KNOW)
    least = Counter(value(side.other, name, person) for name in fields - kept for person in BOTH_KNOW - gone)
    lost, more = least - found, found - most
    if lost or more:
        simulation.violations.append(
            f"run {run.run_id} is done at the {side} with {lost.total()} values lost and {more.total()} too many"
        )
    return rows


def check_withdrawn(simulation: Simulation) -> None:
    """Once every document has arrived, nobody holds a record of a contact whom the sender has withdrawn."""
    for side in Side:
        for run in simulation.runs(side):
            _, found = _received(simulation, side, run)
            for text in found:
                if subject_of(text)[2] in simulation.witness.now(side.other).withdrawn:
                    simulation.violations.append(
                        f"the {side} still holds what the other has withdrawn from run {run.run_id}"
                    )


def _received(simulation: Simulation, side: Side, run: Run) -> tuple[int, Counter[str]]:
    """How many records a side holds of a run, and the values in them."""
    with simulation.store(side).transaction() as tx:
        envelopes = tx.envelopes.incoming(run.run_id)
        rows = tx.received.list(run.run_id)
    found: Counter[str] = Counter()
    keys = None
    for envelope in envelopes:
        header = EnvelopeHeader.from_bytes(envelope.header)
        if header.sealed_secret:
            private = simulation.privates[run.own_receiving_key]
            secret = open_secret(private, header.sid, header.direction, header.sealed_secret)
            keys = RecordKeys(header.sid, header.direction, secret)
    for row in rows:
        assert keys is not None
        found.update(json.loads(keys.open(row.rank, row.retention_days, row.ciphertext)).values())
    return len(rows), found


def _check_outbox(simulation: Simulation, side: Side) -> int:
    """Nothing waits any more, and what was accepted was done once; how many documents there were."""
    wrong = simulation.violations.append
    other = simulation.world.peer(side.other)
    sent = simulation.sent[side]
    with simulation.store(side).transaction() as tx:
        waiting = tx.outbox.pending()
        rows = [row for identity in sent if (row := tx.outbox.get(identity)) is not None]
    for row in waiting:
        wrong(f"a {row.kind} of the {side} was never delivered")
    for row in rows:
        done = simulation.applied[side.other, row.kind, row.body]
        if row.receipt is None:
            continue
        receipt = parse_receipt(row.receipt)
        verify_receipt(other.signing_key.public, receipt)
        if done != int(receipt.accepted):
            wrong(f"a {row.kind} of the {side} was accepted: {receipt.accepted}, and done {done} times")
    for (receiver, kind, _), done in simulation.applied.items():
        if receiver is side and done > 1:
            wrong(f"a {kind} was done {done} times at the {side}")
    return len(rows)
