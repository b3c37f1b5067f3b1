"""``make planted``: an agreement's life by real processes that fail and die, searched for what was planted.

    PYTHONPATH=tests python -m leaks

Prints figures, and ends with 1 on any fault: something planted in a log, in metrics, in what was said or in any other
file; a core file; a process whose memory others of the same user could read.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from leaks.planted import Planted, plant
from leaks.played import ACTS, CORE_PATTERN, Found, Way, acts, play, sids
from leaks.stage import Stage

KINDS = {".log": "logs", ".err": "standard error of servers"}
PROCESSES = 2
"""The server and its one worker."""

_DIED = Way("the server aborts", "server", signal.SIGABRT)


def kind(name: str) -> str:
    """Under which heading a thing that was searched is counted."""
    if name.startswith("metrics"):
        return "metrics"
    if Path(name).suffix in KINDS or "/log/" in name:
        return KINDS.get(Path(name).suffix, "logs")
    if name.startswith(("standard", "what the server")):
        return "what programs said"
    return "other files"


@dataclass
class Figures:
    """What is counted over all acts."""

    number: Counter[str] = field(default_factory=Counter)
    size: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def take(self, what: str, found: Found, planted: Planted) -> None:
        """Search everything that came of one act."""
        for name, data in found.seen.items():
            self.number[kind(name)] += 1
            self.size[kind(name)] += len(data)
            self.faults += [f"{what}: {name} holds {form}" for form in planted.found_in(data)]
        self.faults += [f"{what}: {fault}" for fault in found.faults]
        self.faults += [f"{what}: {path.name} was left" for path in found.cores]
        closed = min(found.limits, found.refusals)
        if closed != PROCESSES:
            self.faults.append(f"{what}: of server and worker {closed} closed their memory")
        self.total += Counter(
            played=1, deaths=found.deaths, cores=len(found.cores), closed=closed, scrapes=found.scrapes
        )

    def tell(self, forms: int) -> None:
        """Print them."""
        total = self.total
        print(
            f"played: {len(ACTS)} commands, {total['played']} times; deaths by SIGABRT or SIGSEGV: {total['deaths']}"
        )
        for what in sorted(self.number):
            print(f"searched: {what}: {self.number[what]:,} with {self.size[what]:,} bytes")
        print(
            f"metrics: read {total['scrapes']} times; forms of what was planted, looked for in each: {forms:,}"
        )
        print(f"memory: {total['closed']} of {PROCESSES * total['played']} servers and workers closed theirs")
        print(f"core files left by {total['deaths']} deaths under an unlimited ulimit: {total['cores']}")


def main() -> int:
    """Play everything; the exit code."""
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="mutuals-leaks-") as folder:
        stage = Stage.build(Path(folder) / "stage")
        for act, way in acts():
            place = Path(folder) / "place"
            place.mkdir()
            found = play(stage, act, way, place)
            planted = plant(stage.agreement, sids(stage, place))
            figures.take(f"{act.name}, {way.name}", found, planted)
            shutil.rmtree(place)
            shutil.rmtree(f"{place}-outside")
            print(".", end="", flush=True)
        print()
        figures.tell(len(planted.forms))
        if CORE_PATTERN.is_file() and CORE_PATTERN.read_text().startswith("core"):
            size, held = _with_cores(stage, Path(folder) / "cores")
            print(f"the same with MUTUALS_CORE_FILES=1: {size:,} bytes, holding {held} planted forms")
            if not held:
                figures.faults.append(
                    "a core file that was asked for holds nothing: this search proves nothing"
                )
        else:
            print(
                f"NOT TRIED: {CORE_PATTERN} sends core files elsewhere; only limits and /proc were looked at"
            )
    for fault in figures.faults:
        print(f"FAULT: {fault}")
    hits = sum(" holds " in fault for fault in figures.faults)
    print(f"planted identifiers found: {hits}; faults: {len(figures.faults)}")
    return 1 if figures.faults else 0


def _with_cores(stage: Stage, place: Path) -> tuple[int, int]:
    """What is in the core file of a server that died in a match, where the operator asked for one: bytes, forms."""
    place.mkdir()
    match = next(act for act in ACTS if act.name == "match")
    found: Found = play(stage, match, _DIED, place, cores=True)
    forms = plant(stage.agreement, [stage.sid]).forms
    looked_for = [form for form, name in forms.items() if "," not in name or name.endswith(", raw")]
    held = 0
    for path in found.cores:  # hundreds of megabytes, so each form is looked for once, as it is
        data = path.read_bytes()
        held += sum(form in data for form in looked_for)
    return sum(path.stat().st_size for path in found.cores), held


if __name__ == "__main__":
    sys.exit(main())
