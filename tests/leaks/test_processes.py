"""The same with real processes: server, workers and command line, each failing at some point.

Besides what they print and write, the arguments of all processes are looked at while they run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from leaks.planted import Planted, plant
from leaks.played import core_limit, processes_of
from leaks.stage import Stage
from mutuals.errors import ERRORS, ErrorCode
from mutuals.peer import Peer

SECONDS = 60
SERVER, CLIENT = "server", "client"

FAILURES: dict[str, tuple[str, str]] = {
    "nothing fails": (SERVER, ""),
    "server: home": (SERVER, "mutuals.peer.Peer.open"),
    "server: port": (SERVER, "mutuals_server.serve.PeerServer.start"),
    "server: source": (SERVER, "mutuals.sources.readers.open_source"),
    "server: worker comes up": (SERVER, "mutuals.engines.workers._warm_up"),
    "server: thread of a worker": (SERVER, "mutuals.engines.workers._end_with_parent"),
    "server: worker computes": (SERVER, "mutuals.engines.workers._apply"),
    "client: home": (CLIENT, "mutuals.peer.Peer.open"),
    "client: items": (CLIENT, "mutuals.protocol.items.items_for"),
    "client: worker comes up": (CLIENT, "mutuals.engines.workers._warm_up"),
    "client: worker computes": (CLIENT, "mutuals.engines.workers._apply"),
}

ALWAYS = ("server: worker computes",)
CASES = FAILURES if os.environ.get("LEAKS") else ALWAYS

HARMLESS = frozenset({"nothing fails", "server: thread of a worker"})
"""The match is done all the same."""


@dataclass
class Watch:
    """What could be seen from outside while the processes ran."""

    arguments: set[bytes] = field(default_factory=set)
    temporary: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Both homes under an active agreement."""
    return Stage.build(tmp_path_factory.mktemp("leaks") / "stage")


@pytest.mark.parametrize("name", CASES)
def test_nothing_leaks_from_processes(name: str, stage: Stage, tmp_path: Path) -> None:
    side, function = FAILURES[name]
    for home in ("left", "right"):
        shutil.copytree(stage.folder / "agreed" / home, tmp_path / home)
        (tmp_path / home / "contacts.csv").unlink()
    says = tmp_path.parent / f"{tmp_path.name}-says"
    says.write_text(plant(stage.agreement, []).sentence, encoding="utf-8")
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def environment(of: str) -> dict[str, str]:
        inside = Path(__file__).parent / "inside"
        fails = {"LEAKS_FAIL": function if of == side else "", "LEAKS_SAYS": str(says)}
        return {**os.environ, "PYTHONPATH": str(inside), "TMPDIR": str(temporary), **fails}

    with watching(temporary) as seen, (tmp_path / "server.txt").open("wb") as told:
        command = [sys.executable, "-m", "mutuals_server", "--home", str(tmp_path / "right")]
        with Peer.open(tmp_path / "right") as peer:
            command += ["--announce", "--workers", "1", "--listen", str(peer.card.card.endpoint)]
        server = subprocess.Popen(
            command, env=environment(SERVER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told
        )
        assert server.stdout is not None
        announced = server.stdout.readline()
        if sys.platform == "linux" and b'"ready"' in announced:
            limits = [core_limit(pid) for pid in processes_of(server.pid)]
            assert limits == ["0", "0"], "server or worker could leave a core file"
        command = [sys.executable, "-m", "mutuals_client.main", "match", stage.agreement, "--json"]
        done = subprocess.run(
            [*command, "--home", str(tmp_path / "left")],
            env=environment(CLIENT),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        out, _ = server.communicate(timeout=SECONDS)  # closes its input, so it ends
    (tmp_path / "said.txt").write_bytes(announced + out + done.stdout + done.stderr)
    _check_typed(done.returncode, done.stdout, fails=name not in HARMLESS)
    assert _leaks(_planted(stage, tmp_path), tmp_path, seen) == []


def _check_typed(code: int, out: bytes, *, fails: bool) -> None:
    said = json.loads(out)
    assert ("error" in said) == (code != 0) == fails
    if fails:
        assert ERRORS[ErrorCode(said["error"]["code"])].exit_code == code


def _planted(stage: Stage, place: Path) -> Planted:
    sids = []
    for home in ("left", "right"):
        with Peer.open(place / home) as peer, peer.store.transaction() as tx:
            sids += [run.sid for run in tx.runs.list()]
    return plant(stage.agreement, sids)


def _leaks(planted: Planted, place: Path, seen: Watch) -> list[str]:
    found = []
    for path in place.rglob("*"):
        if path.is_file():
            found += [f"{path.name} holds {form}" for form in planted.found_in(path.read_bytes())]
    for arguments in seen.arguments:
        found += [f"a process is called with {form}" for form in planted.found_in(arguments)]
    for name, data in seen.temporary.items():
        found += [f"temporary file {name} held {form}" for form in planted.found_in(data)]
    assert any(b"mutuals_server" in arguments for arguments in seen.arguments), "nothing was watched"
    return found


@contextmanager
def watching(temporary: Path) -> Iterator[Watch]:
    """Look at the arguments of all processes of this user, and at temporary files, many times a second."""
    seen = Watch()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.arguments.add(process.read_bytes())
                except OSError:
                    continue
            for path in temporary.rglob("*"):
                try:
                    if path.is_file():
                        seen.temporary[path.name] = path.read_bytes()
                except OSError:
                    continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
