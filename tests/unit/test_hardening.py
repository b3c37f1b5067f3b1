"""A process that dies leaves nothing of its memory behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mutuals.hardening import CORE_FILES

PATTERN = Path("/proc/sys/kernel/core_pattern")

DIES = """
import os, signal, sys
from dataclasses import asdict
from mutuals.hardening import exposure, protect_process
if sys.argv[1] == "protected":
    protect_process()
import json
found = exposure()
file = os.open("made", os.O_CREAT | os.O_WRONLY, 0o666)
print(json.dumps({**asdict(found), "none": found.none, "mode": os.fstat(file).st_mode & 0o777}), flush=True)
os.kill(os.getpid(), getattr(signal, sys.argv[2]))
"""


def die(place: Path, how: str, by: str, **environment: str) -> tuple[dict[str, object], list[str]]:
    """What a process says of itself before it dies of a signal, and which files it leaves."""
    import resource

    if resource.getrlimit(resource.RLIMIT_CORE)[1] not in (resource.RLIM_INFINITY,):
        pytest.skip("the hard limit on core files is not unlimited here")
    process = subprocess.run(
        [
            "/bin/sh",
            "-c",
            'ulimit -c unlimited; umask 022; exec "$@"',
            "sh",
            sys.executable,
            "-c",
            DIES,
            how,
            by,
        ],
        cwd=place,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )
    assert process.returncode == -getattr(signal, by)
    return json.loads(process.stdout), sorted(path.name for path in place.iterdir() if path.name != "made")


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_a_protected_process_leaves_no_core_file(tmp_path: Path) -> None:
    said, left = die(tmp_path, "protected", "SIGABRT")
    assert said == {"limit": 0, "dumpable": False, "wanted": False, "none": True, "mode": 0o600}
    assert left == []


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_who_asks_for_core_files_gets_them(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    said, left = die(tmp_path, "protected", "SIGSEGV", **{CORE_FILES: "1"})
    assert said == {"limit": -1, "dumpable": True, "wanted": True, "none": False, "mode": 0o600}
    if not PATTERN.read_text().startswith("core"):
        pytest.skip(f"core files go elsewhere here: {PATTERN} says {PATTERN.read_text().strip()}")
    assert left
