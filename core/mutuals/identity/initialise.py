"""Setting up a peer, and renewing its card (DESIGN §4, §8).

Everything is made in a folder of its own inside the home and moved into place at the end, ``config.toml``
last: a home with a configuration is complete, and an attempt that failed leaves nothing.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mutuals.crypto.hpke import KeyPair, generate_keypair
from mutuals.crypto.signing import SigningKey, VerifyKey
from mutuals.crypto.tls import generate_tls_key, issue_certificate
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.accountability import wrap_accountability
from mutuals.identity.appointment import INITIALISED, appointment_facts
from mutuals.identity.cards import card_bytes, issue_card
from mutuals.identity.config_text import config_toml
from mutuals.identity.earlier import EarlierPair, keep_earlier
from mutuals.identity.files import make_private_directory, writable, write_private
from mutuals.identity.home import SUPPRESSION_KEY_BYTES, Config, Home
from mutuals.identity.operators import FIRST_OPERATOR_ROLES, create_operator
from mutuals.models.card import SignedCard
from mutuals.store.database import Store
from mutuals.store.rows import OperatorRow

_STAGING = ".init"


@dataclass(frozen=True)
class FirstOperator:
    """Who sets up the peer: name, department (both as agreements and commands will name them), roles."""

    name: str
    department: str
    roles: tuple[str, ...] = FIRST_OPERATOR_ROLES


def init_home(
    home: Home, config: Config, operator: FirstOperator, passphrase: bytes, now: datetime
) -> SignedCard:
    """Set up a peer in ``home``: configuration, keys, card, store and the first operator; its card.

    The accountability key's private half is kept only wrapped for that operator. Raises MutualsError (LOCAL)
    where the home is in use already or cannot be written, USAGE for what the operator's details do not allow.
    """
    check_vacant(home)
    row = create_operator(
        operator.name, operator.roles, operator.department, passphrase, kdf=config.kdf, now=now
    )
    with _staging(home) as staged:
        signed = _write_keys(staged, config, now)
        accountability = generate_keypair()
        write_private(staged.accountability_key, accountability.public)
        write_private(staged.suppression_key, secrets.token_bytes(SUPPRESSION_KEY_BYTES))
        write_private(staged.config, config_toml(config).encode())
        _first_rows(staged, config, row, accountability, now)
        for name in ("keys", "spool", "log", "store.sqlite", "card.json", "config.toml"):
            if (staged.root / name).exists():
                os.replace(staged.root / name, home.root / name)
    return signed


def check_vacant(home: Home) -> None:
    """Refuse a home in which a peer, or anything else, lies already. Raises MutualsError (LOCAL)."""
    if home.exists():
        raise MutualsError(
            ErrorCode.LOCAL,
            f"There is a peer in {home.root} already.",
            hint="Choose another folder with --home, or see that peer's card: mutuals card",
        )
    if home.root.exists() and not home.root.is_dir():
        raise MutualsError(
            ErrorCode.LOCAL, f"{home.root} is not a folder.", hint="Choose another with --home."
        )
    if (home.root / _STAGING).exists():
        raise MutualsError(
            ErrorCode.LOCAL,
            f"An init of {home.root} was cut short, or is running.",
            hint=f"If none is running, remove what it left: rm -r {home.root}",
        )
    if home.root.is_dir() and any(home.root.iterdir()):
        raise MutualsError(
            ErrorCode.LOCAL, f"{home.root} is not empty.", hint="Choose another folder with --home."
        )


def renew_card(
    home: Home,
    config: Config,
    *,
    signing_key: SigningKey,
    previous: SignedCard,
    now: datetime,
    earlier: Iterable[EarlierPair] = (),
) -> SignedCard:
    """A new TLS key, certificate and card with the next serial, saying what ``config`` says; the other keys stay.

    ``earlier`` are the TLS keys that stay good for a while. ``card.json`` is replaced in one step and decides which TLS
    key counts, so that a renewal cut short leaves either the old identity or the new one. Raises MutualsError (LOCAL)
    where the home cannot be written.
    """
    key = generate_tls_key()
    certificate = issue_certificate(key, signing_key.public.fingerprint, now)
    log_key = VerifyKey(bytes.fromhex(previous.card.log_key))
    signed = issue_card(config, signing_key, log_key, certificate, previous.card.serial + 1, now)
    with writable(home.root):
        write_private(home.next_tls_key, key)
        keep_earlier(home, earlier)
        write_private(home.card, card_bytes(signed))
        with suppress(FileNotFoundError):  # a server that opened the home just now has finished it
            os.replace(home.next_tls_key, home.tls_key)
    return signed


def reissue_card(
    home: Home, config: Config, *, signing_key: SigningKey, previous: SignedCard, now: datetime
) -> SignedCard:
    """A card with the next serial and the same certificate, saying what ``config`` says.

    Raises MutualsError (LOCAL) where the home cannot be written.
    """
    log_key = VerifyKey(bytes.fromhex(previous.card.log_key))
    certificate = previous.card.tls_certificate.encode()
    signed = issue_card(config, signing_key, log_key, certificate, previous.card.serial + 1, now)
    with writable(home.root):
        write_private(home.card, card_bytes(signed))
    return signed


def card_is_outdated(config: Config, signed: SignedCard) -> bool:
    """Whether the configuration says something about the company that the card does not say yet."""
    names = ("organisation", "introduction", "privacy_policy", "data_handling", "contacts", "endpoint")
    return any(getattr(config, name) != getattr(signed.card, name) for name in names)


def _write_keys(staged: Home, config: Config, now: datetime) -> SignedCard:
    signing_key, log_key = SigningKey.generate(), SigningKey.generate()
    tls_key = generate_tls_key()
    certificate = issue_certificate(tls_key, signing_key.public.fingerprint, now)
    signed = issue_card(config, signing_key, log_key.public, certificate, 1, now)
    for folder in (staged.keys, staged.spool, staged.log):
        make_private_directory(folder)
    write_private(staged.signing_key, signing_key.pem())
    write_private(staged.log_key, log_key.pem())
    write_private(staged.tls_key, tls_key)
    write_private(staged.card, card_bytes(signed))
    return signed


def _first_rows(
    staged: Home, config: Config, row: OperatorRow, accountability: KeyPair, now: datetime
) -> None:
    store = Store.open(staged.store_url(config))
    try:
        with store.transaction() as tx:
            if tx.operators.list() or tx.partners.list(include_removed=True):
                raise MutualsError(
                    ErrorCode.LOCAL,
                    "The store already belongs to another peer.",
                    hint="Give each peer a database of its own.",
                )
            tx.operators.put(row)
            wrap_accountability(tx, row, accountability.public, accountability.private)
            tx.log.append(None, INITIALISED, {"operator": row.name, **appointment_facts(row)}, now)
    finally:
        store.close()


@contextmanager
def _staging(home: Home) -> Iterator[Home]:
    """A folder to build the home in; whatever happens, nothing is left of it, or of a home that failed."""
    made = not home.root.exists()
    staged = Home(home.root / _STAGING)
    with writable(home.root):
        make_private_directory(home.root)
        staged.root.mkdir(mode=0o700)
        try:
            yield staged
        except BaseException:
            _clear(home.root, made)
            raise
        staged.root.rmdir()


def _clear(root: Path, made: bool) -> None:
    for entry in root.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    if made:
        root.rmdir()
