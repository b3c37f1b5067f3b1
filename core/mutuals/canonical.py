"""Canonical JSON (RFC 8785): the one byte form of a document that is signed."""

from __future__ import annotations

import json
from typing import Any

import rfc8785
from pydantic import BaseModel


def canonical_json(value: BaseModel | dict[str, Any]) -> bytes:
    """``value`` as RFC 8785 bytes; a model is first turned into its JSON form."""
    data = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return rfc8785.dumps(data)


def parse_canonical(data: bytes) -> dict[str, Any]:
    """The object whose canonical form ``data`` is. Raises ValueError where it is not canonical or no object."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    if rfc8785.dumps(value) != data:
        raise ValueError("not in canonical form")
    return value
