"""What a wrong command line, a full disk behind standard output and a reader who left get to see."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mutuals_client import console, main

COMMAND = [sys.executable, "-m", "mutuals_client.main"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["card", "--json", "--bogus"],
        ["card", "--bogus", "--json"],
        ["cards", "--json"],
        ["runs", "show", "--json"],
        ["runs", "shwo", "--json"],
        ["match", "A-1", "A-2", "--json"],
        ["serve", "--workers", "many", "--json"],
        ["--json"],
    ],
)
def test_a_wrong_command_line_gives_a_program_one_object(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    console.reset_settings()
    assert main.run(arguments) == 2
    out, err = capsys.readouterr()
    told = json.loads(out)["error"]
    assert (told["code"], err) == ("USAGE", "")
    assert told["message"][-1] in ".?"
    assert told["hint"].startswith("Usage: mutuals ")


@pytest.mark.parametrize(
    ("arguments", "sentence", "usage"),
    [
        (["cards"], "No such command “cards”. Did you mean “card”?", "mutuals [OPTIONS] COMMAND"),
        (["runs", "shwo"], "No such command “shwo”. Did you mean “show”?", "mutuals runs [OPTIONS] COMMAND"),
        (["card", "--bogus"], "No such option “--bogus”. Did you mean “--out”?", "mutuals card [OPTIONS]"),
        (["runs", "show"], "Missing argument “RUN”.", "mutuals runs show [OPTIONS] RUN"),
        (["match", "A", "B", "C"], "Got unexpected extra arguments (B C).", "mutuals match [OPTIONS]"),
        (
            ["match", "A", "--", "--json"],
            "Got unexpected extra argument (--json).",
            "mutuals match [OPTIONS]",
        ),
    ],
)
def test_a_wrong_command_line_is_a_sentence_and_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str, usage: str
) -> None:
    console.reset_settings()
    assert main.run(arguments) == 2
    out, err = capsys.readouterr()
    first, hint = err.splitlines()
    assert (out, first) == ("", f"mutuals: {sentence}")
    assert hint.startswith(f"  Usage: {usage}")


@pytest.mark.parametrize("arguments", ["--help", "--version", "card --json --bogus"])
def test_a_full_standard_output_is_one_sentence(arguments: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments.split()], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "mutuals: Standard output cannot be written: No space left on device.\n"


@pytest.mark.parametrize("arguments", ["--help", "--version", "card --json --bogus"])
def test_a_reader_who_left_is_left_in_peace(arguments: str) -> None:
    process = subprocess.Popen(
        [*COMMAND, *arguments.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(20) == 1
    process.stderr.close()


@pytest.mark.parametrize("where", ["the command", "the report of an error"])
def test_ctrl_c_is_one_word_wherever_it_comes(
    where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    hook = sys.excepthook
    target = (
        "mutuals_client.commands.runs.open_peer" if where == "the command" else "mutuals_client.main._report"
    )
    monkeypatch.setattr(target, interrupted)
    console.reset_settings()
    assert main.run(["runs", "list", "--home", "/no/such/home"]) == 130
    assert capsys.readouterr() == ("", "Stopped.\n")
    assert sys.excepthook is hook  # the one that prints no traceback
    console.reset_settings()
    assert main.run(["runs", "list", "--home", "/no/such/home", "--json"]) == 130
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "CANCELLED"
