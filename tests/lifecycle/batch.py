"""A batch of histories in a worker process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from lifecycle.machine import SETTINGS, Figures, Lifecycle, OnDisk, take_figures
from lifecycle.world import prepare_stages


def run_batch(number: int, histories: int, acts: int, *, on_disk: bool = False) -> tuple[Figures, str | None]:
    """The figures of the batch with this seed, of at most ``acts`` a history, and what was found, if anything."""
    fault = None
    machine = OnDisk if on_disk else Lifecycle
    prepare_stages()
    try:
        with rarely_collecting():
            run_state_machine_as_test(
                seed(number)(machine),
                settings=settings(
                    SETTINGS, max_examples=histories, stateful_step_count=acts, print_blob=False
                ),
            )
    except (
        Exception
    ) as error:  # an assertion of the machine, or the product failing in a way that it should not
        notes = "\n".join(getattr(error, "__notes__", ()))
        fault = f"Batch {number}: {type(error).__name__}: {error}\n{notes}"
    return take_figures(), fault


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """Histories make little garbage in cycles; looking for it took a tenth of the time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 5, 5)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
