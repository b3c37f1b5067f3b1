"""The report in a real browser: nothing is cut off on a phone, on a desk or on paper, by day or by night.

Needs Chromium on the PATH (Debian: ``chromium``); without it these tests are skipped, and say so. With
``MUTUALS_SCREENSHOT=FILE`` the picture for the documentation is written there.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from support.reports import made_report

from mutuals.models.run import RunState
from mutuals_client.report_page import report_page

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None,
    reason="NOT CHECKED in a browser: there is no chromium on the PATH (apt install chromium)",
)

# A frame has the width that is asked for; a headless window may be no narrower than 500 pixels.
_MEASURE = """<!DOCTYPE html><html><body style="margin:0"><pre id="wide"></pre>
<iframe id="page" style="border:0" src="{page}"></iframe><script>
const frame = document.getElementById('page'), told = [];
frame.onload = () => {{
  for (const width of [320, 400, 1200]) {{
    frame.style.width = width + 'px';
    const inside = frame.contentDocument, root = inside.documentElement;
    const out = [...inside.body.querySelectorAll('*')].filter(one => {{
      const box = one.getBoundingClientRect();
      const unseen = one.closest('.unseen, caption');
      return !unseen && (box.right > width + 0.5 || box.left < -0.5);
    }});
    told.push(width + ':' + root.scrollWidth + ':' + out.map(one => one.tagName + '.' + one.className).join(','));
  }}
  document.getElementById('wide').textContent = 'measured ' + told.join(' ');
}};
</script></body></html>"""


def browse(tmp_path: Path, page: Path, *options: str) -> str:
    """Chromium's standard output for one page."""
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        "--headless=new",
        "--disable-gpu",
        "--disable-background-networking",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
        f"--user-data-dir={tmp_path / 'profile'}",
        *(["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []),
        *options,
        page.as_uri(),
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def test_nothing_is_wider_than_the_screen(tmp_path: Path) -> None:
    # The widest: a long word in every table, every section there.
    report = made_report(own="Donaudampfschifffahrtselektrizitätenhauptbetriebswerk GmbH")
    (tmp_path / "report.html").write_text(report_page(report), encoding="utf-8")
    (tmp_path / "measure.html").write_text(_MEASURE.format(page="report.html"), encoding="utf-8")
    told = browse(tmp_path, tmp_path / "measure.html", "--dump-dom", "--virtual-time-budget=2000")
    found = re.search(r"measured ([^<]*)</pre>", told)
    assert found is not None, told[-2000:]
    for entry in found[1].split(" "):
        width, scroll, out = entry.split(":", 2)
        assert (int(scroll), out) == (int(width), ""), entry


def test_it_is_drawn(tmp_path: Path) -> None:
    page, shot = tmp_path / "report.html", tmp_path / "report.png"
    page.write_text(report_page(made_report(RunState.DONE)), encoding="utf-8")
    browse(tmp_path, page, "--window-size=1000,1320", f"--screenshot={shot}")
    data = shot.read_bytes()
    assert struct.unpack(">II", data[16:24]) == (1000, 1320)
    assert len(data) > 40_000, "hardly anything was drawn"
    if wanted := os.environ.get("MUTUALS_SCREENSHOT"):
        shutil.copy(shot, wanted)
