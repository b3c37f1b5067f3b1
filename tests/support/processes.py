"""Two companies as the programs that people run: their lists, their agreement, a server, commands.

write_contacts(left, 0, 3000)
introduce(left, right)
digest = sign_for_both(left, right, agreement_for(left, right, {"engine": "x25519"}))
server = start_server(right.path.parent)
port = port_of(server.stdout.readline())
said = answer(command(left.path.parent, "match", digest))
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from mutuals.models.agreement import Agreement
from mutuals.runs.mandates import grant_standing_mandate
from support.assessed import accept, propose
from support.pairing import PASSPHRASE, PURPOSE, Company, agreement_between, deliver, introduce

FIELDS = ("city", "score", "segment", "since", "visits")
HEADINGS = ("contact_id", "email", "consent", "consent_at", "notified_at", "suppressed", *FIELDS)

_SIGNING = frozenset({"accept", "clear", "exchange", "propose", "terminate"})
"""The commands that need the operator's passphrase."""


def write_contacts(company: Company, first: int, items: int) -> None:
    """``items`` contacts from number ``first`` on: an e-mail address and five fields each."""
    today = company.clock().date()
    consent, notice = str(today - timedelta(days=30)), str(today - timedelta(days=20))
    with company.path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADINGS)
        for i in range(first, first + items):
            fields = ("Bremen", i % 10, "gold", consent, i % 7)
            writer.writerow((f"C{i}", f"person{i}@example.com", PURPOSE, consent, notice, "false", *fields))


def agreement_for(left: Company, right: Company, matching: Mapping[str, Any], **changes: Any) -> Agreement:
    """An agreement on e-mail addresses and all fields that permits everything in advance, and more than a test has."""
    bounds = {"identifiers": ("email",), "max_set_size": 100_000_000, "items_per_30_days": 100_000_000_000}
    fields = tuple({"name": name, "departments": ("marketing",)} for name in FIELDS)
    given = {
        "permission": {"reveal": "mandate", "exchange": "mandate"},
        "proposer_sends": fields,
        "partner_sends": fields,
    }
    return agreement_between(left, right, {**bounds, **matching}, **given, **changes)


def sign_for_both(left: Company, right: Company, matching: Mapping[str, Any]) -> str:
    """Make the two partners, under an active agreement with its standing mandates; its digest."""
    introduce(left, right)
    digest = propose(left.peer, agreement_for(left, right, matching), "crm", {}, left.keys)
    deliver(left, right)
    accept(right.peer, digest, "crm", {}, right.keys)
    deliver(right, left)
    for company in (left, right):
        grant_standing_mandate(company.peer, digest, company.keys)
    return digest


def start_server(home: Path, listen: str = "127.0.0.1:0") -> subprocess.Popen[str]:
    """The server of ``home``; it says on its standard output when it is ready, and on which port."""
    return start(
        ["-m", "mutuals_server", *server_line(home, listen)],
        stdin=subprocess.PIPE,  # the server stops when it is closed
        stderr=subprocess.DEVNULL,
    )


def server_line(home: Path, listen: str = "127.0.0.1:0") -> list[str]:
    """The arguments of the server of ``home``."""
    return ["--home", str(home), "--announce", "--listen", listen]


def port_of(announced: str) -> int:
    """The port in what a server said when it was ready."""
    return int(json.loads(announced)["listen"].rpartition(":")[2])


def command(home: Path, *words: str) -> subprocess.Popen[str]:
    """A command of the company in ``home``, leading a group of its own; it answers yes, and knows the passphrase."""
    reading = passphrase() if _SIGNING & set(words[:2]) else None
    try:
        arguments = command_line(home, words, reading)
        kept = [] if reading is None else [reading]
        return start(["-m", "mutuals_client.main", *arguments], stderr=subprocess.PIPE, pass_fds=kept)
    finally:
        if reading is not None:
            os.close(reading)


def signs(words: Sequence[str]) -> bool:
    """Whether a command needs the operator's passphrase."""
    return bool(_SIGNING & set(words[:2]))


def command_line(home: Path, words: Sequence[str], reading: int | None) -> list[str]:
    """What follows ``mutuals``; ``reading`` is the descriptor to read the passphrase from."""
    secret = [] if reading is None else ["--passphrase-fd", str(reading)]
    return [*words, "--json", "--yes", "--home", str(home), *secret]


def passphrase() -> int:
    """A descriptor from which the operator's passphrase can be read."""
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE + b"\n")
    os.close(writing)
    return reading


def start(arguments: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Python with these arguments, leading a group of its own, its standard output in a pipe."""
    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, start_new_session=True, **options
    )


def answer(process: subprocess.Popen[str], timeout: float | None = None) -> dict[str, Any]:
    """What a command said in the end; the exit code is ``exit``, and without JSON what it complained of ``errors``."""
    output, errors = process.communicate(timeout=timeout)
    return said(output, errors, process.returncode)


def said(output: str, errors: str, code: int) -> dict[str, Any]:
    """What a command that has ended said, as ``answer`` gives it."""
    words: dict[str, Any] = json.loads(output) if output.strip() else {"errors": errors}
    return {**words, "exit": code}


def kill(process: subprocess.Popen[str]) -> str:
    """Kill -9 a process with all of its own; what it had written to its standard output."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.communicate(timeout=600)[0]
