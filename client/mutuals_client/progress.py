"""Progress by stage, on standard error, gone when it is over and absent where standard error is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from mutuals.runs.pace import Pace
from mutuals.runs.ports import Progress, Silent
from mutuals_client.console import SETTINGS, stderr

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class _Bars:
    """The present stage as one bar; a stage without a measure just moves."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._stage = ""
        self._pace = Pace(0)

    def stage(self, name: str, total: int) -> None:
        """Replace the bar by that of the next stage; naming the present one again with its total changes nothing."""
        if name == self._stage and total in (0, self._pace.total):
            return
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._stage = name
        self._pace = Pace(total)
        self._task = self._bars.add_task(name, total=total or None, measure="")

    def advance(self, items: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._pace.advance(items)
            self._bars.update(self._task, completed=self._pace.done, measure=measure(self._pace))


def measure(pace: Pace) -> str:
    """A pace in words: ``40,960 of 200,000, 9,120 a second, 0:00:17 left``."""
    total = f" of {pace.total:,}" if pace.total else ""
    rate = f", {pace.rate:,.0f} a second" if pace.rate else ""
    left = f", {timedelta(seconds=round(pace.left))} left" if pace.left is not None else ""
    return f"{pace.done:,}{total}{rate}{left}"


def tell_waiting(sentence: str) -> None:
    """Say on standard error that a partner is waited for; nothing with ``--json``."""
    if not SETTINGS.json:
        from rich.text import Text

        stderr().print(Text(sentence))


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A Progress for the commands that take long."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[measure]}"),
    )
    with RichProgress(*columns, console=stderr(), transient=True) as bars:
        yield _Bars(bars)
