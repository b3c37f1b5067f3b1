"""The demo: two companies on this machine do everything for real, and each step is told with its numbers.

Every step runs the ``mutuals`` command as a person would, each company in processes of its own; the left company
serves, the right one has no endpoint and calls. The campaign files are compared with the truth the data was made from,
and at the end nothing that was received may be left. Whatever is not as it should be ends the demo with an error.
"""

from __future__ import annotations

import os
import shlex
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from mutuals_client.demo.companies import LEFT, RIGHT
from mutuals_client.demo.company import Company
from mutuals_client.demo.data import generate
from mutuals_client.demo.introductions import meet, set_rules
from mutuals_client.demo.parting import part
from mutuals_client.demo.sharing import share
from mutuals_client.demo.signing import assess, sign
from mutuals_client.demo.stage import Stage, Tell
from mutuals_client.demo.watching import watch

PASSPHRASE = "only for this demo"  # noqa: S105 - printed, so that the homes can be explored

CHAPTERS = (meet, set_rules, assess, sign, share, watch, part)


@dataclass
class Story:
    """One telling. ``say`` prints a line of rich markup; ``numbers`` is what ``--json`` gives."""

    folder: Path
    contacts: int
    seed: int
    say: Tell
    numbers: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def companies(self) -> tuple[Company, Company]:
        """The left and the right one."""
        left, right = (
            Company(profile.organisation, self.folder / profile.slug, PASSPHRASE, profile.operator)
            for profile in (LEFT, RIGHT)
        )
        return left, right

    def tell(self) -> dict[str, Any]:
        """Do it all; the numbers. Raises MutualsError (INTERNAL) where a step fails or a result is not the truth."""
        try:
            self.perform()
        finally:
            self.close()
        return self.numbers

    def perform(self) -> Stage:
        """Do it all, and leave both companies at work until ``close``."""
        start = time.monotonic()
        for company in self.companies:
            company.wake()
        stage = self._set()
        for chapter in CHAPTERS:
            chapter(stage)
        self.numbers["sound"] = True
        self.numbers["seconds"] = round(time.monotonic() - start, 1)
        self.numbers["folder"] = str(self.folder)
        self._farewell(stage)
        return stage

    def close(self) -> None:
        """End the processes of both companies."""
        for company in self.companies:
            company.close()

    def _set(self) -> Stage:
        left, right = self.companies
        today = datetime.now(UTC).date()
        data = generate(self.contacts, self.seed, today=today)
        data.write(self.folder / "lists")
        stage = Stage(self.folder, data, left, right, today, self.say, self.numbers)
        stage.numbers["truth"] = data.truth.numbers()
        stage.chapter("Two companies, two customer lists")
        stage.tell(
            f"{left.name} and {right.name} have [bold]{self.contacts:,}[/] customers each, in untidy files.",
            f"[bold]{data.truth.in_common:,}[/] people are on both lists, one way or another; "
            "neither company knows which.",
        )
        return stage

    def _farewell(self, stage: Stage) -> None:
        stage.chapter(f"That took {self.numbers['seconds']:.0f} s. Look around")
        home = shlex.quote(os.path.relpath(stage.right.home))
        program = _program()
        stage.say(f"All is in {os.path.relpath(self.folder)}; the operators' passphrase is “{PASSPHRASE}”.")
        for command in (
            f"{program} agreement show {stage.agreement} --home {home}",
            f"{program} audit log {stage.agreement} --home {home}",
            f"{program} policy show --home {home}",
            f"{program} status --all --home {home}",
        ):
            stage.say(f"  [cyan]{command}[/]")


def _program() -> str:
    """How to call ``mutuals`` from this shell."""
    local = Path(".venv/bin/mutuals")
    return str(local) if local.exists() else "mutuals"
