"""``mutuals operator``: the people who work with this peer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals.wording import counted
from mutuals_client.console import (
    Command,
    ListingGroup,
    OperatorCommand,
    confirm,
    interactive,
    new_passphrase,
    open_peer,
    result,
    say,
    table,
)

if TYPE_CHECKING:
    from mutuals.store.rows import OperatorRow


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(cls=ListingGroup, help="Add, list and disable the people who work with this peer.")
    group.command("add", cls=OperatorCommand)(add)
    group.command("list", cls=Command)(list_operators)
    group.command("disable", cls=OperatorCommand)(disable)
    app.add_typer(group, name="operator")


def add(
    name: str = typer.Argument(..., metavar="NAME"),
    role: list[str] = typer.Option(
        ...,
        "--role",
        metavar="ROLE",
        help="admin, steward, privacy_officer, analyst, auditor or service; may be repeated.",
    ),
    department: str = typer.Option(..., help="Their department, named as in agreements: marketing, sales."),
    new_passphrase_fd: int | None = typer.Option(
        None, metavar="N", help="Read the new operator's passphrase from this file descriptor."
    ),
) -> None:
    """Add an operator; an admin does this (--operator, --passphrase-fd).

    Example: mutuals operator add bea --role analyst --department marketing
    """
    from mutuals.identity.operators import READ_ROLES, check_details, create_operator
    from mutuals.runs.handover import refuse_known, take_on
    from mutuals_client.session import unlock_operator

    check_details(name, role, department)
    with open_peer() as peer:
        admin = unlock_operator(peer, roles={"admin"}, act="add operators")
        with peer.store.transaction() as tx:
            refuse_known(tx, name)
        words = new_passphrase(name, new_passphrase_fd)
        row = create_operator(name, role, department, words, kdf=peer.config.kdf, now=peer.clock())
        runs = take_on(peer, row, admin)
    say(f"Operator {row.name} was added: {_roles(row)}, {row.department}.")
    if READ_ROLES.intersection(row.roles):
        say(
            f"They can read what arrives from now on, and what {admin.name} can open of earlier runs: {runs}."
        )
    result(operator=_facts(row), runs_opened_to=runs)


def list_operators() -> None:
    """List the operators.

    Example: mutuals operator list
    """
    with open_peer() as peer, peer.store.transaction() as tx:
        rows = tx.operators.list()
    table(
        None,
        ("Operator", "Roles", "Department", "Since", "State"),
        [(row.name, _roles(row), row.department, f"{row.created_at:%Y-%m-%d}", _state(row)) for row in rows],
    )
    result(operators=[_facts(row) for row in rows])


def disable(
    name: str = typer.Argument(..., metavar="NAME"),
    destroy_lost: bool = typer.Option(
        False, "--destroy-lost", help="Agree that what only they can open is destroyed."
    ),
    dry_run: bool = typer.Option(False, "-n", "--dry-run", help="Show what would end; change nothing."),
) -> None:
    """Disable an operator; an admin does this (--operator, --passphrase-fd).

    What the admin can open is handed to the other readers, every run gets a new share, and what the operator
    authorised or approved loses its force. What nobody else can open is destroyed, and only if you agree to it.
    Example: mutuals operator disable bea
    """
    from mutuals.identity.operators import get_operator
    from mutuals.runs.handover import consequences
    from mutuals.runs.handover import disable as disable_with_keys
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            get_operator(tx, name)
        admin = unlock_operator(peer, roles={"admin"}, act="disable operators")
        with peer.store.transaction() as tx:
            foreseen = consequences(tx, name, admin)
        if foreseen.lost_runs:
            say(
                f"Only {name} can open what was received in {', '.join(foreseen.lost_runs)}: "
                f"[bold]{counted(foreseen.lost_records, 'record')}[/] would be destroyed."
            )
        if dry_run:
            if foreseen.four_eyes:
                say(
                    f"It would be refused: the policy's four eyes need {name} for {', '.join(foreseen.four_eyes)}."
                )
            elif not foreseen.lost_runs:
                say(f"Nothing would be lost; {name} could sign, authorise and read nothing more.")
            say("Nothing was changed.")
            result(
                operator=name,
                lost_runs=list(foreseen.lost_runs),
                lost_records=foreseen.lost_records,
                four_eyes_left_without=list(foreseen.four_eyes),
                dry_run=True,
            )
            return
        agreed = destroy_lost or not foreseen.lost_runs
        if not agreed and interactive():
            agreed = confirm("Destroy them?", honour_yes=False)
        if not confirm(f"Disable operator {name}?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was changed.")
        done = disable_with_keys(peer, name, admin, may_destroy=foreseen.lost_runs if agreed else ())
    say(f"Operator {name} is disabled: they can sign, authorise and read nothing more.")
    if done.voided:
        say(f"{done.voided} of their authorisations, mandates and approvals lost their force.")
    if done.lost_runs:
        say(f"Destroyed: {counted(done.lost_records, 'record')} of {', '.join(done.lost_runs)}.")
    result(
        operator=_facts(done.operator),
        runs_rewrapped=done.rotated,
        lost_runs=list(done.lost_runs),
        lost_records=done.lost_records,
        voided=done.voided,
    )


def _roles(row: OperatorRow) -> str:
    return ", ".join(row.roles).replace("_", " ")


def _state(row: OperatorRow) -> str:
    return f"disabled {row.disabled_at:%Y-%m-%d}" if row.disabled_at else "active"


def _facts(row: OperatorRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "roles": list(row.roles),
        "department": row.department,
        "created_at": row.created_at.isoformat(),
        "disabled_at": row.disabled_at.isoformat() if row.disabled_at else None,
    }
