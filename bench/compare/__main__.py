"""``make bench-compare``: the engines side by side in one run, then whole matches; a table, JSON, and a plot.

    python -m compare --out DIR [--sizes 10000,100000] [--whole 10000,100000] [--rounds 3] [--large]
                        [--secretflow PYTHON]

Each measurement has a process of its own and is repeated; the medians count. ``--large`` adds a million a side.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from compare.curve import ROWS
from compare.plot import draw
from compare.secretflow import PROTOCOLS
from compare.verdict import LARGE, Verdict, verdicts
from compare.whole import measure as measure_whole
from mutuals.engines.montgomery import choose_backend
from mutuals.errors import MutualsError
from mutuals.hardening import CORE_FILES

REFERENCE = "openmined-psi, its own protocol"
ENGINES = ("openmined", "x25519")
Json = dict[str, Any]


def main() -> None:
    """Measure, print, write."""
    arguments = _arguments()
    os.environ[CORE_FILES] = "1"  # or only root could read how much memory the processes take
    console = Console(width=max(Console().width, 110) if not sys.stdout.isatty() else None)
    large = [LARGE] if arguments.large else []
    machine = _machine()
    console.print(f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}")
    absent = _absent()
    for row, why in absent.items():
        console.print(f"[bold yellow]NOT MEASURED: {row}.[/] {why}")
    curve: list[Json] = []
    for items in [*arguments.sizes, *large]:
        curve += _curve(items, [row for row in ROWS if row not in absent], arguments.rounds, console)
        console.print(_curve_table(items, curve))
    all_cores = [
        _all_cores(items, engine, arguments.rounds, console)
        for items in [*arguments.whole, *large]
        for engine in ENGINES
    ]
    whole: list[Json] = []
    for items in [*arguments.whole, *large]:
        for engine in ENGINES:
            whole += _whole(items, engine, 1 if items >= LARGE else arguments.rounds, console)
    others: list[Json] = []
    if (why := _no_secretflow(arguments.secretflow)) is not None:
        absent["SecretFlow"] = why
        console.print(f"[bold yellow]NOT MEASURED: SecretFlow.[/] {why}")
    else:
        for items in [*arguments.whole, *large]:
            others += _secretflow(arguments.secretflow, items, arguments.rounds, console)
    if whole:
        console.print(_whole_table(whole, all_cores, others))
    found = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "command": " ".join(["python -m compare", *sys.argv[1:]]),
        "not_measured": absent,
        "curve": curve,
        "all_cores": all_cores,
        "whole": whole,
        "others": others,
    }
    if said := verdicts(found):
        console.print(_verdict_table(said))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "comparison.json").write_text(json.dumps(found, indent=1) + "\n")
    slopes = draw(found, arguments.out)
    for row, slope in slopes.items():
        console.print(f"cost ~ size^{slope:.2f}  {row}")
    console.print(f"Written to {arguments.out}: comparison.json, comparison.png, comparison.svg")


def _curve(items: int, rows: list[str], rounds: int, console: Console) -> list[Json]:
    """Rounds go through all rows in turn, so that a busy moment of the machine meets them alike."""
    found: dict[str, list[Json]] = {row: [] for row in rows}
    rounds = 1 if items >= LARGE else rounds
    for _ in range(rounds):
        for row in rows:
            with console.status(f"{items:,} items a side: {row}"):
                found[row].append(_curve_process(row, str(items)))
    medians = {row: _medians(measured) for row, measured in found.items()}
    reference = medians[REFERENCE]["cpu"]
    return [
        {"row": row, "items": items, "rounds": rounds, **values, "ratio": values["cpu"] / reference}
        for row, values in medians.items()
    ]


def _all_cores(items: int, engine: str, rounds: int, console: Console) -> Json:
    """The floor under a whole match's wall time: the same curve work through the workers, and nothing else."""
    rounds = 1 if items >= LARGE else rounds
    with console.status(f"{items:,} items a side: curve work on all cores, engine {engine}"):
        measured = [_curve_process("--all-cores", engine, str(items)) for _ in range(rounds)]
    return {"engine": engine, "items": items, "rounds": rounds, **_medians(measured)}


def _no_secretflow(python: str | None) -> str | None:
    """Why it cannot be measured, or None."""
    if python is None:
        return "No interpreter that has the package spu was named (--secretflow)."
    tried = subprocess.run([python, "-c", "import spu.psi"], check=False, capture_output=True)
    return None if tried.returncode == 0 else f"{python} cannot import spu.psi."


def _secretflow(python: str, items: int, rounds: int, console: Console) -> list[Json]:
    found = []
    for protocol, name in PROTOCOLS.items():
        measured = []
        for _ in range(1 if items >= LARGE else rounds):
            with console.status(f"{items:,} items a side: {name}"):
                command = [python, "-m", "compare.secretflow", protocol, str(items)]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            measured.append(json.loads(output))
        found.append({"row": name, "items": items, "rounds": len(measured), **_medians(measured)})
    return found


def _curve_process(*arguments: str) -> Json:
    command = [sys.executable, "-m", "compare.curve", *arguments]
    measured: Json = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return measured


def _whole(items: int, engine: str, rounds: int, console: Console) -> list[Json]:
    found: dict[str, list[Json]] = {}
    for number in range(rounds):
        folder = Path(tempfile.mkdtemp(prefix="mutuals-compare-"))
        try:
            with console.status(f"{items:,} items a side, whole, engine {engine} ({number + 1}/{rounds})"):
                for command, cost in measure_whole(folder, items, engine).items():
                    found.setdefault(command, []).append(cost.as_json())
        finally:
            shutil.rmtree(folder)
    return [
        {"command": command, "engine": engine, "items": items, "rounds": rounds, **_medians(costs)}
        for command, costs in found.items()
    ]


def _medians(measured: list[Json]) -> Json:
    return {name: statistics.median(one[name] for one in measured) for name in measured[0]}


def _curve_table(items: int, curve: list[Json]) -> Table:
    table = Table(
        title=f"Curve work of both peers, {items:,} items a side, on one core", title_justify="left"
    )
    for heading in ("", "CPU s", "wall s", "µs an item", "peak MB", "CPU, of openmined-psi's"):
        table.add_column(heading, justify="left" if not heading else "right")
    for one in curve:
        if one["items"] == items:
            each = one["cpu"] / items * 1e6
            table.add_row(
                one["row"],
                f"{one['cpu']:.2f}",
                f"{one['wall']:.2f}",
                f"{each:.0f}",
                f"{one['peak_mb']:.0f}",
                f"{one['ratio']:.2f}",
            )
    return table


def _whole_table(whole: list[Json], all_cores: list[Json], others: list[Json]) -> Table:
    floor = {(one["engine"], one["items"]): one["wall"] for one in all_cores}
    table = Table(title="Whole commands over loopback TLS, both peers on this machine", title_justify="left")
    headings = (
        "command",
        "engine",
        "items a side",
        "wall s",
        "of curve alone",
        "CPU s",
        "bytes an item",
        "MB, the two peers",
    )
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < 2 else "right")
    for one in whole:
        table.add_row(
            one["command"],
            one["engine"],
            f"{one['items']:,}",
            f"{one['wall']:.1f}",
            f"{one['wall'] / floor[one['engine'], one['items']]:.2f}" if one["command"] == "match" else "",
            f"{one['client_cpu'] + one['server_cpu']:.1f}",
            f"{(one['there'] + one['back']) / (2 * one['items']):.1f}",
            f"{one['client_mb']:.0f}, {one['server_mb']:.0f}",
        )
    for one in others:
        figures = (
            f"{one['items']:,}",
            f"{one['wall']:.1f}",
            "",
            f"{one['cpu']:.1f}",
            "",
            f"{one['peak_mb']:.0f}",
        )
        table.add_row(one["row"], "", *figures)
    return table


def _verdict_table(said: list[Verdict]) -> Table:
    table = Table(title="Promised, and measured in this run", title_justify="left")
    for heading in ("promise", "at most", "measured", ""):
        table.add_column(heading, justify="right" if heading in {"at most", "measured"} else "left")
    for one in said:
        mark = "[green]kept[/]" if one.kept else "[bold red]BROKEN[/]"
        table.add_row(one.promise, f"{one.limit:.3g}{one.unit}", f"{one.measured:.3g}{one.unit}", mark)
    return table


def _absent() -> dict[str, str]:
    """The rows that cannot be measured here, and why."""
    try:
        choose_backend("crypto_mb")
    except MutualsError as error:
        return {"engine x25519, crypto_mb": error.message}
    return {}


def _machine() -> Json:
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    return {"processor": processor, "cores": _cores(), "python": platform.python_version()}


def _cores() -> int:
    from mutuals.engines.workers import usable_cores

    return usable_cores()


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compare", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--sizes", type=_numbers, default=[10_000, 100_000], help="curve work, items a side")
    parser.add_argument(
        "--whole", type=_numbers, default=[10_000, 100_000], help="whole commands, items a side"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--large", action="store_true", help="also a million a side: half an hour and more")
    parser.add_argument("--secretflow", metavar="PYTHON", help="an interpreter that has the package spu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
