"""Python runs this first in every process whose PYTHONPATH names this folder, worker processes included.

Where LEAKS_FAIL names a function, that function raises an exception that says what the file LEAKS_SAYS holds: the
first time in each thread, in each process. Where LEAKS_SIGNAL is a number, its process gets that signal instead. That
it came to it is noted in the folder LEAKS_FIRED, if there is one.
"""

import os
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

FAIL = os.environ.get("LEAKS_FAIL", "")
SIGNAL = os.environ.get("LEAKS_SIGNAL", "")
FIRED = os.environ.get("LEAKS_FIRED", "")


def _hook(frame: FrameType, event: str, _argument: Any) -> None:
    if event == "call" and frame.f_code.co_name == FAIL.rpartition(".")[2]:
        name = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
        if name == FAIL:
            if FIRED:
                Path(FIRED, str(os.getpid())).touch()
            if SIGNAL:
                os.kill(os.getpid(), int(SIGNAL))
            raise ValueError(Path(os.environ["LEAKS_SAYS"]).read_text(encoding="utf-8"))


if FAIL:
    threading.setprofile(_hook)
    sys.setprofile(_hook)
