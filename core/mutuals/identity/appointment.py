"""Whether the operators in the store are who an admin made them: roles, department and keys, by the log.

    check_appointed(tx, row)           # MutualsError where the row was edited, or nobody added that operator
    wrong = appointment_problems(tx)   # sentences, for mutuals audit verify

The first operator stands in the first entry of the log; each other one in an entry that an admin signed. An edited
row therefore does not fit the log, and an edited log does not fit what partners cosigned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import verify_act
from mutuals.store.rows import LogRow, OperatorRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

INITIALISED, ADDED, DISABLED = "peer.initialised", "operator.added", "operator.disabled"
ADD = "operator.add"
"""The act that an admin signs."""


@dataclass(frozen=True)
class _Appointment:
    roles: tuple[str, ...]
    department: str
    signing_public: str
    wrapping_public: str


def appointment_facts(row: OperatorRow) -> dict[str, Any]:
    """What the log and the admin's signature say of a new operator: JSON values, keys in hexadecimal."""
    return {
        "roles": list(row.roles),
        "department": row.department,
        "signing_public": row.signing_public.hex(),
        "wrapping_public": row.wrapping_public.hex(),
    }


def check_appointed(tx: Transaction, row: OperatorRow) -> None:
    """Refuse an operator whose stored row is not what the log says of them. Raises MutualsError (LOCAL)."""
    if not _as_logged(row, _appointments(tx), _disabled(tx)):
        raise MutualsError(
            ErrorCode.LOCAL,
            f"The store says of operator {row.name} what no admin signed: a role, the department, a key, or whether "
            "they are disabled, was changed.",
            hint="Restore the store from a backup, and find out who changed it: mutuals audit verify",
        )


def appointment_problems(tx: Transaction) -> list[str]:
    """A sentence for each stored operator who is not as the log says, and for each who is missing."""
    known, disabled = _appointments(tx), _disabled(tx)
    rows = {row.name: row for row in tx.operators.list()}
    changed = [name for name, row in rows.items() if not _as_logged(row, known, disabled)]
    return [
        *(
            f"operator {name}: roles, department, keys or state are not what an admin signed"
            for name in changed
        ),
        *(f"operator {name} is missing from the store" for name in known if name not in rows),
    ]


def _as_logged(row: OperatorRow, known: dict[str, _Appointment], disabled: frozenset[str]) -> bool:
    right = known.get(row.name) == _read(appointment_facts(row))
    return right and (row.disabled_at is not None) == (row.name in disabled)


def _disabled(tx: Transaction) -> frozenset[str]:
    return frozenset(str(entry.body.get("operator")) for entry in tx.log.events(DISABLED))


def _appointments(tx: Transaction) -> dict[str, _Appointment]:
    found: dict[str, _Appointment] = {}
    for entry in tx.log.events(INITIALISED, ADDED):
        if entry.event == INITIALISED:
            first = _read(entry.body)
            if not found and first is not None:  # there is one first operator; a second such entry was put in
                found[str(entry.body.get("operator"))] = first
            continue
        name, appointment = _signed(entry, found)
        if appointment is not None:
            found.setdefault(name, appointment)
    return found


def _signed(entry: LogRow, known: dict[str, _Appointment]) -> tuple[str, _Appointment | None]:
    """The operator whom an entry adds, and as what; nothing where no admin known by then signed that."""
    name, admin = str(entry.body.get("operator")), known.get(str(entry.body.get("by")))
    if admin is None or "admin" not in admin.roles:
        return name, None
    try:
        act = verify_act(
            str(entry.body.get("act")).encode(),
            bytes.fromhex(str(entry.body.get("act_signature"))),
            bytes.fromhex(admin.signing_public),
        )
    except ValueError:
        return name, None
    return name, _read(act.facts) if (act.act, act.subject) == (ADD, name) else None


def _read(facts: dict[str, Any]) -> _Appointment | None:
    roles = facts.get("roles")
    rest = [facts.get(key) for key in ("department", "signing_public", "wrapping_public")]
    if not isinstance(roles, list) or not all(isinstance(value, str) for value in (*roles, *rest)):
        return None
    return _Appointment(tuple(roles), *(str(value) for value in rest))
