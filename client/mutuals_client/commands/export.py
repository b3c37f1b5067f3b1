"""``mutuals export RUN``: what the partner sent, joined to the own contact ids, as a file."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import OperatorCommand, open_peer, result, say
from mutuals_client.run_facts import find_run

if TYPE_CHECKING:
    from mutuals.runs.campaign import CampaignShape
    from mutuals.runs.export import ReceivedRecords


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", cls=OperatorCommand)(export)


def export(
    run_id: str = typer.Argument(..., metavar="RUN"),
    out: Path | None = typer.Option(None, "--out", "-o", help="The file to write: .csv or .parquet."),
    approve: str | None = typer.Option(
        None,
        "--approve",
        metavar="NAME",
        help="Write nothing; approve that operator NAME exports it, where the policy asks for four eyes.",
    ),
    own: list[str] = typer.Option(
        [],
        "--own",
        metavar="HEADING",
        help="Add a column of your own source, such as Email, by its heading; may be repeated. The policy must let the "
        "operator export it.",
    ),
    heading: list[str] = typer.Option(
        [],
        "--heading",
        metavar="FIELD=HEADING",
        help="The heading for a field, such as score=\"Partner score\", instead of the partner's name and the field's; "
        "may be repeated.",
    ),
    onto_own: bool = typer.Option(
        False,
        "--onto-own",
        help="Let --heading name a column of your own CRM, which an import then overwrites.",
    ),
    force: bool = typer.Option(False, "--force", help="Overwrite the file if it exists."),
    raw: bool = typer.Option(
        False, "--raw", help="CSV: write texts that a spreadsheet would take for formulas as they are."
    ),
) -> None:
    """Open what a finished exchange received and write it, one row for each own contact.

    The ids stand first, under your CRM's own heading, so that the file can be imported back (docs/export.md). Own
    contacts who objected or withdrew since are left out, and so are fields that the agreement gives to other
    departments, or the policy to nobody in this operator's role; they are named. The export is signed and logged.
    Example: mutuals export R-7Q3K2M9X --out campaign.csv
    """
    from mutuals.identity.operators import READ_ROLES
    from mutuals.runs.campaign import shape_campaign
    from mutuals.runs.export import open_received, write_export
    from mutuals.runs.tables import check_target
    from mutuals_client.session import unlock_operator

    if approve is not None:
        if out is not None or force or raw or heading or onto_own:
            raise MutualsError(
                ErrorCode.USAGE,
                "--approve writes nothing, so of the other options it takes --own alone.",
                hint=f"To approve: mutuals export {run_id} --approve {approve}; the one approved then gives --out.",
            )
        _approve(run_id, approve, own)
        return
    if out is None:
        raise MutualsError(
            ErrorCode.USAGE,
            "Say where to write it.",
            hint=f"For example: mutuals export {run_id} --out campaign.csv",
        )
    headings = _headings(heading)
    check_target(out, force=force)
    with open_peer() as peer:
        run = find_run(peer, run_id)
        keys = unlock_operator(peer, roles=READ_ROLES, act="read received records")
        received = open_received(peer, run.run_id, keys)
        shape = shape_campaign(peer, received, keys, own=own, headings=headings, onto_own=onto_own)
        guarded = write_export(peer, received, out, keys, force=force, raw=raw, shape=shape)
    _tell(received, shape, out, guarded)
    result(
        run=run.run_id,
        file=str(out.absolute()),
        rows=len(received.rows),
        fields=[item.name for item in received.fields],
        contact_heading=shape.contact,
        headings=dict(shape.fields),
        own=list(shape.own_columns),
        left_out=list(received.left_out),
        refused=[
            {"field": item.field, "rule": item.rule, "changes": item.changes} for item in received.refused
        ],
        expired=received.expired,
        ambiguous=received.ambiguous,
        withheld=dict(received.withheld),
        guarded=guarded,
        delete_by=received.delete_by.isoformat() if received.delete_by else None,
    )


def _headings(given: Sequence[str]) -> dict[str, str]:
    """Field and heading, from ``FIELD=HEADING``."""
    headings: dict[str, str] = {}
    for text in given:
        name, equals, heading = text.partition("=")
        if not equals or not name.strip() or name.strip() in headings:
            raise MutualsError(
                ErrorCode.USAGE,
                "--heading names a field once, an equals sign and its heading.",
                hint='For example: --heading loyalty_tier="Partner loyalty tier"',
            )
        headings[name.strip()] = heading
    return headings


def _tell(received: ReceivedRecords, shape: CampaignShape, out: Path, guarded: int) -> None:
    from rich.markup import escape

    from mutuals.wording import counted

    columns = [shape.contact, *shape.own_columns, *shape.fields.values()]
    say(
        f"Wrote [bold]{len(received.rows):,}[/] contacts to {escape(str(out))}, columns "
        + ", ".join(f"“{escape(column)}”" for column in columns)
        + "."
    )
    for item in received.refused:
        say(f"Left out: {escape(str(item))} {escape(item.changes)}")
    if received.withheld:
        reasons = ", ".join(
            f"{count:,} {reason.replace('_', ' ')}" for reason, count in received.withheld.items()
        )
        say(f"Left out, since your source no longer lets them take part: {reasons}.")
    if received.expired:
        say(f"Left out, past their retention: {received.expired:,} records.")
    if received.ambiguous:
        say(f"The partner knows {received.ambiguous:,} of them as several contacts; the first was taken.")
    if guarded:
        say(
            f"{counted(guarded, 'text', 'texts')} of the partner got an apostrophe where a spreadsheet would run a "
            "formula; --raw writes them as they are, for a file that no spreadsheet opens."
        )
    if shape.layout.marks and shape.contact != "contact_id":
        say(
            f"To take it back into {shape.layout.title}: update contacts by “{escape(shape.contact)}” (docs/export.md)."
        )
    if received.delete_by:
        say(f"Delete the file, and what was imported from it, by {received.delete_by}.")


def _approve(run_id: str, exporter: str, own: Sequence[str]) -> None:
    from rich.markup import escape

    from mutuals.policy.four_eyes import EYES
    from mutuals.runs.export_approval import approve_export
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        run = find_run(peer, run_id)
        keys = unlock_operator(peer, roles=EYES["export"], act="approve an export")
        fields = approve_export(peer, run.run_id, exporter, keys, own)
    beside = f", with your own {', '.join(f'“{name}”' for name in own)}," if own else ""
    options = "".join(f" --own {shlex.quote(name)}" for name in own)
    say(
        f"Approved: {exporter} may export {', '.join(fields)} of run {run.run_id}{escape(beside) or ','} once.",
        f"They run: mutuals export {run.run_id} --out FILE{escape(options)} --operator {exporter}",
    )
    result(run=run.run_id, approved_for=exporter, approved_by=keys.name, fields=list(fields), own=list(own))
