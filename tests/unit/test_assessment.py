"""Risk assessments: what is found, what can be accepted, and what must not be signed without one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.agreements import Company, Pair, make_agreement, make_homes, open_copy
from support.assessed import sign_off
from support.homes import NOW

import mutuals
from mutuals.agreement import lifecycle
from mutuals.agreement.assessed import latest_assessment, require_assessment
from mutuals.agreement.document import terms_digest
from mutuals.assessment.anonymity import anonymity, birth_column, count_minors
from mutuals.assessment.assess import Plan, assess, sign_assessment
from mutuals.assessment.describe import render_html, render_markdown
from mutuals.assessment.findings import FINDINGS
from mutuals.assessment.look import probing
from mutuals.assessment.owners import approve_fields
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.acts import sign_act
from mutuals.models.agreement import Agreement, SharedField, Side
from mutuals.models.assessment import Assessment, Weight
from mutuals.models.policy import Policy
from mutuals.policy.current import APPROVED, current_policy
from mutuals.policy.document import policy_bytes, policy_digest
from mutuals.runs.transforms import UnfitValue, transform
from mutuals.sources.definition import SourceDefinition
from mutuals.store.rows import PolicyRow, SourceRow

DOCUMENTATION = Path(mutuals.__file__).parents[2] / "docs" / "assessment.md"
HEADER = "contact_id,email,phone,consent,consent_at,notified_at,suppressed,city,last_purchase,Lifetime value"
CLEAN = {"ages-unknown", "set-below-minimum", "no-policy", "partner-says-little"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_homes(tmp_path_factory.mktemp("homes"))


@pytest.fixture(scope="module")
def pair(made: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """One pair for all: each test assesses an agreement of its own."""
    with open_copy(made, tmp_path_factory.mktemp("copies")) as opened:
        yield opened


def contacts(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def person(number: int, city: str = "Berlin", purpose: str = "joint-marketing", more: str = "") -> str:
    return (
        f"{number},p{number}@example.com,,{purpose},2026-01-01,2026-01-02,false,{city},2026-02-03,120{more}"
    )


SIX = contacts(*(person(number) for number in range(6)))


def source(company: Company, folder: Path, text: str, country: str | None = None) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "list.csv").write_text(text)
    definition = SourceDefinition(name="list", path=str(folder / "list.csv"), default_country=country)
    with company.tx() as tx:
        tx.sources.put(SourceRow("list", definition.model_dump_json(), NOW))
    return "list"


def agreed(pair: Pair, changes: dict[str, Any] | None = None, **options: Any) -> Agreement:
    """The draft's agreement with changes by key, ``matching.min_overlap`` say."""
    agreement = make_agreement(pair.acme.card, pair.globex.card, **options)
    values = agreement.model_dump()
    for key, value in (changes or {}).items():
        *parents, last = key.split(".")
        place: Any = values
        for part in parents:
            place = place[int(part) if part.isdigit() else part]
        place[last] = value
    return Agreement.model_validate(values)


def look(pair: Pair, agreement: Agreement, name: str | None, **accepted: str) -> Assessment:
    reasons = {key.replace("_", "-"): value for key, value in accepted.items()}
    return assess(pair.acme.peer, Plan(agreement, Side.PROPOSER, name), reasons, pair.acme.keys)


def names(assessment: Assessment) -> set[str]:
    return {finding.name for finding in assessment.findings}


def test_an_ordinary_agreement_has_nothing_to_answer_for(pair: Pair, tmp_path: Path) -> None:
    found = look(pair, agreed(pair), source(pair.acme, tmp_path, SIX))
    assert names(found) == CLEAN
    assert found.open == ()
    assert found.volumes is not None
    assert (found.volumes.contacts, found.volumes.eligible, found.volumes.granted) == (6, 6, 6)
    assert len(found.risks) == 7
    text = render_markdown(found)
    for heading in (
        "What is planned",
        "necessary and proportionate",
        "Risks to the rights",
        "Measures",
        "Art. 36(1)",
    ):
        assert heading in text


@pytest.mark.parametrize(
    ("changes", "name", "weight"),
    [
        ({"proposer_sends.0.sensitivity": "special"}, "special-categories", Weight.BLOCKS),
        ({"partner_sends.0.sensitivity": "special"}, "special-categories", Weight.BLOCKS),
        ({"minors": "included"}, "minors-included", Weight.BLOCKS),
        ({"matching.min_set_size": 1}, "no-minimum-set", Weight.BLOCKS),
        ({"matching.min_set_size": 10}, "small-set", Weight.ACCEPT),
        ({"matching.min_overlap": 2}, "no-minimum-overlap", Weight.BLOCKS),
        ({"matching.min_overlap": 3}, "small-overlap", Weight.ACCEPT),
        ({"proposer_sends.1.retention_days": 1096}, "retention-without-end", Weight.BLOCKS),
        ({"partner_sends.1.retention_days": 1095}, "long-retention", Weight.ACCEPT),
        ({"consent.purpose": "something-else"}, "consent-granted-by-nobody", Weight.BLOCKS),
        ({"consent.max_age_days": 1096}, "old-consent", Weight.ACCEPT),
        ({"consent.notice_required": False}, "no-notice", Weight.ACCEPT),
        ({"permission.exchange": "mandate"}, "standing-mandate", Weight.ACCEPT),
        ({"matching.shared_identifiers": "include"}, "shared-identifiers", Weight.ACCEPT),
        ({"proposer_sends.0.sensitivity": "sensitive"}, "sensitive-fields", Weight.ACCEPT),
        ({"vendors": ("Hosting Ltd",)}, "vendors", Weight.ACCEPT),
        ({"parties.partner.role": "processor"}, "roles", Weight.ACCEPT),
        ({"parties.proposer.role": "joint controller"}, "roles", Weight.ACCEPT),
        (
            {"matching.items_per_30_days": 20_000_000, "matching.runs_per_30_days": 1000},
            "much-probed",
            Weight.ACCEPT,
        ),
        (
            {
                "matching.items_per_30_days": 9_000_000_000,
                "matching.runs_per_30_days": 1000,
                "matching.max_set_size": 9_000_000,
            },
            "everything-probed",
            Weight.BLOCKS,
        ),
    ],
)
def test_terms_are_found_by_name(
    pair: Pair, tmp_path: Path, changes: dict[str, Any], name: str, weight: Weight
) -> None:
    found = look(pair, agreed(pair, changes), source(pair.acme, tmp_path, SIX, "DE"))
    assert names(found) - CLEAN == {name}
    (finding,) = (item for item in found.findings if item.name == name)
    assert finding.weight is weight
    assert finding.sentence
    assert finding.mend
    assert finding.open


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (contacts(), {"empty-source", "no-policy", "partner-says-little"}),
        (contacts(*(person(n, purpose="other") for n in range(6))), {"consent-granted-by-nobody"}),
        (contacts(*(person(n, city="Bonn" if n < 4 else "Kiel") for n in range(9))), {"small-groups"}),
        (
            contacts(*(person(n, more=",2010-05-02") for n in range(6)), header=HEADER + ",Birthday"),
            {"minors-in-source"},
        ),
        (contacts(*(person(n, more=",17") for n in range(6)), header=HEADER + ",age"), {"minors-in-source"}),
        (contacts(*(person(n, more=",2008-05-01") for n in range(6)), header=HEADER + ",dob"), set()),
    ],
    ids=["empty", "no consent", "small groups", "minors", "ages", "of age today"],
)
def test_the_source_is_looked_at(pair: Pair, tmp_path: Path, text: str, expected: set[str]) -> None:
    found = look(pair, agreed(pair), source(pair.acme, tmp_path, text))
    assert names(found) - CLEAN == expected - CLEAN
    assert ("ages-unknown" in names(found)) == (
        expected <= {"consent-granted-by-nobody", "small-groups"} and bool(expected)
    )


def test_without_a_source_nobody_can_sign(pair: Pair) -> None:
    found = look(pair, agreed(pair), None)
    assert "no-source" in names(found)
    assert found.volumes is None


@pytest.mark.parametrize("one_way", ["send", "receive"])
def test_one_way_agreements_are_assessed(pair: Pair, tmp_path: Path, one_way: str) -> None:
    found = look(pair, agreed(pair, one_way=one_way), source(pair.acme, tmp_path, SIX))
    assert (found.anonymity is None) == (one_way == "receive")
    assert found.open == ()


# --- what is signed -------------------------------------------------------------------------------------------------


def test_accepting_is_by_name_with_a_reason(pair: Pair, tmp_path: Path) -> None:
    agreement, name = agreed(pair, {"matching.min_overlap": 3}), source(pair.acme, tmp_path, SIX)
    accepted = look(pair, agreement, name, small_overlap="A pilot with few contacts.")
    assert accepted.open == ()
    for wrong, code in (
        ({"small_set": "Not found."}, ErrorCode.USAGE),
        ({"ages_unknown": "Needs none."}, ErrorCode.USAGE),
        ({"small_overlap": "  "}, ErrorCode.USAGE),
        ({"small_overlap": "hidden \u202e text"}, ErrorCode.USAGE),
    ):
        with pytest.raises(MutualsError) as caught:
            look(pair, agreement, name, **wrong)
        assert caught.value.code is code
    with pytest.raises(MutualsError) as caught:
        look(pair, agreed(pair, {"minors": "included"}), name, minors_included="We like it.")
    assert caught.value.code is ErrorCode.AGREEMENT_FORBIDS


def forbidden(pair: Pair, agreement: Agreement, **options: Any) -> MutualsError:
    with pair.acme.tx() as tx, pytest.raises(MutualsError) as caught:
        require_assessment(tx, agreement, options.pop("now", NOW), **options)
    assert caught.value.code is ErrorCode.AGREEMENT_FORBIDS
    assert caught.value.hint is not None
    return caught.value


def test_only_a_signed_assessment_of_these_terms_counts(pair: Pair, tmp_path: Path) -> None:
    agreement, name = agreed(pair, title="Counts"), source(pair.acme, tmp_path, SIX)
    assert "There is no risk assessment" in forbidden(pair, agreement).message
    plan = Plan(agreement, Side.PROPOSER, name)
    made = assess(pair.acme.peer, plan, {}, pair.acme.keys)
    digest = sign_assessment(pair.acme.peer, plan, made, pair.acme.keys)
    with pair.acme.tx() as tx:
        assert require_assessment(tx, agreement, NOW, source=name, mapping=made.mapping) == digest
        again = agreement.model_copy(update={"nonce": "11" * 32, "version": 2, "replaces": "22" * 32})
        assert require_assessment(tx, again, NOW + timedelta(days=90)) == digest
    assert "days old" in forbidden(pair, agreement, now=NOW + timedelta(days=91)).message
    assert "with source list" in forbidden(pair, agreement, source="crm").message
    assert "other columns" in forbidden(pair, agreement, mapping={"city": "Town"}).message
    assert "There is no risk" in forbidden(pair, agreement.model_copy(update={"purpose": "More."})).message
    html = render_html(made)
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")


def test_open_findings_name_themselves_and_what_mends_them(pair: Pair, tmp_path: Path) -> None:
    name = source(pair.acme, tmp_path, SIX)
    for changes, word, command in (
        ({"minors": "included", "matching.min_overlap": 3}, "minors-included", "Set minors"),
        ({"matching.min_overlap": 3}, "small-overlap", "--accept small-overlap="),
    ):
        plan = Plan(agreed(pair, changes, title=f"Open {word}"), Side.PROPOSER, name)
        sign_assessment(pair.acme.peer, plan, assess(pair.acme.peer, plan, {}), pair.acme.keys)
        refused = forbidden(pair, plan.agreement)
        assert word in refused.message
        assert command in str(refused.hint)
        with pytest.raises(MutualsError) as caught:
            lifecycle.propose(pair.acme.peer, plan.agreement, name, {}, pair.acme.keys)
        assert caught.value.exit_code == 3


def test_an_edited_assessment_is_refused(pair: Pair, tmp_path: Path) -> None:
    plan = Plan(
        agreed(pair, {"minors": "included"}, title="Edited"), Side.PROPOSER, source(pair.acme, tmp_path, SIX)
    )
    sign_assessment(pair.acme.peer, plan, assess(pair.acme.peer, plan, {}), pair.acme.keys)
    with pair.acme.tx() as tx:
        row = tx.assessments.latest(terms_digest(plan.agreement))
        assert row is not None
        better = row.document.replace(b'"weight":"blocks"', b'"weight":"note"')
        tx.assessments.put(replace(row, document=better))
    assert "not what anna signed" in forbidden(pair, plan.agreement).message


def test_the_one_signed_last_counts(pair: Pair) -> None:
    agreement = agreed(pair, title="Twice")
    first = sign_off(pair.acme.peer, pair.acme.keys, agreement)
    plan = Plan(agreement, Side.PROPOSER, "crm")
    second = sign_assessment(pair.acme.peer, plan, assess(pair.acme.peer, plan, {}), pair.acme.keys)
    with pair.acme.tx() as tx:
        latest = latest_assessment(tx, agreement)
    assert latest is not None
    assert latest.digest == second != first


# --- the policy -----------------------------------------------------------------------------------------------------


def policy(**rules: Any) -> Policy:
    departments = ({"name": name, "does": "Work", "contact": "Head"} for name in ("marketing", "sales"))
    common = {"description": "Data", "collected_by": "sales", "stored_by": "sales", "delete_after_days": 900}
    shared = {"share": {"roles": ["steward"]}}
    return Policy.model_validate(
        {
            "version": 1,
            "title": "Ours",
            "owner": "Board",
            "departments": tuple(departments),
            "categories": (
                {"name": "place", "fields": ("city",), "shared_by": "marketing", **common, **shared},
                {"name": "sales", "fields": ("last_purchase",), "shared_by": "sales", **common, **shared},
            ),
            "consent": {"collected": "Form", "kept": "CRM", "withdrawal": "Mail"},
            "vendors": {"rules": "Few"},
            "breach": {"steps": ("Call",), "contacts": ("Head",)},
            **rules,
        }
    )


def put_policy(company: Company, made: Policy, version: int) -> None:
    document = policy_bytes(made.model_copy(update={"version": version}))
    digest = policy_digest(document)
    signed = sign_act(company.keys, APPROVED, digest, {}, NOW)
    with company.tx() as tx:
        tx.policies.put(
            PolicyRow(version, digest, document, company.keys.name, signed.body, signed.signature, NOW)
        )


def test_the_policy_is_held_against_the_terms(made: tuple[Path, Path], tmp_path: Path) -> None:
    """One home through several versions of its policy."""
    with open_copy(made, tmp_path) as pair:
        name = source(pair.acme, tmp_path / "lists", SIX)
        agreement = agreed(pair)
        plan = Plan(agreement, Side.PROPOSER, name)
        without = assess(pair.acme.peer, plan, {})
        sign_assessment(pair.acme.peer, plan, without, pair.acme.keys)
        put_policy(pair.acme, policy(), 1)
        assert "The policy changed" in forbidden(pair, agreement).message

        found = assess(pair.acme.peer, plan, {}, pair.acme.keys)
        assert names(found) - CLEAN == {"field-not-approved"}  # anna is of marketing, which owns city alone
        assert [(item.owner, item.approved_by) for item in found.fields] == [
            ("marketing", "anna"),
            ("sales", None),
        ]
        assert {item.clause for item in found.open} == {"proposer_sends.last_purchase"}

        sven = replace(
            pair.acme.keys, department="sales"
        )  # an operator has one department; this is the other's
        with pair.acme.tx() as tx:
            columns = {"city": "city", "last_purchase": "last_purchase"}
            assert approve_fields(tx, current_policy(tx), agreement, Side.PROPOSER, columns, sven, NOW) == (
                "last_purchase",
            )
            nobody = replace(pair.acme.keys, department="legal")
            with pytest.raises(MutualsError) as caught:
                approve_fields(tx, current_policy(tx), agreement, Side.PROPOSER, columns, nobody, NOW)
            assert caught.value.code is ErrorCode.NOT_ENTITLED
        assert assess(pair.acme.peer, plan, {}, pair.acme.keys).open == ()
        other = agreed(pair, {"proposer_sends.1.retention_days": 30})
        again = assess(pair.acme.peer, Plan(other, Side.PROPOSER, name), {}, pair.acme.keys)
        assert names(again) - CLEAN == {"field-not-approved"}  # an approval is of the field exactly as agreed

        strict = policy(
            categories=(
                {
                    **policy().categories[0].model_dump(),
                    "fields": ("city",),
                    "share": {},
                    "sensitivity": "sensitive",
                },
            ),
            new_agreements={"max_retention_days": 30, "min_set_size": 2000, "purposes": ("newsletter",)},
            consent={"collected": "Form", "kept": "CRM", "withdrawal": "Mail", "max_age_days": 365},
            breach={"steps": ("Call",), "contacts": ("Head",), "tell_within_hours": 48},
            departments=(
                {"name": "sales", "does": "Work", "contact": "Head"},
                {"name": "marketing", "does": "W", "contact": "H"},
            ),
        )
        put_policy(pair.acme, strict, 2)
        vendors = agreed(pair, {"vendors": ("Cheap Cloud",), "partner_sends.0.departments": ("research",)})
        found = assess(pair.acme.peer, Plan(vendors, Side.PROPOSER, name), {}, pair.acme.keys)
        assert names(found) - CLEAN == {
            "sharing-not-permitted",
            "sensitivity-understated",
            "field-without-owner",
            "policy-retention",
            "policy-set-size",
            "policy-purpose",
            "policy-consent-age",
            "policy-vendor",
            "breach-plan-slower",
            "unknown-department",
        }


def test_a_policy_may_allow_special_categories_to_be_accepted(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    with open_copy(made, tmp_path) as pair:
        rules = {"special_categories": True, "field_owner_approval": False}
        put_policy(pair.acme, policy(new_agreements=rules), 1)
        agreement = agreed(pair, {"proposer_sends.0.sensitivity": "special"})
        found = look(pair, agreement, source(pair.acme, tmp_path / "lists", SIX))
        weights = {item.name: item.weight for item in found.findings}
        assert weights["special-categories"] is Weight.ACCEPT
        assert weights["field-not-approved"] is Weight.ACCEPT  # this policy does not ask for owners' approval


# --- numbers --------------------------------------------------------------------------------------------------------

FIELDS = (
    SharedField(name="town", type="text", transform="lower", departments=("marketing",)),
    SharedField(name="spend", type="decimal", transform="band:10,100", departments=("marketing",)),
    SharedField(name="since", type="date", transform="year", departments=("marketing",)),
)
MAPPING = {"town": "Town", "spend": "Spend", "since": "Since"}
CELLS = st.tuples(
    st.sampled_from(["Bonn", "bonn ", "BONN", "Kiel", "", None]),
    st.sampled_from(["1", "9.99", "10", "99", "150", "much", None]),
    st.sampled_from(["2020-01-01", "2020-12-31", "2021-06-01", "then", ""]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CELLS, max_size=30))
def test_groups_are_those_of_a_plain_reckoning(rows: list[tuple[str | None, ...]]) -> None:
    def value(field: SharedField, cell: str | None) -> object:
        if cell is None or not cell.strip():
            return None
        try:
            return transform(field, cell)
        except UnfitValue:
            return None

    groups: dict[tuple[object, ...], int] = {}
    for row in rows:
        key = tuple(value(field, cell) for field, cell in zip(FIELDS, row, strict=True))
        groups[key] = groups.get(key, 0) + 1
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    frame = pl.DataFrame(
        {MAPPING[f.name]: pl.Series(c, dtype=pl.String) for f, c in zip(FIELDS, columns, strict=True)}
    )
    found = anonymity(frame, FIELDS, MAPPING)
    assert found is not None
    assert found.contacts == len(rows)
    assert found.groups == len(groups)
    assert found.smallest == min(groups.values(), default=0)
    assert found.below_5 == sum(size for size in groups.values() if size < 5)
    assert found.alone == sum(size == 1 for size in groups.values())


def test_no_field_no_groups() -> None:
    assert anonymity(pl.DataFrame({"a": ["1"]}), (), {}) is None


@pytest.mark.parametrize(
    ("cells", "minors"),
    [
        (["2008-06-01", "2008-06-02", "2026-01-01", "1990-01-01"], 2),
        (["01.06.2008", "02/06/2008", "3.1.1970"], 1),
        (["2008", "2007", "2009"], 2),
        (["17", "18", "0", "99"], 2),
        (["2008-06", "2008-05"], 1),
        (["unknown", "", None, "9999-01-01", "12345"], 0),
        ([], 0),
    ],
)
def test_minors_are_counted_by_date_year_or_age(cells: list[str | None], minors: int) -> None:
    assert count_minors(pl.Series(cells, dtype=pl.String), date(2026, 6, 1)) == minors


@pytest.mark.parametrize(
    "heading", ["Birthday", "date_of_birth", "DOB", "Geburtsdatum", "Alter", "birth year"]
)
def test_columns_of_birth_are_known_by_their_heading(heading: str) -> None:
    assert birth_column(("city", heading)) == heading
    assert birth_column(("birthplace", "page", "average", "dobby")) is None


def test_probing_is_bounded_by_whichever_budget_is_smaller(pair: Pair) -> None:
    agreement = agreed(pair, {"valid_from": date(2026, 5, 1), "valid_until": date(2026, 5, 31)})
    found = probing(agreement, "DE")
    assert (found.per_30_days, found.guesses) == (4_000_000, 8_000_000)  # 31 days touch two spans of 30
    assert found.numbers is not None
    assert found.share == 8_000_000 * 1_000_000 // found.numbers
    smaller = agreed(pair, {"matching.max_set_size": 1000})
    assert probing(smaller, None).per_30_days == 4000
    by_mail = agreed(pair, {"matching.identifiers": ("email",)})
    assert probing(by_mail, "DE").share is None


def test_every_finding_is_documented_with_its_weight() -> None:
    words = {Weight.BLOCKS: "blocks", Weight.ACCEPT: "to accept", Weight.NOTE: "for information"}
    rows = re.findall(
        r"^\| `([a-z-]+)` \| ([a-z ]+) \|", DOCUMENTATION.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert rows == [(name, words[weight]) for name, weight in FINDINGS.items()]


def test_days_of_an_export_count_as_they_are_sent() -> None:
    field = SharedField(name="seen", type="date", transform="month", departments=("marketing",))
    frame = pl.DataFrame({"Seen": ["31/03/2026 14:02", "01/03/2026", "02/04/2026"]})
    found = anonymity(frame, (field,), {"seen": "Seen"}, "day-first")
    assert found is not None
    assert (found.groups, found.smallest, found.alone) == (2, 1, 1)
