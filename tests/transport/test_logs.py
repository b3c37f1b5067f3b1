"""Yesterday's copy put back, over a real port: the partner's server refuses to go on, and says so in its own code."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.audit import overwrite, save, write_entry
from support.companies import QUICK, free_port
from support.pairing import contact, paired

from mutuals.audit.clearing import clear_faults
from mutuals.engines.workers import InlinePool
from mutuals.errors import ErrorCode, MutualsError, PartnerRefused
from mutuals.models.agreement import Side
from mutuals.models.run import Run
from mutuals.runs.match import initiate_match
from mutuals.transport.connection import PartnerConnection, connect
from mutuals.transport.sync import sync_partner
from mutuals_client import main
from mutuals_client.delivery import try_sync
from mutuals_server.log import ServerLog
from mutuals_server.serve import PeerServer

ROWS = [contact(str(number), f"person{number}@example.com") for number in range(3)]


def test_yesterdays_copy_is_refused_over_the_wire(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endpoint = f"127.0.0.1:{free_port()}"
    with paired(tmp_path, dict.fromkeys(Side, ROWS), endpoint=endpoint) as pair:
        left, right = pair.left, pair.right

        def started(connection: PartnerConnection) -> Run:
            with connection.match() as stream:
                return initiate_match(left.peer, pair.digest, stream, InlinePool())

        log = ServerLog(right.clock, right.peer.home.log / "server.log", stderr=False)
        server = PeerServer(right.peer, InlinePool(), endpoint, log=log, limits=QUICK)
        server.start()
        try:
            copy = save(left, tmp_path / "yesterday.sqlite")
            write_entry(left, pair.digest)
            with connect(left.peer, left.partner(), QUICK) as connection:
                assert sync_partner(left.peer, connection).faults == ()
                run = started(connection)
                assert run.count == 3
                assert sync_partner(left.peer, connection).faults == ()
            overwrite(left, copy)
            home = ["--home", str(left.peer.home.root)]
            assert main.run(["sync", "Right SA", *home]) == 3
            told = capsys.readouterr().err
            assert "lacks what it signed" in told
            assert "mutuals audit clear" in told
            assert "lacks what it signed" in try_sync(left.peer, left.partner())
            with connect(left.peer, left.partner(), QUICK) as connection:
                with pytest.raises(MutualsError) as refused:
                    started(connection)
                assert refused.value.code is ErrorCode.LOG_ROLLED_BACK
                clear_faults(left.peer, pair.digest, "Nobody will notice.", left.keys)
                with pytest.raises(PartnerRefused) as refused:
                    started(connection)
                assert refused.value.code is ErrorCode.LOG_ROLLED_BACK
            assert "does not accept a log of this peer" in try_sync(left.peer, left.partner())
            clear_faults(right.peer, pair.digest, "They told us.", right.keys)
            assert "log" not in try_sync(left.peer, left.partner())
            with connect(left.peer, left.partner(), QUICK) as connection:
                assert started(connection).count == 3
        finally:
            server.stop(grace=0)
            log.close()
