"""What people write or hand over as files: cards, agreements, policies, mappings, settings; and what they type."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from support.agreements import filled_draft, make_agreement, plain_card
from support.policies import category, policy

from fuzz.folder import folder, in_file
from fuzz.mutate_json import change, mutate_json, write
from fuzz.mutate_text import mutate_toml, mutate_words
from fuzz.target import Ready, Target
from mutuals.agreement.document import agreement_bytes, parse_agreement
from mutuals.agreement.draft import parse_draft
from mutuals.agreement.redraft import redraft_toml
from mutuals.agreement.render import render_markdown
from mutuals.agreement.rules import broken_rules
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.crypto.signing import SigningKey
from mutuals.documents import make_receipt, parse_receipt, receipt_bytes
from mutuals.framing import Context, frame
from mutuals.identity.cards import parse_card
from mutuals.identity.config_text import config_toml
from mutuals.identity.home import Config, Home, load_config
from mutuals.identity.text import valid_endpoint
from mutuals.identity.words import fingerprint_matches, fingerprint_words
from mutuals.models.card import ContactPerson
from mutuals.policy.document import parse_policy, policy_bytes
from mutuals.policy.draft import parse_policy_toml
from mutuals.policy.proposal import CategoryDraft, DepartmentDraft, PolicyDraft
from mutuals.policy.template import policy_toml
from mutuals.runs.preview_id import names_preview, preview_id
from mutuals.sources.mapping import ConsentDecision, ConsentFile, ConsentGrant, ObjectionRule
from mutuals.sources.mapping_file import SavedMapping, mapping_toml, read_decision, read_mapping
from mutuals_client.commands.agreement_show import read_draft

VECTORS = Path(__file__).parent.parent / "vectors"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
_OWN, _THEIRS = plain_card(1), plain_card(2)


@cache
def card_vector() -> dict[str, Any]:
    """A card that the product made once, with the seed of its key."""
    found: dict[str, Any] = json.loads((VECTORS / "card.json").read_text(encoding="utf-8"))
    return found


def _cards() -> Ready:
    signed = card_vector()["signed_card"]
    data = (json.dumps(signed, indent=2, ensure_ascii=False) + "\n").encode()
    return Ready([data], parse_card)


def _mutate_card(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A card that says something else, signed by its own key two times out of three."""
    if chance.random() < 0.33:
        return mutate_json(chance, data, others)
    signed = change(chance, json.loads(data))
    with suppress(Exception):  # where it is no longer what could be signed
        key = SigningKey(bytes.fromhex(card_vector()["signing_seed"]))
        signed = json.loads(json.dumps(signed))
        signed["signature"] = key.sign(frame(Context.CARD, canonical_json(signed["card"]))).hex()
    return write(chance, signed, indent=True)


def _agreement_documents() -> Ready:
    sound = make_agreement(_OWN, _THEIRS)
    vectors = json.loads((VECTORS / "agreement.json").read_text(encoding="utf-8"))["cases"]
    seeds = [agreement_bytes(sound), *(canonical_json(case["inputs"]["agreement"]) for case in vectors)]

    def parse(data: bytes) -> None:
        agreement = parse_agreement(data)
        list(broken_rules(agreement))
        render_markdown(agreement)

    return Ready(seeds, parse)


def _agreement_drafts() -> Ready:
    drafts = [filled_draft(_OWN, _THEIRS), filled_draft(_OWN, _THEIRS, one_way="send")]
    amendment = redraft_toml(
        make_agreement(_OWN, _THEIRS),
        make_agreement(_OWN, _THEIRS).parties.proposer.fingerprint,
        "A-7Q3K2M9X",
        command="amend",
        replaces="00" * 32,
        version=2,
    )
    return Ready(
        [text.encode() for text in (*drafts, amendment)],
        in_file("draft.toml", lambda path: parse_draft(read_draft(path), _OWN, _THEIRS, file=path.name)),
    )


def _policy_documents() -> Ready:
    seeds = [policy_bytes(policy()), policy_bytes(policy(category(), category("sales", fields=("score",))))]
    return Ready(seeds, parse_policy)


def _policy_drafts() -> Ready:
    departments = tuple(DepartmentDraft(name, "Its work.", "Jane Doe") for name in ("marketing", "sales"))
    categories = (
        CategoryDraft(
            "contact", "Who they are.", ("city",), collected_by="sales", stored_by="sales", shared_by="sales"
        ),
    )
    draft = policy_toml(PolicyDraft("Acme Ltd", "Olga Owner", departments, categories, ("anna reads",)))
    draft = re.sub(r"<[a-z][^<>\n]*>", "Some words.", draft)

    def parse(data: bytes) -> object:
        return parse_policy_toml(data.decode("utf-8", "replace"), version=2)

    return Ready([draft.encode()], parse)


def _configurations() -> Ready:
    home = Home(folder() / "home")
    home.root.mkdir()
    plain = Config(organisation="Acme Ltd")
    full = Config(
        organisation="Acme Ltd",
        introduction="We make things.\nSince 1931.",
        contacts=(ContactPerson(name="Jane", role="DPO", email="jane@example.com"),),
        endpoint="peer.example.com:8443",
        store="postgresql+psycopg://mutuals@localhost/mutuals",
        workers=4,
        x25519_backend="cryptography",
        executor="tls://scheduler.internal:8786",
        executor_ca="ca.pem",
        executor_cert="cert.pem",
        executor_key="key.pem",
    )

    def parse(data: bytes) -> object:
        home.config.write_bytes(data)
        return load_config(home)

    return Ready([config_toml(one).encode() for one in (plain, full)], parse)


def _saved_mappings() -> list[SavedMapping]:
    grant = ConsentGrant(purpose="sharing", column="Opt in", values=("yes", "ja"), given_at="Since")
    register = ConsentFile(
        path="register.csv", contact_id="Id", purpose="Purpose", status="State", granted=("yes",), date="Day"
    )
    return [
        SavedMapping(
            layout="hubspot",
            contact_id="Record ID",
            emails=("Email",),
            phones=("Phone Number", "Mobile"),
            objections=(ObjectionRule(column="Unsubscribed", objects_if=("true",)),),
            consent=ConsentDecision(grants=(grant,), notified_on=date(2026, 1, 31), reason="On our form."),
            dates="day-first",
            default_country="DE",
            delimiter="semicolon",
        ),
        SavedMapping(
            layout="generic",
            contact_id="Id",
            emails=("Mail",),
            no_objections_because="They are taken out before.",
            consent=ConsentDecision(file=register, notified_at="Told"),
            sheet="Contacts",
        ),
    ]


def _mappings() -> Ready:
    return Ready(
        [mapping_toml(one).encode() for one in _saved_mappings()], in_file("m/crm.toml", read_mapping)
    )


def _decisions() -> Ready:
    seeds = []
    for saved in _saved_mappings():
        text = mapping_toml(saved).split("[consent]", 1)[1].replace("consent.", "")
        seeds.append(text.encode())
    return Ready(seeds, in_file("m/consent.toml", read_decision))


def _words() -> Ready:
    fingerprint = bytes.fromhex(card_vector()["fingerprint"])
    words = " ".join(fingerprint_words(fingerprint))
    seeds = [words, words.upper().replace(" ", " - "), fingerprint.hex(), f"1. {words.replace(' ', ', 2. ')}"]
    return Ready(
        [text.encode() for text in seeds],
        lambda data: fingerprint_matches(data.decode("utf-8", "replace"), fingerprint),
    )


def _endpoints() -> Ready:
    names = ("peer.example.com:8443", "[::1]:8443", "127.0.0.1:1", "localhost:65535", "[fe80::1]:8443")
    return Ready(
        [name.encode() for name in names], lambda data: valid_endpoint(data.decode("utf-8", "replace"))
    )


def _previews() -> Ready:
    digest = bytes(range(32))
    seeds = [preview_id(digest).encode(), digest.hex().encode()]

    def parse(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        names_preview(text, digest)
        names_preview(text, preview_id(digest))

    return Ready(seeds, parse)


def _receipts() -> Ready:
    key = SigningKey(b"\x07" * 32)
    seeds = [
        receipt_bytes(make_receipt(key, b"\x11" * 32, accepted=accepted, reason=reason))
        for accepted, reason in ((True, ""), (False, "BAD_MESSAGE"))
    ]
    return Ready(seeds, parse_receipt)


def _canonical() -> Ready:
    seeds = [
        b'{"a":1,"b":[true,null,"x"],"c":{"d":1.5}}',
        '{"ä":"\\u0000","\U0001f600":9007199254740991}'.encode(),
    ]
    return Ready(seeds, parse_canonical)


def _text(name: str, prepare: Callable[[], Ready], *errors: type[Exception]) -> Target:
    return Target(name, prepare, mutate_words, errors) if errors else Target(name, prepare, mutate_words)


TARGETS = (
    Target("card", _cards, _mutate_card),
    Target("agreement.document", _agreement_documents, mutate_json, (ValueError,)),
    Target("agreement.draft", _agreement_drafts, mutate_toml, everyday=15),
    Target("policy.document", _policy_documents, mutate_json, (ValueError,)),
    Target("policy.draft", _policy_drafts, mutate_toml, everyday=20),
    Target("config", _configurations, mutate_toml),
    Target("mapping", _mappings, mutate_toml),
    Target("consent", _decisions, mutate_toml),
    Target("receipt", _receipts, mutate_json, (ValueError,)),
    Target("canonical", _canonical, mutate_json, (ValueError,)),
    _text("fingerprint", _words),
    _text("endpoint", _endpoints),
    _text("preview", _previews),
)
