"""Carry the attacks out and print what became of each.

make hostile ARGS="[--json] [-k WORDS] [--engine NAME] [--mutations]"
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from strangers.rows import NOT_STOPPED
from strangers.rows import Row as Stranger
from strangers.rows import rows as strangers
from support.engines import ENGINES

from hostile.attack import Left, Result, carry_out
from hostile.mutations import MUTATIONS, carry_out_mutations
from hostile.rows import ROWS
from hostile.world import world
from mutuals.models.run import RunState

WIDTH = 165
SCREEN = Console(width=None if sys.stdout.isatty() else WIDTH)


def main() -> int:
    """Exit code 0 where every row was stopped where it says, 1 where one was not, 2 where there is no such row."""
    options = _options()
    rows = [row for row in ROWS if options.words in row.name]
    if not rows and not options.mutations:
        print(f"No attack is called {options.words!r}.", file=sys.stderr)
        return 2
    with (
        tempfile.TemporaryDirectory(prefix="hostile-") as root,
        world(Path(root), options.engine) as companies,
    ):
        if options.mutations:
            return _mutations(options, companies)
        progress = Console(stderr=True)
        results = [
            carry_out(companies, row)
            for row in track(
                rows, "Attacking", console=progress, transient=True, disable=not progress.is_terminal
            )
        ]
        companies.friend_matches()
    visitors = [] if options.words else strangers()
    if options.json:
        facts = {
            "attacks": [_facts(result) for result in results],
            "strangers": [asdict(row) for row in visitors],
        }
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _show(results)
        _show_strangers(visitors)
    stopped = all(result.stopped for result in results)
    return 0 if stopped and all(row.stopped_where != NOT_STOPPED for row in visitors) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make hostile", description="A partner that cheats, against the product."
    )
    parser.add_argument(
        "-k", dest="words", default="", help="only the attacks with these words in their name"
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="of all attacks that are not on one engine's points",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument(
        "--mutations", action="store_true", help="take checks out of the product: their rows must fail"
    )
    return parser.parse_args()


def _facts(result: Result) -> dict[str, Any]:
    attack = result.row.attack
    return {
        "attack": attack.name,
        "cheat": result.row.cheat.value,
        "what": attack.what,
        "step": attack.step,
        "stopped": result.stopped,
        "code": result.code.value if result.code else None,
        "message": result.message,
        "run": result.run.state.value if result.run else None,
        "left": {"furthest": result.level.name.lower(), **result.left},
        "problems": result.problems,
    }


def _left(result: Result) -> str:
    if result.left:
        return ", ".join(f"{number} {name}" for name, number in result.left.items())
    return "its own greeting" if result.level is Left.GREETING else "nothing"


def _run(result: Result) -> str:
    if result.run is None:
        return "none"
    half = result.run.state is RunState.HALF_REVEALED
    return result.run.state.value.replace("_", " ") + (", blocks" if half else "")


def _show(results: list[Result]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Attack", "by the", "Stopped at", "Error", "The run is", "What left the house", ""):
        table.add_column(heading, overflow="fold")
    call = ""
    for result in results:
        attack = result.row.attack
        if attack.stage != call:
            call = attack.stage
            table.add_section()
            table.add_row(f"[bold]{call.title()}[/]")
        step = attack.step if attack.step.startswith("§") else f"step {attack.step}"
        table.add_row(
            attack.name,
            result.row.cheat.value,
            step,
            result.code.value if result.code else "–",
            _run(result),
            _left(result),
            "[green]ok[/]" if result.stopped else "[bold red]NOT STOPPED THERE[/]",
        )
    SCREEN.print(table)
    failed = [result for result in results if not result.stopped]
    for result in failed:
        SCREEN.print(f"[red]{result.row.name}[/]: {'; '.join(result.problems)}", highlight=False)
    stopped = len(results) - len(failed)
    SCREEN.print(f"{stopped} of {len(results)} attacks ended where they should; other partners were served.")


def _show_strangers(visitors: list[Stranger]) -> None:
    if not visitors:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Who comes, or answers", "Stopped at", "Error", "What left the house"):
        table.add_column(heading, overflow="fold")
    for row in visitors:
        table.add_row(row.name, row.stopped_where, row.code, row.left_the_house)
    SCREEN.print(table)
    stopped = sum(row.stopped_where != NOT_STOPPED for row in visitors)
    SCREEN.print(f"{stopped} of {len(visitors)} strangers and impostors got nowhere.")


def _mutations(options: argparse.Namespace, companies: Any) -> int:
    results = carry_out_mutations(companies, MUTATIONS)
    if options.json:
        print(json.dumps({"mutations": results}, indent=2))
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("Check taken out", "Rows that fail without it", "Rows tried", ""):
            table.add_column(heading, overflow="fold")
        for result in results:
            table.add_row(
                result["check"],
                "; ".join(result["failed"]),
                str(result["tried"]),
                "[green]ok[/]" if result["as_expected"] else "[bold red]ANOTHER SET THAN EXPECTED[/]",
            )
        SCREEN.print(table)
    return 0 if all(result["as_expected"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
