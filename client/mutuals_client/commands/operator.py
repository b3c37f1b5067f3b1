"""``mutuals operator``: the people who work with this peer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from mutuals.errors import ErrorCode, MutualsError
from mutuals_client.console import (
    Command,
    ListingGroup,
    OperatorCommand,
    confirm,
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
    from mutuals.identity.accountability import open_accountability, wrap_accountability
    from mutuals.identity.operators import READ_ROLES, check_details, create_operator
    from mutuals_client.session import unlock_operator

    check_details(name, role, department)
    with open_peer() as peer:
        admin = unlock_operator(peer, roles={"admin"}, act="add operators")
        with peer.store.transaction() as tx:
            _refuse_known(tx.operators.list(), name)
        words = new_passphrase(name, new_passphrase_fd)
        now = peer.clock()
        row = create_operator(name, role, department, words, kdf=peer.config.kdf, now=now)
        public = peer.accountability_public
        with peer.store.transaction() as tx:
            _refuse_known(tx.operators.list(), name)
            private = open_accountability(tx, admin, public)
            tx.operators.put(row)
            wrap_accountability(tx, row, public, private)
            body = {"operator": row.name, "roles": list(row.roles), "by": admin.name}
            tx.log.append(None, "operator.added", body, now)
    say(f"Operator {row.name} was added: {_roles(row)}, {row.department}.")
    if READ_ROLES.intersection(row.roles):
        say("They can read what arrives in runs opened from now on, not in earlier ones.")
    result(operator=_facts(row))


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


def disable(name: str = typer.Argument(..., metavar="NAME")) -> None:
    """Disable an operator; an admin does this (--operator, --passphrase-fd).

    Example: mutuals operator disable bea
    """
    from mutuals.identity.operators import disable_operator, get_operator
    from mutuals_client.session import unlock_operator

    with open_peer() as peer:
        with peer.store.transaction() as tx:
            get_operator(tx, name)
        admin = unlock_operator(peer, roles={"admin"}, act="disable operators")
        if not confirm(f"Disable operator {name}?"):
            raise MutualsError(ErrorCode.USAGE, "Nothing was changed.")
        with peer.store.transaction() as tx:
            row = disable_operator(tx, name, by=admin.name, now=peer.clock())
    say(f"Operator {row.name} is disabled: they can sign, authorise and read nothing more.")
    result(operator=_facts(row))


def _refuse_known(rows: list[OperatorRow], name: str) -> None:
    if any(row.name.casefold() == name.casefold() for row in rows):
        raise MutualsError(
            ErrorCode.USAGE,
            "There is an operator of that name already, or was one.",
            hint="Signatures name operators for good, so choose another: mutuals operator list",
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
