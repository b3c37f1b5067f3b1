"""Files for parsers that take a path: one folder a process, in memory where there is one."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

FOLDER = "FUZZ_FOLDER"
"""The environment's name for a folder that is removed by whoever started the process."""


def memory() -> str | None:
    """A folder in memory, where there is one."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
    return str(shared) if shared.is_dir() and os.access(shared, os.W_OK) else None


@cache
def folder() -> Path:
    """The folder, removed when the process ends."""
    given = os.environ.get(FOLDER)
    if given:
        return Path(given)
    root = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory()))
    atexit.register(shutil.rmtree, root, True)
    return root


def in_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """``read``, given the bytes as a file called ``name``."""
    path = folder() / name
    path.parent.mkdir(exist_ok=True)

    def parse(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return parse
