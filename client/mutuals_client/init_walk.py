"""The questions of ``mutuals init``: each explained in a sentence, checked when it is answered, and asked again until
the answer will do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import ask, confirm, say

DEFAULT_ENDPOINT = "localhost:8443"


@dataclass(frozen=True)
class Answers:
    """What ``init`` has to know; None is what nobody said yet, and ``endpoint`` "" that partners cannot call."""

    org: str | None = None
    endpoint: str | None = None
    operator: str | None = None
    department: str | None = None


def walk(given: Answers, user: str, department: str) -> Answers:
    """Ask a person for what was not given; ``user`` and ``department`` are proposed. They may correct it all."""
    say(
        "A peer is what partners' peers talk to: it has keys of its own, a card that it is known by, and a store.",
        "Enter takes what stands in brackets. All but the keys can be changed later.",
    )
    answers = _ask(given, given, user, department)
    while not _right(answers):
        answers = _ask(given, answers, user, department)
    return answers


def ask_operator(given: Answers, user: str, department: str) -> Answers:
    """Ask for the operator's name and department alone, where they were not given."""
    return _operator(given, replace(given, operator=given.operator or user), department)


def _ask(given: Answers, now: Answers, user: str, department: str) -> Answers:
    """One round of questions, with the answers of the one before as what is proposed."""
    if given.org is None:
        say("", "Who are you? Partners see this name on your card, and agreements are signed in it.")
        now = replace(now, org=_until_right("Your organisation", now.org, _check_config("organisation")))
    if given.endpoint is None:
        say("", "One of two partners must be reachable over the network; the other one calls.")
        reachable = confirm("Can partners reach this machine?", honour_yes=False, default=bool(now.endpoint))
        endpoint = ""
        if reachable:
            say("", "Under which host and port? Your firewall has to let that port through.")
            proposed = now.endpoint or DEFAULT_ENDPOINT
            endpoint = _until_right("host:port", proposed, _check_config("endpoint"))
        now = replace(now, endpoint=endpoint)
    return _operator(given, replace(now, operator=now.operator or user), now.department or department)


def _operator(given: Answers, now: Answers, department: str) -> Answers:
    if given.operator is None:
        say(
            "", "Everybody who works with this peer is an operator; you are the first, and may do everything."
        )
        now = replace(
            now,
            operator=_until_right("Your name, without blanks", now.operator, lambda name: _check(name, "x")),
        )
    if given.department is None:
        say("", "Agreements give data to departments, named in lower case; which one is yours?")
        named = str(now.operator)
        department = _until_right("Your department", department, lambda text: _check(named, text))
        now = replace(now, department=department)
    return now


def _right(answers: Answers) -> bool:
    from mutuals_client.identity_views import facts_block

    say(
        "",
        facts_block(
            [
                ("Organisation", str(answers.org)),
                ("Partners call", answers.endpoint or "nobody calls you; you call them"),
                ("Operator", f"{answers.operator}, {answers.department}"),
            ]
        ),
    )
    return confirm("Is this right? (n asks again)", honour_yes=False, default=True)


def explain_passphrase() -> None:
    """What the passphrase is for, before it is asked for."""
    say(
        "",
        "Now a passphrase. It locks your signing key, and what partners send you: nobody signs or reads without it.",
        "It cannot be recovered. Keep it in a password manager; a second operator is the spare key.",
    )


def _until_right(question: str, default: str | None, check: Callable[[str], None]) -> str:
    while True:
        answer = ask(question, default).strip()
        try:
            check(answer)
        except MutualsError as error:
            say(f"{error.message} {error.hint or ''}".rstrip())
        else:
            return answer


def _check_config(key: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        from mutuals.identity.home import parse_config

        values: dict[str, Any] = {"organisation": "x", key: text}
        parse_config(values, "This will not do", ErrorCode.USAGE)

    return check


def _check(operator: str, department: str) -> None:
    from mutuals.identity.operators import FIRST_OPERATOR_ROLES, check_details

    check_details(operator, FIRST_OPERATOR_ROLES, department)
