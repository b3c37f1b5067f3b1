"""All rows of the table, in the order of the protocol."""

from __future__ import annotations

from hostile.attack import Attack, Row
from hostile.rows_match import MATCH_ATTACKS

ATTACKS: tuple[Attack, ...] = (*MATCH_ATTACKS,)
ROWS: tuple[Row, ...] = tuple(row for attack in ATTACKS for row in attack.rows())
