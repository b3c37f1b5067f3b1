"""Only partners are let in, and only the partner itself is believed: over real loopback TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.companies import Company, MakeCompany

from mutuals.crypto.tls import issue_certificate
from mutuals.errors import ErrorCode, MutualsError, PartnerRefused
from mutuals.identity.initialise import renew_card
from mutuals.identity.partners import partner_card
from mutuals.peer import Peer
from mutuals.transport import credentials
from mutuals.transport.connection import PartnerConnection
from mutuals.transport.credentials import PartnerTrust, channel_credentials, server_name
from mutuals.transport.options import channel_options
from mutuals_server.guard import Guard
from mutuals_server.log import ServerLog

Pair = tuple[Company, Company]


def refusal(connection: PartnerConnection) -> MutualsError:
    """How a ping ends."""
    with pytest.raises(MutualsError) as caught:
        connection.ping()
    return caught.value


def test_partners_reach_each_other(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving(), beta.call(acme) as connection:
        reply = connection.ping()
    assert reply.version == 1
    assert abs(reply.now - acme.clock()) < timedelta(seconds=1)
    (line,) = acme.log_lines()
    assert (line["method"], line["partner"], line["code"]) == ("Ping", "Beta SA", "OK")


def test_a_stranger_is_refused(pair: Pair, company: MakeCompany) -> None:
    acme, _ = pair
    carl = company("Carl GmbH")
    carl.knows(acme)
    with acme.serving(), carl.call(acme) as connection:
        refused = refusal(connection)
    assert refused.exit_code == 8
    assert "current card" in (refused.hint or "")
    assert acme.log_lines() == []


def test_a_server_without_partners_starts_and_lets_nobody_in(company: MakeCompany) -> None:
    acme, carl = company("Acme Ltd"), company("Carl GmbH")
    carl.knows(acme)
    with acme.serving(), carl.call(acme) as connection:
        assert refusal(connection).exit_code == 8


def test_a_partner_added_later_gets_in_without_a_restart(pair: Pair, company: MakeCompany) -> None:
    acme, _ = pair
    carl = company("Carl GmbH")
    carl.knows(acme)
    with acme.serving():
        with carl.call(acme) as connection:
            refusal(connection)
        acme.knows(carl)
        time.sleep(credentials.REFRESH_SECONDS)
        with carl.call(acme) as connection:
            connection.ping()


def test_a_removed_partner_is_refused_on_its_old_connection(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving(), beta.call(acme) as connection:
        connection.ping()
        acme.forgets(beta)
        refused = refusal(connection)
    assert isinstance(refused, PartnerRefused)
    assert refused.code is ErrorCode.PEER_IDENTITY
    assert refused.exit_code == 4


def test_a_certificate_that_expires_ends_the_old_connection(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving(), beta.call(acme) as connection:
        connection.ping()
        acme.clock.now += timedelta(days=500)
        assert refusal(connection).code is ErrorCode.PEER_IDENTITY
    calls = [line for line in acme.log_lines() if line["event"] == "call"]
    assert "expired" in calls[-1]["message"]


def test_somebody_else_at_the_endpoint_is_not_believed(pair: Pair, company: MakeCompany) -> None:
    """An impostor that knows the caller, with a certificate of its own."""
    acme, beta = pair
    carl = company("Carl GmbH")
    carl.knows(beta)
    carl.peer.card = carl.peer.card.model_copy(
        update={"card": carl.peer.card.card.model_copy(update={"endpoint": acme.endpoint})}
    )
    with carl.serving(), beta.call(acme) as connection:
        refused = refusal(connection)
    assert refused.code is ErrorCode.PEER_IDENTITY
    assert refused.exit_code == 4
    assert carl.log_lines() == []


def test_nobody_there_is_unreachable(pair: Pair) -> None:
    acme, beta = pair
    with beta.call(acme) as connection:
        refused = refusal(connection)
    assert refused.code is ErrorCode.UNREACHABLE
    assert refused.exit_code == 8
    assert "Nothing is lost" in (refused.hint or "")


def test_a_partner_without_endpoint_cannot_be_called(pair: Pair) -> None:
    acme, beta = pair
    with pytest.raises(MutualsError) as refused:
        acme.call(beta)
    assert refused.value.exit_code == 8
    assert "has to call you" in refused.value.message


def test_a_removed_partner_is_not_called(pair: Pair) -> None:
    acme, beta = pair
    beta.forgets(acme)
    with pytest.raises(MutualsError) as refused:
        beta.call(acme)
    assert refused.value.code is ErrorCode.PEER_IDENTITY


def test_renewed_cards_count_without_a_restart_and_old_ones_do_not(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving(), beta.call(acme) as old:
        old.ping()
        renewed = renewed_company(beta)
        acme.knows(renewed)
        assert refusal(old).code is ErrorCode.PEER_IDENTITY
        time.sleep(credentials.REFRESH_SECONDS)
        with renewed.call(acme) as new:
            new.ping()


def test_the_servers_own_renewed_card_counts_without_a_restart(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving():
        renewed = renewed_company(acme)
        time.sleep(credentials.REFRESH_SECONDS)
        with beta.call(acme) as connection:
            assert refusal(connection).code is ErrorCode.PEER_IDENTITY
        beta.knows(renewed)
        with beta.call(renewed) as connection:
            connection.ping()


def renewed_company(company: Company) -> Company:
    """The same company with its next card, as another command would make it."""
    peer = company.peer
    renew_card(peer.home, peer.config, signing_key=peer.signing_key, previous=peer.card, now=company.clock())
    return Company(Peer.open(peer.home.root, company.clock), company.clock)


# Connections that are no gRPC channel of ours


def raw_context(company: Company | None, tmp_path: Any) -> ssl.SSLContext:
    """A TLS client that believes anybody, with the company's certificate or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if company is not None:
        pem = tmp_path / "client.pem"
        pem.write_bytes(company.peer.tls_key + company.peer.tls_certificate)
        context.load_cert_chain(pem)
    return context


def gets_an_answer(endpoint: str, context: ssl.SSLContext | None) -> bool:
    """Whether a connection gets as far as the server's HTTP/2 settings."""
    host, _, port = endpoint.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as plain:
        wrapped = context.wrap_socket(plain) if context else plain
        wrapped.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        answer = wrapped.recv(64)
        return len(answer) > 8 and answer[3] == 4  # a SETTINGS frame
    return False


def test_tls_1_3_with_a_partners_certificate_gets_an_answer(pair: Pair, tmp_path: Any) -> None:
    """What the refusals below differ from in one point each."""
    acme, beta = pair
    with acme.serving():
        assert gets_an_answer(acme.endpoint, raw_context(beta, tmp_path))


def test_tls_1_2_is_refused_in_the_handshake(pair: Pair, tmp_path: Any) -> None:
    acme, beta = pair
    context = raw_context(beta, tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with acme.serving():
        assert not gets_an_answer(acme.endpoint, context)


def test_no_certificate_is_refused(pair: Pair, tmp_path: Any) -> None:
    acme, _ = pair
    with acme.serving():
        assert not gets_an_answer(acme.endpoint, raw_context(None, tmp_path))


def test_no_tls_is_refused(pair: Pair) -> None:
    acme, _ = pair
    with acme.serving():
        assert not gets_an_answer(acme.endpoint, None)


# The guard by itself


class Connection:
    """The part of gRPC's context that the guard looks at."""

    def __init__(self, **facts: Any) -> None:
        self._facts = {"ssl_tls_version": [b"TLSv1.3"], **facts}

    def auth_context(self) -> Any:
        return {name: value for name, value in self._facts.items() if value is not None}


def guard(company: Company) -> Guard:
    return Guard(company.peer, ServerLog(company.clock, stderr=False))


def test_the_guard_knows_a_partner_by_its_certificate(pair: Pair) -> None:
    acme, beta = pair
    connection: Any = Connection(x509_pem_cert=[beta.peer.tls_certificate])
    assert guard(acme).admit(connection) == acme.partner(beta)


@pytest.mark.parametrize("version", [[b"TLSv1.2"], [b"TLSv1.3", b"TLSv1.2"], [], None])
def test_the_guard_refuses_anything_but_tls_1_3(pair: Pair, version: Any) -> None:
    acme, beta = pair
    connection: Any = Connection(ssl_tls_version=version, x509_pem_cert=[beta.peer.tls_certificate])
    with pytest.raises(MutualsError, match=r"TLS 1\.3") as refused:
        guard(acme).admit(connection)
    assert refused.value.code is ErrorCode.PEER_IDENTITY


@pytest.mark.parametrize("certificates", [None, [], [b"nonsense"], [b"\xff"]])
def test_the_guard_refuses_a_connection_without_certificate(pair: Pair, certificates: Any) -> None:
    connection: Any = Connection(x509_pem_cert=certificates)
    with pytest.raises(MutualsError) as refused:
        guard(pair[0]).admit(connection)
    assert refused.value.code is ErrorCode.PEER_IDENTITY


def test_the_guard_refuses_another_certificate_over_a_partners_key(pair: Pair) -> None:
    acme, beta = pair
    other = issue_certificate(beta.peer.tls_key, beta.peer.fingerprint, beta.clock() - timedelta(days=9))
    connection: Any = Connection(x509_pem_cert=[other])
    with pytest.raises(MutualsError, match="not the one on the card"):
        guard(acme).admit(connection)


def test_the_fetcher_never_raises(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC lets a handshake go on where it does."""
    acme, _ = pair
    trust = PartnerTrust(acme.peer)
    trust.load()
    monkeypatch.setattr(credentials, "REFRESH_SECONDS", -1)
    assert trust.fetch() is None  # nothing changed
    monkeypatch.setattr(acme.peer, "_store", SimpleNamespace(transaction=None, close=lambda: None))
    assert trust.fetch() is None


# The health service


def health(caller: Company, server: Company) -> Any:
    """A stub of the health service, over a channel as ``caller``."""
    card = partner_card(caller.partner(server))
    channel = grpc.secure_channel(
        server.endpoint,
        channel_credentials(caller.peer, card),
        channel_options(server_name(card), local=True),
    )
    return health_pb2_grpc.HealthStub(channel)


def test_partners_may_ask_how_the_server_is(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving():
        stub = health(beta, acme)
        for service in ("", "mutuals.v1.PeerService"):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        acme.forgets(beta)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_nobody_may_watch(pair: Pair) -> None:
    """A watch would hold a thread for good."""
    acme, beta = pair
    with acme.serving():
        watch = health(beta, acme).Watch(health_pb2.HealthCheckRequest(), timeout=5)
        with pytest.raises(grpc.RpcError) as refused:
            next(watch)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
