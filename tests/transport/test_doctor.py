"""``mutuals doctor`` and partners: over real loopback TLS, between two companies."""

from __future__ import annotations

import resource
import shutil
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from support.companies import Company

from mutuals.errors import MutualsError
from mutuals.identity.home import Home
from mutuals.peer import Peer
from mutuals.transport.wire import Pong
from mutuals_client.doctor import Verdict, machine
from mutuals_client.doctor.finding import Finding, Patient
from mutuals_client.doctor.partner import partners
from mutuals_server.service import PeerService

Pair = tuple[Company, Company]


def found_by(caller: Company, partner: str | None = None, *, later: timedelta = timedelta()) -> list[Finding]:
    """What the check says, with the clock of the caller ``later``."""
    with Patient(Home(caller.peer.home.root), partner=partner) as patient:
        assert patient.peer is not None
        patient.peer.clock = lambda: caller.clock.now + later
        return list(partners(patient))


def verdicts(findings: list[Finding]) -> list[Verdict]:
    return [finding.verdict for finding in findings]


def test_a_partner_that_answers_is_compared(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving():
        found = found_by(beta)
    assert set(verdicts(found)) == {Verdict.OK}
    told = " ".join(finding.sentence for finding in found)
    for part in ("Acme Ltd answers at", "certificate of its card", "agrees with yours", "same as yours"):
        assert part in told


def test_a_partner_that_is_down_is_a_warning_unless_it_was_named(pair: Pair) -> None:
    _, beta = pair
    (down,) = found_by(beta)
    assert (down.verdict, down.facts["code"]) == (Verdict.WARN, "UNREACHABLE")
    (named,) = found_by(beta, "Acme")
    assert named.verdict is Verdict.FAIL
    assert "mutuals serve" in (named.advice or "")
    with pytest.raises(MutualsError) as unknown:
        found_by(beta, "Nobody")
    assert unknown.value.exit_code == 2


def test_who_has_no_endpoint_has_to_call(pair: Pair, company: Any) -> None:
    acme, beta = pair
    (found,) = found_by(acme)
    assert found.verdict is Verdict.OK
    carl = company("Carl GmbH", reachable=False)
    carl.knows(beta)
    (neither,) = found_by(carl)
    assert neither.verdict is Verdict.FAIL
    assert "endpoint in config.toml" in (neither.advice or "")


def test_a_clock_that_is_off_and_a_certificate_that_ends(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving():
        off = found_by(beta, later=timedelta(minutes=3))
        wrong = found_by(beta, later=timedelta(minutes=-9))
        gone = found_by(beta, later=timedelta(days=4000))
    assert [finding.facts["seconds"] for finding in off if finding.verdict is Verdict.WARN] in ([179], [180])
    (fault,) = (finding for finding in wrong if finding.verdict is Verdict.FAIL)
    assert fault.facts["seconds"] in (539, 540)
    assert "300 are allowed" in fault.sentence
    assert "ran out on" in gone[0].sentence


@pytest.mark.parametrize(
    ("changes", "verdict", "part"),
    [
        ({"version": 9}, Verdict.FAIL, "version 9 of the protocol"),
        ({"card": 5}, Verdict.WARN, "a newer card: number 5"),
        ({"profiles": {}}, Verdict.WARN, "its release is older"),
        ({"profiles": {"uid2-v1": b"\x00" * 32}}, Verdict.WARN, "uid2-v1; no agreement in force"),
    ],
    ids=["protocol", "card", "silent", "profiles"],
)
def test_what_differs_is_named(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], verdict: Verdict, part: str
) -> None:
    acme, beta = pair
    real = PeerService.ping

    def ping(self: PeerService, data: bytes, call: Any) -> bytes:
        from mutuals.transport.wire import PING

        answer: Pong = PING.response.decode(real(self, data, call))
        return PING.response.encode(replace(answer, **changes))

    monkeypatch.setattr(PeerService, "ping", ping)
    with acme.serving():
        found = [finding for finding in found_by(beta) if finding.verdict is not Verdict.OK]
    assert [(finding.verdict, part in finding.sentence) for finding in found] == [(verdict, True)]


def test_the_partner_has_an_old_card(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    acme, beta = pair
    newer = beta.peer.card.card.model_copy(update={"serial": 2})
    opened = Peer.open

    def with_newer_card(root: Any, clock: Any = None) -> Peer:
        peer = opened(root, clock) if clock else opened(root)
        if root == beta.peer.home.root:
            peer.card = peer.card.model_copy(update={"card": newer})
        return peer

    monkeypatch.setattr(Peer, "open", with_newer_card)
    with acme.serving():
        (found,) = (finding for finding in found_by(beta) if finding.verdict is Verdict.WARN)
    assert found.sentence == "Acme Ltd has your card number 1, and yours is number 2 now."


def test_a_machine_that_has_less_than_the_limits_say_is_told_so(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, _ = pair

    def found() -> list[Finding]:
        with Patient(Home(acme.peer.home.root)) as patient:
            return list(machine.limits(patient))

    assert found() == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=999_000_000))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    disk, files = found()
    assert (disk.verdict, disk.facts) == (Verdict.WARN, {"free_mb": 999, "free_disk_mb": 1000})
    assert (files.verdict, files.facts) == (Verdict.WARN, {"open_files": 4096, "connections": 5000})
    assert "LimitNOFILE=5512" in (files.advice or "")
