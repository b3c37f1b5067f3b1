"""What people call: the client's commands, each as a function of the peer of the process that carries it out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from lifecycle.people import contact_id
from lifecycle.world import Choice, PolicyChoice

from mutuals.agreement.chain import current_of
from mutuals.agreement.ending import terminate
from mutuals.agreement.suspension import resume, suspend
from mutuals.models.agreement import Side
from mutuals.models.run import Role, Run, RunState
from mutuals.obligations.retention import keep_retention
from mutuals.obligations.revoke import carry_out, plan_revocation
from mutuals.peer import Peer
from mutuals.runs.authorisation import authorise_exchange, authorise_reveal
from mutuals.runs.lifecycle import end_run, expire_runs
from mutuals.runs.ports import Silent
from mutuals.runs.preview import preview_exchange
from mutuals_client import delivery, driving, patience

if TYPE_CHECKING:
    from simulation.simulated import Simulation


def match(digest: str) -> Callable[[Peer], object]:
    """``mutuals match``."""
    return lambda peer: driving.match(
        peer, digest, operator="anna", patience=patience.Patience(), showing=nobody_watches
    )


def permit_reveal(simulation: Simulation, side: Side, run_id: str) -> Callable[[Peer], object]:
    """An operator permits the reveal, where nobody has; the side that started the run calls."""

    def act(peer: Peer) -> None:
        def permit(run: Run, active: Any) -> None:
            if driving.reveal_authorised(peer, run, active) is None:
                authorise_reveal(peer, run, simulation.world.keys[side]["anna"])

        run = simulation.run(side, run_id)
        if run is not None:
            driving.reveal(peer, run, permit, patience=patience.Patience(), showing=nobody_watches)

    return act


def permit_exchange(simulation: Simulation, side: Side, run_id: str) -> Callable[[Peer], object]:
    """An operator looks at the preview and permits it, where the run is revealed; whoever started the run calls."""

    def act(peer: Peer) -> None:
        run = simulation.run(side, run_id)
        if run is None:
            return
        if run.state is RunState.REVEALED:
            preview = preview_exchange(peer, run_id)
            names = [item.shared.name for item in preview.outgoing.fields]
            keys = simulation.world.keys[side]["anna"]
            authorise_exchange(peer, preview.run, names, preview.digest, keys)
        if run.role is Role.INITIATOR:
            driving.exchange(peer, run, patience=patience.Patience(), showing=nobody_watches)

    return act


def sync(peer: Peer) -> None:
    """``mutuals sync``."""
    with peer.store.transaction() as tx:
        (partner,) = tx.partners.list()
    delivery.try_sync(peer, partner)


def tidy(peer: Peer) -> None:
    """What the server does from time to time."""
    expire_runs(peer)
    keep_retention(peer)


def clear(peer: Peer) -> None:
    """``mutuals runs clear``, of whatever is half revealed."""
    with peer.store.transaction() as tx:
        runs = tx.runs.list()
    for run in runs:
        if run.state is RunState.HALF_REVEALED:
            end_run(peer, run, RunState.FAILED, reason="Cleared.")


def halt(simulation: Simulation, side: Side, digest: str) -> Callable[[Peer], object]:
    """``mutuals agreement suspend``."""

    def act(peer: Peer) -> None:
        with peer.store.transaction() as tx:
            suspend(tx, peer, digest, "We look into it.", None, simulation.world.keys[side]["anna"])

    return act


def lift(simulation: Simulation, side: Side, digest: str) -> Callable[[Peer], object]:
    """``mutuals agreement resume``, of every own halt."""

    def act(peer: Peer) -> None:
        for identity in simulation.halts(side):
            with peer.store.transaction() as tx:
                resume(tx, peer, digest, identity, simulation.world.keys[side]["anna"])

    return act


def end(simulation: Simulation, side: Side, digest: str, *, cause: bool) -> Callable[[Peer], object]:
    """``mutuals agreement terminate``, with notice unless there is a cause."""
    keys = simulation.world.keys[side]["anna"]
    return lambda peer: terminate(peer, digest, "It is enough.", keys, cause=cause)


def propose(simulation: Simulation, side: Side, choice: Choice) -> Callable[[Peer], object]:
    """``mutuals agreement propose``: another one."""
    return lambda _: simulation.world.propose(side, choice, "anna")


def amend(simulation: Simulation, side: Side, choice: Choice) -> Callable[[Peer], object]:
    """``mutuals agreement amend``, of the version that counts at this side."""

    def act(peer: Peer) -> None:
        with peer.store.transaction() as tx:
            (first,) = (row for row in tx.agreements.list() if row.digest == simulation.first)
            current = current_of(tx, first)
        simulation.world.truth.add_deal(current.document)  # whoever proposed it may have been killed over it
        simulation.world.propose(side, choice, "anna", current.digest)

    return act


def revoke(simulation: Simulation, side: Side, person: int) -> Callable[[Peer], object]:
    """``mutuals revoke --contact``."""

    def act(peer: Peer) -> None:
        keys = simulation.world.keys[side]["anna"]
        simulation.scheduler.current.about = person
        plan = plan_revocation(peer, [contact_id(side, person)], "withdrawal", keys)
        carry_out(peer, plan, keys)

    return act


def decide(simulation: Simulation, side: Side, choice: PolicyChoice) -> Callable[[Peer], object]:
    """``mutuals policy approve``: another version, in force at once."""

    def act(_: Peer) -> None:
        simulation.scheduler.current.about = choice
        simulation.world.approve_policy(side, choice, "anna")

    return act


def accept(simulation: Simulation, side: Side) -> Callable[[Peer], object]:
    """``mutuals agreement accept``, of everything that the partner proposed."""

    def act(_: Peer) -> None:
        for digest in simulation.proposals(side):
            simulation.world.accept(side, digest, "anna")

    return act


def nobody_watches() -> Any:
    return nullcontext(Silent())
