"""What all tests share: where they keep their files, and how many examples a property is tried on.

Files lie in memory where there is room, because the stores wait for the disk at every commit. ``EXAMPLES=1000`` tries
each property on more examples than the 40 that a run of all tests has time for. ``make test-postgres`` keeps every
home's store on PostgreSQL (``support/postgres.py``).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from support import postgres

_MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own there, for its owner alone
_ENOUGH = 4 * 2**30


settings.register_profile("examples", max_examples=int(os.environ.get("EXAMPLES", "25")), deadline=None)
settings.load_profile("examples")


def pytest_configure() -> None:
    """Choose the root of ``tmp_path``, unless the caller has; worker processes inherit the choice."""
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
    postgres.prepare()
    if postgres.everywhere():
        from support import postgres_homes

        if reason := postgres.missing():
            raise pytest.UsageError(f"{postgres.EVERYWHERE} is set, but there is {reason}.")
        postgres_homes.move_in_everywhere()
        postgres_homes.copy_databases_with_homes()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what looks into SQLite's file, where there is none."""
    if mark := item.get_closest_marker("sqlite"):
        postgres.needs_sqlite(mark.args[0])


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish() -> None:
    """Each database takes 8 MB of memory."""
    if postgres.everywhere():
        from support import postgres_homes

        postgres_homes.drop_what_nobody_needs()
