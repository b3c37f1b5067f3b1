"""Raises an exception that carries planted identifiers at any call that the product makes or answers.

    calls = record(lambda: step())                       # which calls a step makes, by the thread that makes them
    with raising(calls[7], Kind.CAUGHT, planted): step() # the same step, failing at the first of these

A *call* is a function of the product being entered, or the product calling into a library. Python's profiling hook
sees both, in every thread, and an exception it raises arrives as if the function had raised it: nothing has to be
patched, so nothing is missed that is bound to another name, nested or private.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from types import FrameType
from typing import Any

import grpc
from cryptography.exceptions import InvalidTag

PRODUCT = ("mutuals", "mutuals_server", "mutuals_client")
STATEMENT = "do_execute"


OUTERMOST = frozenset(
    {
        # Before the program has asked for quiet, and asking for it.
        "mutuals_client.main.main",
        "mutuals_client.main.run",
        "mutuals.unhandled.keep_texts_quiet",
        "mutuals.hardening.protect_process",
        # gRPC calls these, and they do nothing but enter the guard's own try.
        "mutuals_server.guard.Guard.intercept_service",
        "mutuals_server.guard.Guard.intercept_service.<locals>.stream",
        "mutuals_server.guard.Guard.intercept_service.<locals>.single",
        "mutuals_server.guard.Guard._admitted",
        # Bodies of threads, which do nothing but enter a try.
        "mutuals_server.runs.RunAnswer.answer.<locals>.work",
        "mutuals_server.runs.RunAnswer.answer.<locals>.read",
        "mutuals.runs.drive_match._Lane._run",
        # A callback of a future, which puts a report into a queue; nobody hears what a callback raises.
        "mutuals.runs.drive_match._MatchDrive._report",
        "mutuals.transport.streams.ClientStream._read",
    }
)
"""Where nothing of ours is around the function itself; what it calls is tried."""


class Kind(Enum):
    """What the injected exception is: one that nothing is prepared for, or one that every handler takes."""

    UNCAUGHT = "uncaught"
    CAUGHT = "caught"


class Unprepared(Exception):
    """Nobody catches it by name."""


class Familiar(OSError, ValueError, KeyError, TypeError, RuntimeError, InvalidTag, grpc.RpcError):
    """Whatever somebody catches by name, this is it."""


@dataclass(frozen=True, order=True)
class Call:
    """One place: in which thread, from which function of the product, into what. ``number`` counts SQL statements."""

    thread: str
    caller: str
    callee: str
    number: int = 1

    @property
    def validating(self) -> bool:
        """Whether it is part of reading the configuration, whose faults are told in the validators' own words."""
        return (self.caller or self.callee).startswith("mutuals.identity.text.")

    def __str__(self) -> str:
        place = f"{self.caller}->{self.callee}" if self.caller else self.callee
        return f"{self.thread}:{place}" + (f"#{self.number}" if self.number > 1 else "")


class Hook:
    """The profiling hook of every thread started since ``install``; it records, raises, or does nothing."""

    def __init__(self) -> None:
        self.seen: dict[Call, int] | None = None
        self.target: Call | None = None
        self.make: Callable[[Call], BaseException] | None = None
        self.fired = False
        self._statements: Counter[str] = Counter()

    def install(self) -> None:
        """From now on, in this thread and in all that it and its children start."""
        threading.setprofile(self)
        sys.setprofile(self)

    def remove(self) -> None:
        """Threads that run go on calling, for nothing."""
        self.seen = self.target = None
        threading.setprofile(None)
        sys.setprofile(None)

    def start(self, target: Call | None, make: Callable[[Call], BaseException] | None) -> None:
        """Begin to record (no target), or to wait for the target."""
        self._statements.clear()
        self.fired = False
        self.make = make
        self.target = target
        self.seen = {} if target is None else None
        # Raising takes the hook out of the thread that it raised in.
        sys.setprofile(self)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if self.seen is None and self.target is None:
            return
        if event == "call":
            call = self._entered(frame)
        elif event == "c_call":
            call = _into_c(frame, argument)
        else:
            return
        if call is None:
            return
        if self.seen is not None:
            self.seen[call] = self.seen.get(call, 0) + 1
        elif call == self.target and self.make is not None:
            self.target = None
            self.fired = True
            raise self.make(call)

    def _entered(self, frame: FrameType) -> Call | None:
        code = frame.f_code
        if code.co_name.startswith("<") or code.co_filename.startswith("<"):  # also what dataclasses generate
            return None
        if code.co_name == STATEMENT:
            thread = _thread()
            self._statements[thread] += 1
            return Call(thread, "", "SQL", self._statements[thread])
        if code.co_name == "__exit__":  # what it is to undo would never be undone, by nobody's fault
            return None
        if _of_product(frame):
            return None if _name(frame) in OUTERMOST else Call(_thread(), "", _name(frame))
        caller = frame.f_back
        if caller is None or not _of_product(caller) or _name(caller) in OUTERMOST:
            return None
        callee = f"{frame.f_globals.get('__name__', '?')}.{code.co_qualname}"
        if callee.startswith("leaks."):
            return None
        return Call(_thread(), _name(caller), callee)


def _into_c(frame: FrameType, function: Any) -> Call | None:
    if not _of_product(frame) or _name(frame) in OUTERMOST:
        return None
    owner = getattr(function, "__self__", None)
    module = getattr(function, "__module__", None)
    if module is None:
        module = type(owner).__module__
    if module in {"builtins", "time", "itertools", "math", "_operator", "_thread", "_functools"}:
        return None
    return Call(_thread(), _name(frame), f"{module}.{getattr(function, '__qualname__', '?')}")


def _of_product(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in PRODUCT and not name.startswith("mutuals.v1")


def _name(frame: FrameType) -> str:
    return f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}"


def _thread() -> str:
    """The kind of the present thread, alike from run to run."""
    thread = threading.current_thread()
    if thread is threading.main_thread():
        return "client"
    for prefix, kind in (
        ("mutuals-call", "server"),
        ("mutuals-work", "server-work"),
        ("mutuals-read", "reader"),
        ("match-", thread.name),
    ):
        if thread.name.startswith(prefix):
            return "client-reader" if thread.name == "mutuals-reader" else kind
    return "other"


def exception(kind: Kind, sentence: str, call: Call) -> BaseException:
    """What is raised at ``call``; its text is ``sentence``."""
    if call.callee == "SQL":
        # What a driver may say of a statement it refused; not all are as discreet as SQLite's.
        return (sqlite3.OperationalError if kind is Kind.UNCAUGHT else sqlite3.IntegrityError)(sentence)
    if kind is Kind.UNCAUGHT:
        error: BaseException = Unprepared(sentence)
    else:
        error = Familiar(5, "Input/output error", sentence)
    error.add_note(sentence)
    return error


@contextmanager
def installed() -> Iterator[Hook]:
    """The hook, in place for the length of the block."""
    hook = Hook()
    hook.install()
    try:
        yield hook
    finally:
        hook.remove()
