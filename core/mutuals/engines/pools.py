"""The one place that decides where a peer computes: worker processes here, or a cluster.

with open_pool(Plan(processes=2)) as pool: ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from mutuals.engines.workers import Pool, WorkerPool

if TYPE_CHECKING:
    from types import TracebackType

    from mutuals.engines.cluster import Cluster


class OpenPool(Pool, Protocol):
    """A pool that ``with`` starts and closes."""

    def __enter__(self) -> Self:
        """Bring it up; raises MutualsError where that fails."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""


@dataclass(frozen=True)
class Plan:
    """Where to compute: ``cluster``, or else so many ``processes`` here (default: one for each usable core).

    ``x25519_backend`` forces what computes X25519.
    """

    processes: int | None = None
    x25519_backend: str | None = None
    cluster: Cluster | None = None


def open_pool(plan: Plan) -> OpenPool:
    """The pool that ``plan`` describes; entering it starts it.

    Raises MutualsError (ENGINE_MISMATCH) at once where the forced backend does not run on this machine and the work
    is to be done here.
    """
    if plan.cluster is not None:
        from mutuals.engines.cluster import ClusterPool

        return ClusterPool(plan.cluster, x25519_backend=plan.x25519_backend)
    if plan.x25519_backend is not None:
        from mutuals.engines.montgomery import choose_backend

        choose_backend(plan.x25519_backend)
    return WorkerPool(plan.processes, x25519_backend=plan.x25519_backend)
