"""The share of each run's key, in a file of its own outside of the store (``mutuals.runs.keys``, docs/adr/0010).

    with peer.store.transaction() as tx:
        share = create_share(peer, run_id)               # on disk before the transaction commits
        store_receiving_key(tx, run_id, key, share)
    destroy_share(peer, run_id)                          # after the commit that ended the run

A file of a few bytes is written, and swept, inside of a transaction here, against the rule of the store: the lock that
a transaction holds is what keeps a sweep in one process from taking the file of a run that opens in another for an
orphan.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from mutuals.identity.files import (
    destroy,
    make_private_directory,
    overwrite,
    sync_directory,
    writable,
    write_private,
)
from mutuals.peer import Peer
from mutuals.runs.keys import fitting_share, new_share, rewrap, runs_with_keys
from mutuals.store.database import Transaction

_SUFFIX = ".key"
_NEXT = ".next"


def create_share(peer: Peer, run_id: str) -> bytes:
    """A fresh share for the run, 32 bytes, durably in its file; inside of the transaction that opens the run."""
    share = new_share()
    folder = peer.home.run_keys
    with writable(folder):
        if not folder.is_dir():
            make_private_directory(folder)
            sync_directory(folder.parent)
        write_private(_current(peer, run_id), share)
    return share


def load_shares(peer: Peer, run_id: str) -> tuple[bytes, ...]:
    """What lies in the home for the run: its share, or two where a rotation was interrupted, or none any more."""
    found: list[bytes] = []
    if Path(run_id).name != run_id:  # what a person typed in place of an id
        return ()
    for path in (_current(peer, run_id), _next(peer, run_id)):
        try:
            found.append(path.read_bytes())
        except FileNotFoundError:
            continue
    return tuple(found)


def destroy_share(peer: Peer, run_id: str) -> None:
    """Overwrite and remove the run's share, so that no copy of the store opens what the run received; idempotent.

    Raises MutualsError (LOCAL) where that fails; ``settle_shares`` makes up for it.
    """
    with writable(peer.home.run_keys):
        for path in (_current(peer, run_id), _next(peer, run_id)):
            destroy(path)


def rotate_shares(tx: Transaction, peer: Peer, readers: Collection[str]) -> dict[str, int]:
    """Put every run under a new share, with copies for ``readers`` (names of operators) alone; needs no passphrase.

    For each run (by id) how many copies are left; without any, what the run received is lost to everybody. Inside of
    the transaction that disables an operator; after its commit call ``settle_shares``. Where the transaction fails,
    the old shares stay in force.
    """
    left = {}
    for run_id in sorted(runs_with_keys(tx)):
        run = tx.runs.get(run_id)
        if run is None:
            continue
        share = new_share()
        held = load_shares(peer, run_id)
        with writable(peer.home.run_keys):
            write_private(_next(peer, run_id), share)
        left[run_id] = rewrap(tx, run_id, run.own_receiving_key, held, share, readers)
    return left


def settle_shares(peer: Peer) -> int:
    """Destroy the shares of runs whose keys are gone, and finish or undo rotations; how many runs' shares went.

    Makes up for whatever was interrupted between a commit and the files.
    """
    if not peer.home.run_keys.is_dir():
        return 0
    gone = set()
    with writable(peer.home.run_keys), peer.store.transaction() as tx:
        alive = runs_with_keys(tx)
        for path in sorted(peer.home.run_keys.iterdir()):
            run_id = path.name.removesuffix(_SUFFIX).removesuffix(_NEXT)
            known = path in (_current(peer, run_id), _next(peer, run_id))
            if not known or run_id not in alive:
                destroy(path)
                gone.add(run_id)
            elif path == _next(peer, run_id):
                _settle(tx, peer, run_id)
    return len(gone)


def _settle(tx: Transaction, peer: Peer, run_id: str) -> None:
    """Which of the two shares counts, the wrapped copies tell; the other one is destroyed."""
    run = tx.runs.get(run_id)
    current, following = _current(peer, run_id), _next(peer, run_id)
    share = following.read_bytes()
    if run is None or fitting_share(tx, run_id, run.own_receiving_key, (share,)) is None:
        destroy(following)
        return
    overwrite(current)
    os.replace(following, current)
    sync_directory(current.parent)


def _current(peer: Peer, run_id: str) -> Path:
    return peer.home.run_keys / f"{run_id}{_SUFFIX}"


def _next(peer: Peer, run_id: str) -> Path:
    return peer.home.run_keys / f"{run_id}{_NEXT}{_SUFFIX}"
