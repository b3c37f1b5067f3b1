"""What keeps the command line quick and the documents honest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.homes import make_peer

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

MODULES_AFTER = """
import json, sys
from mutuals_client.main import run
code = run(sys.argv[1:])
print(json.dumps({"code": code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def heavy_libraries_after(*words: str) -> tuple[str, set[str]]:
    """What this command line prints, and which of the libraries that are slow to load it needed."""
    done = subprocess.run(
        [sys.executable, "-c", MODULES_AFTER, *words], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 0
    return done.stdout, {name.partition(".")[0] for name in told["modules"]} & set(HEAVY)


def test_help_loads_no_heavy_library() -> None:
    page, loaded = heavy_libraries_after("--help")
    assert "Find the contacts you share" in page
    assert loaded == set()


def test_a_list_of_runs_needs_neither_frames_nor_the_network(tmp_path: Path) -> None:
    home = make_peer(tmp_path / "home")
    _, loaded = heavy_libraries_after("runs", "--home", str(home), "--json")
    assert loaded == {"cryptography", "pydantic", "sqlalchemy"}


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
