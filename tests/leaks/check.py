"""One step failing at one call, and everything that must hold afterwards."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import postgres

from leaks.inject import Call, Hook, Kind, exception
from leaks.planted import SHARED, plant
from leaks.stage import Scene, Stage
from mutuals.errors import ERRORS, ErrorCode

_IN_WORDS = "mutuals: mutuals failed unexpectedly"

Read = Callable[[], tuple[str, str]]
"""What was written to standard output and standard error since it was last called."""

SENTENCES = {info.public for info in ERRORS.values()}
EXIT_CODES = {0, *(info.exit_code for info in ERRORS.values())}


class Writes:
    """Every file that this process opens for writing: an audit hook, which can never be removed again."""

    def __init__(self) -> None:
        self.seen: list[str] | None = None
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and self.seen is not None:
            path, _, flags = arguments
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR) and isinstance(path, str | bytes):
                self.seen.append(os.fsdecode(path))

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """The files opened in the block."""
        self.seen = found = []
        try:
            yield found
        finally:
            self.seen = None


def faults(
    stage: Stage,
    step: str,
    call: Call | None,
    kind: Kind,
    place: Path,
    hook: Hook,
    writes: Writes,
    read: Read,
) -> list[str]:
    """Let ``step`` fail at ``call``; what went wrong about it, in sentences. None of them holds what leaked."""
    found: list[str] = []
    read()
    with stage.scene(step, place) as scene, writes.watched() as written:
        sentence = plant(stage.agreement, []).sentence
        if call is not None:
            hook.start(call, lambda call: exception(kind, sentence, call))
        code = scene.act()
        hook.target = None
        answers = _answers(scene)
        free = scene.server._places.wait_until_empty(5)
    out, err = read()
    planted = plant(stage.agreement, scene.sids())
    if call is not None and not hook.fired:
        return ["never reached"]
    if scene.hung:
        found.append("the command never ends")
    if not answers:
        found.append("the server no longer answers")
    if not free:
        found.append("a place for runs was not given back")
    found += _leaks(planted, scene, out, err)
    found += [f"{name} was written" for name in written if not _permitted(name, place)]
    found += [f"{name} was left in the temporary folder" for name in os.listdir(tempfile.gettempdir())]
    if call is None or not _speaking(call):
        found += _untyped(code, out, err)
    found += [f"a run is stuck: {run}" for run in scene.stuck()]
    return found


def _answers(scene: Scene) -> bool:
    try:
        return scene.answers()
    except Exception:
        return False


def _leaks(planted: Any, scene: Scene, out: str, err: str) -> list[str]:
    said = {"standard output": out, "standard error": err, "a status": "\n".join(scene.statuses)}
    found = [
        f"{name} holds {form}" for name, text in said.items() for form in planted.found_in(text.encode())
    ]
    for name, data in scene.files():
        if name == "out/campaign.csv" and _is_complete(data):
            continue  # what was ordered; what fails afterwards does not take it back
        if name.startswith("out/"):
            found.append(f"{name} was left")
        found += [f"{name} holds {form}" for form in planted.found_in(data)]
    return found


def _speaking(call: Call) -> bool:
    """Whether it is the very telling that failed: nothing typed can be told then."""
    place = call.caller or call.callee
    return place.startswith(("mutuals_client.main._report", "mutuals_client.console."))


def _is_complete(exported: bytes) -> bool:
    """Whether an exported file has its heading and a row for each shared contact."""
    return exported.count(b"\n") == 1 + len(SHARED) and exported.endswith(b"\n")


def _permitted(name: str, place: Path) -> bool:
    if name == os.devnull or Path(name).is_relative_to(place):
        return True
    return postgres.everywhere() and Path(name) == postgres.lock()  # these tests' own


def _untyped(code: int, out: str, err: str) -> list[str]:
    """Why the error is none of the closed list's."""
    if code == 1 and not out and _IN_WORDS in err:  # before the command line knew that JSON was wanted
        return []
    if code not in EXIT_CODES:
        return [f"the exit code was {code}"]
    if code == 0:
        return []
    try:
        said = json.loads(out)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return ["standard output holds no JSON object with an error"]
    return [] if ERRORS[ErrorCode(said)].exit_code == code else [f"{said} came with exit code {code}"]
