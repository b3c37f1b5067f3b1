"""The files in the home's spool folder: where those of a run are, and when they go.

What is in them: ``mutuals.runs.spool`` and ``mutuals.runs.journal``. Every command looks after them, few open one: so
this module loads quickly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from mutuals.identity.files import lock, make_private_directory, remove_if_possible, sync_directory
from mutuals.models.run import Run
from mutuals.peer import Peer


def destroy_spool(peer: Peer, run: Run) -> None:
    """Remove the files; the caller clears ``Run.spool_key`` in the store, which alone already ends it.

    What cannot be removed is logged and left to ``sweep_spools``: what the caller did is done.
    """
    remove_if_possible(spool_path(peer, run))
    destroy_journal(peer, run)


def destroy_journal(peer: Peer, run: Run) -> None:
    """Remove what only a match in flight needs."""
    remove_if_possible(journal_path(peer, run))


def make_spool(folder: Path) -> None:
    """Make the folder durably, unless it is there. Raises OSError."""
    if not folder.is_dir():
        make_private_directory(folder)
        sync_directory(folder.parent)


def spool_files(peer: Peer) -> list[Path]:
    """The files there are now."""
    return list(peer.home.spool.glob("R-*"))


def sweep_spools(files: Iterable[Path], alive: Collection[str]) -> None:
    """Remove those of ``files`` whose run is not named; without their keys they are noise, but noise takes room.

    ``alive`` must have been read after ``files``, since a run enters the store before its file is written; a match in
    flight, whose journal is written a moment before, holds that.
    """
    for path in files:
        if path.stem not in alive and not in_use(path):
            remove_if_possible(path)


def in_use(path: Path) -> bool:
    """Whether a process holds the file (``mutuals.identity.files.lock``)."""
    try:
        with path.open("rb") as file:
            return not lock(file.fileno())
    except OSError:
        return False


def journal_path(peer: Peer, run: Run) -> Path:
    """Where a match in flight is written down (``mutuals.runs.journal``)."""
    return peer.home.spool / f"{run.run_id}.journal"


def spool_path(peer: Peer, run: Run) -> Path:
    """Where what a run remembers is kept (``mutuals.runs.spool``)."""
    return peer.home.spool / f"{run.run_id}.spool"
