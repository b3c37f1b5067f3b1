"""``python -m flood``: every flood against a fresh server, and what the honest partner noticed.

Ends with 1 where a call of the honest partner failed, or took longer than ``SLOWER`` times as long as undisturbed on
the same server, and longer than ``PATIENCE`` allows in any case.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flood.floods import FLOODS
from flood.honest import Honest, Took
from flood.world import World, build

SLOWER = 10
PATIENCE = {"ping": 1.0, "sync": 2.0, "match": 10.0}


@dataclass
class Server:
    """What the server's process took at most: memory in MB, open files."""

    pid: int
    memory: float = 0
    files: int = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch it while the block lasts."""
        with suppress(OSError):  # the peak begins anew
            Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                self.files = max(self.files, len(os.listdir(f"/proc/{self.pid}/fd")))

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            status = Path(f"/proc/{self.pid}/status").read_text()
            self.memory = int(status.partition("VmHWM:")[2].split()[0]) / 1024


@dataclass
class Row:
    """One flood, and what came of it."""

    name: str
    before: Took
    during: Took
    told: dict[str, Any]
    server: Server
    quiet_memory: float
    refused: dict[str, int]
    lines: int

    def faults(self) -> list[str]:
        """What must not be."""
        found = [f"{self.name}: {failure}" for failure in self.before.failed + self.during.failed]
        for kind, patience in PATIENCE.items():
            before, during = self.before.median(kind), self.during.median(kind)
            if during > max(patience, SLOWER * before):
                found.append(f"{self.name}: a {kind} took {during:.2f} s, undisturbed {before:.2f} s")
        return found


def play(place: World, name: str, seconds: float) -> Row:
    """One flood against a fresh server."""
    place.forget_log()
    with Honest(place.honest) as honest:
        with place.serving() as process:
            honest.work()  # both sides load what they need
            server = Server(process.pid)
            with server.watched():
                before = honest.work()
            quiet = server.memory
            with server.watched(), _flooding(place, name) as flooder:
                until = time.monotonic() + seconds
                time.sleep(2)
                during = honest.work()
                while time.monotonic() < until:
                    more = honest.work()
                    during.failed += more.failed
                    for kind, took in more.seconds.items():
                        during.seconds.setdefault(kind, []).extend(took)
                told = _ended(flooder)
        return Row(name, before, during, told, server, quiet, place.refused(), place.forget_log())


@contextmanager
def _flooding(place: World, name: str) -> Iterator[subprocess.Popen[str]]:
    words = ["-m", "flood.flooder", name, str(place.flooder.home), place.flooder.agreement]
    process = subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "flooding\n"
        yield process
    finally:
        process.kill()
        process.wait()


def _ended(flooder: subprocess.Popen[str]) -> dict[str, Any]:
    assert flooder.stdin is not None
    assert flooder.stdout is not None
    flooder.stdin.close()
    told: dict[str, Any] = json.loads(flooder.stdout.read())
    return told


def _show(row: Row) -> None:
    def pace(kind: str) -> str:
        before, during = row.before.median(kind), row.during.median(kind)
        return f"{1000 * before:7.0f} → {1000 * during:<7.0f}"

    heard = ", ".join(f"{count:,} {code}" for code, count in sorted(row.told["heard"].items()))
    refused = ", ".join(f"{count:,} {reason}" for reason, count in sorted(row.refused.items()))
    print(
        f"{row.name:26} {pace('ping')} {pace('sync')} {pace('match')} "
        f"{row.quiet_memory:4.0f} → {row.server.memory:<4.0f} {row.server.files:5} {row.lines:5}"
    )
    print(
        f"{'':26} sent {row.told['sent']:,}; heard: {heard or 'nothing'}; refused: {refused or 'none'}",
        flush=True,
    )


def main() -> int:
    """Play them, print the table; the exit code."""
    parser = argparse.ArgumentParser(
        prog="flood", description="Flood a real server, by one partner or a stranger."
    )
    parser.add_argument("--seconds", type=float, default=10, help="how long each flood lasts at least")
    parser.add_argument("--only", help="the floods whose name contains this")
    arguments = parser.parse_args()
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="mutuals-flood-") as folder:
        place = build(Path(folder))
        print(
            "The honest partner, in milliseconds, undisturbed → flooded; the server's peak of memory in MB, likewise;"
        )
        print("open files at most; lines in its log.\n")
        print(f"{'flood':26} {'ping':^17} {'sync':^17} {'match':^17} {'memory':^11} files lines")
        for name in FLOODS:
            if (arguments.only or "") in name:
                row = play(place, name, arguments.seconds)
                _show(row)
                faults += row.faults()
    print("\n" + ("\n".join(faults) if faults else "The honest partner got through, every time."))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
