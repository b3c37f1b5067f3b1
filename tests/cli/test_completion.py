"""Completion: what a shell offers, by the script alone."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import typer

from mutuals_client import main
from mutuals_client.completion import script

ROOT = typer.main.get_command(main.build_app())


def offered(*words: str) -> set[str]:
    """What bash offers for the last of ``words``; nothing of mutuals can be started."""
    call = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mutuals; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{script('bash', ROOT)}\n{call}", "bash", *words],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/nonexistent"},
        executable=shutil.which("bash"),
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_leaves_files_to_the_shell() -> None:
    assert offered("mutuals", "re") == {"retention", "reveal", "report", "revoke"}
    assert offered("mutuals", "agreement", "ac") == {"accept"}
    assert offered("mutuals", "match", "A-7Q3K2M9X", "--un") == {"--unless-since"}
    assert "--home" in offered("mutuals", "runs", "show", "--")
    assert offered("mutuals", "partner", "add", "") == set()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_understand_theirs(shell: str) -> None:
    text = script(shell, ROOT)
    assert "unless-since" in text
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here to read its script")
    subprocess.run([shell, "-n"], input=text, text=True, check=True)


def test_no_other_shell(capsys: pytest.CaptureFixture[str]) -> None:
    main.reset_settings()
    assert main.run(["completion", "tcsh"]) == 2
    assert "bash, zsh, fish" in " ".join(capsys.readouterr().err.split())
    assert main.run(["completion", "bash"]) == 0
    assert capsys.readouterr().out.endswith("-F _mutuals mutuals\n")
