"""One changed byte anywhere in what both signed, and the agreement is not active any more."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.agreements import FIELD_MAP, Company, make_agreement, make_homes, open_copy
from support.assessed import accept, propose
from support.homes import NOW

from mutuals.agreement.active import load_active
from mutuals.agreement.document import agreement_digest, agreement_id, parse_agreement
from mutuals.agreement.statements import BadStatement, verify_statement
from mutuals.canonical import canonical_json, parse_canonical
from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import Side
from mutuals.store.rows import AgreementRow, CertificateRow, LogRow, StatementRow


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Acme, with one active agreement."""
    root = tmp_path_factory.mktemp("tampering")
    with open_copy(make_homes(root), root / "copies") as pair:
        agreement = make_agreement(pair.acme.card, pair.globex.card)
        digest = propose(pair.acme.peer, agreement, "crm", {}, pair.acme.keys)
        pair.deliver()
        accept(pair.globex.peer, digest, "crm", FIELD_MAP, pair.globex.keys)
        pair.deliver()
        yield pair.acme


class _FakeAgreements:
    """The agreements of a store whose rows somebody changed."""

    def __init__(self, row: AgreementRow, statements: builtins.list[StatementRow]) -> None:
        self.row, self.held = row, statements

    def find(self, _reference: str) -> builtins.list[AgreementRow]:
        return [self.row]

    def list(self) -> builtins.list[AgreementRow]:
        return [self.row]

    def statements(self, _digest: str) -> builtins.list[StatementRow]:
        return self.held


class _Nothing:
    """A log that says nothing about the agreement, and no certificates."""

    def kinds(self, *_wanted: object) -> list[LogRow]:
        return []

    def list(self, _digest: str) -> builtins.list[CertificateRow]:
        return []


class Tampered:
    """A transaction that shows other rows than the store holds."""

    def __init__(self, company: Company) -> None:
        with company.tx() as tx:
            self.row = tx.agreements.list()[0]
            self.held = tx.agreements.statements(self.row.digest)
            self._partner = tx.partners.get(self.row.partner)
        self.partners = self
        self.log = self.certificates = _Nothing()

    def get(self, _fingerprint: str) -> object:
        return self._partner

    @property
    def agreements(self) -> _FakeAgreements:
        return _FakeAgreements(self.row, self.held)


def refused(tampered: Tampered) -> bool:
    try:
        load_active(tampered, "A", NOW)  # type: ignore[arg-type]  # stands in for a transaction
    except MutualsError as error:
        assert error.code is ErrorCode.AGREEMENT_NOT_ACTIVE  # noqa: PT017
        return "does not match what was signed" in error.message
    return False


def test_untouched_rows_are_active(company: Company) -> None:
    assert not refused(Tampered(company))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_changed_byte_goes_unnoticed(company: Company, data: st.DataObject) -> None:
    tampered = Tampered(company)
    part = data.draw(st.sampled_from(["document", "body", "signature"]))
    which = data.draw(st.integers(0, 1))
    held = tampered.row.document if part == "document" else getattr(tampered.held[which], part)
    position = data.draw(st.integers(0, len(held) - 1))
    changed = bytearray(held)
    changed[position] ^= data.draw(st.integers(1, 255))
    if part == "document":
        tampered.row = replace(tampered.row, document=bytes(changed))
    else:
        tampered.held[which] = replace(tampered.held[which], **{part: bytes(changed)})
    assert refused(tampered)


def test_document_with_its_digest_corrected_is_still_not_signed(company: Company) -> None:
    tampered = Tampered(company)
    values = parse_canonical(tampered.row.document)
    values["matching"]["min_overlap"] = 1
    document = canonical_json(values)
    digest = agreement_digest(document)
    tampered.row = replace(tampered.row, document=document, digest=digest, agreement_id=agreement_id(digest))
    assert refused(tampered)


def test_other_spelling_of_the_same_document_is_refused(company: Company) -> None:
    tampered = Tampered(company)
    for document in (tampered.row.document + b" ", tampered.row.document.replace(b",", b", ", 1)):
        with pytest.raises(ValueError, match="not an agreement document"):
            parse_agreement(document)


@pytest.mark.parametrize("change", ["title", "agreement_id", "partner", "own_side"])
def test_row_must_say_what_the_document_says(company: Company, change: str) -> None:
    tampered = Tampered(company)
    values = {
        "title": "Other",
        "agreement_id": "A-00000000",
        "partner": "00" * 32,
        "own_side": Side.PARTNER,
    }
    tampered.row = replace(tampered.row, **{change: values[change]})  # type: ignore[arg-type]  # values of any type
    assert refused(tampered)


def test_missing_swapped_or_doubled_statement_is_refused(company: Company) -> None:
    for rebuild in (
        lambda held: [],
        lambda held: held[:1],
        lambda held: held[1:],
        lambda held: [held[0], held[0]],
        lambda held: [replace(held[0], side=held[1].side), replace(held[1], side=held[0].side)],
    ):
        tampered = Tampered(company)
        tampered.held = rebuild(tampered.held)
        assert refused(tampered)


def test_statement_is_checked_in_every_part(company: Company) -> None:
    tampered = Tampered(company)
    agreement = parse_agreement(tampered.row.document)
    held = next(row for row in tampered.held if row.side is Side.PROPOSER)
    assert verify_statement(held.body, held.signature, agreement, held.digest, held.side).operators
    for side, digest in ((Side.PARTNER, held.digest), (Side.PROPOSER, "00" * 32)):
        with pytest.raises(BadStatement):
            verify_statement(held.body, held.signature, agreement, digest, side)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_an_agreement_or_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an agreement"):
        parse_agreement(data)


@pytest.mark.parametrize("depth", [2_000, 200_000])
def test_deep_nesting_is_a_value_error(depth: int) -> None:
    with pytest.raises(ValueError, match="not an agreement"):
        parse_agreement(b'{"a":' + b"[" * depth + b"]" * depth + b"}")
