"""Lives whose acts meet a full disk, or a store that another process holds: refused in a sentence, or carried out.

with small_disk(folder) as disk: ...      # a file system of its own, where this process may make one
Starved(place, chance, tally, "left", disk).play()
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, select
from support.pairing import Company

from crashes.lives import Lives, Tally, error_code
from crashes.world import World
from mutuals.store.schema import store_state

MEGABYTES = 16
"""Of the small disk: a home with its list, and what a match of it writes."""

SPARE = (0, 1, 3, 12, 40, 120)
"""How many pages of 4,096 bytes a full disk has left."""

LONGEST = 14.0
"""Seconds for which the store is held at most: a transaction waits for 10."""

Disturbance = Callable[[], Any]


class Starved(Lives):
    """Lives in which the ``side`` has a full disk now and then: ``disk``, on which its home lies; or a held store."""

    def __init__(
        self, place: World, chance: random.Random, tally: Tally, *, shared: int, side: str, disk: Path | None
    ) -> None:
        super().__init__(place, chance, tally, shared=shared, kills=2)
        self._company: Company = getattr(place, side)
        self._side = side
        self._disk = disk

    def _disturbed(
        self, act: str, words: tuple[str, ...], company: Company | None
    ) -> tuple[dict[str, Any] | None, bool]:
        what = "store held" if self._disk is None else "disk full"
        with self._held() if self._disk is None else self._full(self._disk):
            said = self._answer(act, self._place.call(*words, company=company), company)
        refused = said is None or said["exit"] != 0
        self._tally.kills[f"{act}: {what} on the {self._side} side, {'refused' if refused else 'done'}"] += 1
        return said, True

    def _has_reason(self, said: dict[str, Any]) -> bool:
        """A peer does not tell its partner what is wrong at home, only that its own log says so."""
        there = self._side == "right" and f"{self._company.peer.name} refused: " in str(said.get("error"))
        return (there and error_code(said) == "INTERNAL") or super()._has_reason(said)

    @contextmanager
    def _full(self, disk: Path) -> Iterator[None]:
        """Hardly anything is left on the disk."""
        ballast = disk / "ballast"
        free = os.statvfs(disk)
        size = free.f_bavail * free.f_frsize - 4096 * self._chance.choice(SPARE)
        with ballast.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, max(size, 1))
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """This process has the store of the side, for a while."""
        given_back = threading.Event()
        engine = create_engine(
            self._company.peer.home.store_url(self._company.peer.config),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
        )
        taken = threading.Event()
        seconds = self._chance.uniform(0.5, LONGEST)

        def hold() -> None:
            with engine.connect() as connection:
                if engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                else:
                    connection.exec_driver_sql("BEGIN")
                    connection.execute(select(store_state.c.id).with_for_update()).all()
                taken.set()
                given_back.wait(seconds)
                connection.exec_driver_sql("ROLLBACK")

        thread = threading.Thread(target=hold)
        thread.start()
        taken.wait()
        try:
            yield
        finally:
            given_back.set()
            thread.join()
            engine.dispose()


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of that size in ``folder``, or nothing where this process may not make one."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    made = shutil.which("mount") and not subprocess.run(
        ["mount", *options], check=False, capture_output=True
    ).returncode  # fmt: skip
    try:
        yield folder if made else None
    finally:
        if made:
            subprocess.run(["umount", "-l", str(folder)], check=True)
