"""The first chapters: two peers are set up and get to know each other, and each says who may do what with its data."""

from __future__ import annotations

import socket
from typing import Any

from mutuals_client.demo.agreement import smallest_list
from mutuals_client.demo.companies import LEFT, RIGHT, Profile
from mutuals_client.demo.company import Company
from mutuals_client.demo.consent import PURPOSE
from mutuals_client.demo.data import DemoCompany
from mutuals_client.demo.policy import filled_in
from mutuals_client.demo.stage import Stage, both, listed

OUTSIDER = ("tom", "workshop")
"""An analyst of the right company and their department, to which the agreement gives nothing."""


def meet(stage: Stage) -> None:
    """Both set up a peer, exchange cards, compare fingerprints; the left one serves."""
    stage.chapter("1  They introduce themselves")
    port = _free_port()
    left_words, right_words = both(
        lambda: _set_up(stage, stage.left, LEFT, f"localhost:{port}"),
        lambda: _set_up(stage, stage.right, RIGHT, None),
    )
    stage.left.launch()
    both(
        lambda: stage.left.run("partner", "add", str(stage.card(RIGHT)), "--fingerprint", right_words),
        lambda: stage.right.run("partner", "add", str(stage.card(LEFT)), "--fingerprint", left_words),
    )
    stage.tell(
        f"{LEFT.short}: [cyan]{left_words}[/]",
        f"{RIGHT.short}: [cyan]{right_words}[/]",
        "Each reads the words of its fingerprint to the other over the phone, and takes the other's card.",
        f"{LEFT.short} serves at localhost:{port}. {RIGHT.short} has no open port; it calls.",
    )


def set_rules(stage: Stage) -> None:
    """Both name their list, approve a policy, and see who may take part."""
    stage.chapter("2  Each decides who may do what with its own customers")
    (left_policy, left_check), (right_policy, right_check) = both(
        lambda: _govern(stage, stage.left, stage.data.left),
        lambda: _govern(stage, stage.right, stage.data.right),
    )
    stage.left.await_server()
    stage.numbers["policy"] = {LEFT.slug: left_policy, RIGHT.slug: right_policy}
    stage.numbers["sources"] = {LEFT.slug: left_check, RIGHT.slug: right_check}
    for profile, policy, check in ((LEFT, left_policy, left_check), (RIGHT, right_policy, right_check)):
        taking = check["participation"]
        stage.tell(
            f"{profile.short}'s policy, approved by {profile.operator}: {policy['fields']} fields in "
            f"{policy['categories']} categories; {policy['closed']} of them may never leave. Of "
            f"{check['contacts']:,} customers [bold]{taking['contacts']:,}[/] may take part, with "
            f"{taking['identifiers']:,} identifiers. The others stay at home: [dim]{listed(taking['excluded'], 3)}.[/]"
        )
    for truth, check, name in (
        (stage.data.truth.left, left_check, "left_taking_part"),
        (stage.data.truth.right, right_check, "right_taking_part"),
    ):
        stage.check(name, check["participation"]["contacts"] == len(truth.taking_part))


def _set_up(stage: Stage, company: Company, profile: Profile, endpoint: str | None) -> str:
    """A peer of its own; the words of its fingerprint."""
    words = company.run(*_init_arguments(profile, endpoint), sign=True)["words"]
    config = company.home / "config.toml"
    # Lists this short are matched before a second worker would be up.
    config.write_text(config.read_text("utf-8").replace("# workers = 4", "workers = 1"), encoding="utf-8")
    company.run("card", "--out", str(stage.card(profile)))
    return words if isinstance(words, str) else " ".join(words)


def _govern(stage: Stage, company: Company, side: DemoCompany) -> tuple[dict[str, int], dict[str, Any]]:
    """Source, operators and policy of one company; its policy in numbers, and what ``source check`` says."""
    path = stage.folder / "lists" / side.file_name
    country = side.profile.default_country
    company.run("source", "add", "customers", "--path", str(path), "--default-country", country)
    if side.profile is RIGHT:
        name, department = OUTSIDER
        company.run(
            *("operator", "add", name, "--role", "analyst", "--department", department),
            sign=True,
            secrets={"--new-passphrase-fd": company.passphrase},
        )
    company.run("policy", "init")
    file = company.home / "policy.toml"
    draft = filled_in(file.read_text("utf-8"), side.profile, smallest_list(len(side.contacts)))
    file.write_text(draft, encoding="utf-8")
    company.run("policy", "approve", sign=True)
    policy = company.run("policy", "show")["policy"]
    held = [category for category in policy["categories"] if category["fields"]]
    closed = [category for category in held if not any(category["share"].values())]
    numbers = {
        "version": policy["version"],
        "categories": len(held),
        "fields": sum(len(category["fields"]) for category in held),
        "closed": sum(len(category["fields"]) for category in closed),
    }
    return numbers, company.run("source", "check", "customers", "--purpose", PURPOSE).data


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
