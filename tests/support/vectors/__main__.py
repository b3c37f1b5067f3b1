"""Writes the files; see the package."""

from __future__ import annotations

import json
from pathlib import Path

from support.vectors import vector_files

FOLDER = Path(__file__).parents[2] / "vectors"

for file in vector_files():
    text = json.dumps(file.content(), indent=2, ensure_ascii=False) + "\n"
    (FOLDER / f"{file.name}.json").write_text(text, encoding="utf-8")
    print(f"{file.name}.json")
