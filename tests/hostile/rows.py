"""All rows of the table, in the order of the protocol."""

from __future__ import annotations

from hostile.attack import Attack, Row
from hostile.rows_exchange import EXCHANGE_ATTACKS
from hostile.rows_match import MATCH_ATTACKS
from hostile.rows_reveal import REVEAL_ATTACKS

ATTACKS: tuple[Attack, ...] = (*MATCH_ATTACKS, *REVEAL_ATTACKS, *EXCHANGE_ATTACKS)
ROWS: tuple[Row, ...] = tuple(row for attack in ATTACKS for row in attack.rows())
