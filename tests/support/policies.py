"""A small policy: marketing owns everything, and whoever a test says may view, export and share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mutuals.models.policy import Policy
from mutuals.policy.approval import Approval, approve_policy, next_version
from support.pairing import Company

STAFF = {"departments": ("marketing",)}


def category(name: str = "contact", **changes: Any) -> dict[str, Any]:
    """A category of marketing's, in which marketing may do everything."""
    return {
        "name": name,
        "description": "Whatever the test is about.",
        "fields": (),
        "collected_by": "marketing",
        "stored_by": "marketing",
        "shared_by": "marketing",
        "view": STAFF,
        "export": STAFF,
        "share": STAFF,
        "delete_after_days": 1000,
        **changes,
    }


def policy(*categories: Mapping[str, Any], version: int = 1, **changes: Any) -> Policy:
    """A policy of these categories, or of ``contact`` with the fields that ``support.pairing`` sends."""
    departments = ("marketing", "sales", "finance")
    return Policy.model_validate(
        {
            "version": version,
            "title": "Policy of the test",
            "owner": "Olga Owner",
            "departments": [
                {"name": name, "does": "Its work.", "contact": f"{name}@company.example"}
                for name in departments
            ],
            "categories": categories or (category(fields=("city", "score")),),
            "consent": {
                "collected": "On our forms.",
                "kept": "In the CRM.",
                "withdrawal": "By a link in every message.",
            },
            "vendors": {"rules": "None without a contract."},
            "breach": {"steps": ("Call the officer.",), "contacts": ("Olga Owner, +49 30 901820",)},
            **changes,
        }
    )


def approve(company: Company, *categories: Mapping[str, Any], **changes: Any) -> Approval:
    """Put such a policy in force at ``company``, signed by its operator."""
    with company.peer.store.transaction() as tx:
        wanted = policy(*categories, version=next_version(tx), **changes)
        return approve_policy(tx, wanted, company.keys, company.clock())
