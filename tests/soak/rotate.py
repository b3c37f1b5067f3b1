"""``make rotation``: certificates are renewed on both sides while partners call and match; none of it may fail.

    python -m soak.rotate --rounds 3 --overlap 12

A real server, real partners, real commands over loopback TLS. In each round the house renews, then a partner.
Meanwhile somebody tries how long the old keys are good for, over connections from before and over new ones. In the end,
without load, a partner's key is stolen. It ends with 1 where a call failed, or an old key was good for too long.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
from support import processes
from support.processes import start

from mutuals.crypto.signing import SigningKey
from mutuals.documents import sign_document, verify_receipt
from mutuals.identity.cards import issue_card
from mutuals.identity.partners import partner_card, partner_key
from mutuals.models.card import Card
from mutuals.peer import Peer
from mutuals.protocol.messages import Document
from mutuals.rotation import CARD, keep_rotation, rotation
from mutuals.store.rows import PartnerRow
from mutuals.transport.connection import connect
from mutuals.transport.credentials import TlsPair, own_pairs, server_name
from mutuals.transport.options import channel_options
from mutuals.transport.wire import PING, Ping, SyncMessage
from soak.world import World, stop, world

SLACK = 3.0
"""Seconds within which a time that is over is noticed: the attempts of the thief, and a busy machine."""
DESTROYED = 70.0
"""Within how many seconds a key is destroyed: the server looks every minute."""
LONG = 120.0


@dataclass
class Rotation:
    """The load, and what the attempts found."""

    place: World
    overlap: int
    faults: list[str]

    @property
    def house(self) -> Path:
        """Its home."""
        return self.place.house

    @property
    def partner(self) -> Path:
        """The home of the partner that renews."""
        return self.place.partners[0].home

    def renew(self, home: Path, *words: str) -> float:
        """``mutuals card --renew`` there; when that was made (seconds of the clock)."""
        said = processes.answer(processes.command(home, "card", "--renew", *words))
        if said["exit"]:
            self.faults.append(f"card --renew ended with {said['exit']}: {said.get('message', '')}")
        standing = said.get("rotation")
        return time.time() if not standing else _seconds(standing["until"]) - self.overlap

    def house_renews(self) -> None:
        """The server's certificate changes; who trusts the old one may go on for the overlap."""
        with Peer.open(self.partner) as peer:
            old = partner_card(_only_partner(peer))
            pair = own_pairs(peer)[-1]
            began = self.renew(self.house, "--overlap", f"{self.overlap}s")
            arrived = self._arrived(self.house, began)
            lasted = _lasts(lambda: _ping(old, pair), began, self.overlap)
        gone = _gone(self.house / "keys" / "tls.earlier.json", began)
        self._judge("the house", arrived, lasted, gone)

    def partner_renews(self) -> None:
        """A partner's certificate changes; the house takes the old one for the overlap, on old connections, too."""
        with Peer.open(self.partner) as peer:
            row = _only_partner(peer)
            card, pair = partner_card(row), own_pairs(peer)[-1]
            with _channel(card, pair) as before:
                _call(before)
                began = self.renew(self.partner, "--overlap", f"{self.overlap}s")
                arrived = self._arrived(self.partner, began)
                lasted = _lasts(lambda: _call(before), began, self.overlap)
                if _works(lambda: _ping(card, pair)):
                    self.faults.append("the old key of a partner still opens a new connection")
            keep_rotation(peer)
        self._judge("a partner", arrived, lasted, _gone(self.partner / "keys" / "tls.earlier.json", began))

    def partner_was_robbed(self) -> None:
        """The old key is refused from the moment the house knows: the command tells it."""
        with Peer.open(self.partner) as peer:
            card, pair = partner_card(_only_partner(peer)), own_pairs(peer)[-1]
            with _channel(card, pair) as before:
                _call(before)
                self.renew(self.partner, "--now", "--overlap", f"{self.overlap}s")
                told = time.time()
                old, new = _works(lambda: _call(before)), _works(lambda: _ping(card, pair))
        if old or new:
            self.faults.append("a stolen key was good after the house knew")
        print(f"stolen key: refused {time.time() - told:.1f} s after the command, on old and new connections")

    def attacks(self) -> None:
        """Documents that must not be taken, sent over the real line by somebody with the partner's keys."""
        with Peer.open(self.partner) as peer:
            row = _only_partner(peer)
            with peer.store.transaction() as tx:
                sent = tx.outbox.of_kind(CARD, row.fingerprint)
            card = peer.card
            other = SigningKey.generate()
            forged = issue_card(
                peer.config, other, peer.log_key.public, peer.tls_certificate, 99, peer.clock()
            )
            lower = issue_card(
                peer.config, peer.signing_key, peer.log_key.public, peer.tls_certificate, 1, peer.clock()
            )
            names = {
                "an old card, replayed": Document(sent[0].kind, sent[0].body, sent[0].signature),
                "an old card, in a new document": self._document(
                    peer, row, lower.model_dump(mode="json"), "9"
                ),
                "another signing key": self._document(peer, row, forged.model_dump(mode="json")),
                "for somebody else": self._document(peer, row, card.model_dump(mode="json"), to="0" * 64),
            }
            for name, document in names.items():
                before = self._known(peer)
                with connect(peer, row) as connection:
                    (receipt,) = connection.sync(SyncMessage((document,), ())).receipts
                verify_receipt(partner_key(row), receipt)
                changed = self._known(peer) != before
                answer = "accepted once, long ago" if receipt.accepted else f"refused, {receipt.reason}"
                print(f"attack: {name}: {answer}; the card there is {'ANOTHER' if changed else 'as before'}")
                if changed or (receipt.accepted and "replayed" not in name):
                    self.faults.append(f"attack: {name} was taken")

    def _document(
        self, peer: Peer, row: PartnerRow, signed: dict[str, object], until: str = "", to: str | None = None
    ) -> Document:
        ends = f"2099-01-0{until}T00:00:00Z" if until else None
        return sign_document(peer, CARD, {**signed, "to": to or row.fingerprint, "until": ends})

    def _known(self, peer: Peer) -> bytes:
        with Peer.open(self.house) as house, house.store.transaction() as tx:
            row = tx.partners.get(peer.fingerprint.hex())
        assert row is not None
        return row.signed_card

    def _arrived(self, home: Path, began: float) -> float:
        """After how many seconds every partner has the card."""
        while time.time() < began + LONG:
            with Peer.open(home) as peer, peer.store.transaction() as tx:
                standing = rotation(tx, peer)
            if standing is None or standing.arrived == len(standing.partners):
                break
            time.sleep(0.1)
        else:
            self.faults.append("a card did not arrive")
        return time.time() - began

    def _judge(self, who: str, arrived: float, lasted: float, gone: float) -> None:
        print(
            f"{who} renewed: every partner has the card after {arrived:.1f} s; the old certificate, stated to last "
            f"{self.overlap} s, was good for {lasted:.1f} s, and its key was destroyed after {gone:.1f} s",
            flush=True,
        )
        if arrived > self.overlap:
            self.faults.append(f"{who}: the card arrived after the overlap")
        for what, seconds, slack in (("was good", lasted, SLACK), ("had its key", gone, DESTROYED)):
            if not self.overlap - SLACK <= seconds <= self.overlap + slack:
                self.faults.append(f"{who}: the old certificate {what} for {seconds:.1f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Rotate under load; 1 where something was wrong."""
    given = _arguments(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="mutuals-rotation-") as folder,
        world(Path(folder), partners=3, items=200, runs=12, matches_per_minute=10_000) as place,
    ):
        load = _load(place)
        going = Rotation(place, given.overlap, [])
        try:
            for _ in range(given.rounds):
                going.house_renews()
                going.partner_renews()
            going.attacks()
        finally:
            calls, failures = _ended(load)
        going.partner_was_robbed()  # who robbed it loses the calls under the old key, and so does the partner
    total = sum(calls.values())
    print(f"calls: {total:,} ({', '.join(f'{count:,} {what}' for what, count in calls.items())})")
    print(f"failed calls: {sum(failures.values())}")
    going.faults += [f"{count} × {what}" for what, count in failures.items()]
    if not total:
        going.faults.append("nobody called")
    for fault in going.faults:
        print(f"WRONG: {fault}")
    return 1 if going.faults else 0


def _load(place: World) -> list[subprocess.Popen[str]]:
    """The first two partners call all the time, the third one matches."""
    matching = place.partners[2]
    words = [str(matching.home), matching.agreement, "2", str(place.shared)]
    started = [
        *(start(["-m", "soak.caller", str(one.home)], stdin=subprocess.PIPE) for one in place.partners[:2]),
        start(["-m", "soak.partner", *words], stdin=subprocess.PIPE),
    ]
    assert started[2].stdin is not None
    started[2].stdin.write("match\n")
    started[2].stdin.flush()
    return started


def _ended(load: Sequence[subprocess.Popen[str]]) -> tuple[Counter[str], Counter[str]]:
    """End the load: how often what was called, and what failed."""
    calls: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for process in load:
        output, _ = process.communicate(timeout=LONG)
        for line in output.splitlines():
            said = json.loads(line)
            if "error" in said:
                failures[f"match: {said['error']} {said.get('message', '')}"] += 1
            elif "seconds" in said:
                calls["matches, each with its syncs"] += 1
            else:
                calls.update(said.get("calls", {}))
                failures.update(said.get("failures", {}))
        stop(process)
    return calls, failures


def _lasts(attempt: Callable[[], None], began: float, stated: int) -> float:
    """For how many seconds since it began the attempt works."""
    last = began
    while time.time() < began + stated + LONG:
        if not _works(attempt):
            return last - began
        last = time.time()
        time.sleep(0.1)
    return last - began


def _gone(path: Path, began: float) -> float:
    """After how many seconds the file is no more."""
    while path.exists() and time.time() < began + LONG:
        time.sleep(0.1)
    return time.time() - began


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _works(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except grpc.RpcError:
        return False
    return True


def _ping(card: Card, pair: TlsPair) -> None:
    """Over a new connection."""
    with _channel(card, pair) as channel:
        _call(channel)


def _call(channel: grpc.Channel) -> None:
    call: Any = channel.unary_unary(PING.path)
    call(PING.request.encode(Ping()), timeout=10)


def _channel(card: Card, pair: TlsPair) -> grpc.Channel:
    """To the peer of this card, trusting its certificate and nothing else."""
    assert card.endpoint is not None
    return grpc.secure_channel(
        card.endpoint,
        grpc.ssl_channel_credentials(card.tls_certificate.encode(), pair.key, pair.certificate),
        channel_options(server_name(card), local=True),
    )


def _only_partner(peer: Peer) -> PartnerRow:
    with peer.store.transaction() as tx:
        (row,) = tx.partners.list()
    return row


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make rotation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rotations of each side (default 3)")
    parser.add_argument("--overlap", type=int, default=20, help="seconds that both are good (default 20)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
