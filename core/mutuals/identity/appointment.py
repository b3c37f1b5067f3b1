"""Whether the operators in the store are who an admin made them: roles, department and keys, by the log.

    check_appointed(tx, row)           # MutualsError where the row was edited, or nobody added that operator
    operators = appointed_operators(tx)  # those who are as an admin made them: keys are wrapped for no others
    wrong = appointment_problems(tx)   # sentences, for mutuals audit verify

The first operator stands in the first entry of the log; each other one in an entry that an admin signed. An edited
row therefore does not fit the log, and an edited log does not fit what partners cosigned. The server asks as well,
since it wraps keys and relies on signatures while no operator is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import sign_act, verify_act
from mutuals.identity.operators import OperatorKeys
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


@dataclass(frozen=True)
class _Logged:
    """What the log says up to entry ``seq``: who was appointed as what, and who was disabled."""

    seq: int
    appointments: dict[str, _Appointment]
    disabled: frozenset[str]


_READ: WeakKeyDictionary[Transaction, _Logged] = WeakKeyDictionary()
"""What was read in each transaction: several rules ask in one, and a log only grows."""


def appointment_facts(row: OperatorRow) -> dict[str, Any]:
    """What the log and the admin's signature say of a new operator: JSON values, keys in hexadecimal."""
    return {
        "roles": list(row.roles),
        "department": row.department,
        "signing_public": row.signing_public.hex(),
        "wrapping_public": row.wrapping_public.hex(),
    }


def log_appointment(
    tx: Transaction, row: OperatorRow, keys: OperatorKeys, now: datetime, *, runs: int = 0
) -> None:
    """Log that the admin ``keys`` made ``row`` an operator, signed; ``runs`` is of how many it got the keys.

    Who may do that, and what the new operator gets, is ``mutuals.runs.handover``'s to decide.
    """
    signed = sign_act(keys, ADD, row.name, {**appointment_facts(row), "runs": runs}, now)
    body = {"operator": row.name, "roles": list(row.roles), "by": keys.name, **signed.evidence()}
    tx.log.append(None, ADDED, body, now)


def is_appointed(tx: Transaction, row: OperatorRow) -> bool:
    """Whether the stored row is what the log says of that operator."""
    return _as_logged(row, _logged(tx))


def appointed_operators(tx: Transaction) -> list[OperatorRow]:
    """The stored operators who are as the log says, the disabled too, by name."""
    return [row for row in tx.operators.list() if is_appointed(tx, row)]


def appointed_operator(tx: Transaction, name: str) -> OperatorRow | None:
    """The operator of that name, disabled or not, if the stored row is what the log says of them."""
    row = tx.operators.get(name)
    return row if row is not None and is_appointed(tx, row) else None


def check_appointed(tx: Transaction, row: OperatorRow) -> None:
    """Refuse an operator whose stored row is not what the log says of them. Raises MutualsError (LOCAL)."""
    if not is_appointed(tx, row):
        raise MutualsError(
            ErrorCode.LOCAL,
            f"The store says of operator {row.name} what no admin signed: a role, the department, a key, or whether "
            "they are disabled, was changed.",
            hint="Restore the store from a backup, and find out who changed it: mutuals audit verify",
        )


def appointment_problems(tx: Transaction) -> list[str]:
    """A sentence for each stored operator who is not as the log says, and for each who is missing."""
    logged = _logged(tx)
    rows = {row.name: row for row in tx.operators.list()}
    changed = [name for name, row in rows.items() if not _as_logged(row, logged)]
    return [
        *(
            f"operator {name}: roles, department, keys or state are not what an admin signed"
            for name in changed
        ),
        *(f"operator {name} is missing from the store" for name in logged.appointments if name not in rows),
    ]


def _as_logged(row: OperatorRow, logged: _Logged) -> bool:
    right = logged.appointments.get(row.name) == _read(appointment_facts(row))
    return right and (row.disabled_at is not None) == (row.name in logged.disabled)


def _logged(tx: Transaction) -> _Logged:
    last = tx.log.latest()
    seq = last.seq if last is not None else 0
    held = _READ.get(tx)
    if held is None or held.seq != seq:
        entries = tx.log.events(INITIALISED, ADDED, DISABLED)
        disabled = frozenset(str(entry.body.get("operator")) for entry in entries if entry.event == DISABLED)
        held = _READ[tx] = _Logged(seq, _appointments(entries), disabled)
    return held


def _appointments(entries: list[LogRow]) -> dict[str, _Appointment]:
    found: dict[str, _Appointment] = {}
    for entry in entries:
        if entry.event == DISABLED:
            continue
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
