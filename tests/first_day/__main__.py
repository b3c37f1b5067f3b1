"""``python -m first_day``: play the day and write docs/first-day.md."""

from __future__ import annotations

from pathlib import Path

from first_day.document import document
from first_day.story import tell

PAGE = Path(__file__).parent.parent.parent / "docs" / "first-day.md"

if __name__ == "__main__":
    PAGE.write_text(document(tell()), encoding="utf-8")
