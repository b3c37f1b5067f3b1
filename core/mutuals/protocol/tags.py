"""Step 10 of the match: the partner's sorted tags against ours, message by message, none of them kept."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from mutuals.protocol.items import Rows, as_rows, leading_keys, row_keys
from mutuals.protocol.transcript import TAG_SIZE


class TagComparison:
    """Finds which of the ``own`` tags (n × 16 bytes, ascending) are among those of the partner.

    What it finds means something only where the partner's tags turn out to be ascending and those it committed to.
    """

    def __init__(self, own: Rows) -> None:
        self.own = own
        self.taken = 0
        self.ascending = True
        self._leading = leading_keys(own)
        self._digest = hashlib.sha256()
        self._last = b""
        self._found: list[npt.NDArray[np.int64]] = []

    def take(self, tags: bytes) -> None:
        """The partner's next tags."""
        if not tags:
            return
        rows = as_rows(tags, TAG_SIZE)
        keys = row_keys(rows)
        self.ascending &= tags[:TAG_SIZE] > self._last and bool((keys[1:] > keys[:-1]).all())
        self._last = tags[-TAG_SIZE:]
        self._digest.update(tags)
        self.taken += len(rows)
        if not len(self.own):
            return
        leading = leading_keys(rows)
        near = np.searchsorted(self._leading, leading)
        likely = self._leading[np.minimum(near, len(self.own) - 1)] == leading
        sought = keys[likely]
        own = row_keys(self.own)
        places = np.searchsorted(own, sought)
        self._found.append(places[own[np.minimum(places, len(own) - 1)] == sought])

    def digest(self) -> bytes:
        """SHA-256 over the tags taken so far, one after the other."""
        return self._digest.digest()

    def common(self) -> npt.NDArray[np.int64]:
        """The places of the common tags in ``own``, ascending where the partner's tags are."""
        return np.concatenate([np.empty(0, np.int64), *self._found])
