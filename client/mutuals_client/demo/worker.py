"""A process that runs ``mutuals`` command lines one after the other, as the shell would, in one interpreter.

    python -m mutuals_client.demo.worker

A line of JSON on standard input names the arguments and, by option, the secrets to hand over through pipes; the answer
is a line with the exit code and what the command printed. Starting Python and its libraries takes longer than most
commands; everything else is what ``mutuals`` does. It ends when its standard input does.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from typing import TextIO

from mutuals.hardening import protect_process
from mutuals.unhandled import keep_texts_quiet
from mutuals_client.console import reset_settings
from mutuals_client.main import run


def main() -> None:
    """Answer until nobody asks any more."""
    keep_texts_quiet("mutuals demo")
    protect_process()
    asked, answers = _channel()
    with suppress(KeyboardInterrupt, BrokenPipeError):
        for line in asked:
            order = json.loads(line)
            answers.write(json.dumps(_carry_out(order["arguments"], order["secrets"])) + "\n")
            answers.flush()


def _carry_out(arguments: list[str], secrets: Mapping[str, str]) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        for option, secret in secrets.items():
            descriptor = pipe_with(secret)
            stack.callback(os.close, descriptor)
            arguments = [*arguments, option, str(descriptor)]
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        reset_settings()
        code = run(arguments)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def pipe_with(secret: str) -> int:
    """A descriptor that ``secret`` can be read from, as a line; the caller closes it."""
    reading, writing = os.pipe()
    os.write(writing, secret.encode() + b"\n")
    os.close(writing)
    return reading


def _channel() -> tuple[TextIO, TextIO]:
    """Standard input and output as they were given; commands get an empty input and may not disturb the output."""
    asked, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return asked, answers


if __name__ == "__main__":
    main()
