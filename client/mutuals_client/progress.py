"""Progress by stage, on standard error, gone when it is over and absent where standard error is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mutuals.runs.ports import Progress, Silent
from mutuals_client.console import stderr

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class _Bars:
    """The present stage as one bar; a stage without a measure just moves."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._stage = ""
        self._total = 0
        self._done = 0

    def stage(self, name: str, total: int) -> None:
        """Replace the bar by that of the next stage; naming the present one again changes nothing."""
        if name == self._stage:
            return
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._stage = name
        self._total = total
        self._done = 0
        self._task = self._bars.add_task(name, total=total or None, measure="")

    def advance(self, items: int) -> None:
        """Move the bar."""
        if self._task is not None and self._total:
            self._done += items
            measure = f"{self._done:,} of {self._total:,}, time left"
            self._bars.update(self._task, advance=items, measure=measure)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A Progress for the commands that take long."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("{task.fields[measure]}"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=stderr(), transient=True) as bars:
        yield _Bars(bars)
