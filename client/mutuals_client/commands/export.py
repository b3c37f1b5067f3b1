"""``mutuals export RUN``: what the partner sent, joined to the own contact ids, as a file."""

from __future__ import annotations

from pathlib import Path

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import OperatorCommand, open_peer, result, say
from mutuals_client.run_facts import find_run


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
    force: bool = typer.Option(False, "--force", help="Overwrite the file if it exists."),
    raw: bool = typer.Option(
        False, "--raw", help="CSV: write texts that a spreadsheet would take for formulas as they are."
    ),
) -> None:
    """Open what a finished exchange received and write it, one row for each own contact.

    Needs an operator who may export; fields that the agreement gives to other departments, or the policy to nobody in
    this operator's role, are left out and named. The export is signed and logged.
    Example: mutuals export R-7Q3K2M9X --out campaign.csv
    """
    from rich.markup import escape

    from mutuals.identity.operators import READ_ROLES
    from mutuals.runs.export import open_received, write_export
    from mutuals.runs.tables import check_target
    from mutuals_client.session import unlock_operator

    if approve is not None:
        if out is not None or force or raw:
            raise MutualsError(
                ErrorCode.USAGE,
                "--approve writes nothing, so it goes without --out, --force and --raw.",
                hint=f"To approve: mutuals export {run_id} --approve {approve}; the one approved then gives --out.",
            )
        _approve(run_id, approve)
        return
    if out is None:
        raise MutualsError(
            ErrorCode.USAGE,
            "Say where to write it.",
            hint=f"For example: mutuals export {run_id} --out campaign.csv",
        )
    check_target(out, force=force)
    with open_peer() as peer:
        run = find_run(peer, run_id)
        keys = unlock_operator(peer, roles=READ_ROLES, act="read received records")
        received = open_received(peer, run.run_id, keys)
        write_export(peer, received, out, keys, force=force, raw=raw)
    fields = ", ".join(item.name for item in received.fields)
    say(f"Wrote [bold]{len(received.rows):,}[/] contacts to {escape(str(out))}: contact_id and {fields}.")
    for item in received.refused:
        say(f"Left out: {escape(str(item))} {escape(item.changes)}")
    if received.expired:
        say(f"Left out, past their retention: {received.expired:,} records.")
    if received.ambiguous:
        say(f"The partner knows {received.ambiguous:,} of them as several contacts; the first was taken.")
    result(
        run=run.run_id,
        file=str(out.absolute()),
        rows=len(received.rows),
        fields=[item.name for item in received.fields],
        left_out=list(received.left_out),
        refused=[
            {"field": item.field, "rule": item.rule, "changes": item.changes} for item in received.refused
        ],
        expired=received.expired,
        ambiguous=received.ambiguous,
    )


def _approve(run_id: str, exporter: str) -> None:
    from mutuals.policy.four_eyes import EYES
    from mutuals.runs.export_approval import approve_export
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        run = find_run(peer, run_id)
        keys = unlock_operator(peer, roles=EYES["export"], act="approve an export")
        fields = approve_export(peer, run.run_id, exporter, keys)
    say(
        f"Approved: {exporter} may export {', '.join(fields)} of run {run.run_id}, once.",
        f"They run: mutuals export {run.run_id} --out FILE --operator {exporter}",
    )
    result(run=run.run_id, approved_for=exporter, approved_by=keys.name, fields=list(fields))
