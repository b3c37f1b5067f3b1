"""``mutuals policy check``: does the policy fit what there is, and why is something allowed or not?"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ERRORS, ErrorCode, MutualsError
from mutuals_client.console import open_peer, result, say
from mutuals_client.next_steps import say_next

if TYPE_CHECKING:
    from mutuals.peer import Peer
    from mutuals.policy.decide import Person


class ActionName(StrEnum):
    """What somebody would do with a field."""

    VIEW = "view"
    EXPORT = "export"
    SHARE = "share"


def check(
    operator: str | None = typer.Option(None, "--operator", metavar="NAME", help="Who would do it."),
    role: list[str] = typer.Option([], "--role", help="Or: somebody in this role; may be repeated."),
    department: str | None = typer.Option(None, "--department", help="Or: and of this department."),
    action: ActionName | None = typer.Option(None, "--action", help="What they would do."),
    field: str | None = typer.Option(None, "--field", help="The field: as in the agreement, or a heading."),
    agreement: str | None = typer.Option(None, "--agreement", metavar="ID", help="Under which agreement."),
) -> None:
    """Explain a decision, or compare policy.toml with your sources, operators and agreements.

    Without --action it compares; it ends with 3 where something does not fit.
    Example: mutuals policy check --role analyst --department marketing --action export --field lifetime_value
    """
    with open_peer() as peer:
        if action is None and field is None:
            _compare(peer)
            return
        if action is None or field is None:
            raise MutualsError(
                ErrorCode.USAGE,
                "A decision is about an action and a field.",
                hint="Add both: --action view, export or share, and --field NAME",
            )
        name, person = _person(peer, operator, role, department)
        _explain(peer, name, person, action, field, agreement)


def _person(peer: Peer, operator: str | None, roles: list[str], department: str | None) -> tuple[str, Person]:
    from mutuals.identity.operators import ROLES, get_operator
    from mutuals.policy.decide import Person

    if operator is not None:
        with peer.store.transaction() as tx:
            row = get_operator(tx, operator)
        if row.disabled_at is not None:
            raise MutualsError(
                ErrorCode.NOT_ENTITLED, f"Operator {row.name} was disabled on {row.disabled_at:%Y-%m-%d}."
            )
        words = " and ".join(row.roles).replace("_", " ")
        return f"operator {row.name} ({words} of {row.department})", Person(row.roles, row.department)
    if not roles or department is None:
        raise MutualsError(
            ErrorCode.USAGE,
            "Say who: an operator, or a role and a department.",
            hint="For example: --operator bea, or --role analyst --department marketing",
        )
    unknown = next((name for name in roles if name not in ROLES), None)
    if unknown is not None:
        raise MutualsError(
            ErrorCode.USAGE, f"There is no role “{unknown[:40]}”.", hint=f"The roles are {', '.join(ROLES)}."
        )
    words = " and ".join(roles).replace("_", " ")
    return f"somebody who is {words} of {department}", Person(tuple(roles), department)


def _explain(
    peer: Peer, name: str, person: Person, action: ActionName, field: str, agreement: str | None
) -> None:
    from rich.text import Text

    from mutuals.runs.explain import explain

    with peer.store.transaction() as tx:
        answer = explain(tx, action.value, field, person, peer.clock(), agreement=agreement)
    where = f" under agreement {agreement}" if agreement else ""
    say(
        Text.assemble(
            ("Yes: " if answer.allowed else "No: ", "bold"),
            f"{name} may {'' if answer.allowed else 'not '}{action.value} {field}{where}.",
        )
    )
    for reason in answer.reasons:
        say(Text(f"  {'✓' if reason.allowed else '✗'} {reason.rule}"))
    if answer.against:
        say(Text("What would change it:"), *(Text(f"  {reason.changes}") for reason in answer.against))
    result(
        allowed=answer.allowed,
        who=name,
        action=action.value,
        field=field,
        agreement=agreement,
        category=answer.category,
        reasons=[
            {"allowed": reason.allowed, "rule": reason.rule, "changes": reason.changes}
            for reason in answer.reasons
        ],
    )


def _compare(peer: Peer) -> None:
    from rich.text import Text

    from mutuals.agreement.access_today import own_headings
    from mutuals.agreement.policy_check import compare
    from mutuals.policy.current import current_policy
    from mutuals_client.commands.policy import FILE_NAME, read_policy

    file = peer.home.root / FILE_NAME
    with peer.store.transaction() as tx:
        approved = current_policy(tx)
    written = read_policy(peer, None) if file.exists() or approved is None else None
    policy = written or approved
    if policy is None:
        raise MutualsError(ErrorCode.USAGE, "There is no policy.", hint="Write one: mutuals policy init")
    headings = own_headings(peer)
    with peer.store.transaction() as tx:
        findings = compare(tx, policy, headings)
    faults = [finding for finding in findings if finding.fault]
    pending = written is not None and (
        approved is None or written.model_copy(update={"version": approved.version}) != approved
    )
    for finding in findings:
        say(Text(f"  {'✗' if finding.fault else '·'} {finding}"))
    if pending:
        say(Text(f"  · {FILE_NAME} says something that is not in force yet."))
    fits = "The policy fits your sources, operators and agreements."
    say(fits if not faults else f"[bold]{len(faults)}[/] of these need a change.")
    if pending and not faults:
        say_next(("mutuals policy approve", "put it in force"))
    result(
        fits=not faults,
        approved=not pending,
        findings=[
            {"about": finding.about, "sentence": finding.sentence, "fault": finding.fault}
            for finding in findings
        ],
    )
    if faults:
        raise typer.Exit(ERRORS[ErrorCode.AGREEMENT_FORBIDS].exit_code)
