"""What is wrong with a draft of an agreement: ``mutuals.problems``, about this model and its page."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from mutuals import problems
from mutuals.errors import MutualsError
from mutuals.models.agreement import Agreement
from mutuals.problems import Problem, key_path

__all__ = ["Problem", "explain", "key_path", "report", "sections", "wants_date"]


def report(file: str, found: Iterable[Problem], text: str | None = None) -> MutualsError:
    """One INPUT_QUALITY error for all problems: the first of each key, at most ten, one a line."""
    return problems.report(file, found, "docs/agreement.md", text)


def explain(error: ValidationError) -> list[Problem]:
    """Pydantic's errors about an Agreement as problems; never with the value that was given."""
    return problems.explain(error, Agreement)


def wants_date(location: tuple[str | int, ...]) -> bool:
    """Whether the key at this place of the file is a date."""
    return problems.wants_date(Agreement, location)


def sections() -> list[tuple[str, set[str]]]:
    """Each part of the file as people name it, and the keys it takes."""
    return problems.sections(Agreement)
