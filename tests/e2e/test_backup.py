"""deploy/backup.sh: a home put back from it is the same peer, and opens nothing that was received."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support.pairing import Pair, contact
from support.revealed import exchange_both, reveal_once

from mutuals.errors import MutualsError
from mutuals.models.agreement import Side
from mutuals.models.run import RunState
from mutuals.peer import Peer
from mutuals.runs.export import open_received
from mutuals.runs.shares import load_shares

SCRIPT = Path(__file__).parents[2] / "deploy" / "backup.sh"
LEFT = [contact(f"L{i}", f"p{i}@example.com") for i in range(3)]
RIGHT = [contact(f"R{i}", f"p{i}@example.com", score=str(i)) for i in range(3)]


@pytest.mark.sqlite("copies the file; pg_dump is in tests/store/test_postgres.py")
def test_a_restored_home_goes_on_without_what_it_received(tmp_path: Path) -> None:
    snapshot = reveal_once(tmp_path / "made", LEFT, RIGHT)
    with snapshot.copy(tmp_path / "now") as pair:
        exchange_both(pair, snapshot.run_id)
        old = pair.left
        assert open_received(old.peer, snapshot.run_id, old.keys)
        archive = subprocess.run(
            ["bash", str(SCRIPT), str(old.peer.home.root)], capture_output=True, check=True
        )
        home = tmp_path / "restored"
        home.mkdir(mode=0o700)
        subprocess.run(["tar", "-x", "-C", str(home)], input=archive.stdout, check=True)
        names = {str(path.relative_to(home)) for path in home.rglob("*")}
        assert {
            "config.toml",
            "card.json",
            "store.sqlite",
            "keys/signing.pem",
            "keys/suppression.key",
        } <= names
        assert not {name for name in names if name.startswith(("keys/runs", "spool", "log", "locks"))}
        assert {path.name for path in home.rglob("*") if path.stat().st_mode & 0o077} <= {"contacts.csv"}
        with Peer.open(home, old.clock) as peer:
            restored = replace(old, peer=peer)
            assert peer.fingerprint == old.peer.fingerprint
            assert restored.run(snapshot.run_id).state is RunState.DONE
            assert load_shares(peer, snapshot.run_id) == ()
            with pytest.raises(MutualsError):
                open_received(peer, snapshot.run_id, old.keys)
            again, _ = Pair({Side.PROPOSER: restored, Side.PARTNER: pair.right}, pair.digest).match()
            assert again.state is RunState.COUNTED
            assert load_shares(peer, again.run_id)
