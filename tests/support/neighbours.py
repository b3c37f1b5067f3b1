"""Two companies at the time that it is, of which the partner's server is a real process.

with neighbours(tmp_path) as (acme, globex, agreement): ...
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mutuals.agreement.document import agreement_id
from mutuals.runs.mandates import grant_standing_mandate
from support.assessed import accept, propose
from support.companies import free_port
from support.pairing import Company, TestClock, agreement_between, contact, deliver, introduce, make_company

LEFT = [contact(f"L{i}", f"p{i}@example.com", city=f"Planted {i}") for i in range(6)]
RIGHT = [contact(f"R{i}", f"p{i}@example.com", score=str(i)) for i in range(2, 8)]


class Now(TestClock):
    """The time as it is, since the other process has no other."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


@contextmanager
def neighbours(root: Path) -> Iterator[tuple[Company, Company, str]]:
    """``acme`` and ``globex`` in folders of these names in ``root``, and the id of their agreement.

    Globex has granted a mandate for reveal and exchange, Acme has not: its operator permits each.
    """
    now = Now()
    acme = make_company(root / "acme", "Acme Ltd", LEFT, now)
    globex = make_company(root / "globex", "Globex SA", RIGHT, now, f"127.0.0.1:{free_port()}")
    try:
        introduce(acme, globex)
        agreement = agreement_between(acme, globex, permission={"reveal": "mandate", "exchange": "mandate"})
        digest = propose(acme.peer, agreement, "crm", {}, acme.keys)
        deliver(acme, globex)
        accept(globex.peer, digest, "crm", {}, globex.keys)
        deliver(globex, acme)
        assert grant_standing_mandate(globex.peer, digest, globex.keys)
        yield acme, globex, agreement_id(digest)
    finally:
        acme.peer.close()
        globex.peer.close()


@contextmanager
def answering(company: Company) -> Iterator[None]:
    """The company's server, as a process of its own."""
    command = [sys.executable, "-m", "mutuals_server", "--home", str(company.peer.home.root)]
    process = subprocess.Popen(
        [*command, "--announce"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        yield
    finally:
        process.communicate()  # it ends when its standard input does
