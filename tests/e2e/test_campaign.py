"""deploy/campaign.sh, as cron would start it: a service operator's run from match to exchange, and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support import pairing, postgres
from support.companies import free_port
from support.pairing import Pair, contact, paired

from mutuals.agreement.document import agreement_id
from mutuals.engines.workers import InlinePool
from mutuals.identity.operators import create_operator
from mutuals.models.agreement import Side
from mutuals.models.run import RunState
from mutuals.runs.handover import take_on
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer

SCRIPT = Path(__file__).parents[2] / "deploy" / "campaign.sh"
LEFT = [contact(f"L{i}", f"p{i}@example.com", city="Bremen") for i in range(4)]
RIGHT = [contact(f"R{i}", f"p{i}@example.com", score=str(i)) for i in range(1, 6)]


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Two companies that permit each other's runs by standing mandate; the left one has a service operator."""
    monkeypatch.setattr(
        pairing.TestClock, "__call__", lambda _: datetime.now(UTC)
    )  # as the script's processes
    mandate = {"reveal": "mandate", "exchange": "mandate"}
    with paired(
        tmp_path,
        {Side.PROPOSER: LEFT, Side.PARTNER: RIGHT},
        endpoint=f"127.0.0.1:{free_port()}",
        permission=mandate,
    ) as pair:
        left = pair.left
        robot = create_operator(
            "robot", ["service"], "marketing", b"no person", kdf=left.peer.config.kdf, now=left.clock()
        )
        take_on(left.peer, robot, left.keys)
        yield pair


@contextmanager
def serving(pair: Pair) -> Iterator[None]:
    """The right company's server."""
    peer = pair.right.peer
    log = ServerLog(pair.right.clock, peer.home.log / "server.log", stderr=False)
    server = PeerServer(peer, InlinePool(), peer.config.listen, log=log)
    server.start()
    try:
        yield
    finally:
        server.stop(grace=0)
        log.close()


def campaign(pair: Pair) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, the objects on standard output and the words on standard error."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MUTUALS_HOME": str(pair.left.peer.home.root),
        "MUTUALS_OPERATOR": "robot",
        "PATIENCE": "10s",
        **postgres.environment(),
    }
    done = subprocess.run(
        ["bash", str(SCRIPT), agreement_id(pair.digest)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    decoder, text, objects = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        found, end = decoder.raw_decode(text)
        objects.append(found)
        text = text[end:].strip()
    return done.returncode, objects, done.stderr


def test_a_campaign_is_carried_out_once_however_often_it_is_started(pair: Pair) -> None:
    with serving(pair):
        code, (matched, revealed, exchanged), told = campaign(pair)
        assert (code, told) == (0, "")
        assert (matched["overlap"], matched["started"]) == (3, True)
        assert (revealed["run"], revealed["contacts"]) == (matched["run"], 3)
        assert (exchanged["state"], exchanged["contacts_sent"], exchanged["contacts_received"]) == (
            "done",
            3,
            3,
        )
    code, (again,), _ = campaign(pair)  # the partner is down by now, and nobody needs it
    assert (code, again["run"], again["started"]) == (0, matched["run"], False)
    for side in (pair.left, pair.right):
        with side.peer.store.transaction() as tx:
            (run,) = tx.runs.list()
            opened = [entry for entry in tx.log.entries(pair.digest) if entry.event.endswith(".opened")]
        assert (run.state, len(opened)) == (RunState.DONE, 1)
