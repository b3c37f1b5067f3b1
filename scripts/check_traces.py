"""No file of the repository may carry traces of the machine it was written on.

Paths of one machine break on every other, and a registry's address pins everybody to one way of installing.
The check knows the usual work folders, and home folder, clone and package index of the machine it runs on.

    python scripts/check_traces.py
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent

# Written as patterns, so that this file does not contain what it looks for.
FORBIDDEN = (
    r"(?<![\w.])/(?:work|root)/[\w.]",
    r"/[t]mp/(?:team|venv|bash_jobs)",
    r"[A-Z]:\\{1,2}Users\\",
    r"pypi[.](?:org|python)|pythonhosted[.]org|registry[.]npmjs[.]org|proxy[.]golang[.]org",
    r"--(?:extra-)?index-url|--find[-]links|--trusted[-]host",
)


def forbidden_here() -> list[str]:
    """Patterns for the machine this runs on: the home folder, the clone, the hosts that pip is set to ask."""
    places = [str(place) for place in (Path.home(), ROOT) if len(place.parts) > 2]
    return [re.escape(text) for text in [*places, *_package_hosts()]]


def _package_hosts() -> list[str]:
    files = [Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"]
    variables = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")
    addresses = [os.environ.get(name, "") for name in variables]
    for file in files:
        settings = configparser.ConfigParser(interpolation=None)
        try:
            settings.read(file)
        except (OSError, configparser.Error):
            continue
        addresses += [value for section in settings.values() for value in section.values()]
    hosts = {urlsplit(word).hostname for text in addresses for word in text.split() if "://" in word}
    return sorted(host for host in hosts if host and host not in {"localhost", "127.0.0.1"})


def tracked_files() -> list[Path]:
    """The files git knows."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listing.stdout.split("\0") if name]


def main() -> int:
    """Print every trace as file:line; the exit code."""
    pattern = re.compile("|".join([*FORBIDDEN, *forbidden_here()]))
    found = 0
    for file in tracked_files():
        try:
            text = file.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if match := pattern.search(line):
                found += 1
                print(f"{file.relative_to(ROOT)}:{number}: {match.group()}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
