"""The TLS certificate: what gRPC makes of it, and which certificates of a stranger are refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from mutuals.crypto.tls import (
    BadCertificate,
    certificate_pin,
    check_certificate,
    generate_tls_key,
    issue_certificate,
    key_pin,
    tls_server_name,
    valid_until,
)

FINGERPRINT = bytes(range(32))
OTHER = bytes(range(1, 33))
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def identity(fingerprint: bytes) -> tuple[bytes, bytes]:
    key = generate_tls_key()
    return key, issue_certificate(key, fingerprint, datetime.now(UTC))


def call(
    port: int, server: tuple[bytes, bytes], fingerprint: bytes, client: tuple[bytes, bytes] | None
) -> Any:
    key, certificate = client or (None, None)
    credentials = grpc.ssl_channel_credentials(server[1], key, certificate)
    options = [("grpc.ssl_target_name_override", tls_server_name(fingerprint)), ("grpc.enable_retries", 0)]
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        return channel.unary_unary("/test/Call")(b"", timeout=5)


class TlsVersion(grpc.GenericRpcHandler):
    def service(self, handler_call_details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            lambda _, context: context.auth_context()["ssl_tls_version"][0]
        )


def test_grpc_accepts_known_certificates_both_ways_and_no_others() -> None:
    server = identity(FINGERPRINT)
    partners = [identity(bytes([number]) * 32) for number in range(3)]
    impostor = identity(bytes([0]) * 32)
    grpc_server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    grpc_server.add_generic_rpc_handlers((TlsVersion(),))
    roots = b"".join(certificate for _, certificate in partners)
    credentials = grpc.ssl_server_credentials([server], roots, require_client_auth=True)
    port = grpc_server.add_secure_port("127.0.0.1:0", credentials)
    grpc_server.start()
    try:
        for partner in partners:
            assert call(port, server, FINGERPRINT, partner) == b"TLSv1.3"
        for stranger in (impostor, None):
            with pytest.raises(grpc.RpcError):
                call(port, server, FINGERPRINT, stranger)
        with pytest.raises(grpc.RpcError):  # a server with another certificate of the same name
            call(port, identity(FINGERPRINT), FINGERPRINT, partners[0])
        with pytest.raises(grpc.RpcError):  # the right certificate under another name
            call(port, server, OTHER, partners[0])
    finally:
        grpc_server.stop(None)


def test_a_fresh_certificate_passes_the_check_for_its_whole_time() -> None:
    key = generate_tls_key()
    certificate = issue_certificate(key, FINGERPRINT, NOW)
    check_certificate(certificate, FINGERPRINT, NOW - timedelta(hours=23))
    check_certificate(certificate, FINGERPRINT, NOW + timedelta(days=395))
    assert valid_until(certificate) == NOW + timedelta(days=396)
    assert certificate_pin(certificate) == key_pin(key)


def test_a_certificate_names_no_organisation() -> None:
    certificate = x509.load_pem_x509_certificate(identity(FINGERPRINT)[1])
    assert certificate.subject == certificate.issuer
    assert certificate.subject.rfc4514_string() == "CN=mutuals peer"


@pytest.mark.parametrize(
    ("when", "clause"),
    [(timedelta(days=397), "expired on 2027-06-01"), (timedelta(days=-2), "valid only from")],
)
def test_a_certificate_outside_its_time_is_refused(when: timedelta, clause: str) -> None:
    certificate = issue_certificate(generate_tls_key(), FINGERPRINT, NOW)
    with pytest.raises(BadCertificate, match=clause):
        check_certificate(certificate, FINGERPRINT, NOW + when)
    check_certificate(certificate, FINGERPRINT)


def test_a_certificate_for_another_peer_is_refused() -> None:
    with pytest.raises(BadCertificate, match="another peer"):
        check_certificate(identity(OTHER)[1], FINGERPRINT)


def forged(*, key: Any = None, signer: Any = None, ca: bool = False, names: list[str] | None = None) -> bytes:
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mutuals peer")])
    dns = [x509.DNSName(text) for text in names or [tls_server_name(FINGERPRINT)]]
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=NOW,
        not_valid_after=NOW + timedelta(days=1),
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName(dns), critical=False)
    return builder.sign(signer or key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("pem", "clause"),
    [
        (forged(key=rsa.generate_private_key(65537, 2048)), "no P-256 key"),
        (forged(key=ec.generate_private_key(ec.SECP384R1())), "no P-256 key"),
        (forged(signer=ec.generate_private_key(ec.SECP256R1())), "not signed by its own key"),
        (forged(ca=True), "certificate authority"),
        (forged(names=[tls_server_name(FINGERPRINT), "acme.example"]), "another peer"),
        (forged() + forged(), "more than one"),
        (b"look here:\n" + forged(), "something else around it"),
        (forged() + forged().replace(b" CERTIFICATE", b" TRUSTED CERTIFICATE"), "something else around it"),
        (b"", "cannot be read"),
        (forged()[:200], "cannot be read"),
    ],
    ids=["rsa", "p384", "signed_by_other", "ca", "two_names", "two", "text", "other_label", "empty", "cut"],
)
def test_certificates_that_no_card_may_carry_are_refused(pem: bytes, clause: str) -> None:
    with pytest.raises(BadCertificate, match=clause):
        check_certificate(pem, FINGERPRINT, NOW)


def test_the_plain_forgery_used_above_would_pass_without_its_mutation() -> None:
    check_certificate(forged(), FINGERPRINT, NOW)


def test_keys_that_are_not_p256_are_refused() -> None:
    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValueError, match="P-256"):
        issue_certificate(pem, FINGERPRINT, NOW)


def test_the_server_name_is_under_invalid_and_fits_a_dns_label() -> None:
    assert tls_server_name(FINGERPRINT) == "000102030405060708090a0b0c0d0e0f.peer.mutuals.invalid"
    with pytest.raises(ValueError, match="32 bytes"):
        tls_server_name(b"short")
