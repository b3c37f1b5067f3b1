"""Chance and stopwatches that come out alike each time an act is played: the same failure leaves the same bytes.

    with fixed() as dice:
        dice.begin("act"); ...   # each key, nonce and order follows from this word, the side, and the throws before

The homes that a failure leaves can then be compared: where they are to the byte what another one left, reopened by a
new process, whatever is tried next ends as it did there.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from mutuals.crypto import hpke
from mutuals.crypto.hpke import KeyPair
from mutuals.runs import spool
from storage.quick import once, replaced_everywhere
from storage.sites import side_of_thread


class Dice:
    """Bytes by word, side and number of the call."""

    def __init__(self) -> None:
        self._word = ""
        self._calls: Counter[str] = Counter()
        self._guard = threading.Lock()

    def begin(self, word: str) -> None:
        """A new row of throws."""
        with self._guard:
            self._word = word
            self._calls.clear()

    def throw(self, size: int) -> bytes:
        """As many bytes as asked for; stands for ``os.urandom``."""
        side = side_of_thread() or "neither"
        with self._guard:
            self._calls[side] += 1
            seed = f"{self._word} {side} {self._calls[side]}"
        return hashlib.shake_128(seed.encode()).digest(size)

    def keypair(self) -> KeyPair:
        """Stands for ``hpke.generate_keypair``."""
        mlkem = MLKEM768PrivateKey.from_seed_bytes(self.throw(hpke.MLKEM_SEED_BYTES))
        x25519 = X25519PrivateKey.from_private_bytes(self.throw(32))
        return KeyPair(
            private=mlkem.private_bytes_raw() + x25519.private_bytes_raw(),
            public=mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw(),
        )


@contextmanager
def fixed() -> Iterator[Dice]:
    """In the block, in all threads: dice in place of the system's randomness, and no time passes while working."""
    dice = Dice()
    real = os.urandom
    undo = [
        replaced_everywhere(hpke.generate_keypair, dice.keypair),
        replaced_everywhere(hpke.seal, once(hpke.seal)),  # what was sealed once is what sealing gives
        replaced_everywhere(spool.new_spool_key, lambda: dice.throw(32)),
        _default_everywhere(real, dice.throw),
        _default_everywhere(time.monotonic, lambda: 0.0),
    ]
    os.urandom = dice.throw
    random._urandom = dice.throw  # type: ignore[attr-defined]
    try:
        yield dice
    finally:
        os.urandom = real
        random._urandom = real  # type: ignore[attr-defined]
        for back in undo:
            back()


def _default_everywhere(real: Any, ours: Any) -> Callable[[], None]:
    """Where ``real`` is the default of a parameter of the product; how to undo it."""
    changed: list[tuple[Any, Any, Any]] = []
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] != "mutuals":
            continue
        for value in list(vars(module).values()):
            inside = vars(value).values() if inspect.isclass(value) else (value,)
            for function in inside:
                if inspect.isfunction(function):
                    before = function.__defaults__, function.__kwdefaults__
                    if real in (before[0] or ()) or real in (before[1] or {}).values():
                        changed.append((function, *before))
                        function.__defaults__ = before[0] and tuple(
                            ours if x is real else x for x in before[0]
                        )
                        function.__kwdefaults__ = before[1] and {
                            key: ours if x is real else x for key, x in before[1].items()
                        }

    def back() -> None:
        for function, positional, named in reversed(changed):
            function.__defaults__, function.__kwdefaults__ = positional, named

    return back
