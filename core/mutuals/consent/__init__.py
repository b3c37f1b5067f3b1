"""Who has said no: withdrawn contacts stay out of every list that is read, without a copy of them being kept.

table = mark_withdrawn(peer, read_source(definition), definition.default_country, agreement.digest)
"""

from mutuals.consent.filter import Withdrawals, mark_withdrawn, open_withdrawals
from mutuals.consent.suppressions import Suppressor, first_version, open_suppressor

__all__ = [
    "Suppressor",
    "Withdrawals",
    "first_version",
    "mark_withdrawn",
    "open_suppressor",
    "open_withdrawals",
]
