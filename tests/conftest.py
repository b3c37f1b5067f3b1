"""What all tests share: where they keep their files, and how many examples a property is tried on.

Files lie in memory where there is room, because the stores wait for the disk at every commit. ``EXAMPLES=1000`` tries
each property on more examples than the 40 that a run of all tests has time for.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hypothesis import settings

_MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own there, for its owner alone
_ENOUGH = 4 * 2**30


settings.register_profile("examples", max_examples=int(os.environ.get("EXAMPLES", "40")), deadline=None)
settings.load_profile("examples")


def pytest_configure() -> None:
    """Choose the root of ``tmp_path``, unless the caller has; worker processes inherit the choice."""
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
