"""Whatever fails, and whatever the exception quotes: nothing planted leaks, and both sides go on.

Every command is run against the real server once, while the calls that either makes are recorded; then again and
again, each time with one of the calls failing. By default a few dozen calls, of every kind; ``make leaks`` takes
them all, or as many as ``LEAKS=200`` says.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import pytest

from leaks.check import Read, Writes, faults
from leaks.inject import Call, Hook, Kind, installed
from leaks.stage import STEPS, Stage

pytestmark = pytest.mark.timeout(0)  # the commands have an alarm of their own

WANTED = os.environ.get("LEAKS", "2")
PARTS = 8 if "LEAKS" in os.environ else 1
"""Into which the work is cut, for several processes; each of them has to set the stage first."""

ALWAYS = (
    "mutuals.sources.readers",
    "mutuals.sources.participants",
    "mutuals.protocol.items.items_for",
    "mutuals.engines.workers._apply",
    "mutuals.runs.spool._write",
    "mutuals.runs.spool._read",
    "mutuals.runs.records",
    "mutuals.crypto.signing.SigningKey.sign",
    "mutuals.crypto.hpke.seal",
    "mutuals.protocol.sealing",
    "mutuals.transport.wire",
    "mutuals.documents.take_document",
    "mutuals.store.runs.Runs.update",
    "mutuals.store.received",
    "mutuals_server.guard.Guard.admit",
    "mutuals.eventlog",
    "mutuals_server.service",
    "mutuals.runs.export",
    "mutuals.runs.tables",
    "SQL",
)
"""A call into each of these is in every sample that ``make leaks`` takes, into every tenth in that of all tests."""

Places = dict[Call, list[str]]


@dataclass
class Theatre:
    """The stage, and which calls its steps make."""

    stage: Stage
    places: Places
    hook: Hook
    writes: Writes


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """Everything is played once, and all calls are recorded."""
    folder = tmp_path_factory.mktemp("leaks")
    stage = Stage.build(folder / "stage")
    places: Places = {}
    with installed() as hook:
        for step in STEPS:
            with stage.scene(step, folder / step) as scene:
                hook.start(None, None)
                code = scene.act()
                calls, hook.seen = hook.seen or {}, None
            assert code == 0, f"{step} fails by itself"
            for call in calls:
                places.setdefault(call, []).append(step)
        yield Theatre(stage, places, hook, Writes())


@pytest.fixture
def read(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """What the programs say; the temporary folder is one that nobody else uses."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return lambda: tuple(capfd.readouterr())


def sample(places: Places) -> list[Call]:
    """The calls to fail, the same from run to run."""
    calls = sorted(places, key=lambda call: (crc32(str(call).encode()), call))
    if WANTED == "all":
        return calls
    chosen = calls[: int(WANTED)]
    for name in ALWAYS if "LEAKS" in os.environ else ALWAYS[::10]:
        chosen += [call for call in calls if call.callee.startswith(name) and call not in chosen][:1]
    return chosen


def test_nothing_leaks_where_nothing_fails(theatre: Theatre, read: Read, tmp_path: Path) -> None:
    for step in STEPS:
        found = faults(
            theatre.stage, step, None, Kind.UNCAUGHT, tmp_path / step, theatre.hook, theatre.writes, read
        )
        assert found == [], step


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_leaks_whatever_fails(theatre: Theatre, read: Read, tmp_path: Path, part: int) -> None:
    failed = {}
    reached: Counter[bool] = Counter()
    for call in sample(theatre.places):
        name = str(call)
        number = crc32(name.encode())
        if number % PARTS != part:
            continue
        step = theatre.places[call][number // PARTS % len(theatre.places[call])]
        kind = Kind.UNCAUGHT if call.validating else list(Kind)[number // PARTS % 2]
        place = tmp_path / "place"
        try:
            found = faults(theatre.stage, step, call, kind, place, theatre.hook, theatre.writes, read)
        except Exception as error:
            found = [f"afterwards the homes cannot be read: {error!r}"]
        shutil.rmtree(place)
        reached[theatre.hook.fired] += 1
        if found and theatre.hook.fired:
            failed[f"{step}, {kind.value}: {name}"] = found
    assert failed == {}
    # Calls that depend on which thread is first are not made every time.
    assert reached[True] >= reached[False]


def test_the_scan_finds_what_it_looks_for(theatre: Theatre) -> None:
    """Else the tests above would prove nothing."""
    from leaks.planted import plant, rows

    planted = plant(theatre.stage.agreement, [theatre.stage.sid])
    row = rows("right")[2]
    for name in ("email", "phone", "contact_id", "city", "score"):
        assert planted.found_in(b"... " + row[name].encode() + b" ...")
        assert planted.found_in(row[name].upper().encode())
    assert len(planted.forms) >= 300  # a few of the hashes are too short or too common in base64 to look for
    assert planted.found_in(planted.sentence.encode())
    assert not planted.found_in(b"nothing of the kind")
