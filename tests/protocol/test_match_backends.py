"""A whole match where one side computes with crypto_mb's way of working: the same overlap, or no run at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from support.pairing import Pair, contact, deliver, paired

from mutuals.engines import montgomery
from mutuals.engines.hash_to_curve import encode_to_curve
from mutuals.engines.montgomery import CryptoMbBackend
from mutuals.engines.workers import InlinePool
from mutuals.engines.x25519 import X25519Engine
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Side
from mutuals.models.run import Run, RunState
from mutuals.runs.match import initiate_match, respond_match

ROWS = {
    Side.PROPOSER: [contact(f"l{n}", f"p{n}@example.com") for n in range(40)],
    Side.PARTNER: [contact(f"r{n}", f"p{n}@example.com") for n in range(28, 60)],
}


def exact(key: bytes, points: bytes) -> tuple[bytes, int]:
    """Eight products, as the library gives them."""
    private = X25519PrivateKey.from_private_bytes(key)
    lanes = (points[start : start + 32] for start in range(0, 256, 32))
    return b"".join(private.exchange(X25519PublicKey.from_public_bytes(lane)) for lane in lanes), 0


class Vectorised(X25519Engine):
    """The engine on a machine whose library computes with ``multiply8``."""

    def __init__(self, multiply8: Callable[[bytes, bytes], tuple[bytes, int]]) -> None:
        super().__init__()
        self._vectorised = CryptoMbBackend(multiply8)

    @property
    def backend(self) -> str:
        return self._vectorised.name

    def blind(self, key: bytes, items: bytes) -> bytes:
        return self._vectorised.multiply(key, encode_to_curve(items))

    def reblind(self, key: bytes, points: bytes) -> bytes:
        self.check_points(points)
        return self._vectorised.multiply(key, points)


def test_the_two_backends_find_the_same_overlap_and_the_runs_say_which_computed(tmp_path: Path) -> None:
    fast = InlinePool({"x25519": Vectorised(exact)})
    plain = InlinePool({"x25519": X25519Engine("cryptography")})
    with paired(tmp_path, ROWS, matching={"engine": "x25519"}) as pair:
        left, right = match(pair, fast, plain)
        assert (left.count, right.count) == (12, 12)
        assert (left.backend, right.backend) == ("crypto_mb", "cryptography")
        assert left.executor == right.executor == "local"
        with pair.left.peer.store.transaction() as tx:
            (opened,) = tx.log.events("run.opened")
        assert opened.body["engine"] == "x25519"
        assert opened.body["backend"] == "crypto_mb"
        assert opened.body["executor"] == "local"


def test_a_library_that_computes_wrongly_ends_the_run_and_nothing_is_counted(tmp_path: Path) -> None:
    wrong = InlinePool({"x25519": Vectorised(lambda key, points: (os.urandom(256), 0))})
    with paired(tmp_path, ROWS, matching={"engine": "x25519"}) as pair:
        with pytest.raises(MutualsError, match="cryptography computes otherwise") as caught:
            match(pair, wrong, InlinePool())
        assert caught.value.code is ErrorCode.INTERNAL
        deliver(pair.left, pair.right)
        for company in pair.sides.values():
            with company.peer.store.transaction() as tx:
                (run,) = tx.runs.list()
            assert run.state is RunState.FAILED
            assert run.count is None
        with pair.left.peer.store.transaction() as tx:
            (run,) = tx.runs.list()
        assert run.reason is not None
        assert run.reason.startswith("crypto_mb computed a point that cryptography computes otherwise")


def test_every_call_is_checked_not_only_the_first() -> None:
    """A library that computes well for a while."""
    calls = iter(range(1000))
    backend = CryptoMbBackend(
        lambda key, points: exact(key, points) if next(calls) < 5 else (os.urandom(256), 0)
    )
    points = encode_to_curve(os.urandom(32 * 8))
    for _ in range(5):
        backend.multiply(os.urandom(32), points)
    with pytest.raises(MutualsError, match="computes otherwise"):
        backend.multiply(os.urandom(32), points)


def test_the_sample_is_drawn_from_all_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a wrong product lies, a draw can find it."""
    points = encode_to_curve(os.urandom(32 * 20))
    for wrong in range(20):
        firsts = iter(range(0, 1000, 8))

        def flawed(
            key: bytes, lanes: bytes, wrong: int = wrong, firsts: Iterator[int] = firsts
        ) -> tuple[bytes, int]:
            products, status = exact(key, lanes)
            first = next(firsts)
            if first <= wrong < first + 8:
                start = 32 * (wrong - first)
                products = products[:start] + os.urandom(32) + products[start + 32 :]
            return products, status

        monkeypatch.setattr(montgomery.secrets, "randbelow", lambda _, wrong=wrong: wrong)
        with pytest.raises(MutualsError, match="computes otherwise"):
            CryptoMbBackend(flawed).multiply(os.urandom(32), points)


def match(pair: Pair, left: InlinePool, right: InlinePool) -> tuple[Run, Run]:
    """Both sides of a match, each on a pool of its own."""
    return pair.both(
        lambda stream: initiate_match(pair.left.peer, pair.digest, stream, left),
        lambda stream: respond_match(pair.right.peer, pair.right.partner(), stream, right),
    )
