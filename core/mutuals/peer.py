"""The open home of a peer: its configuration, keys, card and store, as everything above uses them.

with Peer.open(path) as peer:
    with peer.store.transaction() as tx: ...
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mutuals.clock import Clock, utc_now
from mutuals.crypto.hpke import PUBLIC_BYTES
from mutuals.crypto.signing import SigningKey
from mutuals.crypto.tls import key_pin
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.cards import fingerprint_of, parse_card, tls_pin
from mutuals.identity.earlier import EarlierPair, load_earlier
from mutuals.identity.files import check_private
from mutuals.identity.home import Config, Home, load_config
from mutuals.identity.modes import Mended, examine
from mutuals.models.card import SignedCard

if TYPE_CHECKING:
    from mutuals.engines.cluster import Cluster
    from mutuals.engines.pools import OpenPool
    from mutuals.store.database import Store

_logger = logging.getLogger(__name__)
_ATTEMPTS = 3


class Peer:
    """One company's installation, open. ``fingerprint`` is 32 bytes; TLS key and certificate are PEM bytes.

    ``mended`` are the files that were too open and are closed now; the operator was told. The store is opened when it
    is first asked for. ``earlier`` are the TLS keys that are still good besides, while a rotation is under way. Close a
    peer after use, or use it as a context manager.
    """

    def __init__(
        self,
        home: Home,
        *,
        config: Config,
        signing_key: SigningKey,
        log_key: SigningKey,
        card: SignedCard,
        tls_key: bytes,
        earlier: tuple[EarlierPair, ...] = (),
        clock: Clock,
        mended: tuple[Mended, ...] = (),
    ) -> None:
        self.home = home
        self.config = config
        self.signing_key = signing_key
        self.log_key = log_key
        self.card = card
        self.tls_key = tls_key
        self.earlier = earlier
        self.clock = clock
        self.mended = mended
        self.fingerprint = signing_key.public.fingerprint
        self._store: Store | None = None
        self._lock = threading.Lock()

    @classmethod
    def open(cls, home_path: Path, clock: Clock = utc_now) -> Peer:
        """The peer in ``home_path``. Raises LOCAL where there is none or it cannot be trusted."""
        home = Home(home_path.expanduser().absolute())
        config = load_config(home)
        mended = examine(home, config)
        for one in mended:
            _logger.warning("%s", one.sentence)
        signing_key, log_key = _ed25519(home.signing_key), _ed25519(home.log_key)
        card, tls_key = _card_and_key(home, signing_key, log_key)
        return cls(
            home,
            config=config,
            signing_key=signing_key,
            log_key=log_key,
            card=card,
            tls_key=tls_key,
            earlier=load_earlier(home, card.card, clock()),
            clock=clock,
            mended=mended,
        )

    @property
    def name(self) -> str:
        """The own organisation, as the card names it."""
        return self.card.card.organisation

    @property
    def tls_certificate(self) -> bytes:
        """The TLS certificate on the card (PEM)."""
        return self.card.card.tls_certificate.encode()

    @property
    def accountability_public(self) -> bytes:
        """The public half of the accountability key (1,216 bytes). Raises MutualsError (LOCAL)."""
        data = _read(self.home.accountability_key)
        if len(data) != PUBLIC_BYTES:
            raise _damaged(self.home.accountability_key, "holds no accountability key")
        return data

    @property
    def workers(self) -> int:
        """How many worker processes to match with: as configured, or one for each usable core."""
        from mutuals.engines.workers import usable_cores

        return usable_cores() if self.config.workers is None else self.config.workers

    def open_pool(self, processes: int | None = None) -> OpenPool:
        """What computes for this peer, as configured, to be entered; ``processes`` is the number of local ones.

        Raises MutualsError: USAGE where ``processes`` is given and a cluster computes, LOCAL where the cluster's key
        can be read by others, ENGINE_MISMATCH where the configured backend does not run here.
        """
        from mutuals.engines.pools import Plan, open_pool

        cluster = self._cluster()
        if cluster is not None and processes is not None:
            raise MutualsError(
                ErrorCode.USAGE,
                f"A number of workers was given, but {self.home.config} has the cluster {cluster.address} compute.",
                hint="Leave the number out, or remove executor from config.toml.",
            )
        return open_pool(Plan(processes or self.workers, self.config.x25519_backend, cluster))

    def _cluster(self) -> Cluster | None:
        config = self.config
        if config.executor is None:
            return None
        from mutuals.engines.cluster import Cluster, TlsFiles

        names = (config.executor_ca, config.executor_cert, config.executor_key)
        files = [self.home.root / Path(name).expanduser() for name in names if name is not None]
        if not files:
            return Cluster(config.executor)
        for path in files:
            if not path.is_file():
                raise MutualsError(ErrorCode.LOCAL, f"{path} is missing, which {self.home.config} names.")
        check_private(files[-1])
        return Cluster(config.executor, TlsFiles(*files))

    @property
    def store(self) -> Store:
        """The store, opened once for all threads. Raises MutualsError (LOCAL) where it cannot be opened."""
        with self._lock:
            if self._store is None:
                from mutuals.store.database import Store

                self._store = Store.open(self.home.store_url(self.config))
            return self._store

    def close(self) -> None:
        """Close the store; safe to call twice."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ed25519(path: Path) -> SigningKey:
    try:
        return SigningKey.from_pem(_read(path))
    except ValueError as error:
        raise _damaged(path, "holds no Ed25519 key") from error


def _card_and_key(home: Home, signing_key: SigningKey, log_key: SigningKey) -> tuple[SignedCard, bytes]:
    """The card and the TLS key of its certificate, read again where a renewal came in between."""
    for _ in range(_ATTEMPTS):
        try:
            card = parse_card(_read(home.card))
        except MutualsError as error:
            raise _damaged(home.card, "is not this peer's card any more") from error
        if fingerprint_of(card.card) != signing_key.public.fingerprint:
            raise _damaged(home.card, "was made with another signing key")
        if card.card.log_key != log_key.public.raw.hex():
            raise _damaged(home.card, "was made with another log key")
        key = _tls_key(home, card)
        if key is not None:
            return card, key
    raise _damaged(home.tls_key, "does not hold the key of the certificate on the card")


def _tls_key(home: Home, card: SignedCard) -> bytes | None:
    """The key of the card's certificate, if it is there; finishes a renewal cut short after the card was replaced."""
    wanted = tls_pin(card.card.tls_certificate)
    for path in (home.tls_key, home.next_tls_key):
        try:
            key = path.read_bytes()
            if key_pin(key) != wanted:
                continue
        except (OSError, ValueError):
            continue
        if path == home.next_tls_key:
            with suppress(FileNotFoundError):  # another process has finished it just now
                os.replace(path, home.tls_key)
        return key
    return None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _damaged(path, f"cannot be read ({error.strerror})") from error


def _damaged(path: Path, clause: str) -> MutualsError:
    return MutualsError(ErrorCode.LOCAL, f"{path} {clause}.", hint="Restore the home folder from a backup.")
