"""Every random byte of a simulation from its seed, so that runs have the same names and orders when they are replayed.

What the libraries draw for themselves (encapsulations and key pairs of operators) decides nothing: its bytes differ
from one replay to the next, their number does not.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from lifecycle.world import prepare_stages

from mutuals.crypto.hpke import MLKEM_SEED_BYTES, KeyPair
from mutuals.crypto.signing import SigningKey
from mutuals.protocol import items
from mutuals.protocol.match import MatchSession
from mutuals.protocol.reveal import RevealSession
from mutuals.runs import keys, match, prepare

_DEFAULTS = (items.random_order, prepare.order_items)
_KEYWORDS = (MatchSession.__init__, RevealSession.__init__)


@cache
def make_worlds() -> None:
    """Make the worlds from which simulations begin, with keys and so with names that are the same in every process."""
    chance = random.Random("keys")
    with loaded(0), patch.object(SigningKey, "generate", lambda: SigningKey(chance.randbytes(32))):
        prepare_stages()


@contextmanager
def loaded(seed: int) -> Iterator[dict[bytes, bytes]]:
    """Random bytes that follow from ``seed``; gives the private half of every run's receiving key by public half."""
    chance = random.Random(f"bytes {seed}")
    privates: dict[bytes, bytes] = {}

    def generate() -> KeyPair:
        seed_bytes, point = chance.randbytes(MLKEM_SEED_BYTES), chance.randbytes(32)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(seed_bytes).public_key().public_bytes_raw()
        x25519 = X25519PrivateKey.from_private_bytes(point).public_key().public_bytes_raw()
        privates[mlkem + x25519] = seed_bytes + point
        return KeyPair(private=seed_bytes + point, public=mlkem + x25519)

    with ExitStack() as stack:
        enter = stack.enter_context
        enter(patch.object(os, "urandom", chance.randbytes))
        enter(patch.object(secrets, "token_bytes", lambda size=32: chance.randbytes(size)))
        enter(patch.object(secrets, "token_hex", lambda size=32: chance.randbytes(size).hex()))
        enter(patch.object(keys, "generate_keypair", generate))
        enter(patch.object(match, "new_spool_key", lambda: chance.randbytes(32)))
        for function in _DEFAULTS:
            enter(
                patch.object(
                    function, "__defaults__", (*(function.__defaults__ or ())[:-1], chance.randbytes)
                )
            )
        for method in _KEYWORDS:
            enter(patch.dict(method.__kwdefaults__, randbytes=chance.randbytes))
        yield privates
