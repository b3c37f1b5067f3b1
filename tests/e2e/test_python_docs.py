"""The examples of docs/python.md as they stand there, in order, against a partner whose server is another process."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from support.neighbours import answering, neighbours
from support.pairing import PASSPHRASE

import mutuals_client as mutuals

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
MATCH, EXCHANGE, OFFICER = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def agreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Acme in ~/acme, its passphrase in the keyring, its list in the working folder; the id of the agreement."""
    with neighbours(tmp_path) as (acme, globex, agreement), answering(globex):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(
            "mutuals_client.keyrings.passphrase_from_keyring", {"anna": PASSPHRASE}.__getitem__
        )
        shutil.copy(acme.path, tmp_path / "crm-export.csv")
        yield agreement


def test_the_examples_run_as_they_stand(
    agreement: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(example: str) -> tuple[dict[str, object], str]:
        names: dict[str, object] = {"__name__": "__main__"}
        exec(example.replace("A-7Q3K2M9X", agreement), names)  # noqa: S102 - our own page
        return names, capsys.readouterr().out

    matched, told = run(MATCH)
    assert "6 of 6 contacts may take part" in told
    assert "4 shared, of 6 of ours and 6 of Globex SA" in told
    assert len(told.splitlines()) > 4  # progress=print

    exchanged, told = run(EXCHANGE)
    assert "4 of our contacts are shared" in told
    assert isinstance(matched["run"], mutuals.Run)
    assert isinstance(exchanged["run"], mutuals.Run)
    assert exchanged["run"].id == matched["run"].id
    campaign = exchanged["campaign"]
    assert isinstance(campaign, pl.DataFrame)
    rows = campaign.sort("contact_id").select("contact_id", "email", "score_right").rows()
    assert rows == [(f"L{i}", f"p{i}@example.com", i) for i in range(2, 6)]

    _, told = run(OFFICER)
    assert "Nothing is overdue." in told
    assert "holds 4 records" in told
    assert "anna exported 4 rows of score to in memory (Python)" in told
    assert "withheld: {}" in told
    assert (tmp_path / f"{matched['run'].id}.html").read_text().startswith("<!")
