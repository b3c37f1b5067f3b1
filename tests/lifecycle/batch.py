"""A batch of histories in a worker process."""

from __future__ import annotations

from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from lifecycle.machine import SETTINGS, Figures, Lifecycle, take_figures


def run_batch(number: int, histories: int) -> tuple[Figures, str | None]:
    """The figures of the batch with this seed, and what was found, if anything."""
    fault = None
    try:
        run_state_machine_as_test(
            seed(number)(Lifecycle), settings=settings(SETTINGS, max_examples=histories, print_blob=False)
        )
    except (
        Exception
    ) as error:  # an assertion of the machine, or the product failing in a way that it should not
        notes = "\n".join(getattr(error, "__notes__", ()))
        fault = f"Batch {number}: {type(error).__name__}: {error}\n{notes}"
    return take_figures(), fault
