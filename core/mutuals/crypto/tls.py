"""The TLS key of a peer and its self-signed certificate (X.509, RFC 5280; ECDSA on P-256).

    key = generate_tls_key()
    certificate = issue_certificate(key, fingerprint, now)
    check_certificate(certificate, fingerprint, now)

The certificate is its own trust root and nobody else's: it is no CA, so that a partner whose certificate is
trusted cannot issue others. Its subject is the same for every peer, because a server may send the subjects of
all roots it trusts to whoever connects, and who a company's partners are is nobody's business. The names are in
the subject alternative name: one derives from the signing key's fingerprint, the other from the TLS key as well. A
client asks for the second, so that a server in the middle of a rotation shows everybody the certificate of the card
that they have (docs/adr/0016-rotation.md).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR = timedelta(days=397)
# A day back, so that the protocol notices a clock off by hours, with a sentence, and not the handshake.
BACKDATED_BY = timedelta(days=1)
SUBJECT = "mutuals peer"


class BadCertificate(ValueError):
    """The certificate is not what a card may carry; the text is one clause a person can read."""


def tls_server_name(fingerprint: bytes) -> str:
    """The DNS name in the certificate of the peer with this fingerprint (32 bytes): 128 bits of it, in hex.

    Under ``.invalid`` (RFC 6761), so that it can never resolve.
    """
    if len(fingerprint) != 32:
        raise ValueError("a fingerprint has 32 bytes")
    return f"{fingerprint[:16].hex()}.peer.mutuals.invalid"


def certificate_name(fingerprint: bytes, pin: bytes) -> str:
    """The DNS name that one TLS key (its pin, 32 bytes) of that peer has and no other: 128 bits of each, in hex."""
    if len(pin) != 32:
        raise ValueError("a pin has 32 bytes")
    return f"{pin[:16].hex()}.{tls_server_name(fingerprint)}"


def name_to_ask_for(certificate_pem: bytes, fingerprint: bytes) -> str:
    """The name under which a server shows this certificate: the one of its key, where it has one.

    Certificates of before there were rotations have the name of the peer alone. Raises BadCertificate.
    """
    certificate = _load_certificate(certificate_pem)
    own = certificate_name(fingerprint, _pin(certificate.public_key()))
    return own if x509.DNSName(own) in _names(certificate) else tls_server_name(fingerprint)


def generate_tls_key() -> bytes:
    """A fresh P-256 key as unencrypted PKCS#8 PEM, for a file that only its owner can read."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def issue_certificate(key_pem: bytes, fingerprint: bytes, now: datetime) -> bytes:
    """A self-signed certificate (PEM) over ``key_pem``, for the peer with this fingerprint (32 bytes).

    Valid from a day before ``now`` (aware) for 397 days in all. Raises ValueError for a key not on P-256.
    """
    key = _load_key(key_pem)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SUBJECT)])
    # Key identifiers let a verifier tell apart roots that all have the same subject.
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)
    start = now.astimezone(UTC).replace(microsecond=0) - BACKDATED_BY
    names = (tls_server_name(fingerprint), certificate_name(fingerprint, _pin(key.public_key())))
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_DIGITAL_SIGNATURE_ONLY, critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(key_id, critical=False)
        .add_extension(authority, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def certificate_pin(certificate_pem: bytes) -> bytes:
    """SHA-256 of the certificate's SubjectPublicKeyInfo (RFC 7469 §2.4); 32 bytes. Raises BadCertificate."""
    return _pin(_load_certificate(certificate_pem).public_key())


def key_pin(key_pem: bytes) -> bytes:
    """The pin of the certificate that ``key_pem`` belongs to; 32 bytes. Raises ValueError for a bad key."""
    return _pin(_load_key(key_pem).public_key())


def valid_until(certificate_pem: bytes) -> datetime:
    """When the certificate expires (aware, UTC). Raises BadCertificate."""
    return _load_certificate(certificate_pem).not_valid_after_utc


def check_certificate(certificate_pem: bytes, fingerprint: bytes, now: datetime | None = None) -> None:
    """Check that a stranger's certificate may be trusted as the one of the peer with this fingerprint.

    Exactly one PEM certificate, P-256, signed by its own key, not a CA, its names those of ``fingerprint`` and of
    its key, or the first alone, and, where ``now`` (aware) is given, valid at that time. Raises BadCertificate.
    """
    certificate = _load_certificate(certificate_pem)
    public = certificate.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise BadCertificate("its TLS certificate has no P-256 key")
    try:
        certificate.verify_directly_issued_by(certificate)
    except Exception as error:  # the library raises several kinds for a signature that does not fit
        raise BadCertificate("its TLS certificate is not signed by its own key") from error
    try:
        names = _names(certificate)
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except Exception as error:  # likewise for extensions that are missing, doubled or malformed
        raise BadCertificate("its TLS certificate lacks a name or basic constraints") from error
    if basic.ca:
        raise BadCertificate("its TLS certificate is a certificate authority's")
    wanted = [
        x509.DNSName(name)
        for name in (tls_server_name(fingerprint), certificate_name(fingerprint, _pin(public)))
    ]
    if names not in (wanted, wanted[:1]):
        raise BadCertificate("its TLS certificate was made for another peer")
    if now is not None:
        if now > certificate.not_valid_after_utc:
            raise BadCertificate(f"its TLS certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
        if now < certificate.not_valid_before_utc:
            raise BadCertificate(
                f"its TLS certificate is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}"
            )


_DIGITAL_SIGNATURE_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _load_key(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except Exception as error:  # a damaged file: the library raises several kinds, and not only its own
        raise ValueError("not a private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a P-256 private key")
    return key


def _load_certificate(certificate_pem: bytes) -> x509.Certificate:
    try:
        certificates = x509.load_pem_x509_certificates(certificate_pem)
        certificates[0].public_key()
    except Exception as error:  # a stranger's bytes: the parser raises several kinds, all mean the same
        raise BadCertificate("its TLS certificate cannot be read") from error
    if len(certificates) != 1:
        raise BadCertificate("it has more than one TLS certificate")
    if certificates[0].public_bytes(serialization.Encoding.PEM).strip() != certificate_pem.strip():
        # Another PEM reader may find certificates under labels or in text that this one passes over.
        raise BadCertificate("its TLS certificate has something else around it")
    return certificates[0]


def _names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


def _pin(public: object) -> bytes:
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise BadCertificate("its TLS certificate has no P-256 key")
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()
