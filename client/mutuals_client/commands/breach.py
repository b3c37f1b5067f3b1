"""``mutuals breach``: a breach of personal data, from its discovery to its end."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.commands.breach_read import ID, affected, agreement_ids, list_breaches, notices, show
from mutuals_client.console import (
    SETTINGS,
    Command,
    ListingGroup,
    OperatorCommand,
    ask,
    confirm,
    interactive,
    open_peer,
    result,
    say,
)

if TYPE_CHECKING:
    from mutuals.models.breach import Breach
    from mutuals.peer import Peer

DRY_RUN = typer.Option(False, "--dry-run", "-n", help="Show what would happen; sign and send nothing.")
BEGAN = typer.Option(None, "--began", metavar="TIME", help="When it began, if known: 2026-11-20T22:15+01:00.")
PERSONS = typer.Option(
    [],
    "--persons",
    metavar="TEXT",
    help="A category of persons concerned, say newsletter readers; repeatable.",
)
CONSEQUENCES = typer.Option(None, metavar="TEXT", help="What it is likely to lead to.")
MEASURES = typer.Option(None, metavar="TEXT", help="What was done or will be, also against its effects.")
CONTACT = typer.Option(
    None, metavar="TEXT", help="Who answers questions. [default: your data-protection officer]"
)


class Kind(StrEnum):
    """What was broken."""

    CONFIDENTIALITY = "confidentiality"
    INTEGRITY = "integrity"
    AVAILABILITY = "availability"


class Data(StrEnum):
    """Whose data."""

    SENT = "sent"
    RECEIVED = "received"


class Duty(StrEnum):
    """Who besides the partners is told."""

    AUTHORITY = "authority"
    PERSONS = "persons"


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        cls=ListingGroup, help="Record a breach, stop what must stop, tell partners, and watch the clock."
    )
    group.command("open", cls=OperatorCommand)(open_)
    group.command("list", cls=Command)(list_breaches)
    group.command("show", cls=Command)(show)
    group.command("affected", cls=OperatorCommand)(affected)
    group.command("update", cls=OperatorCommand)(update)
    group.command("notices", cls=Command)(notices)
    group.command("close", cls=OperatorCommand)(close)
    app.add_typer(group, name="breach")


def open_(
    what: str = typer.Option(..., "--what", metavar="TEXT", help="What happened, without naming any person."),
    agreement: list[str] = typer.Option(
        [], "--agreement", metavar="ID", help="An agreement whose data is concerned; repeatable."
    ),
    run: list[str] = typer.Option(
        [], "--run", metavar="RUN", help="One run whose data is concerned; repeatable."
    ),
    everything: bool = typer.Option(False, "--all", help="Everything that was ever sent or received."),
    kind: list[Kind] = typer.Option(
        [Kind.CONFIDENTIALITY], "--kind", help="confidentiality, integrity or availability; repeatable."
    ),
    data: list[Data] = typer.Option(
        [Data.SENT, Data.RECEIVED],
        "--data",
        help="Own contacts that were sent, or records received; repeatable.",
    ),
    discovered: str | None = typer.Option(
        None, metavar="TIME", help="When you became aware of it: 2026-11-22T09:30+01:00. [default: now]"
    ),
    began: str | None = BEGAN,
    persons: list[str] = PERSONS,
    consequences: str | None = CONSEQUENCES,
    measures: str | None = MEASURES,
    contact: str | None = CONTACT,
    suspend: bool = typer.Option(True, "--suspend/--no-suspend", help="Suspend the agreements concerned."),
    dry_run: bool = DRY_RUN,
) -> None:
    """Record a breach: suspend the agreements concerned, tell their partners, start the 72 hours of GDPR Art. 33(1).

    Example: mutuals breach open --agreement A-7Q3K2M9X --what "A laptop with exported lists was stolen."
    """
    from mutuals.models.breach import BreachKind
    from mutuals.obligations.breach import Opening, open_breach, plan_breach, suspendable
    from mutuals.obligations.breach_record import BREACH_ROLES
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        opening = Opening(
            what=what,
            aware_at=_moment(discovered, "--discovered") if discovered else peer.clock(),
            agreements=agreement,
            runs=run,
            everything=everything,
            kinds=[BreachKind(item) for item in kind],
            began_at=_moment(began, "--began") if began else None,
            whose=[item.value for item in data],
            persons=persons,
            consequences=consequences or "",
            measures=measures or "",
            contact=contact,
            suspend=suspend,
        )
        with peer.store.transaction() as tx:
            planned, scope = plan_breach(tx, peer, opening)
            halting = suspendable(tx, planned.agreements) if suspend else ()
            names = {row.digest: row.agreement_id for row in tx.agreements.list()}
            partners = [
                partner.name for partner in tx.partners.list() if partner.fingerprint in scope.partners
            ]
        facts = {
            "agreements": [names[digest] for digest in planned.agreements],
            "would_suspend" if dry_run else "suspended": [names[digest] for digest in halting],
            "partners": partners,
            "runs": list(planned.runs),
            "sent_contacts": planned.sent_contacts,
            "received_records": planned.received_records,
        }
        _say_plan(planned, facts, halting=[names[digest] for digest in halting], partners=partners)
        if dry_run:
            say("Nothing was signed, suspended or sent.")
            result(**facts, dry_run=True)
            return
        if not confirm("Sign this, suspend these agreements, and tell these partners?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was signed, suspended or sent.")
        keys = unlock_operator(peer, roles=BREACH_ROLES, act="open a breach")
        breach = open_breach(peer, opening, keys)
        told = _deliver(peer, breach)
        _finish(peer, breach.breach_id, told, f"Breach {breach.breach_id} is open.")


def update(
    reference: str = ID,
    text: str = typer.Option(
        ..., "--text", metavar="TEXT", help="What became known or was done; partners read it."
    ),
    told: list[Duty] = typer.Option(
        [], "--told", help="You told the authority, or the persons concerned; repeatable."
    ),
    told_at: str | None = typer.Option(None, metavar="TIME", help="When you told them. [default: now]"),
    began: str | None = BEGAN,
    persons: list[str] = PERSONS,
    consequences: str | None = CONSEQUENCES,
    measures: str | None = MEASURES,
    contact: str | None = CONTACT,
    dry_run: bool = DRY_RUN,
) -> None:
    """Record what became known or was done; the partners concerned are told.

    Example: mutuals breach update B-7Q3K2M9X --text "The disk was encrypted." --measures "Remote wipe."
    """
    from mutuals.obligations.breach import Changes, update_breach
    from mutuals.obligations.breach_record import BREACH_ROLES, own_open_breach
    from mutuals.obligations.breach_text import plain_text
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        at = _moment(told_at, "--told-at") if told_at else peer.clock()
        changes = Changes(
            text=text,
            began_at=_moment(began, "--began") if began else None,
            persons=persons,
            consequences=consequences,
            measures=measures,
            contact=contact,
            authority_told_at=at if Duty.AUTHORITY in told else None,
            persons_told_at=at if Duty.PERSONS in told else None,
        )
        with peer.store.transaction() as tx:
            _, breach = own_open_breach(tx, reference)
        plain_text(text, "--text")
        if dry_run:
            partners = _partner_names(peer, breach)
            say(f"Would be signed, and told to {_names(partners)}. Nothing was signed or sent.")
            result(id=breach.breach_id, partners=partners, dry_run=True)
            return
        keys = unlock_operator(peer, roles=BREACH_ROLES, act="update a breach")
        breach = update_breach(peer, breach.breach_id, changes, keys)
        delivery = _deliver(peer, breach)
        _finish(peer, breach.breach_id, delivery, f"Breach {breach.breach_id} is updated.")


def close(
    reference: str = ID,
    text: str = typer.Option(..., "--text", metavar="TEXT", help="What came of it; partners read it."),
    no_authority: str = typer.Option("", metavar="REASON", help="Why the authority is not told."),
    no_persons: str = typer.Option("", metavar="REASON", help="Why the persons concerned are not told."),
    no_partners: str = typer.Option(
        "", metavar="REASON", help="Why not every partner acknowledged the notice."
    ),
    keep_suspended: bool = typer.Option(False, "--keep-suspended", help="Do not resume the agreements."),
    dry_run: bool = DRY_RUN,
) -> None:
    """Close a breach once each duty was done or there is a reason why not; resumes what it suspended.

    Example: mutuals breach close B-7Q3K2M9X --text "The disk was encrypted." --no-persons "No high risk."
    """
    from mutuals.obligations.breach import Closing, close_breach, missing_duties
    from mutuals.obligations.breach_record import BREACH_ROLES, own_open_breach
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            _, breach = own_open_breach(tx, reference)
        closing = Closing(
            text=text,
            no_authority=no_authority or _reason(breach.authority.settled, "the supervisory authority"),
            no_persons=no_persons or _reason(breach.persons.settled, "the persons concerned"),
            no_partners=no_partners,
            keep_suspended=keep_suspended,
        )
        partners = _partner_names(peer, breach)
        if dry_run:
            resumed = 0 if keep_suspended else len(breach.halts)
            with peer.store.transaction() as tx:
                missing = missing_duties(tx, breach, closing, peer.clock())
            if missing:
                say("It would be refused; what is neither done nor has a reason why not:")
                say(*(f"  {duty}" for duty in missing))
            say(
                f"{'Then it w' if missing else 'W'}ould lift {counted(resumed, 'suspension')} and tell "
                f"{_names(partners)}. Nothing was signed or sent."
            )
            result(
                id=breach.breach_id,
                partners=partners,
                would_resume=resumed,
                missing=list(missing),
                dry_run=True,
            )
            return
        if not confirm(f"Close breach {breach.breach_id}, and confirm that each duty is done or excused?"):
            raise MutualsError(ErrorCode.USAGE, "The breach stays open.")
        keys = unlock_operator(peer, roles=BREACH_ROLES, act="close a breach")
        breach = close_breach(peer, breach.breach_id, closing, keys)
        delivery = _deliver(peer, breach)
        _finish(peer, breach.breach_id, delivery, f"Breach {breach.breach_id} is closed.")


def _reason(settled: bool, who: str) -> str:
    """Ask a person who is there; an empty answer leaves the duty open, and closing is refused."""
    if settled or not interactive() or SETTINGS.yes:
        return ""
    return ask(f"It is not recorded that {who} were told. Why not? (empty: not decided)", default="")


def _moment(text: str, option: str) -> datetime:
    """An ISO 8601 moment; without an offset it is UTC. Raises MutualsError (USAGE)."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise MutualsError(
            ErrorCode.USAGE,
            f"{option} takes a moment in ISO 8601.",
            hint=f"For example: {option} 2026-11-22T09:30+01:00; without an offset it is UTC.",
        ) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _say_plan(planned: Breach, facts: dict[str, Any], *, halting: list[str], partners: list[str]) -> None:
    from rich.text import Text

    say(Text(f"Breach of {', '.join(planned.kinds)}, discovered {planned.aware_at:%Y-%m-%d %H:%M} UTC"))
    say(Text(f"  Agreements: {_names(facts['agreements'])}; to be suspended: {_names(halting)}"))
    say(Text(f"  Partners to tell: {_names(partners)}"))
    counts = [
        f"{count:,} {what}"
        for count, what in (
            (planned.sent_contacts, "own contacts sent (once for each run)"),
            (planned.received_records, "records received"),
        )
        if count is not None
    ]
    say(Text(f"  In {len(planned.runs)} {'run' if len(planned.runs) == 1 else 'runs'}: {', '.join(counts)}"))


def _deliver(peer: Peer, breach: Breach) -> dict[str, str]:
    """Try to reach every partner that was told; how that went, by partner."""
    from mutuals_client.delivery import try_sync

    with peer.store.transaction() as tx:
        concerned = {told.partner for told in breach.told}
        rows = [row for row in tx.partners.list() if row.fingerprint in concerned]
    return {row.name: try_sync(peer, row) for row in rows}


def _finish(peer: Peer, reference: str, delivery: dict[str, str], sentence: str) -> None:
    from rich.text import Text

    from mutuals.obligations.breach_record import find_breach
    from mutuals.obligations.breach_standing import standing
    from mutuals_client.breach_view import say_steps, standing_facts

    with peer.store.transaction() as tx:
        row, _ = find_breach(tx, reference)
        stands = standing(tx, row, peer.clock())
        names = {item.digest: item.agreement_id for item in tx.agreements.list()}
    say(Text(sentence), *(Text(f"  {told}") for told in delivery.values()))
    say_steps(stands)
    result(**standing_facts(stands), agreements=agreement_ids(stands.breach, names), delivery=delivery)


def _partner_names(peer: Peer, breach: Breach) -> list[str]:
    with peer.store.transaction() as tx:
        told = {item.partner for item in breach.told}
        return [row.name for row in tx.partners.list() if row.fingerprint in told]


def _names(names: list[str]) -> str:
    return ", ".join(names) or "none"
