"""Cards of strangers: what is believed, and every way in which one is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutuals.canonical import canonical_json
from mutuals.crypto.signing import SigningKey
from mutuals.crypto.tls import generate_tls_key, issue_certificate
from mutuals.errors import ErrorCode, MutualsError
from mutuals.framing import Context, frame
from mutuals.identity.cards import card_bytes, fingerprint_of, issue_card, parse_card, tls_pin
from mutuals.identity.home import Config
from mutuals.identity.words import fingerprint_words
from mutuals.models.card import Card, ContactPerson, SignedCard

VECTOR = json.loads((Path(__file__).parents[1] / "vectors" / "card.json").read_text(encoding="utf-8"))
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEY = SigningKey(b"\x07" * 32)
CONFIG = Config(
    organisation="Globex GmbH",
    introduction="We make things.\nSince 1931.",
    endpoint="globex.example:8443",
    contacts=(ContactPerson(name="Jane Doe", role="DPO", email="privacy@globex.example"),),
)
TLS_KEY = generate_tls_key()
CERTIFICATE = issue_certificate(TLS_KEY, KEY.public.fingerprint, NOW)
LOG_KEY = SigningKey(b"\x17" * 32).public
SIGNED = issue_card(CONFIG, KEY, LOG_KEY, CERTIFICATE, 1, NOW)


def resigned(**changes: Any) -> bytes:
    """The card with ``changes``, signed properly: only what the change breaks is wrong with it."""
    card = SIGNED.card.model_copy(update=changes)
    signature = KEY.sign(frame(Context.CARD, canonical_json(card))).hex()
    return card_bytes(SignedCard.model_construct(card=card, signature=signature))


def refusal(data: bytes, now: datetime | None = NOW) -> str:
    with pytest.raises(MutualsError) as caught:
        parse_card(data, now=now)
    assert caught.value.code is ErrorCode.PEER_IDENTITY
    assert caught.value.exit_code == 4
    return caught.value.message


def accepted(data: bytes) -> SignedCard | None:
    """The card, or nothing where it is refused; any other end is a fault of ours."""
    try:
        return parse_card(data)
    except MutualsError as error:
        if error.code is not ErrorCode.PEER_IDENTITY:
            raise
        return None


def test_a_card_survives_the_file() -> None:
    assert parse_card(card_bytes(SIGNED), now=NOW) == SIGNED
    assert parse_card(resigned(), now=NOW) == SIGNED


def test_the_vector_reads_as_documented() -> None:
    signed = parse_card(json.dumps(VECTOR["signed_card"]).encode())
    key = SigningKey(bytes.fromhex(VECTOR["signing_seed"]))
    message = frame(Context.CARD, canonical_json(signed.card))
    assert message.hex() == VECTOR["signed_bytes"]
    assert key.sign(message).hex() == signed.signature
    assert fingerprint_of(signed.card).hex() == VECTOR["fingerprint"]
    assert " ".join(fingerprint_words(fingerprint_of(signed.card))) == VECTOR["words"]
    assert tls_pin(signed.card.tls_certificate).hex() == VECTOR["tls_pin"]


@pytest.mark.parametrize(
    "name", ["organisation", "introduction", "endpoint", "serial", "issued_at", "contacts"]
)
def test_a_card_changed_on_the_way_is_refused(name: str) -> None:
    other = {
        "organisation": "Globax GmbH",
        "introduction": "",
        "endpoint": "evil.example:8443",
        "serial": 2,
        "issued_at": "2026-05-01T12:00:01Z",
        "contacts": [],
    }
    value = json.loads(card_bytes(SIGNED))
    value["card"][name] = other[name]
    assert "not signed by its own key" in refusal(json.dumps(value).encode())


def test_a_card_signed_by_another_key_is_refused() -> None:
    signature = SigningKey(b"\x08" * 32).sign(frame(Context.CARD, canonical_json(SIGNED.card))).hex()
    assert "not signed by its own key" in refusal(
        card_bytes(SignedCard(card=SIGNED.card, signature=signature))
    )


P = 2**255 - 19
SMALL_ORDER = {
    "zero": bytes(32),
    "identity": (1).to_bytes(32, "little"),
    "minus_one": (P - 1).to_bytes(32, "little"),
    "identity_with_sign": (1 + 2**255).to_bytes(32, "little"),
    "order_8": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    "order_8_other": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "p": P.to_bytes(32, "little"),
}


@pytest.mark.parametrize("name", SMALL_ORDER)
def test_a_small_order_key_is_refused_whatever_its_signature(name: str) -> None:
    """Under the identity, R = s·B with any s verifies for every message (CCTV Ed25519 vectors)."""
    value = json.loads(card_bytes(SIGNED))
    value["card"]["signing_key"] = SMALL_ORDER[name].hex()
    value["signature"] = (1).to_bytes(32, "little").hex() + bytes(32).hex()
    assert "of small order" in refusal(json.dumps(value).encode())


def test_a_key_that_is_not_canonical_is_refused() -> None:
    assert "not canonical" in refusal(resigned(signing_key=(P + 3).to_bytes(32, "little").hex()))


@pytest.mark.parametrize("name", SMALL_ORDER)
def test_a_small_order_log_key_is_refused(name: str) -> None:
    assert "has a log key that cannot be trusted: " in refusal(resigned(log_key=SMALL_ORDER[name].hex()))


def test_one_key_for_both_purposes_is_refused() -> None:
    assert "must be two" in refusal(resigned(log_key=SIGNED.card.signing_key))


def test_a_card_with_an_expired_certificate_is_refused_but_only_where_time_matters() -> None:
    later = NOW + timedelta(days=400)
    assert "expired on 2027-06-01" in refusal(card_bytes(SIGNED), later)
    assert parse_card(card_bytes(SIGNED)) == SIGNED


def test_a_card_with_another_peers_certificate_is_refused() -> None:
    other = issue_certificate(TLS_KEY, SigningKey(b"\x09" * 32).public.fingerprint, NOW)
    assert "made for another peer" in refusal(resigned(tls_certificate=other.decode()))


def test_a_card_with_a_broken_certificate_is_refused() -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert "cannot be read" in refusal(resigned(tls_certificate=broken))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"organisation": "Evil\x1b[2J"}, "organisation"),
        ({"organisation": "Globex\u202eHbmG"}, "misleading: organisation .* U+202E"),
        ({"introduction": "Hello\x1b]0;x\x07"}, "misleading: introduction .* U+001B"),
        ({"data_handling": "a\rb"}, "misleading: data_handling .* U+000D"),
        ({"privacy_policy": "a\u200bb"}, "misleading: privacy_policy .* U+200B"),
        (
            {"contacts": (ContactPerson.model_construct(name="J\u2066", role="DPO", email="x"),)},
            "misleading: contacts .* U+2066",
        ),
    ],
)
def test_text_that_could_steer_a_terminal_is_refused(changes: dict[str, Any], sentence: str) -> None:
    message = refusal(resigned(**changes))
    assert all(part in message for part in sentence.split(" .* "))
    assert "\x1b" not in message


@pytest.mark.parametrize(
    "endpoint",
    [
        "unix:/tmp/socket",
        "dns:///globex.example:8443",
        "globex.example",
        "globex.example:0",
        "globex.example:65536",
        "[::1]",
        ":8443",
        "a b:8443",
        "globex.example:8443,evil.example:1",
        "-x.example:1",
        "x" * 64 + ".example:1",
    ],
)
def test_an_endpoint_that_is_not_host_and_port_is_refused(endpoint: str) -> None:
    assert "endpoint that is not host:port" in refusal(resigned(endpoint=endpoint))


@pytest.mark.parametrize(
    "endpoint", ["localhost:8443", "10.0.0.1:1", "[2001:db8::1]:65535", "a-b.example:80", None]
)
def test_endpoints_that_are_host_and_port_are_taken(endpoint: str | None) -> None:
    assert parse_card(resigned(endpoint=endpoint)).card.endpoint == endpoint


def test_unknown_keys_are_refused_by_name_without_their_control_characters() -> None:
    value = json.loads(card_bytes(SIGNED))
    value["card"]["x\x1b[31m"] = 1
    assert "unknown key, card.x??31m" in refusal(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "something else than a card"),
        (b"[]", "something else than a card"),
        (b"\xff\xfe", "something else than a card"),
        (b'{"card": {}}', "the key card.organisation is missing"),
        (b'{"card": ' * 5000, "something else than a card"),
        (b" " * (64 * 1024 + 1), "larger than 64 KiB"),
        (resigned(serial=0), "not allowed under card.serial"),
        (resigned(issued_at=datetime(2026, 5, 1)), "without a time zone"),
        (resigned(organisation="x" * 201), "not allowed under card.organisation"),
        (resigned(format="mutuals/v2/card"), "not allowed under card.format"),
    ],
)
def test_what_is_no_card_is_refused_with_its_own_sentence(data: bytes, sentence: str) -> None:
    assert sentence in refusal(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_card_or_refused(data: bytes) -> None:
    with pytest.raises(MutualsError):
        parse_card(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(Card.model_fields)), json_values)
def test_any_value_under_any_key_is_refused_or_the_same(name: str, value: Any) -> None:
    content = json.loads(card_bytes(SIGNED))
    content["card"][name] = value
    data = json.dumps(content).encode()
    assert accepted(data) in (SIGNED, None)


@given(st.integers(0, len(CERTIFICATE) - 1), st.sampled_from(b"AZaz09+/=\n-"))
def test_any_change_to_the_certificate_is_refused_cleanly(at: int, byte: int) -> None:
    changed = CERTIFICATE[:at] + bytes([byte]) + CERTIFICATE[at + 1 :]
    if accepted(resigned(tls_certificate=changed.decode())):
        assert changed.strip() == CERTIFICATE.strip()
