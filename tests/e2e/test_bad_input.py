"""Bad input through the command line: refused with its exit code and one sentence, and nothing is written.

Where a partner is called, both sides first say how far their logs are (``mutuals.audit.heads``): a checkpoint, and one
entry where a peer's own log grew since. That is so before the command is refused, and once: a second refusal finds
nothing new to sign and changes no byte.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.pairing import PASSPHRASE, Pair, TestClock, contact, paired
from support.postgres_homes import content_of

from mutuals.audit.heads import PEER_LOG
from mutuals.clock import utc_now
from mutuals.engines.workers import InlinePool
from mutuals.models.agreement import Side
from mutuals_client import main
from mutuals_client.demo.agreement import agreement_toml
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer

HEADER = "contact_id,email,phone,consent,consent_at,notified_at,suppressed\n"
ROWS = {
    Side.PROPOSER: [contact(f"L{i}", f"person{i}@example.com") for i in range(8)],
    Side.PARTNER: [contact(f"R{i}", f"person{i}@example.com") for i in range(4, 12)],
}


@pytest.fixture
def mutuals(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Run a command in a home; its exit code and JSON object."""

    def call(home: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
        main.reset_settings()
        reading, writing = os.pipe()
        os.write(writing, PASSPHRASE + b"\n")
        os.close(writing)
        signs = ["--passphrase-fd", str(reading)] if arguments[:2] == ("agreement", "propose") else []
        try:
            code = main.run([*arguments, *signs, "--home", str(home), "--json", "--yes"])
        finally:
            os.close(reading)
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, json.loads(told.out)

    return call


@contextmanager
def unchanged(home: Path) -> Iterator[None]:
    """Nothing in the home but the log may change."""

    def content() -> tuple[dict[Path, bytes], object]:
        files = {
            path: path.read_bytes()
            for path in home.rglob("*")
            if path.is_file() and path.parent.name != "log"
        }
        return files, content_of(home)

    before = content()
    yield
    assert content() == before


@contextmanager
def only_logs_shown(home: Path) -> Iterator[None]:
    """Nothing in the store may change but how far the logs are said to be."""

    def rows() -> list[str]:
        if (tables := content_of(home)) is not None:
            rest = [(name, row) for name, rows in tables.items() for row in rows if name != "checkpoints"]
            return [line for line in map(repr, rest) if PEER_LOG not in line]
        with closing(sqlite3.connect(home / "store.sqlite")) as store:
            lines = list(store.iterdump())
        return [line for line in lines if PEER_LOG not in line and 'INTO "checkpoints"' not in line]

    before = rows()
    yield
    assert rows() == before


def check(answer: tuple[int, dict[str, Any]], code: int, *words: str) -> None:
    """The exit code, and one sentence that has these words."""
    assert answer[0] == code, answer
    message = answer[1]["error"]["message"]
    assert message[-1] in ".?"
    for word in words:
        assert word in message


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(pair: Pair, port: int, clock: Callable[[], Any] | None = None) -> Iterator[None]:
    """The partner answers; ``clock`` is what its clock says (default: the time, as for the command)."""
    peer = pair.right.peer
    peer.clock = clock or utc_now
    server = PeerServer(
        peer, InlinePool(), f"127.0.0.1:{port}", log=ServerLog(peer.clock, peer.home.log / "server.log")
    )
    server.start()
    try:
        yield
    finally:
        server.stop(0)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (HEADER + 'C1,"jane@example.com,,,,,\n', "quot"),
        (HEADER + "C1,jane@example.com\n", "row 2"),
        (HEADER.replace(",consent,", ",") + "C1,jane@example.com,,2026-01-01,2026-01-01,\n", "consent"),
        ((HEADER + "C1,ü@example.com,,,,,\n").encode("cp437"), "Windows-1252"),
        (HEADER + "C1,a@example.com,,,,,\nC1,b@example.com,,,,,\n", "contact_id"),
        ("", "empty"),
    ],
    ids=["malformed", "ragged", "missing column", "wrong encoding", "duplicate ids", "empty file"],
)
def test_unusable_files_are_refused(tmp_path: Path, mutuals: Any, content: str | bytes, word: str) -> None:
    with paired(tmp_path, ROWS) as pair:
        file = tmp_path / "list.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        home = pair.left.peer.home.root
        with unchanged(home):
            check(mutuals(home, "source", "add", "list", "--path", str(file)), 7, word)


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("min_set_size =", "min_set_siz =", "min_set_siz"),
        ('name = "segment"', 'name = "shoe_colour"', "shoe_colour"),
        ('engine = "x25519"', 'engine = "quantum"', "engine"),
        ("title =", "title", "line 1"),
    ],
    ids=["unknown key", "field that does not exist", "unknown engine", "no TOML"],
)
def test_unusable_drafts_are_refused(
    tmp_path: Path, mutuals: Any, before: str, after: str, word: str
) -> None:
    with paired(tmp_path, ROWS) as pair:
        today = pair.left.clock().date()
        text = agreement_toml(today, 100)
        for name, fixed in (("Nordwind Outdoor GmbH", "Left Ltd"), ("Vélo Verde SAS", "Right SA")):
            text = text.replace(name, fixed)
        assert before in text
        draft = tmp_path / "draft.toml"
        draft.write_text(text.replace(before, after, 1), encoding="utf-8")
        home = pair.left.peer.home.root
        mapping = ["lifetime_value=score", "last_purchase=city", "newsletter=city", "segment=city"]
        maps = [
            f"--map={item}" for item in mapping if item.split("=")[0] != "segment" or "segment" not in before
        ]
        with unchanged(home):
            answer = mutuals(
                home, "agreement", "propose", str(draft), "--with", "Right SA", "--source", "crm", *maps
            )
        check(answer, 7, word)


def test_an_expired_agreement_is_refused(
    tmp_path: Path, mutuals: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TestClock.__call__
    with monkeypatch.context() as earlier:
        earlier.setattr(TestClock, "__call__", lambda clock: real(clock) - timedelta(days=200))
        with paired(tmp_path, ROWS) as pair:
            digest, home = pair.digest, pair.left.peer.home.root
    with unchanged(home):
        check(mutuals(home, "match", digest), 6, "ended on")


def test_a_set_over_the_maximum_is_refused(tmp_path: Path, mutuals: Any) -> None:
    port = free_port()
    with (
        paired(tmp_path, ROWS, matching={"max_set_size": 7}, endpoint=f"localhost:{port}") as pair,
        serving(pair, port),
    ):
        left, right = pair.left.peer.home.root, pair.right.peer.home.root
        with only_logs_shown(left), only_logs_shown(right):
            check(mutuals(left, "match", pair.digest), 3, "at most 7")
        with unchanged(left), unchanged(right):
            check(mutuals(left, "match", pair.digest), 3, "at most 7")


def test_an_overlap_under_the_minimum_is_exit_code_5(tmp_path: Path, mutuals: Any) -> None:
    port = free_port()
    with (
        paired(tmp_path, ROWS, matching={"min_overlap": 5}, endpoint=f"localhost:{port}") as pair,
        serving(pair, port),
    ):
        check(mutuals(pair.left.peer.home.root, "match", pair.digest), 5, "fewer than the 5")


def test_a_partners_clock_off_by_an_hour_is_refused(tmp_path: Path, mutuals: Any) -> None:
    """The command uses the real clock; the partner's is an hour ahead of it."""
    port = free_port()
    with (
        paired(tmp_path, ROWS, endpoint=f"localhost:{port}") as pair,
        serving(pair, port, lambda: utc_now() + timedelta(hours=1)),
    ):
        code, answer = mutuals(pair.left.peer.home.root, "match", pair.digest)
        assert (code, answer["error"]["code"]) == (1, "CLOCK_SKEW")
        assert not mutuals(pair.left.peer.home.root, "runs")[1]["runs"]


def test_a_partner_that_is_down_is_exit_code_8(tmp_path: Path, mutuals: Any) -> None:
    with paired(tmp_path, ROWS, endpoint=f"localhost:{free_port()}") as pair:
        home = pair.left.peer.home.root
        with only_logs_shown(home):
            check(mutuals(home, "match", pair.digest), 8, "Right SA")
        with unchanged(home):
            check(mutuals(home, "match", pair.digest), 8, "Right SA")
