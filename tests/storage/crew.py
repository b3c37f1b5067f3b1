"""Failures on several cores: worker processes that each play acts in a folder of their own."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from storage.acts import Scenes
from storage.faults import Failure, Figures, Stage, let_fail, staged

_AT_ONCE = 40

_mine: list[tuple[Scenes, Stage, Path]] = []
_sound: set[tuple[str, bytes]] = set()
_open = ExitStack()


def carried_out(scenes: Scenes, failures: Sequence[Failure], folder: Path, workers: int) -> Iterator[Figures]:
    """What came of ``failures``, some at a time, as they are done; ``folder`` is where the workers play."""
    pieces = [failures[start : start + _AT_ONCE] for start in range(0, len(failures), _AT_ONCE)]
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # for the workers: lists of six contacts need no more
    with multiprocessing.get_context("spawn").Pool(workers, _begin, (scenes, folder)) as pool:
        yield from pool.imap_unordered(_work, pieces)


def _begin(scenes: Scenes, folder: Path) -> None:
    logging.getLogger("mutuals").setLevel(logging.CRITICAL)
    stage = _open.enter_context(staged())
    _mine.append((scenes, stage, folder / f"world-{os.getpid()}"))
    gc.collect()
    gc.freeze()


def _work(failures: Sequence[Failure]) -> Figures:
    ((scenes, stage, place),) = _mine
    figures = Figures(sound=_sound)
    for failure in failures:
        let_fail(scenes, failure, stage, place, figures)
    return replace(figures, sound=set())
