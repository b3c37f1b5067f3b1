"""Operators' signed permission for a reveal, an exchange, or, as a standing mandate, for both under one
agreement.

    authorise_exchange(peer, run, preview, keys)                       # a command, at this side
    allowed = require_authorisation(tx, "exchange", run, active, now)  # whoever acts on it, server or command

A permission is a statement in canonical JSON, signed by the operator's own key. It is verified each time it
is used: the operator must still be there, entitled and as an admin appointed them, the statement must be
about this act, and its time must not have passed. A mandate counts only where the agreement permits it for
the act, and for at most as many runs as it names: every run of the agreement revealed since it was granted, or
being revealed, counts, whoever permitted it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mutuals.agreement.active import ActiveAgreement, load_for_run
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.signing import BadSignature, VerifyKey
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.appointment import is_appointed
from mutuals.identity.operators import AUTHORISE_ROLES, OperatorKeys, require_current, require_role
from mutuals.models.policy import FourEyesAct, Policy
from mutuals.models.run import Run, RunState
from mutuals.peer import Peer
from mutuals.policy.current import current_policy, operators_required, policy_in_force
from mutuals.policy.four_eyes import EYES, waiting
from mutuals.runs.permitted import refused_sender, require_sender
from mutuals.runs.preview_id import preview_id
from mutuals.store.database import Transaction
from mutuals.store.rows import Act, AuthorisationRow

RunAct = Literal["reveal", "exchange"]

MANDATE_ROLES = AUTHORISE_ROLES - {"service"}
"""Who may grant a standing mandate; a service operator may only use one."""

EXCHANGE_LASTS = timedelta(days=7)
REVEAL_LASTS = timedelta(days=14)

_ID_BYTES = 16

_MAY_BE_REVEALED = frozenset({RunState.REVEALING, RunState.HALF_REVEALED})
"""Their positions may have left, so a mandate counts them."""


class AuthorisationStatement(BaseModel):
    """What an operator signs. ``subject`` is the run's sid, or the agreement's digest for a mandate (hex).

    ``fields`` and ``preview`` (hex) say what an exchange sends; ``acts`` and ``max_runs`` bound a mandate. ``policy``
    is the digest (hex) of the policy in force when a reveal or exchange was permitted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mutuals/v1/authorisation"] = "mutuals/v1/authorisation"
    act: Act
    subject: str
    agreement: str
    fields: tuple[str, ...] = ()
    preview: str | None = None
    acts: tuple[RunAct, ...] = ()
    max_runs: int | None = Field(default=None, ge=1)
    policy: str | None = None
    operator: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Authorisation:
    """A permission that was verified. ``preview`` is the digest it is bound to (32 bytes), if to any.

    Where the policy asks for four eyes it is two operators': ``id``, ``act`` and ``expires_at`` are the newest one's.
    """

    id: str
    act: Act
    operators: tuple[str, ...]
    preview: bytes | None
    expires_at: datetime
    ids: tuple[str, ...] = ()

    @property
    def operator(self) -> str:
        """Who permits it, for a sentence."""
        return " and ".join(self.operators)

    @property
    def by_mandate(self) -> bool:
        """True where a standing mandate permits the act."""
        return self.act == "mandate"


@dataclass(frozen=True)
class StandingPreview:
    """Who authorised which preview of an exchange (its short name), since when and until when (UTC)."""

    operator: str
    preview: str
    created_at: datetime
    expires_at: datetime


def authorise_reveal(peer: Peer, run: Run, keys: OperatorKeys) -> Authorisation:
    """Permit the reveal of a counted run, until its date; as one of two where the policy asks for four eyes.

    Raises MutualsError: NOT_ENTITLED; NOT_AUTHORISED_YET where this operator has, and another one must.
    """
    require_role(keys, AUTHORISE_ROLES, "authorise a reveal")
    now = peer.clock()
    with peer.store.transaction() as tx:
        policy = policy_in_force(tx)
        _refuse_twice(tx, "reveal", run, keys, None, now)
    statement = AuthorisationStatement(
        act="reveal",
        subject=run.sid.hex(),
        agreement=run.agreement,
        policy=policy,
        operator=keys.name,
        created_at=now,
        expires_at=run.reveal_by or now + REVEAL_LASTS,
    )
    return _sign(peer, statement, run.run_id, keys)


def authorise_exchange(
    peer: Peer, run: Run, fields: Collection[str], preview: bytes, keys: OperatorKeys
) -> Authorisation:
    """Permit sending exactly the records whose preview has this digest; as one of two where the policy says so.

    Raises MutualsError: NOT_ENTITLED, also where the policy does not let this operator share a field of it;
    NOT_AUTHORISED_YET where this operator has permitted it, and another one must.
    """
    require_role(keys, AUTHORISE_ROLES, "authorise an exchange")
    now = peer.clock()
    with peer.store.transaction() as tx:
        policy = policy_in_force(tx)
        if policy is not None:
            require_sender(current_policy(tx), load_for_run(tx, run, now), keys)
        _refuse_twice(tx, "exchange", run, keys, preview, now)
    statement = AuthorisationStatement(
        act="exchange",
        subject=run.sid.hex(),
        agreement=run.agreement,
        fields=tuple(fields),
        preview=preview.hex(),
        policy=policy,
        operator=keys.name,
        created_at=now,
        expires_at=now + EXCHANGE_LASTS,
    )
    return _sign(peer, statement, run.run_id, keys)


def grant_mandate(
    peer: Peer,
    agreement_digest: str,
    keys: OperatorKeys,
    *,
    acts: Collection[RunAct],
    max_runs: int,
    expires_at: datetime,
) -> Authorisation:
    """``put_mandate`` in a transaction of its own."""
    with peer.store.transaction() as tx:
        return put_mandate(
            tx, agreement_digest, keys, peer.clock(), acts=acts, max_runs=max_runs, expires_at=expires_at
        )


def put_mandate(
    tx: Transaction,
    agreement_digest: str,
    keys: OperatorKeys,
    now: datetime,
    *,
    acts: Collection[RunAct],
    max_runs: int,
    expires_at: datetime,
) -> Authorisation:
    """Permit ``acts`` for at most ``max_runs`` runs of an agreement. Raises NOT_ENTITLED, USAGE."""
    require_role(keys, MANDATE_ROLES, "grant a mandate")
    if not acts or max_runs < 1 or expires_at <= now:
        raise MutualsError(
            ErrorCode.USAGE, "A mandate needs an act, at least one run, and an end in the future."
        )
    statement = AuthorisationStatement(
        act="mandate",
        subject=agreement_digest,
        agreement=agreement_digest,
        acts=tuple(sorted(set(acts))),
        max_runs=max_runs,
        operator=keys.name,
        created_at=now,
        expires_at=expires_at,
    )
    return _put(tx, statement, agreement_digest, keys)


def standing_previews(tx: Transaction, run: Run, now: datetime) -> list[StandingPreview]:
    """Who has authorised which preview of ``run``, as far as that was not withdrawn and has not expired; latest first.

    For people to compare: whether it counts, ``require_authorisation`` says.
    """
    return [
        StandingPreview(row.operator, preview_id(row.preview), row.created_at, row.expires_at)
        for row in tx.authorisations.standing("exchange", run.run_id, now)
        if row.preview is not None
    ]


def require_authorisation(
    tx: Transaction, act: RunAct, run: Run, active: ActiveAgreement, now: datetime
) -> Authorisation:
    """The permission of this side to do ``act`` in ``run`` now, its own or a mandate's, verified.

    For an exchange the caller compares ``preview`` with what would be sent. Once a preview of the run was authorised, a
    mandate alone permits its exchange no more: somebody has said what may leave, and that or nothing does. Raises
    MutualsError (NOT_AUTHORISED_YET) where there is none that counts.
    """
    needed = operators_required(tx, act)
    found, obstacles = _permissions(tx, act, run, active, now)
    only_mandates = all(permission.by_mandate for permission in found)
    if act == "exchange" and only_mandates and tx.authorisations.given(act, run.run_id):
        found, obstacles = (
            [],
            [*obstacles, "the preview authorised before no longer counts, nor a mandate for it"],
        )
    if needed > 1:
        found = [permission for permission in found if _is_person(tx, permission, act)]
    for preview in dict.fromkeys(permission.preview for permission in found):
        fitting = [permission for permission in found if permission.preview in (preview, None)]
        operators = tuple(dict.fromkeys(name for permission in fitting for name in permission.operators))
        if len(operators) >= needed:
            first = fitting[0]
            ids = tuple(permission.id for permission in fitting if permission.preview == preview)
            return replace(first, operators=operators[:needed], preview=preview, ids=ids)
    if found:
        raise waiting(act, found[0].operators, f"mutuals {act} {run.run_id}")
    raise MutualsError(
        ErrorCode.NOT_AUTHORISED_YET,
        f"No operator of yours has authorised the {act} of run {run.run_id}"
        + (f": {obstacles[0]}." if obstacles else "."),
        hint=f"A steward or privacy officer must run: mutuals {act} {run.run_id}",
    )


def _permissions(
    tx: Transaction, act: RunAct, run: Run, active: ActiveAgreement, now: datetime
) -> tuple[list[Authorisation], list[str]]:
    """The permissions that count, the latest of each operator and kind, and why others do not.

    Those for this run come first, then standing mandates where the agreement permits the act by one.
    """
    found: list[Authorisation] = []
    obstacles: list[str] = []
    policy = current_policy(tx)

    def collect(rows: list[AuthorisationRow], subject: str) -> None:
        seen: set[str] = set()
        for row in rows:
            if row.operator in seen:
                continue
            seen.add(row.operator)
            try:
                statement, permission = _verified(tx, row, subject, now)
                if row.act == "mandate":
                    _check_mandate(tx, row, statement, act, run)
                elif statement.policy != policy_in_force(tx):
                    raise _Invalid(f"the policy changed since {row.operator} did")
                if act == "exchange":
                    _check_sender(tx, policy, active, row.operator)
                found.append(permission)
            except _Invalid as invalid:
                obstacles.append(str(invalid))

    collect(tx.authorisations.standing(act, run.run_id, now), run.sid.hex())
    if getattr(active.agreement.permission, act) == "mandate":
        collect(tx.authorisations.standing("mandate", active.digest, now), run.agreement)
    return found, obstacles


def _check_sender(tx: Transaction, policy: Policy | None, active: ActiveAgreement, name: str) -> None:
    operator = tx.operators.get(name)
    refused = () if operator is None else refused_sender(policy, active, operator)
    if refused:
        raise _Invalid(
            f"{name}, who had, may not let {refused[0].field} leave: {refused[0].rule.rstrip('.')}"
        )


def _is_person(tx: Transaction, permission: Authorisation, act: FourEyesAct) -> bool:
    operator = tx.operators.get(permission.operators[0])
    return operator is not None and bool(EYES[act].intersection(operator.roles))


def _refuse_twice(
    tx: Transaction, act: RunAct, run: Run, keys: OperatorKeys, preview: bytes | None, now: datetime
) -> None:
    """Where two must permit it, the same operator's second signature under the same thing is none."""
    if operators_required(tx, act) == 1:
        return
    for row in tx.authorisations.standing(act, run.run_id, now):
        with suppress(_Invalid):
            statement, _ = _verified(tx, row, run.sid.hex(), now)
            same = row.preview == preview and statement.policy == policy_in_force(tx)
            if row.operator == keys.name and same:
                raise waiting(act, (keys.name,), f"mutuals {act} {run.run_id}")


class _Invalid(ValueError):
    """Why a stored permission does not count, as a clause."""


def _check_mandate(
    tx: Transaction, row: AuthorisationRow, statement: AuthorisationStatement, act: RunAct, run: Run
) -> None:
    if act not in statement.acts:
        raise _Invalid(f"{row.operator}'s mandate does not cover it")
    used = [
        other
        for other in tx.runs.list(run.partner)
        if other.agreement == run.agreement
        and other.run_id != run.run_id
        and (
            other.state in _MAY_BE_REVEALED
            or (other.revealed_at is not None and other.revealed_at >= statement.created_at)
        )
    ]
    if statement.max_runs is None or len(used) >= statement.max_runs:
        raise _Invalid(f"{row.operator}'s mandate is used up")


def _verified(
    tx: Transaction, row: AuthorisationRow, subject: str, now: datetime
) -> tuple[AuthorisationStatement, Authorisation]:
    operator = tx.operators.get(row.operator)
    if operator is None or operator.disabled_at is not None:
        raise _Invalid(f"operator {row.operator}, who had, is no longer active")
    if not is_appointed(tx, operator):
        raise _Invalid(
            f"the store says of operator {row.operator}, who had, what no admin signed (see: mutuals audit verify)"
        )
    roles = MANDATE_ROLES if row.act == "mandate" else AUTHORISE_ROLES
    if not roles & set(operator.roles):
        raise _Invalid(f"operator {row.operator}, who had, may no longer")
    try:
        VerifyKey(operator.signing_public).verify(frame(Context.AUTHORISATION, row.statement), row.signature)
        statement = AuthorisationStatement.model_validate(parse_canonical(row.statement))
    except (BadSignature, ValidationError, ValueError) as error:
        raise _Invalid("the stored authorisation is not what the operator signed") from error
    preview = None if row.preview is None else row.preview.hex()
    facts = (statement.act, statement.subject, statement.operator, statement.preview)
    if facts != (row.act, subject, row.operator, preview):
        raise _Invalid("the stored authorisation is about something else")
    if now >= statement.expires_at:
        raise _Invalid("the authorisation has expired")
    return statement, Authorisation(
        row.id, row.act, (row.operator,), row.preview, statement.expires_at, (row.id,)
    )


def _sign(peer: Peer, statement: AuthorisationStatement, subject: str, keys: OperatorKeys) -> Authorisation:
    with peer.store.transaction() as tx:
        return _put(tx, statement, subject, keys)


def _put(
    tx: Transaction, statement: AuthorisationStatement, subject: str, keys: OperatorKeys
) -> Authorisation:
    data = canonical_json(statement)
    row = AuthorisationRow(
        id=secrets.token_hex(_ID_BYTES),
        act=statement.act,
        subject=subject,
        operator=keys.name,
        statement=data,
        signature=keys.signing.sign(frame(Context.AUTHORISATION, data)),
        preview=None if statement.preview is None else bytes.fromhex(statement.preview),
        created_at=statement.created_at,
        expires_at=statement.expires_at,
    )
    require_current(tx, keys)
    tx.authorisations.void_earlier(row.act, subject, keys.name, statement.created_at)
    tx.authorisations.put(row)
    tx.log.append(
        statement.agreement,
        f"{statement.act}.authorised",
        {
            "id": row.id,
            "subject": subject,
            "operator": keys.name,
            "statement": data.decode(),
            "signature": row.signature.hex(),
            "fields": list(statement.fields),
            **({} if row.preview is None else {"preview": preview_id(row.preview)}),
            "expires_at": statement.expires_at.isoformat(),
        },
        statement.created_at,
    )
    return Authorisation(row.id, row.act, (row.operator,), row.preview, row.expires_at, (row.id,))
