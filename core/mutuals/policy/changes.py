"""What a new version of the policy changes, key by key, for the person who is about to approve it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mutuals.models.policy import Policy


@dataclass(frozen=True)
class Change:
    """One key that differs; ``before`` or ``after`` is nothing where the key is not there."""

    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.key}: {self.after} (new)"
        return (
            f"{self.key}: {self.before} (removed)"
            if self.after is None
            else f"{self.key}: {self.before} → {self.after}"
        )


def changes(old: Policy | None, new: Policy) -> list[Change]:
    """Every key in which ``new`` differs from ``old``; departments and categories are compared by name."""
    before = {} if old is None else dict(_flat("", old.model_dump(mode="json")))
    after = dict(_flat("", new.model_dump(mode="json")))
    return [
        Change(key, before.get(key), after.get(key))
        for key in (*after, *(key for key in before if key not in after))
        if before.get(key) != after.get(key) and key not in {"version", "format"}
    ]


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}" if path else key, inner)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from _flat(f"{path}.{inner['name']}", {k: v for k, v in inner.items() if k != "name"})
    else:
        yield path, _word(value)


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_word(part) for part in value) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)
