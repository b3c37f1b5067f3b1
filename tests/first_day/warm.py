"""Runs command lines of ``mutuals``, each in a process and a terminal of its own, without the start of Python.

    python -m first_day.warm

Reads one JSON object a line, ``{"tty", "folder", "environment", "arguments", "out"}``, and answers each with the exit
code. A process is forked here for each; nothing of gRPC and no thread exists in this one, so that is safe.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

_NOT_HERE = re.compile(r"__main__|\.migrations\.|engines\.(?:cluster|remote)$")
"""What is no module to import, and dask, whose threads a fork would not survive."""


def main() -> None:
    """Serve until standard input ends."""
    for package in ("mutuals", "mutuals_client"):
        for module in walk_packages(import_module(package).__path__, f"{package}."):
            if not _NOT_HERE.search(module.name):
                import_module(module.name)
    from mutuals.identity.home import Config, Kdf
    from mutuals_client.main import COMMANDS, _command

    Config.model_fields["kdf"].default = Kdf(
        memory_kib=64, iterations=1
    )  # passphrases that cost next to nothing
    Config.model_rebuild(force=True)
    _command(COMMANDS)  # a third of what a small command line takes, for all of them
    for name in COMMANDS:
        _command((name,))
    for line in sys.stdin:
        told = json.loads(line)
        process = os.fork()
        if process == 0:
            _become(told)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(told: dict[str, Any]) -> None:
    """The forked process: sit down at the terminal and run the command line; never returns."""
    code = 70
    try:
        os.setsid()
        terminal = os.open(told["tty"], os.O_RDWR)  # the first one a session opens becomes its own
        out = os.open(told["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) if told["out"] else terminal
        for number, file in enumerate((terminal, out, terminal)):
            os.dup2(file, number)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as at the start of Python
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
        os.chdir(told["folder"])
        os.environ.clear()
        os.environ.update(told["environment"])
        from mutuals.hardening import protect_process
        from mutuals_client.main import run

        protect_process()
        code = run(told["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
