"""A peer's home folder: where its configuration, keys, card and store lie, and who may read them.

    home = Home(default_home())
    config = load_config(home)

Directories are 0700 and files 0600, which ``mutuals.identity.modes`` sees to. ``config.toml`` is for a person to
edit; what it says about the company reaches partners with the next ``mutuals card --renew``.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.limits import LimitSettings
from mutuals.identity.local import is_loopback, metrics_address
from mutuals.identity.text import deceptive_character, valid_endpoint
from mutuals.models.card import ContactPerson, Line, Paragraph
from mutuals.toml_faults import toml_values

SUPPRESSION_KEY_BYTES = 32


def _endpoint(value: str) -> str:
    if not valid_endpoint(value):
        raise ValueError("is not host:port, for example peer.example.com:8443")
    return value


def _single_spaced(value: str) -> str:
    """Two blanks look like one, and names on cards and in agreements are compared exactly."""
    return re.sub(r"[ \u00a0\u2000-\u200a\u202f\u3000]+", " ", value).strip()


def _executor(value: str) -> str:
    """An address of a dask scheduler. What travels there is keys and contacts' hashes: in the clear to nobody else."""
    scheme, _, rest = value.partition("://")
    if scheme not in ("tls", "tcp") or not valid_endpoint(rest):
        raise ValueError("is not the address of a scheduler, for example tls://scheduler.internal:8786")
    if scheme == "tcp" and not is_loopback(rest.rpartition(":")[0].strip("[]")):
        raise ValueError(
            "would send keys unencrypted to another machine; use tls:// and executor_ca, _cert, _key"
        )
    return value


def _metrics(value: str) -> str:
    metrics_address(value)
    return value


Endpoint = Annotated[Line, AfterValidator(_endpoint)]
Executor = Annotated[Line, AfterValidator(_executor)]
Metrics = Annotated[Line, AfterValidator(_metrics)]
Organisation = Annotated[Line, AfterValidator(_single_spaced)]


class Kdf(BaseModel):
    """What unlocking an operator's keys costs (Argon2id, RFC 9106): memory in KiB, passes, lanes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_kib: int = Field(default=65_536, ge=8, le=4_194_304)
    iterations: int = Field(default=3, ge=1, le=100)
    lanes: int = Field(default=1, ge=1, le=16)

    @model_validator(mode="after")
    def _enough_memory(self) -> Self:
        if self.memory_kib < 8 * self.lanes:
            raise ValueError("memory_kib is less than 8 for each lane")
        return self


class Config(BaseModel):
    """What ``config.toml`` says; ``store`` is a database URL, ``workers`` a number of processes.

    ``housekeeping_minutes`` is how often the server looks for what must be destroyed. ``renew_days`` is how long before
    its end a TLS certificate is renewed by itself (0: never), ``overlap_days`` how long the one before stays good then.
    ``executor`` is the address of a
    dask scheduler that computes in place of worker processes here; its TLS files are PEM, relative to the home.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    organisation: Organisation
    introduction: Paragraph = ""
    privacy_policy: Paragraph = ""
    data_handling: Paragraph = ""
    contacts: tuple[ContactPerson, ...] = Field(default=(), max_length=20)
    endpoint: Endpoint | None = None
    listen: Endpoint = "127.0.0.1:8443"
    metrics: Metrics | None = None
    log_format: Literal["human", "json"] = "human"
    store: str | None = None
    workers: int | None = Field(default=None, ge=1, le=1024)
    x25519_backend: Literal["cryptography", "crypto_mb"] | None = None
    executor: Executor | None = None
    executor_ca: Line | None = None
    executor_cert: Line | None = None
    executor_key: Line | None = None
    housekeeping_minutes: int = Field(default=60, ge=1, le=1440)
    renew_days: int = Field(default=30, ge=0, le=365)
    overlap_days: int = Field(default=7, ge=1, le=30)
    limits: LimitSettings = LimitSettings()
    kdf: Kdf = Kdf()

    @model_validator(mode="after")
    def _cluster_whole(self) -> Self:
        files = (self.executor_ca, self.executor_cert, self.executor_key)
        encrypted = self.executor is not None and self.executor.startswith("tls://")
        if encrypted and None in files:
            raise ValueError("executor with tls:// needs executor_ca, executor_cert and executor_key as well")
        if not encrypted and any(files):
            raise ValueError("executor_ca, executor_cert and executor_key belong to an executor with tls://")
        return self

    @model_validator(mode="after")
    def _readable(self) -> Self:
        fault = deceptive_text(self)
        if fault:
            raise ValueError(fault)
        return self


@dataclass(frozen=True)
class Home:
    """The paths under one home folder; nothing is read or written here."""

    root: Path

    @property
    def config(self) -> Path:
        """The configuration a person edits."""
        return self.root / "config.toml"

    @property
    def keys(self) -> Path:
        """The folder of the peer's own keys."""
        return self.root / "keys"

    @property
    def signing_key(self) -> Path:
        """The Ed25519 key the peer signs with (PKCS#8 PEM)."""
        return self.keys / "signing.pem"

    @property
    def log_key(self) -> Path:
        """The Ed25519 key that signs the heads of the audit logs, and the partners' (PKCS#8 PEM)."""
        return self.keys / "log.pem"

    @property
    def tls_key(self) -> Path:
        """The P-256 key of the TLS certificate on the card (PKCS#8 PEM)."""
        return self.keys / "tls.pem"

    @property
    def next_tls_key(self) -> Path:
        """The TLS key of a card that is being renewed; ``card.json`` decides which of the two counts."""
        return self.keys / "tls.next.pem"

    @property
    def earlier_tls(self) -> Path:
        """The TLS keys and certificates of before the last renewal, while a rotation is under way (JSON)."""
        return self.keys / "tls.earlier.json"

    @property
    def accountability_key(self) -> Path:
        """The public half (1,216 bytes) of the key that the ledger of what was sent is encrypted under."""
        return self.keys / "accountability.pub"

    @property
    def run_keys(self) -> Path:
        """The folder of the runs' key shares; without them no copy of the store can be read (docs/adr/0010)."""
        return self.keys / "runs"

    @property
    def suppression_key(self) -> Path:
        """The key (32 bytes) of the hashes under which withdrawn contacts are remembered."""
        return self.keys / "suppression.key"

    @property
    def card(self) -> Path:
        """The peer's own signed card, with its TLS certificate."""
        return self.root / "card.json"

    @property
    def spool(self) -> Path:
        """What runs between count and reveal wait in, encrypted under run keys."""
        return self.root / "spool"

    @property
    def locks(self) -> Path:
        """Empty files that a command holds while it must be alone."""
        return self.root / "locks"

    @property
    def log(self) -> Path:
        """Log files."""
        return self.root / "log"

    @property
    def server_log(self) -> Path:
        """What the server notes, a JSON object a line."""
        return self.log / "server.log"

    @property
    def client_log(self) -> Path:
        """What commands note of the runs that they carry on, likewise."""
        return self.log / "client.log"

    @property
    def store(self) -> Path:
        """The SQLite file of the default store."""
        return self.root / "store.sqlite"

    def store_url(self, config: Config) -> str:
        """The store's database URL: the configured one, or SQLite in this home."""
        from mutuals.store.engine import sqlite_url

        return config.store or sqlite_url(self.store)

    def store_file(self, config: Config) -> Path | None:
        """The file of the store, which may lie elsewhere; nothing where another database keeps it."""
        if config.store is None:
            return self.store
        from mutuals.store.urls import sqlite_file

        return sqlite_file(config.store)

    def exists(self) -> bool:
        """Whether a peer was set up here."""
        return self.config.is_file()


def default_home() -> Path:
    """The platform's folder for user data; ``MUTUALS_HOME`` where that is set."""
    import platformdirs

    named = os.environ.get("MUTUALS_HOME")
    return Path(named) if named else Path(platformdirs.user_data_dir("mutuals", appauthor=False))


def load_config(home: Home) -> Config:
    """Read and check ``config.toml``. Raises MutualsError (LOCAL) naming the key at fault."""
    try:
        text = home.config.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"There is no peer in {home.root}.",
            hint="Set one up: mutuals init. Or name the home of one: --home DIR, or MUTUALS_HOME.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"{home.config} cannot be read: {_reason(error)}.",
            hint="It belongs to who runs mutuals, and is text in UTF-8; see what is wrong: mutuals doctor",
        ) from error
    try:
        values = toml_values(text)
    except tomllib.TOMLDecodeError as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"{home.config} is not valid TOML: {error}.",
            hint="Correct that line in an editor; docs/operations.md lists the keys.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"{home.config} holds a number that is too long, or a value nested too deep.",
            hint="Correct that value in an editor; docs/operations.md lists the keys.",
        ) from error
    config = parse_config(values, str(home.config))
    _refuse_password(config, str(home.config))
    return config


def _refuse_password(config: Config, where: str) -> None:
    """A password in the configuration is in every backup and copy of it. Raises MutualsError (LOCAL)."""
    if config.store is None:
        return
    from mutuals.store.urls import has_password

    try:
        refused = has_password(config.store)
    except ValueError as error:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"{where}: store is not a database URL.",
            hint='For example: store = "postgresql+psycopg://mutuals@localhost/mutuals"',
        ) from error
    if refused:
        raise MutualsError(
            ErrorCode.LOCAL,
            f"{where}: store holds a password, which does not belong in it.",
            hint="Take it out of the URL and put it into ~/.pgpass, or into the file that PGPASSFILE names.",
        )


def parse_config(values: dict[str, Any], where: str, code: ErrorCode = ErrorCode.LOCAL) -> Config:
    """Check values that came from ``where``. Raises MutualsError (``code``) naming the key at fault."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise MutualsError(
            code,
            f"{where}: {_fault(first['type'], first['loc'], first['msg'])}.",
            hint=_hint(first["type"]),
        ) from error


def deceptive_text(model: Any) -> str | None:
    """The first text of a card or configuration that holds a control or invisible character, as a clause."""
    lines = ("organisation", "endpoint")
    for name in (*lines, "introduction", "privacy_policy", "data_handling"):
        found = deceptive_character(getattr(model, name) or "", lines=name not in lines)
        if found:
            return f"{name} holds the control or invisible character {found}"
    for person in model.contacts:
        for text in (person.name, person.role, person.email):
            found = deceptive_character(text)
            if found:
                return f"contacts holds the control or invisible character {found}"
    return None


def _fault(kind: str, location: tuple[int | str, ...], message: str) -> str:
    key = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return f"unknown key {key}"
    if kind == "missing":
        return f"the key {key} is missing"
    if kind == "value_error":  # our own sentence, which goes on from the key
        return f"{key} {message.removeprefix('Value error, ')}".strip()
    return f"{key}: {message}"


def _hint(kind: str) -> str | None:
    if kind == "extra_forbidden":
        return "Correct or remove it; docs/operations.md lists the keys."
    return None


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else (error.strerror or "system error")
