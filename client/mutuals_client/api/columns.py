"""The columns of the frames that list things, and what each holds."""

from __future__ import annotations

from datetime import date, datetime

SOURCE_COLUMNS: dict[str, type] = dict.fromkeys(("name", "format", "default_country", "path"), str)
AGREEMENT_COLUMNS: dict[str, type] = {
    "id": str,
    "version": int,
    "title": str,
    "partner": str,
    "state": str,
    "valid_from": date,
    "valid_until": date,
    "source": str,
    "digest": str,
}
RUN_COLUMNS: dict[str, type] = {
    "run": str,
    "state": str,
    "partner_name": str,
    "agreement_id": str,
    "opened_at": datetime,
    "overlap": int,
    "contacts": int,
    "own_size": int,
    "partner_size": int,
    "waits_for": str,
    "reveal_by": datetime,
    "finished_at": datetime,
    "reason": str,
    "role": str,
    "engine": str,
    "backend": str,
    "executor": str,
    "agreement": str,
    "partner": str,
}
