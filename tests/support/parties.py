"""An agreement for tests that need no peers: two made-up parties, valid in 2026."""

from __future__ import annotations

from datetime import date
from typing import Any

from mutuals.models.agreement import Agreement

_TEXT = "Each party for its own part."


def agreement(**changes: Any) -> Agreement:
    """A one-sided agreement with the consent purpose ``sharing``, with ``changes``."""
    values: dict[str, Any] = {
        "title": "Test campaign",
        "nonce": "00" * 32,
        "purpose": _TEXT,
        "valid_from": date(2026, 1, 1),
        "valid_until": date(2026, 12, 31),
        "governing_law": "Germany",
        "onward_transfer": _TEXT,
        "international_transfer": _TEXT,
        "liabilities": _TEXT,
        "parties": {"proposer": _party("Left Ltd", "1"), "partner": _party("Right SA", "2")},
        "responsibilities": dict.fromkeys(
            ("access_control", "encryption", "breach_notification", "data_subject_requests"), _TEXT
        ),
        "matching": {"identifiers": ("email",), "profile": "strict-v1", "profile_digest": "3" * 64},
        "consent": {"purpose": "sharing"},
        "security": {"measures": _TEXT, "breach_contact": "security@company.example"},
        **changes,
    }
    return Agreement.model_validate(values)


def _party(name: str, digit: str) -> dict[str, str]:
    return {
        "organisation": name,
        "fingerprint": digit * 64,
        "lawful_basis": "consent",
        "contact": "ops@company.example",
        "data_protection_officer": "dpo@company.example",
    }
