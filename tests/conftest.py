"""Where tests keep their files: in memory where there is room, because the stores wait for the disk at every commit."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own there, for its owner alone
_ENOUGH = 4 * 2**30


def pytest_configure() -> None:
    """Choose the root of ``tmp_path``, unless the caller has; worker processes inherit the choice."""
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
