"""Operators: the people who work with a peer, and the keys that only their passphrase opens (DESIGN §8).

    row = create_operator("anna", ("steward",), "marketing", passphrase, kdf=config.kdf, now=now)
    keys = unlock(row, passphrase)

The passphrase goes through Argon2id (RFC 9106), its output encrypts the private halves with AES-256-GCM; name
and public halves are associated data, so that a sealed key cannot be moved to another operator's row.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.hpke import PRIVATE_BYTES, generate_keypair
from mutuals.crypto.signing import SigningKey
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.home import Kdf
from mutuals.store.rows import OperatorRow

if TYPE_CHECKING:
    from mutuals.store.database import Transaction

ROLES: dict[str, str] = {
    "admin": "sets up the peer, its partners and operators",
    "steward": "signs agreements, starts runs, authorises reveals and exchanges, reads",
    "privacy_officer": "signs agreements, authorises, reads, answers requests from data subjects",
    "analyst": "starts runs and reads what was received",
    "auditor": "reads the log and the ledger of what was sent",
    "service": "matches and exchanges unattended; never reads",
}
FIRST_OPERATOR_ROLES = ("admin", "steward", "privacy_officer", "analyst")
READ_ROLES = frozenset({"steward", "privacy_officer", "analyst"})
SIGN_ROLES = frozenset({"admin", "steward", "privacy_officer"})
RUN_ROLES = frozenset({"steward", "analyst", "service"})
AUTHORISE_ROLES = frozenset({"steward", "privacy_officer", "service"})
ACCOUNTABILITY_ROLES = frozenset({"admin", "privacy_officer", "auditor"})

MIN_PASSPHRASE = 8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SLUG = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_SIGNING_BYTES = 32


@dataclass(frozen=True)
class OperatorKeys:
    """An operator's unlocked keys: for signing, and the private half (96 bytes) that others wrap to."""

    name: str
    signing: SigningKey = field(repr=False)
    wrapping_private: bytes = field(repr=False)
    roles: tuple[str, ...] = ()
    department: str = ""


def create_operator(
    name: str, roles: Sequence[str], department: str, passphrase: bytes, *, kdf: Kdf, now: datetime
) -> OperatorRow:
    """A new operator with fresh keys, not yet stored. Raises MutualsError (USAGE) for what is not allowed."""
    check_details(name, roles, department)
    check_passphrase(passphrase)
    signing = SigningKey.generate()
    wrapping = generate_keypair()
    public = (signing.public.raw, wrapping.public)
    sealed = _seal(name, public, signing.raw() + wrapping.private, passphrase, kdf)
    return OperatorRow(
        name=name,
        roles=tuple(role for role in ROLES if role in roles),
        department=department,
        signing_public=signing.public.raw,
        wrapping_public=wrapping.public,
        sealed_private=sealed,
        created_at=now,
        disabled_at=None,
    )


def check_details(name: str, roles: Sequence[str], department: str) -> None:
    """Refuse what cannot be an operator's name, roles or department. Raises MutualsError (USAGE)."""
    _check_name(name)
    _check_roles(roles)
    if not _SLUG.fullmatch(department):
        raise MutualsError(
            ErrorCode.USAGE,
            "A department is named in lower case without spaces.",
            hint="For example: --department marketing; agreements name departments the same way.",
        )


def unlock(row: OperatorRow, passphrase: bytes) -> OperatorKeys:
    """The operator's private keys. Raises NOT_ENTITLED if disabled or the passphrase is wrong."""
    if row.disabled_at is not None:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {row.name} was disabled on {row.disabled_at:%Y-%m-%d}.",
            hint="See who is enabled: mutuals operator list",
        )
    try:
        private = _open(row, passphrase)
        keys = OperatorKeys(
            name=row.name,
            signing=SigningKey(private[:_SIGNING_BYTES]),
            wrapping_private=private[_SIGNING_BYTES:],
            roles=row.roles,
            department=row.department,
        )
        if keys.signing.public.raw != row.signing_public or len(keys.wrapping_private) != PRIVATE_BYTES:
            raise ValueError("the keys do not belong together")
    except InvalidTag as error:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"The passphrase is not the one of operator {row.name}.",
            hint="It cannot be recovered. An admin can add you anew: mutuals operator add NAME --role ROLE",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise MutualsError(
            ErrorCode.LOCAL, f"The stored keys of operator {row.name} are damaged.", hint="Restore the store."
        ) from error
    return keys


def entitled_to_read(rows: Iterable[OperatorRow]) -> list[OperatorRow]:
    """The operators to whom the key to received data is wrapped: in a reading role and not disabled."""
    return [row for row in rows if row.disabled_at is None and READ_ROLES.intersection(row.roles)]


def require_role(keys: OperatorKeys | OperatorRow, allowed: Iterable[str], act: str) -> None:
    """Refuse (NOT_ENTITLED) who has none of the ``allowed`` roles; ``act`` completes “may not …”."""
    roles = frozenset(allowed)
    if not roles.intersection(keys.roles):
        needed = " or ".join(role for role in ROLES if role in roles)
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {keys.name} may not {act}: that needs the role {needed}.",
            hint="See who has which role: mutuals operator list",
        )


def get_operator(tx: Transaction, name: str) -> OperatorRow:
    """The operator of that name. Raises MutualsError (USAGE) where there is none."""
    row = tx.operators.get(name)
    if row is None:
        raise MutualsError(
            ErrorCode.USAGE, "There is no operator of that name.", hint="See them with: mutuals operator list"
        )
    return row


def require_current(tx: Transaction, keys: OperatorKeys) -> OperatorRow:
    """The stored row of an unlocked operator, who must not have been disabled or replaced since (NOT_ENTITLED)."""
    row = tx.operators.get(keys.name)
    if row is None or row.disabled_at is not None or row.signing_public != keys.signing.public.raw:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {keys.name} is no operator of this peer now.",
            hint="See who is: mutuals operator list",
        )
    return row


def disable_operator(
    tx: Transaction, name: str, *, by: str, now: datetime, evidence: Mapping[str, str] | None = None
) -> OperatorRow:
    """Disable an operator and log who (``by``) did it, with their signature as ``evidence``.

    What they could open and had permitted is ``mutuals.runs.handover``'s to end. Raises MutualsError (USAGE) for the
    last admin.
    """
    row = get_operator(tx, name)
    if row.disabled_at is not None:
        raise MutualsError(ErrorCode.USAGE, f"Operator {row.name} is disabled already.")
    admins = [other for other in tx.operators.list() if other.disabled_at is None and "admin" in other.roles]
    if [other.name for other in admins] == [row.name]:
        raise MutualsError(
            ErrorCode.USAGE,
            f"{row.name} is the last admin; nobody could add operators any more.",
            hint="Add another admin first: mutuals operator add NAME --role admin",
        )
    tx.operators.disable(row.name, now)
    tx.log.append(None, "operator.disabled", {"operator": row.name, "by": by, **(evidence or {})}, now)
    return get_operator(tx, row.name)


def _seal(name: str, public: tuple[bytes, bytes], private: bytes, passphrase: bytes, kdf: Kdf) -> bytes:
    salt, nonce = os.urandom(16), os.urandom(12)
    key = _derive(passphrase, salt, kdf)
    header = {"kdf": "argon2id", **kdf.model_dump(), "salt": salt.hex(), "nonce": nonce.hex()}
    ciphertext = AESGCM(key).encrypt(nonce, private, _associated(name, public))
    return canonical_json({**header, "ciphertext": ciphertext.hex()})


def _open(row: OperatorRow, passphrase: bytes) -> bytes:
    blob = parse_canonical(row.sealed_private)
    kdf = Kdf(memory_kib=blob["memory_kib"], iterations=blob["iterations"], lanes=blob["lanes"])
    key = _derive(passphrase, bytes.fromhex(blob["salt"]), kdf)
    associated = _associated(row.name, (row.signing_public, row.wrapping_public))
    return AESGCM(key).decrypt(bytes.fromhex(blob["nonce"]), bytes.fromhex(blob["ciphertext"]), associated)


def _derive(passphrase: bytes, salt: bytes, kdf: Kdf) -> bytes:
    return Argon2id(
        salt=salt, length=32, iterations=kdf.iterations, lanes=kdf.lanes, memory_cost=kdf.memory_kib
    ).derive(passphrase)


def _associated(name: str, public: tuple[bytes, bytes]) -> bytes:
    return frame(Context.OPERATOR, name, *public)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise MutualsError(
            ErrorCode.USAGE,
            "An operator's name has letters, digits, dots, hyphens and underscores, at most 63.",
            hint="For example: anna or anna.berg",
        )


def _check_roles(roles: Sequence[str]) -> None:
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        raise MutualsError(
            ErrorCode.USAGE,
            f"There is no role “{unknown[0][:40]}”." if unknown else "An operator needs a role.",
            hint=f"The roles are {', '.join(ROLES)}.",
        )
    if "service" in roles and len(set(roles)) > 1:
        raise MutualsError(
            ErrorCode.USAGE,
            "A service operator can have no other role: it runs unattended and never reads.",
            hint="Add two operators.",
        )


def check_passphrase(passphrase: bytes) -> None:
    """Refuse a passphrase that is too short. Raises MutualsError (USAGE)."""
    if len(passphrase.decode(errors="replace")) < MIN_PASSPHRASE:
        raise MutualsError(
            ErrorCode.USAGE,
            f"The passphrase is shorter than {MIN_PASSPHRASE} characters.",
            hint="Four or five words that do not belong together are strong and easy to type.",
        )
