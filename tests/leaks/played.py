"""Acts of an agreement's life by real processes that fail or die in the middle, and everything that can be read of it.

    found = play(stage, ACTS["match"], WAYS["the server dies"], place)
    found.seen          # what was written and said, by name
    found.faults        # what went wrong otherwise, in sentences

The server offers metrics, which are read before and after; processes may write core files as large as they like.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from support.companies import free_port
from support.processes import passphrase

from leaks.planted import plant
from leaks.stage import Stage
from mutuals.hardening import CORE_FILES
from mutuals.peer import Peer

SECONDS = 300
CONTACT = "PLANT-left-0004"
"""Whom the revocation is about: one of those that were sent."""

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
INSIDE = Path(__file__).parent / "inside"


@dataclass(frozen=True)
class Act:
    """A command, the state of both homes before it, and functions in which either side can fail while it works."""

    name: str
    before: str
    words: tuple[str, ...]
    client: str
    server: str = ""
    signs: bool = False
    typed: str = ""


@dataclass(frozen=True)
class Way:
    """Which side fails (``client``, ``server`` or nobody), and by which signal if it does not raise."""

    name: str
    side: str = ""
    signal: int = 0
    in_worker: bool = False


_WORKER = "mutuals.engines.workers._apply"

ACTS = (
    Act("source check", "agreed", ("source", "check", "crm"), "mutuals.sources.check.check_source"),
    Act(
        "match",
        "agreed",
        ("match", "{agreement}"),
        "mutuals.protocol.items.items_for",
        "mutuals.protocol.items.items_for",
    ),
    Act(
        "reveal",
        "counted",
        ("reveal", "{run}"),
        "mutuals.runs.spool.save_overlap",
        "mutuals.runs.spool.save_overlap",
    ),
    Act(
        "exchange",
        "revealed",
        ("exchange", "{run}"),
        "mutuals.runs.records.build_records",
        "mutuals.runs.incoming.keep_incoming",
    ),
    Act(
        "export",
        "done",
        ("export", "{run}", "--out", "{out}"),
        "mutuals.runs.export.record_export",
        signs=True,
    ),
    Act(
        "revoke",
        "done",
        ("revoke", "--stdin", "--reason", "erasure"),
        "mutuals.obligations.revoke._tell",
        "mutuals.obligations.revocation.receive_revocation",
        signs=True,
        typed=CONTACT,
    ),
    Act(
        "breach",
        "done",
        ("breach", "open", "--agreement", "{agreement}", "--what", "A laptop was stolen."),
        "mutuals.obligations.breach._log",
        "mutuals.obligations.breach_received.receive_breach_notice",
        signs=True,
    ),
    Act(
        "terminate",
        "done",
        ("agreement", "terminate", "{agreement}", "--cause", "--reason", "The campaign is over."),
        "mutuals.obligations.destruction.destroy_ended",
        "mutuals.obligations.destruction.destroy_ended",
        signs=True,
    ),
)

WAYS = (
    Way("nothing fails"),
    Way("the command fails", "client"),
    Way("the server fails", "server"),
    Way("the command aborts", "client", signal.SIGABRT),
    Way("the server faults", "server", signal.SIGSEGV),
    Way("a worker of the server aborts", "server", signal.SIGABRT, in_worker=True),
    Way("a worker of the command faults", "client", signal.SIGSEGV, in_worker=True),
)


@dataclass
class Found:
    """What came of one act: everything that can be read, by name, and what went wrong besides."""

    seen: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    cores: list[Path] = field(default_factory=list)
    deaths: int = 0
    limits: int = 0
    refusals: int = 0
    scrapes: int = 0


def acts() -> Iterator[tuple[Act, Way]]:
    """Every act in every way that it can go."""
    for act in ACTS:
        for way in WAYS:
            can = {"": True, "client": True, "server": bool(act.server)}[way.side]
            if can and (not way.in_worker or act.name == "match"):
                yield act, way


def play(stage: Stage, act: Act, way: Way, place: Path, *, cores: bool = False) -> Found:
    """Play ``act`` in ``place``, an empty folder; ``cores`` asks for core files as an operator may."""
    found = Found()
    for side in ("left", "right"):
        shutil.copytree(stage.folder / act.before / side, place / side)
        (place / side / "contacts.csv").unlink()  # the source stays where it was
    outside = place.parent / f"{place.name}-outside"  # what is not searched: it holds what is planted
    (outside / "fired").mkdir(parents=True)
    (outside / "says").write_text(plant(stage.agreement, []).sentence, encoding="utf-8")
    for name in ("out", "temporary", "cwd"):
        (place / name).mkdir()
    human = bool(len(act.name) % 2) != bool(way.signal)  # either form of the log, in about half of the acts
    metrics = f"127.0.0.1:{free_port()}"
    server = _start_server(stage, act, way, place, outside, metrics, human=human, cores=cores)
    try:
        for pid in processes_of(server.pid):
            found.limits += core_limit(pid) == "0"
            found.refusals += _refused(pid)
        found.seen["metrics before"] = _scrape(found, metrics)
        client = _run_client(stage, act, way, place, outside, human=human, cores=cores)
        with suppress(OSError):
            found.seen["metrics after"] = _scrape(found, metrics)
    finally:
        out, _ = server.communicate(timeout=SECONDS)  # closes its input, so it ends
    found.seen |= {
        "what the server announced": out,
        "standard output": client.stdout,
        "standard error": client.stderr,
    }
    _judge(found, way, client.returncode, server.returncode, fired=any((outside / "fired").iterdir()))
    for path in sorted(place.rglob("*")):
        if path.name == "core" or path.name.startswith("core."):
            found.cores.append(path)
        elif path.is_file() and not (path.parent.name == "out" and client.returncode == 0):
            found.seen[str(path.relative_to(place))] = path.read_bytes()
    return found


def sids(stage: Stage, place: Path) -> list[bytes]:
    """The ids of both sides' runs."""
    found = {stage.sid}
    for side in ("left", "right"):
        with Peer.open(place / side) as peer, peer.store.transaction() as tx:
            found |= {run.sid for run in tx.runs.list()}
    return sorted(found)


def _environment(act: Act, way: Way, side: str, place: Path, outside: Path, *, cores: bool) -> dict[str, str]:
    function = (_WORKER if way.in_worker else getattr(act, side)) if way.side == side else ""
    return {
        **os.environ,
        "PYTHONPATH": str(INSIDE),
        "TMPDIR": str(place / "temporary"),
        "LEAKS_FAIL": function,
        "LEAKS_SAYS": str(outside / "says"),
        "LEAKS_SIGNAL": str(int(way.signal)) if way.signal else "",
        "LEAKS_FIRED": str(outside / "fired"),
        CORE_FILES: "1" if cores else "",
    }


def _unlimited() -> None:
    """What ``ulimit -c unlimited`` does."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def _start_server(
    stage: Stage, act: Act, way: Way, place: Path, outside: Path, metrics: str, *, human: bool, cores: bool
) -> subprocess.Popen[bytes]:
    with Peer.open(place / "right") as peer:
        listen = str(peer.card.card.endpoint)
    words = ["--home", str(place / "right"), "--announce", "--workers", "1", "--listen", listen]
    words += ["--metrics", metrics, "--log-format", "human" if human else "json"]
    with (place / "server.err").open("wb") as told:
        server = subprocess.Popen(
            [sys.executable, "-m", "mutuals_server", *words],
            cwd=place / "cwd",
            env=_environment(act, way, "server", place, outside, cores=cores),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            preexec_fn=_unlimited,  # noqa: PLW1509 - this process has no other threads
        )
    assert server.stdout is not None
    ready = server.stdout.readline()
    if b'"ready"' not in ready:
        raise RuntimeError(f"the server does not start: {ready!r} {(place / 'server.err').read_text()}")
    return server


def _run_client(
    stage: Stage, act: Act, way: Way, place: Path, outside: Path, *, human: bool, cores: bool
) -> subprocess.CompletedProcess[bytes]:
    names = {"agreement": stage.agreement, "run": stage.run_id, "out": place / "out" / "campaign.csv"}
    words = [word.format(**names) for word in act.words] + ["--yes", "--home", str(place / "left")]
    words += [] if human else ["--json"]
    reading = passphrase()
    try:
        if act.signs:
            words += ["--passphrase-fd", str(reading)]
        return subprocess.run(
            [sys.executable, "-m", "mutuals_client.main", *words],
            cwd=place / "cwd",
            env=_environment(act, way, "client", place, outside, cores=cores),
            input=act.typed.encode(),
            capture_output=True,
            timeout=SECONDS,
            check=False,
            pass_fds=[reading],
            preexec_fn=_unlimited,
        )
    finally:
        os.close(reading)


def processes_of(server: int) -> list[int]:
    """A server and its worker processes."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    workers = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return [server, *workers]


def core_limit(pid: int) -> str:
    """The largest core file that a process would write: bytes, or ``unlimited``."""
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[4] for line in limits if line.startswith("Max core file size"))


def _refused(pid: int) -> bool:
    """Whether a process of the same user, without root's privileges, may not look into the memory of ``pid``."""
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    look = [*without, sys.executable, "-S", "-c", f"open('/proc/{pid}/mem', 'rb')"]
    return subprocess.run(look, capture_output=True, check=False).returncode != 0


def _scrape(found: Found, address: str) -> bytes:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text: bytes = answer.read()
    found.scrapes += 1
    return text


def _judge(found: Found, way: Way, client: int, server: int, *, fired: bool) -> None:
    if bool(way.side) != fired:
        found.faults.append("it never came to what was to fail")
    died = {"client": client, "server": server}
    for side, code in died.items():
        if way.signal and way.side == side and not way.in_worker:
            found.deaths += code == -way.signal
            if code != -way.signal:
                found.faults.append(f"the {side} ended with {code}, not of signal {way.signal}")
        elif code < 0:
            found.faults.append(f"the {side} died of signal {-code}")
    found.deaths += bool(way.in_worker and fired)
    if not way.side and client not in {0, 10}:
        found.faults.append(f"the command ended with {client}, though nothing failed")
