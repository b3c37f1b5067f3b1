"""``mutuals revoke``: take contacts out for good, and tell every partner that received them."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.console import OperatorCommand, confirm, open_peer, result, say, table

if TYPE_CHECKING:
    from mutuals.obligations.revoke import RevocationPlan
    from mutuals.peer import Peer

_IDS_SHOWN = 10


class Why(StrEnum):
    """Why a contact is taken out."""

    WITHDRAWAL = "withdrawal"
    OBJECTION = "objection"
    ERASURE = "erasure"
    CORRECTION = "correction"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("revoke", cls=OperatorCommand)(revoke)


def revoke(
    contact: list[str] = typer.Option(
        [], "--contact", metavar="ID", help="A contact, by your own id; repeatable."
    ),
    stdin: bool = typer.Option(False, "--stdin", help="Read ids from standard input, one a line."),
    agreement: str | None = typer.Option(
        None, metavar="ID", help="Under this agreement alone. [default: all]"
    ),
    reason: Why = typer.Option(
        Why.WITHDRAWAL, help="A correction tells partners to delete, and lets the contact take part again."
    ),
    dry_run: bool = typer.Option(False, "-n", "--dry-run", help="Show who would be told; change nothing."),
    lift: bool = typer.Option(False, "--lift", help="Let contacts that consented anew take part again."),
) -> None:
    """Take contacts out: no further use from now on, and word to every partner that received them.

    Name contacts by id, never by address or number: arguments are seen by others on the machine. Whoever holds the
    ledger's key may do this: an admin or privacy officer.
    Example: mutuals revoke --contact C-1001 --reason objection --dry-run
    """
    from mutuals.obligations.revoke import REVOKE_ROLES, carry_out, plan_revocation
    from mutuals_client.session import unlock_operator

    contacts = _contacts(contact, stdin)
    if lift and dry_run:
        raise MutualsError(ErrorCode.USAGE, "--lift tells nobody, so there is no dry run of it.")
    with open_peer() as peer:
        keys = unlock_operator(peer, roles=REVOKE_ROLES, act="withdraw contacts")
        if lift:
            _lift(peer, contacts, agreement, keys)
            return
        plan = plan_revocation(peer, contacts, reason.value, keys, agreement=agreement)
        names = _partner_names(peer)
        _show(plan, names)
        if dry_run:
            say("Nothing was changed, and nobody was told.")
            result(**_facts(plan, names), dry_run=True)
            return
        if not confirm(_question(plan)):
            raise MutualsError(ErrorCode.USAGE, "Nothing was changed, and nobody was told.")
        done = carry_out(peer, plan, keys)
        delivery = _deliver(peer, sorted({partner for partner, _ in done.documents}))
    kept = f"{_people(len(plan.contacts))} out from now on." if plan.suppresses else "Nobody stays out."
    say(f"Done: {kept}", *delivery.values())
    if done.documents:
        say("Their answers appear in: mutuals status")
    result(
        **_facts(plan, names),
        dry_run=False,
        suppressed=done.suppressed,
        revocations=[identity for _, identity in done.documents],
        delivery=delivery,
    )


def _contacts(named: list[str], stdin: bool) -> list[str]:
    if stdin and named:
        raise MutualsError(ErrorCode.USAGE, "Give ids with --contact or on standard input, not both.")
    if not stdin:
        if any("@" in contact for contact in named):
            raise MutualsError(
                ErrorCode.USAGE,
                "An address is no contact id, and others on this machine can read arguments.",
                hint="Name the contact by its id; ids that hold an @ go through --stdin.",
            )
        return named
    try:
        return sys.stdin.read().splitlines()
    except UnicodeDecodeError:
        raise MutualsError(ErrorCode.USAGE, "Standard input is not UTF-8 text, one id a line.") from None


def _lift(peer: Peer, contacts: list[str], agreement: str | None, keys: Any) -> None:
    from mutuals.obligations.revoke import lift_revocation

    if not confirm("Has every one of them consented anew, and can you prove it?"):
        raise MutualsError(ErrorCode.USAGE, "Nothing was changed.")
    lifted = lift_revocation(peer, contacts, keys, agreement=agreement)
    if lifted:
        say("They may take part again, as far as the source and the agreement allow.")
    else:
        say("None of them was withdrawn there; nothing changed.")
    result(lifted=lifted)


def _partner_names(peer: Peer) -> dict[str, str]:
    with peer.store.transaction() as tx:
        return {row.fingerprint: row.name for row in tx.partners.list(include_removed=True)}


def _show(plan: RevocationPlan, names: dict[str, str]) -> None:
    from rich.markup import escape

    under = f"agreement {plan.agreement_id}" if plan.agreement_id else "every agreement"
    if plan.suppresses:
        say(
            f"[bold]{_people(len(plan.contacts))}[/] out under {under}, with the "
            f"{len(plan.identifiers):,} addresses and numbers known of them, also under another id."
        )
    if plan.sharing and plan.suppresses:
        say(
            f"[yellow]{len(plan.sharing):,} other contacts hold one of these addresses or numbers, and stay out as "
            f"well: {escape(_ids(plan.sharing))}[/]"
        )
    if plan.unknown:
        say(
            f"[yellow]In no source and never sent: {escape(_ids(plan.unknown))}. Check the id; "
            "only the id itself is remembered.[/]"
        )
    for source, why in plan.unreadable.items():
        say(
            f"[yellow]Source {escape(source)} cannot be read: {escape(why)} "
            "Repeat this once it can, so that addresses and numbers are remembered too.[/]"
        )
    if not plan.recipients:
        say("No partner has received any of them, or all were told before.")
        return
    table(
        "Who is told",
        ("Partner", "Run", "Contacts", "Pairs"),
        [
            (names[item.partner], item.run.run_id, f"{len(item.contacts):,}", f"{len(item.ranks):,}")
            for item in plan.recipients
        ],
    )
    say("Their servers delete the records unopened and answer; files they exported are theirs to clean.")


def _facts(plan: RevocationPlan, names: dict[str, str]) -> dict[str, Any]:
    return {
        "contacts": len(plan.contacts),
        "reason": plan.reason,
        "agreement": plan.agreement_id,
        "identifiers": len(plan.identifiers),
        "unknown": list(plan.unknown),
        "sharing": list(plan.sharing),
        "unreadable": plan.unreadable,
        "recipients": [
            {
                "partner": names[item.partner],
                "run": item.run.run_id,
                "contacts": len(item.contacts),
                "pairs": len(item.ranks),
            }
            for item in plan.recipients
        ],
    }


def _question(plan: RevocationPlan) -> str:
    partners = len({item.partner for item in plan.recipients})
    told = f" and tell {partners} partner{'s' * (partners > 1)}" if partners else ""
    what = "Take them out" if plan.suppresses else "Withdraw what was sent of them"
    return f"{what}{told}?"


def _deliver(peer: Peer, partners: list[str]) -> dict[str, str]:
    """How telling each partner went: name → sentence."""
    from mutuals_client.delivery import try_sync

    went = {}
    for fingerprint in partners:
        with peer.store.transaction() as tx:
            row = tx.partners.get(fingerprint)
        if row is not None:
            removed = f"{row.name} was removed; add its card again, and it will be told."
            went[row.name] = removed if row.removed_at is not None else try_sync(peer, row)
    return went


def _people(count: int) -> str:
    return counted(count, "contact stays", "contacts stay")


def _ids(contacts: tuple[str, ...]) -> str:
    shown = ", ".join(
        "".join(c if c.isprintable() else "�" for c in contact)[:60] for contact in contacts[:_IDS_SHOWN]
    )
    return f"{shown}, …" if len(contacts) > _IDS_SHOWN else shown
