"""``mutuals agreement assess`` and ``approve``: the risk assessment before a signature, and the owners' approvals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.commands.agreement_show import (
    HTML,
    MARKDOWN,
    PARTNER,
    REFERENCE,
    Named,
    name_agreement,
    write_documents,
)
from mutuals_client.console import OperatorCommand, confirm, open_peer, result, say
from mutuals_client.next_steps import Step, say_next

if TYPE_CHECKING:
    from mutuals.assessment.assess import Plan
    from mutuals.models.assessment import Assessment
    from mutuals.peer import Peer

SOURCE = typer.Option(None, metavar="NAME", help="Your source that will take part. [default: your only one]")
MAP = typer.Option(
    [],
    "--map",
    metavar="FIELD=HEADING",
    help="A field you send, and its column where the name differs; repeatable.",
)


def register(group: typer.Typer) -> None:
    """Add the commands to the group ``agreement``."""
    group.command("assess", cls=OperatorCommand)(assess)
    group.command("approve", cls=OperatorCommand)(approve)


def assess(
    reference: str = REFERENCE,
    partner: str | None = PARTNER,
    source: str | None = SOURCE,
    mapping: list[str] = MAP,
    accept: list[str] = typer.Option(
        [], metavar="FINDING=REASON", help="A finding you accept, by name, and why; repeatable. It is signed."
    ),
    markdown: str | None = MARKDOWN,
    html: Path | None = HTML,
    dry_run: bool = typer.Option(False, "--dry-run", "-n", help="Show it; sign and keep nothing."),
) -> None:
    """Assess what an agreement risks for the persons, and sign that; nobody signs an agreement without it.

    Ends with 3 where something blocks, or has to be accepted by name first.
    Example: mutuals agreement assess globex.toml --source crm --accept small-groups="Bound by contract."
    """
    from rich.text import Text

    from mutuals.assessment import assess as assessing
    from mutuals.assessment.describe import render_html, render_markdown, render_terminal
    from mutuals.identity.operators import SIGN_ROLES
    from mutuals_client.session import acting_operator, unlock_operator

    reasons = pairs(accept, "--accept", "FINDING=REASON", 'small-groups="Both sides are bound by contract."')
    with open_peer() as peer:
        named = name_agreement(peer, reference, partner)
        plan = _plan(peer, named, source, mapping)
        signer = None if dry_run else acting_operator(peer)
        made = assessing.assess(peer, plan, reasons, signer)
        say(render_terminal(made))
        digest, signed = None, None
        if not dry_run:
            if not confirm("Sign this risk assessment?"):
                raise MutualsError(ErrorCode.USAGE, "Nothing was signed.")
            keys = unlock_operator(peer, roles=SIGN_ROLES, act="sign risk assessments")
            digest = assessing.sign_assessment(peer, plan, made, keys)
            signed = assessing.stored_assessment(peer, digest)
        written = write_documents(
            markdown, html, lambda: render_markdown(made, signed), lambda: render_html(made, signed)
        )
        if markdown == "-":
            say(Text(render_markdown(made, signed), end=""))
        say("", *(Text(f"Wrote {path}.") for path in written))
        _say_what_next(made, _again(reference, partner, source, mapping), digest)
        if digest is not None and not made.open:
            say_next(*_signing(peer, named, reference, partner, plan.source, mapping))
    result(
        digest=digest,
        signable=not made.open,
        open=[finding.name for finding in made.open],
        written=written,
        assessment=made.model_dump(mode="json"),
    )
    if made.open:
        raise typer.Exit(3)


def approve(
    reference: str = REFERENCE,
    partner: str | None = PARTNER,
    source: str | None = SOURCE,
    mapping: list[str] = MAP,
) -> None:
    """Approve, as an operator of the department that owns them, that fields leave under an agreement.

    Example: mutuals agreement approve globex.toml --operator sven
    """
    from rich.text import Text

    from mutuals.assessment.owners import approve_fields, own_fields
    from mutuals.policy.current import current_policy
    from mutuals_client.session import acting_operator, unlock_operator

    with open_peer() as peer:
        named = name_agreement(peer, reference, partner)
        plan = _plan(peer, named, source, mapping)
        who = acting_operator(peer)
        with peer.store.transaction() as tx:
            policy = current_policy(tx)
        columns = {
            field.name: plan.mapping.get(field.name, field.name) for field in plan.agreement.sends(plan.side)
        }
        own_fields(policy, plan.agreement, plan.side, columns, who)
        if not confirm(f"Approve, for {who.department}, what leaves under “{plan.agreement.title}”?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was approved.")
        keys = unlock_operator(peer, act="approve fields")
        with peer.store.transaction() as tx:
            names = approve_fields(
                tx, current_policy(tx), plan.agreement, plan.side, columns, keys, peer.clock()
            )
    say(Text(f"{who.department} approves that {', '.join(names)} leave under “{plan.agreement.title}”."))
    say_next(
        (
            f"mutuals agreement assess {_again(reference, partner, source, mapping)}",
            "assess what it risks now",
        )
    )
    result(approved=list(names), department=who.department, operator=who.name)


def _signing(
    peer: Peer, named: Named, reference: str, partner: str | None, source: str | None, mapping: list[str]
) -> list[Step]:
    """The command by which the assessed agreement is signed; none where it is signed already."""
    from shlex import quote

    from mutuals.models.agreement import AgreementState, Side

    with peer.store.transaction() as tx:
        known = tx.partners.get(named.agreement.party(named.side.other).fingerprint)
    name = partner or (known.name if known is not None else "PARTNER")
    mapped = "".join(f" --map {quote(pair)}" for pair in mapping)
    if named.row is None:
        if named.agreement.replaces is not None:
            return []
        given = f"{quote(reference)} --with {quote(name)} --source {quote(source or 'NAME')}{mapped}"
        return [(f"mutuals agreement propose {given}", f"sign the agreement and send it to {name}")]
    if named.row.state is AgreementState.PROPOSED and named.row.own_side is Side.PARTNER:
        given = f"{named.row.agreement_id} --source {quote(source or 'NAME')}{mapped}"
        return [
            (f"mutuals agreement accept {given}", "sign the agreement; or turn it down: agreement reject")
        ]
    return []


def pairs(words: list[str], option: str, form: str, example: str) -> dict[str, str]:
    """``NAME=TEXT`` words as a dictionary. Raises MutualsError (USAGE)."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip() or not text.strip() or name.strip() in found:
            raise MutualsError(
                ErrorCode.USAGE, f"{option} takes {form}, each once.", hint=f"For example: {option} {example}"
            )
        found[name.strip()] = text.strip()
    return found


def _plan(peer: Peer, named: Named, source: str | None, mapping: list[str]) -> Plan:
    """What is assessed: with the source given, or bound to the stored agreement, or the only one there is."""
    from mutuals.assessment.assess import Plan

    columns = pairs(mapping, "--map", "FIELD=HEADING", 'city="Town or city"')
    bound = named.row.source if named.row is not None else None
    if source is None and bound is not None and named.row is not None:
        source, columns = bound, {**named.row.mapping, **columns}
    if source is None:
        with peer.store.transaction() as tx:
            names = [row.name for row in tx.sources.list()]
        source = names[0] if len(names) == 1 else None
    return Plan(named.agreement, named.side, source, columns)


def _again(reference: str, partner: str | None, source: str | None, mapping: list[str]) -> str:
    """The words of this command line after the command, to give them once more."""
    from shlex import quote

    named = [("--with", partner), ("--source", source), *(("--map", item) for item in mapping)]
    return " ".join([quote(reference), *(f"{option} {quote(value)}" for option, value in named if value)])


def _say_what_next(made: Assessment, again: str, digest: str | None) -> None:
    from rich.text import Text

    from mutuals.models.assessment import Weight

    if digest is not None:
        say(Text(f"Signed: {digest}"))
    to_accept = [finding.name for finding in made.open if finding.weight is Weight.ACCEPT]
    blocking = [finding for finding in made.open if finding.weight is Weight.BLOCKS]
    if blocking:
        say("What blocks has to change before anybody can sign:")
        say(*(Text(f"  {finding.name}: {finding.mend}") for finding in blocking))
    elif to_accept:
        say("Change the agreement, or accept by name what you can answer for:")
        accepting = " ".join(f'--accept {name}="..."' for name in dict.fromkeys(to_accept))
        say_next((f"mutuals agreement assess {again} {accepting}", "with your reasons; they are signed"))
