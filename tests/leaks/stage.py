"""Two companies in homes of their own, the real server on a real port, the real command line: one step at a time.

stage = Stage.build(folder)
with stage.scene("match", place) as scene:
    scene.act()              # runs the command; whatever was said and written is kept
    scene.output             # every byte of it
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from support.assessed import propose
from support.companies import free_port
from support.pairing import PASSPHRASE, Pair, agreement_between, paired

import mutuals.engines.pools
import mutuals.transport.connection
import mutuals.transport.streams
import mutuals_client.console
from leaks.planted import rows
from mutuals.engines.workers import InlinePool
from mutuals.models.agreement import Side
from mutuals.models.run import RunState
from mutuals.peer import Peer
from mutuals.runs.authorisation import authorise_exchange, authorise_reveal
from mutuals.runs.exchange import initiate_exchange, respond_exchange
from mutuals.runs.lifecycle import expire_runs
from mutuals.runs.preview import preview_exchange
from mutuals.transport.connection import connect
from mutuals.transport.options import Limits
from mutuals_client import main as command_line
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer

__all__ = ["STEPS", "Scene", "Stage"]

PATIENCE = Limits(unary=5, stream=8, idle=4, drain=1, runs=3, runs_per_partner=2, unary_calls=4, free_disk=0)
SECONDS = 20
"""After so long a command hangs; everything that it may wait for ends sooner."""

RUN = "{run}"
OUT = "{out}"

STEPS: dict[str, tuple[str, ...]] = {
    "check": ("source", "check", "crm"),
    "sync": ("sync",),
    "match": ("match", "{agreement}"),
    "reveal": ("reveal", RUN),
    "exchange": ("exchange", RUN),
    "export": ("export", RUN, "--out", OUT),
}
"""The commands, each from the state that the one before it leaves."""

_BEFORE = {
    "check": "agreed",
    "sync": "agreed",
    "match": "agreed",
    "reveal": "counted",
    "exchange": "revealed",
}


class Hung(BaseException):
    """A command that does not end."""


class _Inline(InlinePool):
    """Computes in the caller: worker processes have tests of their own."""

    def __init__(self, plan: object) -> None:
        super().__init__()

    def start(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nor to close."""

    def __enter__(self) -> _Inline:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Stage:
    """Snapshots of both homes before each step."""

    folder: Path
    agreement: str
    run_id: str
    sid: bytes

    @classmethod
    def build(cls, folder: Path) -> Stage:
        """Play everything once without a network, and keep the homes at every step."""
        lists = {Side.PROPOSER: rows("left"), Side.PARTNER: rows("right")}
        live = folder / "live"
        live.mkdir(parents=True)
        with paired(live, lists, endpoint=f"127.0.0.1:{free_port()}") as pair:
            pair.left.clock.now = datetime.now(UTC)
            propose(
                pair.left.peer,
                agreement_between(pair.left, pair.right, title="Later"),
                "crm",
                {},
                pair.left.keys,
            )
            _keep(folder, "agreed")
            run, _ = pair.match()
            for side in pair.sides.values():
                authorise_reveal(side.peer, side.run(run.run_id), side.keys)
            _keep(folder, "counted")
            pair.reveal(run.run_id)
            for side in pair.sides.values():
                preview = preview_exchange(side.peer, run.run_id)
                names = [item.shared.name for item in preview.outgoing.fields]
                authorise_exchange(side.peer, preview.run, names, preview.digest, side.keys)
            _keep(folder, "revealed")
            _exchange(pair, run.run_id)
            _keep(folder, "done")
            return cls(folder, pair.digest, run.run_id, run.sid)

    @contextmanager
    def scene(self, step: str, place: Path) -> Iterator[Scene]:
        """Copies of both homes in ``place`` before ``step``; the right one serves."""
        for name in ("left", "right"):
            shutil.copytree(self.folder / _BEFORE.get(step, "done") / name, place / name)
            (place / name / "contacts.csv").unlink()  # the source stays where it was
        (place / "out").mkdir()
        with _hooks_put_back(), Peer.open(place / "right") as right:
            log = ServerLog(right.clock, right.home.log / "server.log", stderr=True)
            log.watch_threads()
            server = PeerServer(right, InlinePool(), str(right.card.card.endpoint), log=log, limits=PATIENCE)
            server.start()
            try:
                yield Scene(self, step, place, right, server)
            finally:
                server.stop(grace=0)
                log.close()


@dataclass
class Scene:
    """One step, to be acted; afterwards, everything that came of it."""

    stage: Stage
    step: str
    place: Path
    right: Peer
    server: PeerServer
    code: int = 1
    hung: bool = False
    statuses: list[str] = field(default_factory=list)

    def act(self) -> int:
        """Run the command as ``mutuals`` would; its exit code."""
        names = {
            "agreement": self.stage.agreement,
            "run": self.stage.run_id,
            "out": self.place / "out" / "campaign.csv",
        }
        arguments = [argument.format(**names) for argument in STEPS[self.step]]
        arguments += ["--home", str(self.place / "left"), "--json", "--yes"]
        with _substitutes(self.statuses.append), _passphrase() as descriptor, _alarm():
            if self.step == "export":
                arguments += ["--passphrase-fd", str(descriptor)]
            try:
                command_line.main(arguments)
            except SystemExit as ended:
                self.code = ended.code if isinstance(ended.code, int) else 1
            except Hung:
                self.hung = True
            except BaseException as error:
                # What the interpreter does with it when a program ends.
                sys.excepthook(type(error), error, error.__traceback__)
                self.code = 1
        return self.code

    def sids(self) -> list[bytes]:
        """The ids of both sides' runs."""
        found = {self.stage.sid}
        for name in ("left", "right"):
            with Peer.open(self.place / name) as peer, peer.store.transaction() as tx:
                found |= {run.sid for run in tx.runs.list()}
        return sorted(found)

    def stuck(self) -> list[str]:
        """Runs that neither ended nor can be taken up again, not even once their date has passed."""
        found = []
        for name in ("left", "right"):
            later = datetime.now(UTC) + timedelta(days=2)
            with Peer.open(self.place / name, lambda later=later: later) as peer:
                with peer.store.transaction() as tx:
                    before = {run.run_id: run.state for run in tx.runs.list()}
                if {RunState.MATCHING, RunState.REVEALING} & set(before.values()):
                    expire_runs(peer)
                with peer.store.transaction() as tx:
                    found += [
                        f"{name}: {run.state.value}"
                        for run in tx.runs.list()
                        if run.state in {RunState.MATCHING, RunState.REVEALING}
                    ]
        return found

    def answers(self) -> bool:
        """Whether the server still answers this partner."""
        with Peer.open(self.place / "left") as left:
            with left.store.transaction() as tx:
                (partner,) = tx.partners.list()
            with connect(left, partner, PATIENCE) as connection:
                return connection.ping().version == 1

    def files(self) -> Iterator[tuple[str, bytes]]:
        """All files of both homes and of the folder for exports, with what is in them."""
        for path in sorted(self.place.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(self.place)), path.read_bytes()


def _keep(folder: Path, name: str) -> None:
    shutil.copytree(folder / "live", folder / name)


def _exchange(pair: Pair, run_id: str) -> None:
    pair.both(
        lambda stream: initiate_exchange(pair.left.peer, run_id, stream),
        lambda stream: respond_exchange(pair.right.peer, pair.right.partner(), stream),
    )


@contextmanager
def _substitutes(heard: Callable[[str], None]) -> Iterator[None]:
    """No worker processes, little patience, and an ear on every status that comes back from the server."""
    pool, patience = mutuals.engines.pools.open_pool, connect.__defaults__
    modules = (mutuals.transport.connection, mutuals.transport.streams)
    honest = modules[0].from_rpc_error

    def listen(error: grpc.RpcError, partner: str) -> Any:
        if isinstance(error, grpc.Call):
            heard(f"{error.code()} {error.details()} {error.initial_metadata()} {error.trailing_metadata()}")
        return honest(error, partner)

    mutuals.engines.pools.open_pool = _Inline  # type: ignore[assignment]
    connect.__defaults__ = (PATIENCE,)
    keyring = mutuals_client.console.passphrase_from_keyring
    mutuals_client.console.passphrase_from_keyring = lambda operator: None  # nobody's own one
    for module in modules:
        module.from_rpc_error = listen  # type: ignore[attr-defined]
    try:
        yield
    finally:
        mutuals.engines.pools.open_pool = pool
        connect.__defaults__ = patience
        mutuals_client.console.passphrase_from_keyring = keyring
        for module in modules:
            module.from_rpc_error = honest  # type: ignore[attr-defined]


@contextmanager
def _hooks_put_back() -> Iterator[None]:
    """Programs set these for their whole process."""
    before = sys.excepthook, sys.unraisablehook, threading.excepthook, logging.lastResort
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook, threading.excepthook, logging.lastResort = before


@contextmanager
def _alarm() -> Iterator[None]:
    """Raise Hung in the main thread after a while."""

    def ring(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _passphrase() -> Iterator[int]:
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE + b"\n")
    os.close(writing)
    try:
        yield reading
    finally:
        os.close(reading)
