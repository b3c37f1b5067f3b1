"""``mutuals init``: set up a peer."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import (
    SETTINGS,
    OperatorCommand,
    asks_for_passphrase,
    home_path,
    interactive,
    passphrase,
    result,
    say,
)
from mutuals_client.init_walk import Answers, ask_operator, explain_passphrase, walk
from mutuals_client.next_steps import file_name, say_next

if TYPE_CHECKING:
    from mutuals.identity.home import Home
    from mutuals.identity.initialise import FirstOperator
    from mutuals.models.card import SignedCard

DEFAULT_OPERATOR = "operator"
DEFAULT_DEPARTMENT = "marketing"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", cls=OperatorCommand)(init)


def init(
    org: str | None = typer.Option(None, "--org", help="Your organisation, as partners will see it."),
    endpoint: str | None = typer.Option(
        None, metavar="HOST:PORT", help="Where partners reach you; leave out if they cannot."
    ),
    listen: str | None = typer.Option(
        None,
        metavar="HOST:PORT",
        help="Where mutuals serve listens. [default: 127.0.0.1 and the endpoint's port]",
    ),
    department: str | None = typer.Option(
        None, help="The department of the first operator. [default: marketing]"
    ),
    introduction: str = typer.Option("", help="Who you are, for your card."),
    privacy_policy: str = typer.Option("", help="Your privacy policy or where it is, for your card."),
    data_handling: str = typer.Option("", help="How you handle what you receive, for your card."),
    contact: list[str] = typer.Option(
        [], metavar='"NAME, ROLE, EMAIL"', help="A person to talk to; may be repeated."
    ),
    store: str | None = typer.Option(
        None, metavar="URL", help="Database URL, without a password. [default: SQLite in the home]"
    ),
) -> None:
    """Set up a peer: its keys, its card, its store and the first operator (--operator names them).

    Example: mutuals init --org "Acme Ltd" --endpoint peer.acme.example:8443
    """
    from mutuals.clock import utc_now
    from mutuals.identity.home import Home, parse_config
    from mutuals.identity.initialise import FirstOperator, check_vacant, init_home
    from mutuals.identity.operators import check_details

    home = Home(home_path().expanduser().absolute())
    check_vacant(home)
    values: dict[str, Any] = {
        "introduction": introduction,
        "privacy_policy": privacy_policy,
        "data_handling": data_handling,
        "contacts": [_person(text) for text in contact],
        "store": _without_password(store),
    }
    answers = _answers(Answers(org, endpoint, SETTINGS.operator, department))
    endpoint = answers.endpoint or None
    values |= {"organisation": answers.org, "endpoint": endpoint, "listen": listen or _listen(endpoint)}
    config = parse_config(values, "init", ErrorCode.USAGE)
    operator = FirstOperator(str(answers.operator), str(answers.department))
    check_details(operator.name, operator.roles, operator.department)
    if asks_for_passphrase(operator.name, new=True):
        explain_passphrase()
    signed = init_home(home, config, operator, passphrase(operator.name, new=True), utc_now())
    _tell(home, signed, operator)


def _answers(given: Answers) -> Answers:
    """What was given, and for what was not a person's answers; without one, or with --yes, what is usual."""
    user = _user_name()
    if interactive() and not SETTINGS.yes:
        if given.org is None:
            return walk(given, user, DEFAULT_DEPARTMENT)
        given = ask_operator(given, user, DEFAULT_DEPARTMENT)
    if not given.org:
        raise MutualsError(
            ErrorCode.USAGE,
            "An organisation is needed.",
            hint='Name yours, as in: mutuals init --org "Acme Ltd"',
        )
    return replace(
        given,
        operator=given.operator or user,
        department=given.department or DEFAULT_DEPARTMENT,
    )


def _tell(home: Home, signed: SignedCard, operator: FirstOperator) -> None:
    from rich.text import Text

    from mutuals_client.identity_views import card_facts, facts_block, words_block

    facts = card_facts(signed)
    roles = ", ".join(operator.roles).replace("_", " ")
    say(
        Text.assemble((facts["organisation"], "bold"), " is set up."),
        "",
        facts_block(
            [
                ("Home", str(home.root)),
                ("Card", str(home.card)),
                ("Operator", f"{operator.name}, {operator.department}: {roles}"),
            ]
        ),
        "",
        "Your fingerprint, for your partner to compare with you by voice:",
        "",
        words_block(facts["words"]),
    )
    steps = [
        (
            f"mutuals card > {file_name(facts['organisation'])}.card.json",
            "write your card; send the file to your partner",
        ),
        ("mutuals partner add FILE", "import theirs"),
        ("mutuals source add crm --path FILE", "name the file with your contacts: an export of your CRM"),
    ]
    if facts["endpoint"]:
        steps.append(
            ("mutuals serve", f"answer partners at {facts['endpoint']}, once you have one; it keeps running")
        )
    say_next(*steps)
    result(
        home=str(home.root),
        card=str(home.card),
        operator={"name": operator.name, "department": operator.department, "roles": list(operator.roles)},
        **facts,
    )


def _person(text: str) -> dict[str, str]:
    parts = [part.strip() for part in text.rsplit(",", 2)]
    if len(parts) != 3 or not all(parts):
        raise MutualsError(
            ErrorCode.USAGE,
            "A contact person has a name, a role and an email address.",
            hint='For example: --contact "Jane Doe, data protection officer, privacy@acme.example"',
        )
    return dict(zip(("name", "role", "email"), parts, strict=True))


def _listen(endpoint: str | None) -> str:
    """Loopback by default, so that nothing is open to the network that nobody opened; the port partners will use."""
    port = endpoint.rpartition(":")[2] if endpoint else ""
    return f"127.0.0.1:{port if port.isdigit() else 8443}"


def _without_password(url: str | None) -> str | None:
    """Refuse a password in an argument, which every user of the machine could read in the process list."""
    if url is None:
        return None
    from mutuals.store.urls import has_password

    try:
        refused = has_password(url)
    except ValueError as error:
        raise MutualsError(
            ErrorCode.USAGE,
            "--store is not a database URL.",
            hint="For example: --store postgresql+psycopg://mutuals@localhost/mutuals",
        ) from error
    if refused:
        raise MutualsError(
            ErrorCode.USAGE,
            "A password does not belong in an argument, where other users can see it.",
            hint="Leave it out of --store and put it into ~/.pgpass.",
        )
    return url


def _user_name() -> str:
    """The name of the person at the keyboard, where it can be an operator's."""
    import getpass

    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # no such user in a container
        return DEFAULT_OPERATOR
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name) else DEFAULT_OPERATOR
