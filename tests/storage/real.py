"""Disks that are really full, and a store that another process really holds: each act once, then again with room.

with small_disk(folder, megabytes=4) as place: ...     # a file system of its own; needs root
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mutuals.store import engine
from storage.acts import Scenes
from storage.check import inconsistent, unclean
from storage.faults import small_messages

SMALL = 3
"""Megabytes: what both homes take, and a little more."""

_HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def small_disk(folder: Path, megabytes: int = SMALL) -> Iterator[Path | None]:
    """A file system of that size in ``folder``, or nothing where this process may not make one."""
    folder.mkdir()
    made = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)],
            check=False,
            capture_output=True,
        ).returncode
    )
    try:
        yield folder if made else None
    finally:
        if made:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def disk_full(scenes: Scenes, act: str, disk: Path, spare: int) -> tuple[bool, list[str]]:
    """``act`` on a disk with ``spare`` bytes left, and again with room: whether it was refused; what is wrong."""
    place = disk / "world"
    ballast = disk / "ballast"
    try:
        with small_messages(), scenes.world(act, place) as world:
            _fill(ballast, spare)
            errors = world.act()
            found = [why for error in errors.values() if (why := unclean(error))]
            ballast.unlink()
            world.reopen()
            found += [f"{name}: {what}" for name, side in world.sides() for what in inconsistent(side)]
            found += world.retry()
            found += [f"{name}, later: {what}" for name, side in world.sides() for what in inconsistent(side)]
            return bool(errors), [f"{act}, disk full but for {spare:,}: {what}" for what in found]
    finally:
        shutil.rmtree(place, ignore_errors=True)
        ballast.unlink(missing_ok=True)


def locked(
    scenes: Scenes, act: str, side: str, place: Path, patience: float = 0.05
) -> tuple[bool, list[str]]:
    """``act`` while another process holds the store of ``side`` for longer than is waited for, and again without it."""
    before = engine.BUSY_SECONDS
    engine.BUSY_SECONDS = patience  # type: ignore[assignment]
    try:
        with small_messages(), scenes.world(act, place) as world:
            world.reopen()  # with little patience
            store = dict(world.sides())[side].peer.store.path
            with _held(str(store)):
                errors = world.act()
            found = [why for error in errors.values() if (why := unclean(error))]
            found += [f"{name}: {what}" for name, one in world.sides() for what in inconsistent(one)]
            found += world.retry()
            return bool(errors), [f"{act}, {side} store locked: {what}" for what in found]
    finally:
        engine.BUSY_SECONDS = before
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _held(store: str) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, store], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        try:
            if other.stdout is None or other.stdout.readline() != b"held\n":
                raise RuntimeError("the other process does not hold the store")
            yield
        finally:
            other.kill()


def _fill(path: Path, spare: int) -> None:
    """Leave ``spare`` bytes on the disk."""
    free = os.statvfs(path.parent)
    with path.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(free.f_bavail * free.f_frsize - spare, 1))
