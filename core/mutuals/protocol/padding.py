"""How many items a list shows to the partner where the agreement asks for padded sizes (DESIGN §6).

    padded_size(1000)  ->  1111

Sizes climb a fixed ladder on which each rung is at most a quarter above the one below, so that a size tells the
rung and no more, and the padded list is never more than 1.25 times the true one.
"""

from __future__ import annotations


def padded_size(size: int, limit: int | None = None) -> int:
    """The lowest rung that holds ``size`` items; ``limit`` is the largest set the agreement allows.

    0 stays 0. The result is at most ``1.25 × size``, and at most ``limit`` unless ``size`` itself is above it.
    Raises ValueError for a negative size.
    """
    if size < 0:
        raise ValueError("a size is not negative")
    if size == 0:
        return 0
    rung = 1
    while rung < size:
        rung = max(rung + 1, rung * 5 // 4)
    return rung if limit is None else max(size, min(rung, limit))
