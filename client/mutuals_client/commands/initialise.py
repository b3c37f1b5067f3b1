"""``mutuals init``: set up a peer."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import (
    SETTINGS,
    OperatorCommand,
    ask,
    home_path,
    interactive,
    passphrase,
    result,
    say,
    say_commands,
)

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
    if org is None and interactive():
        org = ask("Your organisation, as partners will see it")
        endpoint = (
            endpoint or ask("Where partners reach you, host:port (leave empty if they cannot)", "") or None
        )
    if not org:
        raise MutualsError(
            ErrorCode.USAGE, "An organisation is needed.", hint='mutuals init --org "Acme Ltd"'
        )
    values: dict[str, Any] = {
        "organisation": org,
        "introduction": introduction,
        "privacy_policy": privacy_policy,
        "data_handling": data_handling,
        "contacts": [_person(text) for text in contact],
        "endpoint": endpoint,
        "listen": listen or _listen(endpoint),
        "store": _without_password(store),
    }
    config = parse_config(values, "init", ErrorCode.USAGE)
    name = SETTINGS.operator or (
        ask("Your name as an operator", _user_name()) if interactive() else _user_name()
    )
    if department is None:
        question = "Your department, as agreements name it"
        department = ask(question, DEFAULT_DEPARTMENT) if interactive() else DEFAULT_DEPARTMENT
    operator = FirstOperator(name=name, department=department)
    check_details(operator.name, operator.roles, operator.department)
    signed = init_home(home, config, operator, passphrase(name, new=True), utc_now())
    _tell(home, signed, operator)


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
        "",
        "Next:",
    )
    where = f" --home {shlex.quote(str(SETTINGS.home))}" if SETTINGS.home else ""
    file = re.sub(r"[^a-z0-9]+", "-", facts["organisation"].lower()).strip("-") or "our"
    for command, why in (
        (f"mutuals card{where} > {file}.card.json", "give this file to your partner"),
        (f"mutuals partner add{where} FILE", "import theirs"),
        (f"mutuals source add{where} NAME --path FILE", "name the file your contacts are read from"),
    ):
        say_commands(f"# {why}", command)
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
