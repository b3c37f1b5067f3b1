"""Certificates as a stranger would make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mutuals.crypto.tls import SUBJECT, generate_tls_key, tls_server_name

Pair = tuple[bytes, bytes]
"""A private key and the certificate chain for it, leaf first, both PEM."""


def authority() -> Pair:
    """A certificate authority that nobody is asked to trust."""
    key = generate_tls_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Some CA")])
    certificate = (
        _builder(key, name, name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(_load(key), hashes.SHA256())
    )
    return key, _pem(certificate)


def issued(issuer: Pair, fingerprint: bytes, key: bytes | None = None) -> Pair:
    """A certificate by ``issuer`` over ``key`` (default: a new one) with the name of the peer ``fingerprint``.

    The chain holds the issuer's certificate too.
    """
    issuer_key, issuer_chain = issuer
    issuer_certificate = x509.load_pem_x509_certificate(issuer_chain)
    own = key or generate_tls_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SUBJECT)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(_load(issuer_key).public_key())
    certificate = (
        _builder(own, subject, issuer_certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(tls_server_name(fingerprint))]), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(_load(issuer_key), hashes.SHA256())
    )
    return own, _pem(certificate) + issuer_chain


def _builder(key: bytes, subject: x509.Name, issuer: x509.Name) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(_load(key).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
    )


def _load(key: bytes) -> ec.EllipticCurvePrivateKey:
    loaded = serialization.load_pem_private_key(key, password=None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return loaded


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
