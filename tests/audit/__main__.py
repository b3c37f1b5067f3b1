"""Change logs in a thousand ways, and print who noticed.

make audit ARGS="[--json] [--number N]"
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from audit.changes import attempt, history


def main() -> int:
    """Exit code 0 where every change was noticed, 1 where one was not."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--number", type=int, default=1000, help="how many changes (1000)")
    options = parser.parse_args()
    made: Counter[str] = Counter()
    verify: Counter[str] = Counter()
    partner: Counter[str] = Counter()
    either: Counter[str] = Counter()
    screen = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="audit-") as root, history(Path(root)) as one:
        for number in track(
            range(options.number),
            "Changing logs",
            console=screen,
            transient=True,
            disable=not screen.is_terminal,
        ):
            name, noticed = attempt(one, number)
            made[name] += 1
            verify[name] += noticed.verify
            partner[name] += noticed.partner
            either[name] += noticed.verify or noticed.partner
    missed = made.total() - either.total()
    if options.json:
        rows = {
            name: {
                "changes": made[name],
                "verify": verify[name],
                "partner": partner[name],
                "noticed": either[name],
            }
            for name in made
        }
        print(json.dumps({"changes": made.total(), "noticed": either.total(), "kinds": rows}, indent=2))
    else:
        table = Table(
            title=f"{either.total():,} of {made.total():,} changes to a log were noticed",
            title_justify="left",
        )
        for heading in ("what was done to a log", "times", "by audit verify", "by the partner", "noticed"):
            table.add_column(heading, justify="left" if heading.startswith("what") else "right")
        for name in made:
            table.add_row(name, *(str(count[name]) for count in (made, verify, partner, either)))
        Console().print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
