"""All rows of the table, in the order of the protocol."""

from __future__ import annotations

from support.engines import OPENMINED_RUNS

from hostile.attack import Attack, Row
from hostile.rows_agreement import AGREEMENT_ATTACKS
from hostile.rows_exchange import EXCHANGE_ATTACKS
from hostile.rows_greeting import GREETING_ATTACKS
from hostile.rows_points import POINT_ATTACKS
from hostile.rows_relay import RELAY_ATTACKS
from hostile.rows_resume import RESUME_ATTACKS
from hostile.rows_reveal import REVEAL_ATTACKS
from hostile.rows_tags import TAG_ATTACKS

ATTACKS: tuple[Attack, ...] = (
    *GREETING_ATTACKS,
    *POINT_ATTACKS,
    *TAG_ATTACKS,
    *RELAY_ATTACKS,
    *RESUME_ATTACKS,
    *REVEAL_ATTACKS,
    *EXCHANGE_ATTACKS,
    *AGREEMENT_ATTACKS,
)
ROWS: tuple[Row, ...] = tuple(
    row
    for attack in ATTACKS
    if OPENMINED_RUNS or attack.agreement != "openmined"  # its points need its engine
    for row in attack.rows()
)
