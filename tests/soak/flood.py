"""What a partner does that wants to keep the others out: as much as it can of everything that costs the server.

It opens matches beyond what it may have at a time and leaves them at that, or after the first message; synchronises
in a loop; and connects anew for every ping. Its Opens are signed and right, so that the server reads its own list.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc

from mutuals.crypto.hpke import generate_keypair
from mutuals.errors import MutualsError
from mutuals.identity.partners import partner_card
from mutuals.models.run import Role
from mutuals.normalisation import get_profile
from mutuals.peer import Peer
from mutuals.protocol.hello import MatchTerms, make_hello
from mutuals.transport.connection import connect
from mutuals.transport.credentials import channel_credentials, server_name
from mutuals.transport.options import channel_options
from mutuals.transport.wire import MATCH, SYNC, SyncMessage

OPENERS, SYNCERS, CALLERS = 24, 4, 2


class Flood:
    """The threads of a flood."""

    def __init__(self, peer: Peer, partner: str, agreement: str) -> None:
        self._peer = peer
        self._agreement = agreement
        with peer.store.transaction() as tx:
            row = tx.partners.get(partner)
        assert row is not None
        self._row, self._card = row, partner_card(row)
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._did: Counter[str] = Counter()

    def start(self) -> None:
        """Begin."""
        for act, threads in ((self._open, OPENERS), (self._sync, SYNCERS), (self._call, CALLERS)):
            for number in range(threads):
                threading.Thread(target=self._again, args=(act, number), daemon=True).start()

    def stop(self) -> dict[str, int]:
        """End; how often it did what, with which result."""
        self._over.set()
        with self._lock:
            return dict(self._did)

    def _again(self, act: Any, number: int) -> None:
        while not self._over.is_set():
            try:
                act(number)
            except grpc.RpcError as error:
                self._note(f"{act.__name__[1:]} {error.code().name}")
            except MutualsError as error:
                self._note(f"{act.__name__[1:]} {error.code.value}")

    def _note(self, what: str) -> None:
        with self._lock:
            self._did[what] += 1

    def _open(self, number: int) -> None:
        """A match that is opened, by every other thread with a right first message, and then stalls."""
        first = [self._hello()] if number % 2 else []

        def requests() -> Iterator[bytes]:
            yield from first
            self._over.wait()

        with self._channel() as channel:
            call = channel.stream_stream(MATCH.path)(requests(), timeout=60)
            for _ in call:
                pass

    def _sync(self, _: int) -> None:
        with self._channel() as channel:
            sync = channel.unary_unary(SYNC.path)
            while not self._over.is_set():
                try:
                    sync(SYNC.request.encode(SyncMessage((), ())), timeout=30)
                    self._note("sync OK")
                except grpc.RpcError as error:
                    self._note(f"sync {error.code().name}")

    def _call(self, _: int) -> None:
        with connect(self._peer, self._row) as connection:
            connection.ping()
            self._note("call OK")

    def _channel(self) -> Any:
        endpoint = self._card.endpoint
        assert endpoint is not None
        return grpc.secure_channel(
            endpoint,
            channel_credentials(self._peer, self._card),
            channel_options(server_name(self._card), local=True),
        )

    def _hello(self) -> bytes:
        profile = get_profile("uid2-v1")
        terms = MatchTerms(
            agreement=bytes.fromhex(self._agreement),
            engine="x25519",
            profile=profile.name,
            profile_digest=profile.digest(),
            initiator=self._peer.fingerprint,
            responder=bytes.fromhex(self._row.fingerprint),
            min_set_size=0,
            max_set_size=100_000_000,
        )
        hello = make_hello(
            Role.INITIATOR,
            terms,
            1000,
            secrets.token_bytes(32),
            generate_keypair().public,
            self._peer.clock(),
            signing_key=self._peer.signing_key,
        )
        return MATCH.request.encode(hello)
