"""The demo: two companies on this machine do everything for real, and each step is told with its numbers.

Every step runs the ``mutuals`` command as a person would, in processes of its own; the left company serves, the right
one has no endpoint and calls. At the end the campaign files are compared with the truth the data was made from.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.demo.agreement import agreement_toml
from mutuals_client.demo.companies import Profile
from mutuals_client.demo.company import Company
from mutuals_client.demo.data import DemoData, generate
from mutuals_client.demo.verify import check_export

PASSPHRASE = "only for this demo"  # noqa: S105 - printed, so that the homes can be explored
AWAITING_AUTHORISATION = 9

# What the demo's companies accept in their risk assessments, and why; anything else that is found ends it.
ACCEPTED = {
    "small-set": "The lists of this demo are short.",
    "small-overlap": "The lists of this demo are short.",
    "small-groups": "Both sides are bound by contract, and the fields go to marketing only.",
}

Tell = Callable[..., None]


@dataclass
class Story:
    """One telling. ``say`` prints a line of rich markup; ``numbers`` is what ``--json`` gives."""

    folder: Path
    contacts: int
    seed: int
    say: Tell
    numbers: dict[str, Any] = field(default_factory=dict)

    def tell(self) -> dict[str, Any]:
        """Do it all; the numbers. Raises MutualsError (INTERNAL) where a step fails or the result is not the truth."""
        start = time.monotonic()
        today = datetime.now(UTC).date()
        data = generate(self.contacts, self.seed, today=today)
        left = Company(data.left.profile.organisation, self.folder / data.left.profile.slug, PASSPHRASE)
        right = Company(data.right.profile.organisation, self.folder / data.right.profile.slug, PASSPHRASE)
        try:
            self._lists(data)
            self._meet(left, right, data)
            self._sources(left, right, data)
            agreement = self._agree(left, right, data, today)
            run = self._match(left, right, agreement, data)
            self._reveal(left, right, run)
            self._exchange(left, right, run)
            self._export(left, right, run, data)
        finally:
            left.stop()
        self.numbers["seconds"] = round(time.monotonic() - start, 1)
        self._farewell(left, right, agreement, run)
        return self.numbers

    # --- the chapters ---------------------------------------------------------------------------------------------

    def _lists(self, data: DemoData) -> None:
        self._chapter("Two companies, two customer lists")
        data.write(self.folder / "lists")
        self.say(
            f"{data.left.profile.organisation} and {data.right.profile.organisation} have "
            f"[bold]{self.contacts:,}[/] customers each, in files as untidy as real ones."
        )
        self.say(
            f"[bold]{data.truth.in_common:,}[/] people are on both lists, one way or another; "
            "neither company knows which."
        )
        self.numbers["truth"] = data.truth.numbers()

    def _meet(self, left: Company, right: Company, data: DemoData) -> None:
        self._chapter("They introduce themselves")
        port = _free_port()
        words = {}
        for company, profile, endpoint in (
            (left, data.left.profile, f"localhost:{port}"),
            (right, data.right.profile, None),
        ):
            words[company.name] = company.run(*_init_arguments(profile, endpoint), sign=True)["words"]
            company.run("card", "--out", str(self.folder / f"{profile.slug}.card.json"))
        for own, other, profile in ((left, right, data.right.profile), (right, left, data.left.profile)):
            card = str(self.folder / f"{profile.slug}.card.json")
            own.run("partner", "add", card, "--fingerprint", _words(words[other.name]))
        for company in (left, right):
            self.say(f"{company.name}, fingerprint: [cyan]{_words(words[company.name])}[/]")
        self.say("Each reads its words to the other over the phone, and takes the other's card.")
        left.serve()
        self.say(f"{left.name} serves at localhost:{port}. {right.name} has no open port; it calls.")

    def _sources(self, left: Company, right: Company, data: DemoData) -> None:
        self._chapter("Each names its list, and checks it")
        self.numbers["sources"] = {}
        for company, side in ((left, data.left), (right, data.right)):
            path = self.folder / "lists" / side.file_name
            company.run(
                "source",
                "add",
                "customers",
                "--path",
                str(path),
                "--default-country",
                side.profile.default_country,
            )
            check = company.run("source", "check", "customers", "--purpose", "partner-matching").data
            self.numbers["sources"][side.profile.slug] = check
            taking = check["participation"]
            self.say(
                f"{company.name}: of {check['contacts']:,} customers [bold]{taking['contacts']:,}[/] may take part, "
                f"with {taking['identifiers']:,} identifiers. The others stay at home:"
            )
            self.say("  [dim]" + _reasons(taking["excluded"]) + "[/]")

    def _agree(self, left: Company, right: Company, data: DemoData, today: date) -> str:
        self._chapter("They sign an agreement, which the software enforces")
        draft = self.folder / "agreement.toml"
        draft.write_text(agreement_toml(today, self.contacts), encoding="utf-8")
        self.numbers["assessment"] = {}
        self._assess(left, str(draft))
        proposed = left.run(
            "agreement", "propose", str(draft), "--with", right.name, "--source", "customers", sign=True
        )
        agreement: str = proposed["id"]
        right.run("sync")
        mapping = [f"--map={name}={heading}" for name, heading in data.right.profile.fields.items()]
        self._assess(right, agreement, *mapping)
        accepted = right.run("agreement", "accept", agreement, "--source", "customers", *mapping, sign=True)
        self.say(f"{left.name} proposes agreement [bold]{agreement}[/]; it waits in the outbox until")
        self.say(
            f"{right.name} connects, reads and accepts it. Both now hold one document and two signatures:"
        )
        self.say(f"  [dim]digest {accepted['digest']}[/]")
        self.numbers["agreement"] = {
            "id": agreement,
            "digest": accepted["digest"],
            "state": accepted["state"],
        }
        return agreement

    def _assess(self, company: Company, reference: str, *mapping: str) -> None:
        """The company's own risk assessment: what is found is accepted with a reason, or the demo ends here."""
        seen = company.run(
            "agreement", "assess", reference, "--source", "customers", *mapping, "--dry-run", expect=(0, 3)
        )
        accepting = [f"--accept={name}={ACCEPTED.get(name, '')}" for name in dict.fromkeys(seen["open"])]
        signed = company.run(
            "agreement", "assess", reference, "--source", "customers", *mapping, *accepting, sign=True
        )
        groups = signed["assessment"]["anonymity"]
        self.say(
            f"{company.name} assesses the risk: the fields it sends single out [bold]{groups['alone']:,}[/] of "
            f"{groups['contacts']:,} customers; a cheat could test "
            f"{signed['assessment']['probing']['per_30_days']:,} guesses in 30 days. It accepts by name:"
        )
        self.say("  [dim]" + (", ".join(dict.fromkeys(seen["open"])) or "nothing had to be") + "[/]")
        self.numbers["assessment"][company.name] = signed["digest"]

    def _match(self, left: Company, right: Company, agreement: str, data: DemoData) -> str:
        self._chapter("They match: blinded lists go both ways, only the count comes out")
        start = time.monotonic()
        matched = right.run("match", agreement).data
        seconds = time.monotonic() - start
        run: str = matched["run"]
        expected = len(data.truth.overlap)
        self.say(
            f"Run [bold]{run}[/]: {matched['own_size']:,} identifiers against {matched['partner_size']:,}, "
            f"in {seconds:.1f} s. [bold]{matched['overlap']:,}[/] are shared"
            + (
                ", exactly the true number."
                if matched["overlap"] == expected
                else f"; TRUE ARE {expected:,}."
            )
        )
        self.numbers["match"] = {
            "run": run,
            "overlap_items": matched["overlap"],
            "overlap_equals_truth": matched["overlap"] == expected,
            "seconds": round(seconds, 2),
        }
        return run

    def _reveal(self, left: Company, right: Company, run: str) -> None:
        self._chapter("They reveal which customers these are, once both have authorised it")
        waiting = right.run("reveal", run, sign=True, expect=(AWAITING_AUTHORISATION,))
        self.say(f"{right.name} authorises, and asks: [yellow]{waiting['error']['message']}[/]")
        left.run("reveal", run, sign=True)
        revealed = right.run("reveal", run).data
        self.say(
            f"{left.name} authorises too; now {right.name} knows its [bold]{revealed['contacts']:,}[/] shared "
            "customers, and so does the other side its own."
        )
        self.numbers["reveal"] = {"contacts": revealed["contacts"]}

    def _exchange(self, left: Company, right: Company, run: str) -> None:
        self._chapter("They exchange the agreed fields of those customers, sealed")
        preview = right.run("exchange", run, "--dry-run").data
        fields = ", ".join(item["name"] for item in preview["fields"])
        self.say(f"{right.name} looks first: it would send {fields} of {preview['contacts']:,} customers.")
        left.run("exchange", run, sign=True)
        done = right.run("exchange", run, sign=True).data
        self.say(
            f"Both authorise exactly what they saw. {right.name} sent {done['contacts_sent']:,} and received "
            f"[bold]{done['contacts_received']:,}[/]; what arrived lies encrypted, and the server cannot read it."
        )
        other = left.run("exchange", run).data
        self.numbers["exchange"] = {"left": _sent(other), "right": _sent(done)}

    def _export(self, left: Company, right: Company, run: str, data: DemoData) -> None:
        self._chapter("Marketing opens its share, and the demo checks it against the truth")
        faults: dict[str, dict[str, int]] = {}
        for company, side in ((left, data.left), (right, data.right)):
            path = self.folder / f"{side.profile.slug}-campaign.csv"
            exported = company.run("export", run, "--out", str(path), sign=True).data
            found = check_export(data, receiver_is_left=side is data.left, path=path)
            faults[side.profile.slug] = found
            self.say(
                f"{company.name}: [bold]{exported['rows']:,}[/] rows in {path.name}; "
                + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.items())
            )
        self.numbers["faults"] = faults
        sound = self.numbers["match"]["overlap_equals_truth"] and not any(
            count for found in faults.values() for count in found.values()
        )
        self.numbers["sound"] = sound
        if not sound:
            raise MutualsError(
                ErrorCode.INTERNAL, f"The demo's result is not the truth: {json.dumps(faults)}"
            )
        self.say("[green]Every number is the true one.[/]")

    def _farewell(self, left: Company, right: Company, agreement: str, run: str) -> None:
        self._chapter(f"That took {self.numbers['seconds']:.0f} s. Explore it yourself")
        home = shlex.quote(os.path.relpath(right.home))
        program = _program()
        self.say(
            f"Everything lies in {os.path.relpath(self.folder)}; the operators' passphrase is “{PASSPHRASE}”."
        )
        for command in (
            f"{program} agreement show {agreement} --home {home}",
            f"{program} runs --home {home}",
            f"{program} source check customers --agreement {agreement} --home {home}",
            f"{program} serve --home {shlex.quote(os.path.relpath(left.home))}",
        ):
            self.say(f"  [cyan]{command}[/]")
        self.numbers["folder"] = str(self.folder)

    def _chapter(self, title: str) -> None:
        self.say("", f"[bold]{title}[/]")


def _init_arguments(profile: Profile, endpoint: str | None) -> list[str]:
    person = f"{profile.contact_name}, {profile.contact_role}, {profile.contact_email}"
    arguments = [
        "init",
        f"--org={profile.organisation}",
        f"--operator={profile.operator}",
        "--department=marketing",
        f"--introduction={profile.introduction}",
        f"--privacy-policy={profile.privacy_policy}",
        f"--data-handling={profile.data_handling}",
        f"--contact={person}",
    ]
    return [*arguments, f"--endpoint={endpoint}"] if endpoint else arguments


def _sent(done: dict[str, Any]) -> dict[str, Any]:
    names = (
        "contacts_sent",
        "contacts_received",
        "records_sent",
        "records_received",
        "withheld",
        "fields_sent",
    )
    return {name: done[name] for name in names}


def _words(words: Any) -> str:
    return words if isinstance(words, str) else " ".join(words)


def _reasons(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in counts.items())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _program() -> str:
    """How to call ``mutuals`` from this shell."""
    local = Path(".venv/bin/mutuals")
    return str(local) if local.exists() else "mutuals"
