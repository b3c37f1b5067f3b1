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
    """One bar a stage, with count, rate and time left."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def stage(self, name: str, total: int) -> None:
        """Finish the present bar and begin the next."""
        if self._task is not None:
            self._bars.stop_task(self._task)
        self._task = self._bars.add_task(name, total=total or None)

    def advance(self, items: int) -> None:
        """Move the present bar."""
        if self._task is not None:
            self._bars.advance(self._task, items)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A Progress for the commands that take long."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with RichProgress(*columns, console=stderr(), transient=True) as bars:
        yield _Bars(bars)
