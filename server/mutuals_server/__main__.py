"""``python -m mutuals_server --home DIR``: the long-running peer that answers partners.

SIGTERM or SIGINT drains: no new calls, those under way may finish for 20 seconds, exit code 0. A second signal does
not wait. With ``--announce``, meant for the program that starts the server, standard output carries one JSON object,
``{"event": "ready", ...}`` or ``{"event": "failed", ...}``, and the server also stops when its standard input ends.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mutuals.errors import ErrorCode, MutualsError
from mutuals.hardening import protect_process
from mutuals.identity.local import metrics_address
from mutuals.identity.modes import examine
from mutuals.identity.words import fingerprint_words
from mutuals.peer import Peer
from mutuals.transport.options import DEFAULT_LIMITS, Limits
from mutuals.unhandled import keep_texts_quiet
from mutuals_server.allocator import settle_memory
from mutuals_server.limits import limits_of, within_open_files
from mutuals_server.log import ServerLog, describe
from mutuals_server.serve import PeerServer

if TYPE_CHECKING:
    from mutuals.engines.workers import Pool
    from mutuals_server.watching import Watching


def main() -> None:
    """Run the server of the command line until a signal."""
    keep_texts_quiet("mutuals server")
    protect_process()
    settle_memory()
    sys.exit(run(_arguments()))


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; the exit code. Errors are reported, never raised."""
    try:
        return _serve(arguments)
    except MutualsError as error:
        _failed(arguments, error.code.value, error.message, error.hint)
        return error.exit_code
    except Exception as error:
        told = describe(error)
        _failed(arguments, told["code"], f"The server failed ({told['error']} at {told['place']}).", None)
        return 1


def _serve(arguments: argparse.Namespace) -> int:
    stopping = _Stopping()
    if arguments.announce:
        # Not by way of sys.stdin: its lock, held by a waiting thread, aborts the interpreter at its end.
        stopping.follow(0, until_closed=True)
    with Peer.open(arguments.home) as peer:
        log = ServerLog(
            peer.clock, peer.home.server_log, layout=arguments.log_format or peer.config.log_format
        )
        log.watch_threads()
        for mended in (*peer.mended, *examine(peer.home, peer.config, thorough=True)):
            log.event("made_private", path=str(mended.path), was=f"{mended.was:04o}", now=f"{mended.now:04o}")
        # Workers first: processes may not be made once gRPC has threads (DESIGN §11).
        with peer.open_pool(arguments.workers) as pool:
            listen = arguments.listen or peer.config.listen
            limits = within_open_files(limits_of(peer.config.limits))
            metrics = arguments.metrics or peer.config.metrics
            watching = None if metrics is None else _watching(metrics, peer, pool, log, limits)
            server = PeerServer(peer, pool, listen, log=log, limits=limits)
            port = server.start()
            address = f"{listen.rpartition(':')[0]}:{port}"
            words = fingerprint_words(peer.fingerprint)
            if arguments.announce:
                _announce(
                    event="ready",
                    listen=address,
                    organisation=peer.name,
                    fingerprint=peer.fingerprint.hex(),
                    words=words,
                    workers=pool.processes,
                    process=os.getpid(),
                    metrics=metrics,
                )
            else:
                print(f"listening on {address} as {peer.name} ({' '.join(words)})", flush=True)
            log.file_event(
                "listening",
                address=address,
                organisation=peer.name,
                workers=pool.processes,
                executor=pool.executor,
                metrics=metrics,
            )
            stopping.asked.wait()
            log.event("draining", seconds=DEFAULT_LIMITS.drain)
            server.stop(DEFAULT_LIMITS.drain, stopping.hurry)
            if watching is not None:
                watching.stop()
        log.event("stopped")
        log.close()
    return 0


def _watching(text: str, peer: Peer, pool: Pool, log: ServerLog, limits: Limits) -> Watching:
    """The local port for metrics, answering at ``text``. Raises MutualsError (USAGE, LOCAL)."""
    from mutuals_server.watching import Watching

    try:
        address = metrics_address(text)
    except ValueError as error:
        raise MutualsError(
            ErrorCode.USAGE, f"--metrics {text} {error}.", hint="docs/operations.md, Watching it, says why."
        ) from None
    watching = Watching(peer, pool, log, limits, address)
    watching.start()
    return watching


class _Stopping:
    """Whether somebody asked the server to stop, and whether they asked again, for it to stop at once.

    A signal may reach any thread of gRPC's, and Python runs handlers in the main one alone, which may be asleep:
    so the handlers do nothing, and a thread listens at the pipe that Python writes each signal to.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.hurry = threading.Event()
        listening, told = os.pipe()
        os.set_blocking(told, False)
        signal.set_wakeup_fd(told)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self.follow(listening)

    def follow(self, descriptor: int, *, until_closed: bool = False) -> None:
        """Take every byte that arrives, or else the end alone, as being asked."""

        def listen() -> None:
            while os.read(descriptor, 1):
                if not until_closed:
                    self._ask()
            self._ask()

        threading.Thread(target=listen, name="mutuals-stop", daemon=True).start()

    def _ask(self) -> None:
        (self.hurry if self.asked.is_set() else self.asked).set()


def _announce(**values: Any) -> None:
    print(json.dumps(values, ensure_ascii=False), flush=True)


def _failed(arguments: argparse.Namespace, code: str, message: str, hint: str | None) -> None:
    if arguments.announce:
        _announce(event="failed", code=code, message=message, hint=hint)
    else:
        print(f"mutuals: {message}" + (f"\n  {hint}" if hint else ""), file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutuals_server", description="Answer the partners of a peer.")
    parser.add_argument("--home", type=Path, required=True, help="the peer's home folder")
    parser.add_argument("--listen", metavar="HOST:PORT", help="where to listen (default: as configured)")
    parser.add_argument("--workers", type=int, help="worker processes (default: as configured, or all cores)")
    parser.add_argument(
        "--metrics", metavar="HOST:PORT", help="where to offer metrics (default: as configured)"
    )
    parser.add_argument(
        "--log-format", choices=("human", "json"), help="standard error (default: as configured)"
    )
    parser.add_argument("--announce", action="store_true", help="say on standard output, in JSON, when ready")
    return parser.parse_args()


if __name__ == "__main__":
    main()
