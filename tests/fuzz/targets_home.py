"""Files of a home after its disk was damaged: the journal of a match in flight, and what a run keeps until its end."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np

from fuzz.folder import folder
from fuzz.mutate_bytes import mutate_bytes
from fuzz.scenes import scenes
from fuzz.target import Ready, Target
from mutuals.engines.base import ITEM_SIZE, Operation
from mutuals.identity.home import Home
from mutuals.models.run import Role, Run
from mutuals.peer import Peer
from mutuals.protocol.items import as_rows
from mutuals.protocol.journal import Began, Computed
from mutuals.protocol.lists import Work
from mutuals.protocol.messages import Blinded, TagCommit, Tags
from mutuals.protocol.outcome import MatchOutcome
from mutuals.protocol.transcript import Transcript
from mutuals.runs.journal import MatchJournal, Opening
from mutuals.runs.overlap import Overlap
from mutuals.runs.spool import Matched, load_matched, load_overlap, save_matched, save_overlap
from mutuals.runs.spool_files import journal_path, spool_path

_ITEMS = as_rows(bytes(range(ITEM_SIZE)) * 3, ITEM_SIZE)


@cache
def _run() -> tuple[Peer, Run]:
    """A peer whose home is a folder of the test's, and a run of it under way."""
    scene = scenes()["run-ended"][0]
    peer = copy.copy(scene.peer)
    peer.home = Home(folder() / "damaged")
    peer.home.root.mkdir()
    with scene.peer.store.transaction() as tx:
        run = tx.runs.list()[0]
    return peer, replace(run, spool_key=bytes(32))


def _outcome() -> MatchOutcome:
    digests = [bytes([number]) * 32 for number in range(5)]
    return MatchOutcome(
        role=Role.INITIATOR,
        transcript=Transcript(*digests, 2),
        initiator=digests[0],
        responder=digests[1],
        partner_size=7,
        counted_own=b"\x01" * 64,
        counted_partner=b"\x02" * 64,
        items=_ITEMS,
        partner_positions=np.array([5, 2], np.uint32),
    )


def _written(path: Any, write: Callable[[], object]) -> bytes:
    """What ``write`` leaves in the file at ``path``, always the same."""
    with patch.object(os, "urandom", random.Random(1).randbytes):
        write()
    data: bytes = path.read_bytes()
    path.unlink()
    return data


def _journals() -> Ready:
    peer, run = _run()
    path = journal_path(peer, run)

    def write() -> None:
        opening = Opening(_ITEMS, np.array([1], np.uint32), count_only=False, withdrawals=2)
        with MatchJournal.create(peer, run, opening) as journal:
            journal.add(Began(b"\x03" * 32))
            journal.add(Computed(Work(Operation.BLIND, 0, 3), b"\x04" * 96))
            journal.add(Blinded(0, b"\x05" * 96))
            journal.add(TagCommit(b"\x06" * 32))
            journal.add(Tags(0, b"\x07" * 48, b"\x08" * 32))
            journal.count_resumption()

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        MatchJournal.count_only(peer, run)
        path.write_bytes(data)
        with MatchJournal.open(peer, run) as journal:
            list(journal.entries())

    return Ready([_written(path, write)], parse)


def _spools() -> Ready:
    peer, run = _run()
    path = spool_path(peer, run)
    overlap = Overlap.of([("C1",), ("C2", "C3")])
    matched = Matched(_outcome(), np.array([1], np.uint32))
    seeds = [
        _written(path, lambda: save_overlap(peer, run, overlap)),
        _written(path, lambda: save_matched(peer, run, matched)),
    ]

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        load = load_overlap if len(data) % 2 == len(seeds[0]) % 2 else load_matched
        load(peer, run)

    return Ready(seeds, parse)


def _outcomes() -> Ready:
    return Ready([_outcome().to_bytes()], MatchOutcome.from_bytes)


TARGETS = (
    Target("journal", _journals, mutate_bytes, everyday=0),
    Target("spool", _spools, mutate_bytes, everyday=0),
    Target("outcome", _outcomes, mutate_bytes, (ValueError,)),
)
