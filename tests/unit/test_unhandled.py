"""A program that fails where nobody looks says what and where, and nothing that the exception says."""

from __future__ import annotations

import subprocess
import sys

import pytest

SECRET = "jane@example.com"
START = f"""
import concurrent.futures, logging, sys, threading, warnings
from mutuals.unhandled import keep_texts_quiet
keep_texts_quiet("mutuals")
def fail(*_):
    raise ValueError("{SECRET}")
class Dying:
    def __del__(self):
        fail()
"""

WAYS = {
    "at the end of the program": "fail()",
    "in a thread": "t = threading.Thread(target=fail); t.start(); t.join()",
    "in a finaliser": "Dying()",
    "in a callback of a future": "f = concurrent.futures.Future(); f.add_done_callback(fail); f.set_result(1)",
    "in a library's log": f"logging.getLogger('other').error('{SECRET}')",
    "in a library's warning": f"warnings.warn('{SECRET}')",
    "in a log line of ours": f"logging.getLogger('mutuals.x').error('A sentence.', exc_info=ValueError('{SECRET}'))",
}


@pytest.mark.parametrize("way", WAYS)
def test_texts_stay_inside(way: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START + WAYS[way]], capture_output=True, text=True, check=False
    )
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_kind_and_program_are_told() -> None:
    done = subprocess.run(
        [sys.executable, "-c", START + "fail()"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "mutuals: an unexpected ValueError at unknown.\n"


def test_sentences_of_ours_are_shown() -> None:
    code = START + "logging.getLogger('mutuals.store').warning('A %s.', 'sentence')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "A sentence.\n"
