"""``mutuals attest AGREEMENT``: a signed word that what was received was used as agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.console import OperatorCommand, confirm, open_peer, result, say, table

if TYPE_CHECKING:
    from mutuals.models.attestation import Attestation
    from mutuals.peer import Peer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("attest", cls=OperatorCommand)(attest)


def attest(
    reference: str = typer.Argument(
        ..., metavar="AGREEMENT", help="The agreement's id or digest, or its beginning."
    ),
    breach_known: str = typer.Option(
        "", metavar="TEXT", help="What the partner should know of an own breach in the period."
    ),
    list_: bool = typer.Option(False, "--list", help="Show the attestations of both sides, and what is due."),
    dry_run: bool = typer.Option(False, "--dry-run", "-n", help="Show what would be attested; sign nothing."),
) -> None:
    """Attest to the partner that in the period that has elapsed its data was used as agreed.

    Example: mutuals attest A-7Q3K2M9X
    """
    from mutuals.obligations.attestation import NothingToAttest, plan_attestation
    from mutuals.obligations.attestation import attest as sign_attestation
    from mutuals.obligations.breach_record import BREACH_ROLES
    from mutuals.obligations.breach_text import plain_text
    from mutuals_client.delivery import try_sync
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        if list_:
            _list(peer, reference)
            return
        about = plain_text(breach_known, "--breach-known", needed=False)
        with peer.store.transaction() as tx:
            try:
                planned, row = plan_attestation(tx, reference, peer.clock(), breach_known=about)
            except NothingToAttest as nothing:
                say(nothing.message, nothing.hint or "")
                result(attested=False, why=nothing.message, hint=nothing.hint)
                return
            partner = tx.partners.get(row.partner)
        _say_planned(planned, row.agreement_id)
        if dry_run:
            say("Nothing was signed or sent.")
            result(**_facts(planned), id=row.agreement_id, dry_run=True)
            return
        if partner is None or partner.removed_at is not None:
            raise MutualsError(
                ErrorCode.PEER_IDENTITY,
                f"The partner of agreement {row.agreement_id} was removed; nobody could be told.",
                hint="Add its card again: mutuals partner add FILE",
            )
        if not confirm("Attest this, in your name and your company's?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was signed or sent.")
        keys = unlock_operator(peer, roles=BREACH_ROLES, act="attest the use of an agreement")
        attestation = sign_attestation(peer, row.digest, keys, breach_known=about)
        delivery = try_sync(peer, partner)
    from rich.text import Text

    say(Text(f"Attested until {attestation.period_until:%Y-%m-%d}."), Text(delivery))
    result(**_facts(attestation), id=row.agreement_id, delivery=delivery)


def _say_planned(planned: Attestation, agreement_id: str) -> None:
    from rich.text import Text

    departments = ", ".join(planned.departments) or "none"
    say(
        Text(
            f"Agreement {agreement_id}, {planned.period_from:%Y-%m-%d} to {planned.period_until:%Y-%m-%d} (excluded):"
        )
    )
    say("  What was received was used as agreed, and for nothing else.")
    say(Text(f"  Exports: {planned.exports:,}, by departments: {departments}."))
    if planned.breaches:
        say(Text(f"  Own breaches: {', '.join(planned.breaches)}: {planned.about_breaches}"))
    else:
        say("  No breach is known.")


def _list(peer: Peer, reference: str) -> None:
    from mutuals.agreement.active import find_agreement
    from mutuals.agreement.chain import chain_of
    from mutuals.obligations.attestation import due_attestations, held_attestations

    now = peer.clock()
    with peer.store.transaction() as tx:
        row = find_agreement(tx, reference)
        digests = {version.digest: version.own_side for version in chain_of(tx, row.digest)}
        held = held_attestations(tx, peer, row.digest)
        due = [item for item in due_attestations(tx, now) if item.agreement in digests]
    facts = [
        {
            **_facts(item.attestation),
            "own": item.row.side is digests[item.row.agreement],
            "operator": item.act.operator,
            "roles": list(item.act.roles),
            "verified": True,
            "at": item.row.at,
        }
        for item in held
    ]
    table(
        None,
        ("Side", "From", "Until", "Exports", "Breaches", "Signed by (verified)"),
        [
            (
                "own" if item["own"] else "partner",
                f"{item['period_from']:%Y-%m-%d}",
                f"{item['period_until']:%Y-%m-%d}",
                str(item["exports"]),
                ", ".join(item["breaches"]) or "none",
                f"{item['operator']} ({', '.join(item['roles'])})",
            )
            for item in facts
        ],
    )
    if not facts and not due:
        say("Nothing was attested yet, and nothing is due.")
    for missing in due:
        side = "You have" if missing.own else "The partner has"
        say(
            f"{side} not attested {missing.period_from:%Y-%m-%d} to {missing.period_until:%Y-%m-%d}: "
            f"{counted(missing.days_overdue(now), 'day')} overdue."
        )
    result(
        id=row.agreement_id,
        attestations=facts,
        due=[
            {
                "own": item.own,
                "period_from": item.period_from,
                "period_until": item.period_until,
                "days_overdue": item.days_overdue(now),
            }
            for item in due
        ],
    )


def _facts(attestation: Attestation) -> dict[str, Any]:
    return {
        "agreement": attestation.agreement,
        "period_from": attestation.period_from,
        "period_until": attestation.period_until,
        "departments": list(attestation.departments),
        "exports": attestation.exports,
        "breaches": list(attestation.breaches),
        "about_breaches": attestation.about_breaches,
    }
