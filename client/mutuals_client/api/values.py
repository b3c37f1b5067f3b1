"""What the Python API hands out: frozen views of runs, previews and reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.runs import preview as runs_preview
    from mutuals.runs.report import RunReport

Frame = TypeVar("Frame")
"""``polars.DataFrame``, or ``pandas.DataFrame`` where the peer was opened with ``frames="pandas"``."""


@dataclass(frozen=True)
class Run:
    """A run as it stood when it was asked for. Sizes and ``shared`` are in identifiers.

    ``state`` is one of ``matching``, ``counted``, ``revealing``, ``revealed``, ``exchanging``, ``done``,
    ``count_only``, ``below_threshold``, ``stale``, ``expired``, ``failed``, ``half_revealed``. ``shared`` is None
    before the count, ``contacts`` (own distinct contacts that are shared) before the reveal. Moments are aware.
    ``waits_for`` says in a sentence whose turn it is, None where nobody's.
    """

    id: str
    state: str
    shared: int | None
    own_size: int
    partner_size: int
    contacts: int | None
    partner: str
    agreement: str
    role: str
    opened_at: datetime
    reveal_by: datetime | None
    finished_at: datetime | None
    reason: str | None
    waits_for: str | None
    facts: Mapping[str, Any] = field(repr=False)
    """All of it, under the keys of ``mutuals runs show --json``."""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Run:
        """The view of what ``run_facts`` says."""
        return cls(
            id=facts["run"],
            state=facts["state"],
            shared=facts["overlap"],
            own_size=facts["own_size"],
            partner_size=facts["partner_size"],
            contacts=facts["contacts"],
            partner=facts["partner_name"],
            agreement=facts["agreement_id"],
            role=facts["role"],
            opened_at=facts["opened_at"],
            reveal_by=facts["reveal_by"],
            finished_at=facts["finished_at"],
            reason=facts["reason"],
            waits_for=facts["waits_for"],
            facts=facts,
        )


@dataclass(frozen=True, eq=False)
class Preview(Generic[Frame]):
    """What an exchange would send now: counts and reasons, never a value. It is what ``exchange`` authorises.

    ``run`` and ``id`` name it, as ``mutuals exchange --dry-run`` does. Of the ``overlap`` contacts that the run found,
    ``contacts`` are sent in ``records``. ``fields`` has a row for each: ``field``, ``transform``, ``retention_days``,
    ``departments``, ``values``, ``empty``, ``withheld``. ``withheld`` has a row for each reason: ``field`` (null where
    the whole contact stays), ``reason``, ``count``. ``kept_back`` has a row for each field that the policy lets nobody
    share: ``field``, ``rule``, ``changes``.
    """

    run: str
    id: str
    overlap: int
    contacts: int
    records: int
    fields: Frame = field(repr=False)
    withheld: Frame = field(repr=False)
    kept_back: Frame = field(repr=False)
    shown: runs_preview.Preview = field(repr=False)


@dataclass(frozen=True)
class Report:
    """What came out of a run, without a contact's data: ``html``, one page to forward, and ``facts``, the same numbers
    under the keys of ``mutuals report --json``.
    """

    run: str
    html: str = field(repr=False)
    facts: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, found: RunReport) -> Report:
        """The page and the numbers of what ``gather_report`` found."""
        from mutuals_client.report_page import report_page

        return cls(found.run.run_id, report_page(found), found.facts())

    def write(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the page, readable by its owner alone; where it is then.

        Raises MutualsError: USAGE where the folder is missing or, without ``force``, the file exists; LOCAL.
        """
        from mutuals.errors import ErrorCode, MutualsError
        from mutuals.identity.files import is_there
        from mutuals_client.report_file import check_target, write_page

        target = Path(path).expanduser()
        if is_there(target) and not force:
            raise MutualsError(
                ErrorCode.USAGE,
                f"{target} exists.",
                hint="Name another file, or overwrite it with force=True.",
            )
        check_target(target, force=True)
        write_page(target, self.html)
        return target.absolute()


@dataclass(frozen=True)
class Step:
    """How far a call is: ``done`` of ``total`` items of a ``stage``; ``total`` is 0 where that has no measure."""

    stage: str
    done: int = 0
    total: int = 0

    def __str__(self) -> str:
        """For ``progress=print``."""
        if not (self.done or self.total):
            return self.stage
        return f"{self.stage}: {self.done:,}" + (f" of {self.total:,}" if self.total else "")


ProgressCallback = Callable[[Step], None]


def run_view(peer: Peer, run_id: str) -> Run:
    """The run as it stands now. Raises MutualsError (RUN_UNKNOWN)."""
    from mutuals_client.run_facts import find_run, run_facts

    return Run.of(run_facts(peer, find_run(peer, run_id)))
