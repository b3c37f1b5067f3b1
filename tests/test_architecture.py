"""What keeps the command line quick and the documents honest."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = (
    "alembic",
    "cryptography",
    "grpc",
    "numpy",
    "polars",
    "private_set_intersection",
    "pydantic",
    "sqlalchemy",
)

MODULES_AFTER_HELP = """
import json, sys
from mutuals_client.main import run
code = run(["--help"])
print(json.dumps({"code": code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def test_help_loads_no_heavy_library() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MODULES_AFTER_HELP], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 0
    assert "Find the contacts you share" in done.stdout
    loaded = {name for name in told["modules"] if name.split(".")[0] in HEAVY}
    assert loaded == set()


def test_every_command_answers_help_and_says_what_it_is_for() -> None:
    import typer

    from mutuals_client.main import build_app, run

    def paths(command: object, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        children = getattr(command, "commands", {})
        return [path, *(found for name, child in children.items() for found in paths(child, (*path, name)))]

    root = typer.main.get_command(build_app())
    for path in paths(root, ()):
        command = root
        for name in path:
            command = getattr(command, "commands", {})[name]
        assert command.help, path
        if len(path) < 2:  # drawing the page takes long, and is the same for all
            assert run([*path, "--help"]) == 0, path
