"""The process of a flooder: ``python -m flood.flooder NAME FOLDER``, where the home of the flooder is in FOLDER.

It floods until its standard input ends, then says in JSON how much it sent and what it heard.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from flood.floods import FLOODS, Flooder
from mutuals.peer import Peer


def main() -> None:
    """Flood as the command line says."""
    name, home, agreement = sys.argv[1:]
    os.nice(5)  # it stands for another machine
    stop = threading.Event()
    with Peer.open(Path(home)) as peer:
        flooder = Flooder(peer, agreement, stop)
        threading.Thread(target=_wait_for_the_end, args=(stop,), daemon=True).start()
        print("flooding", flush=True)
        FLOODS[name](flooder)
    print(json.dumps({"sent": flooder.sent, "heard": dict(flooder.heard)}), flush=True)
    os._exit(0)  # hundreds of calls may be open


def _wait_for_the_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    main()
