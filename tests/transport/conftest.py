"""Companies for the tests of transport and server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.companies import Company, MakeCompany, set_up


@pytest.fixture
def company(tmp_path: Path) -> Iterator[MakeCompany]:
    """Set up a company: ``company("Acme Ltd")``, or ``company("Beta SA", reachable=False)``."""
    with ExitStack() as stack:

        def make(name: str, *, reachable: bool = True) -> Company:
            made = set_up(tmp_path / name.split(maxsplit=1)[0].lower(), name, reachable=reachable)
            stack.callback(made.peer.close)
            return made

        yield make


@pytest.fixture
def pair(company: MakeCompany) -> tuple[Company, Company]:
    """Acme, which can be reached, and Beta, which cannot; each other's partners."""
    acme, beta = company("Acme Ltd"), company("Beta SA", reachable=False)
    acme.knows(beta)
    beta.knows(acme)
    return acme, beta
