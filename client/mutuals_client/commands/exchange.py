"""``mutuals exchange RUN``: preview, authorise and carry out the exchange of a revealed run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client import driving
from mutuals_client.console import OperatorCommand, confirm, open_peer, result, say, table
from mutuals_client.progress import progress_bars, tell_waiting
from mutuals_client.run_facts import find_run

if TYPE_CHECKING:
    from mutuals.models.run import Run
    from mutuals.peer import Peer
    from mutuals.runs.preview import Preview


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("exchange", cls=OperatorCommand)(exchange)


def exchange(
    run_id: str = typer.Argument(..., metavar="RUN"),
    dry_run: bool = typer.Option(
        False, "-n", "--dry-run", help="Show what would be sent; sign and send nothing."
    ),
    wait: bool = typer.Option(False, "--wait", help="Wait until the partner has authorised its side too."),
    wait_for_partner: str | None = typer.Option(
        None,
        metavar="DURATION",
        help="Keep calling a partner that is down or busy for so long: 90s, 30m, 2h.",
    ),
) -> None:
    """Exchange the agreed fields of the shared contacts.

    Shows what would be sent, asks an operator to authorise exactly that, and sends it. The side that started the
    run carries it out; the other side's server acts on the authorisation that its own command records.
    Example: mutuals exchange R-7Q3K2M9X --dry-run
    """
    from mutuals.models.run import RunState
    from mutuals.runs.lifecycle import expire_runs
    from mutuals.runs.preview import preview_exchange, wrong_state
    from mutuals_client.patience import Patience

    patience = Patience.of(wait_for_partner, tell_waiting)
    with open_peer() as peer:
        expire_runs(peer)
        run = find_run(peer, run_id)
        if run.state is RunState.DONE and not dry_run:
            _tell(peer, run)
            return
        if run.state is RunState.REVEALED:
            preview = preview_exchange(peer, run.run_id)
            _show(preview)
            if dry_run:
                say("Nothing was signed or sent.")
                result(**preview_facts(preview), dry_run=True)
                return
            _authorise(peer, preview)
        elif dry_run or run.state is not RunState.EXCHANGING:
            raise wrong_state(run)
        done = driving.exchange(peer, run, wait=wait, patience=patience, showing=progress_bars)
        if done is None:
            _tell_ready(run)
        else:
            _tell(peer, done)


def preview_facts(preview: Preview) -> dict[str, Any]:
    """A preview for ``--json``: counts only."""
    outgoing = preview.outgoing
    return {
        "run": preview.run.run_id,
        "overlap_contacts": preview.run.contacts,
        "contacts": len(outgoing.sent),
        "records": len(outgoing.records),
        "withheld": outgoing.withheld,
        "fields": [
            {
                "name": item.shared.name,
                "transform": item.shared.transform,
                "retention_days": item.shared.retention_days,
                "departments": list(item.shared.departments),
                "values": item.values,
                "empty": item.empty,
                "withheld": item.withheld,
            }
            for item in outgoing.fields
        ],
        "kept_back": [
            {"field": item.field, "rule": item.rule, "changes": item.changes} for item in preview.kept_back
        ],
    }


def _show(preview: Preview) -> None:
    agreement = preview.active.agreement
    partner = agreement.party(preview.active.own_side.other).organisation
    if not preview.sends:
        say(f"Under this agreement you send [bold]{_safe(partner)}[/] nothing.")
        return
    outgoing = preview.outgoing
    say(
        f"To [bold]{_safe(partner)}[/]: [bold]{len(outgoing.sent):,}[/] of your "
        f"{counted(preview.run.contacts or 0, 'shared contact')}, in {counted(len(outgoing.records), 'record')}."
    )
    table(
        None,
        ("Field", "Sent as", "Kept for", "Used by", "Values", "Empty", "Withheld"),
        [
            (
                item.shared.name,
                _transformed(item.shared.transform),
                counted(item.shared.retention_days, "day"),
                ", ".join(item.shared.departments),
                f"{item.values:,}",
                f"{item.empty:,}",
                _reasons(item.withheld) or "0",
            )
            for item in outgoing.fields
        ],
    )
    for refused in preview.kept_back:
        say(f"Kept back: {_safe(str(refused))} {_safe(refused.changes)}")
    if outgoing.withheld:
        say(f"Contacts withheld: {_reasons(outgoing.withheld)}. The partner sees which pairs, not why.")


def _authorise(peer: Peer, preview: Preview) -> None:
    from mutuals.identity.operators import AUTHORISE_ROLES
    from mutuals.runs.authorisation import authorise_exchange
    from mutuals.runs.outgoing import authorisation_for
    from mutuals_client.session import unlock_operator

    if not preview.sends:
        return
    try:
        authorisation = authorisation_for(peer, preview)
    except MutualsError as error:
        if error.code is not ErrorCode.NOT_AUTHORISED_YET:
            raise
    else:
        how = "standing mandate" if authorisation.by_mandate else "authorisation"
        say(f"Covered by the {how} of {authorisation.operator}.")
        return
    partner = preview.active.agreement.party(preview.active.own_side.other).organisation
    if not confirm(f"Authorise sending exactly this to {partner}?"):
        raise MutualsError(ErrorCode.USAGE, f"Nothing of run {preview.run.run_id} was authorised or sent.")
    keys = unlock_operator(peer, roles=AUTHORISE_ROLES, act="authorise an exchange")
    fields = [item.shared.name for item in preview.outgoing.fields]
    authorise_exchange(peer, preview.run, fields, preview.digest, keys)
    authorisation_for(peer, preview)  # where the policy asks for four eyes, a second operator must, too


def _tell_ready(run: Run) -> None:
    say(
        f"Run {run.run_id} is ready on this side. Your server exchanges it when the partner, who started the",
        f"run, calls: mutuals exchange {run.run_id}",
    )
    result(run=run.run_id, state=run.state.value, ready=True)


def _tell(peer: Peer, run: Run) -> None:
    from mutuals.runs.moved import exchange_summary

    summary = exchange_summary(peer, run)
    say(
        f"Run {run.run_id} is done: sent the agreed fields of [bold]{summary.contacts_sent:,}[/] contacts, "
        f"received those of [bold]{summary.contacts_received:,}[/]."
    )
    if summary.records_received:
        say(f"Join them to your own contact ids: mutuals export {run.run_id} --out campaign.csv")
    result(
        run=run.run_id,
        state=run.state.value,
        contacts_sent=summary.contacts_sent,
        records_sent=summary.records_sent,
        withheld=summary.withheld,
        fields_sent=list(summary.fields_sent),
        contacts_received=summary.contacts_received,
        records_received=summary.records_received,
        pairs_received=summary.pairs_received,
    )


def _transformed(transform: str) -> str:
    name, _, argument = transform.partition(":")
    words = {
        "none": "as it is",
        "year": "year",
        "month": "month",
        "lower": "lower case",
        "first_letter": "first letter",
        "round": f"rounded to {argument}",
        "band": "band: " + ", ".join(argument.split(",")),
    }
    return words[name]


def _reasons(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in sorted(counts.items()))


def _safe(text: str) -> str:
    from rich.markup import escape

    return escape(text)
