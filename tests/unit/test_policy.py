"""The company's own policy: what it decides, how it is written, approved and compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.homes import CHEAP, NOW, PASSPHRASE, make_peer, open_peer
from support.policies import category, policy

from mutuals.agreement.policy_check import compare
from mutuals.agreement.policy_text import describe_policy
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.appointment import log_appointment
from mutuals.identity.operators import OperatorKeys, create_operator, unlock
from mutuals.models.policy import ACTIONS, Access, Policy
from mutuals.peer import Peer
from mutuals.policy.approval import approve_policy
from mutuals.policy.changes import changes
from mutuals.policy.current import current_policy, operators_required
from mutuals.policy.decide import NO_POLICY, Person, decide
from mutuals.policy.document import parse_policy, policy_bytes
from mutuals.policy.draft import BLANK, parse_policy_toml
from mutuals.policy.four_eyes import co_sign, signers
from mutuals.policy.proposal import DepartmentDraft, PolicyDraft, category_for, propose_categories
from mutuals.policy.template import policy_toml
from mutuals.runs.explain import explain
from mutuals_client import policy_walk
from mutuals_client.console import Settings

ANALYST = Person(("analyst",), "marketing")
SELLER = Person(("steward",), "sales")
NOBODY: dict[str, Any] = {}


def rules(**access: Any) -> Policy:
    return policy(category("sales_history", **access))


@pytest.mark.parametrize(
    ("access", "person", "allowed"),
    [
        (NOBODY, ANALYST, False),
        ({"departments": ("marketing",)}, ANALYST, True),
        ({"departments": ("marketing",)}, SELLER, False),
        ({"roles": ("steward",)}, ANALYST, False),
        ({"roles": ("steward",)}, SELLER, True),
        ({"departments": ("marketing", "sales"), "roles": ("steward",)}, ANALYST, False),
        ({"departments": ("marketing", "sales"), "roles": ("steward",)}, SELLER, True),
        ({"departments": ("marketing",), "roles": ("steward",)}, SELLER, False),
        ({"departments": ("sales",), "roles": ("admin", "steward")}, SELLER, True),
    ],
)
@pytest.mark.parametrize("action", ACTIONS)
def test_departments_and_roles_decide(action: Any, access: Any, person: Person, allowed: bool) -> None:
    decision = decide(rules(**{action: access}), action, "sales_history", person)
    assert decision.allowed is allowed
    assert f"{action} of category sales_history in version 1" in decision.rule
    assert decision.changes


@pytest.mark.parametrize(("name", "words"), [(None, "nobody owns it"), ("feedback", "no category feedback")])
def test_what_no_category_has_is_forbidden(name: str | None, words: str) -> None:
    for action in ACTIONS:
        decision = decide(rules(), action, name, ANALYST)
        assert not decision.allowed
        assert words in decision.rule
        assert "policy.toml" in decision.changes


def test_without_a_policy_the_agreement_decides_alone() -> None:
    assert decide(None, "export", "contact", ANALYST).rule == NO_POLICY
    assert decide(None, "share", None, ANALYST).allowed


_ACCESS = st.builds(
    Access,
    departments=st.lists(st.sampled_from(["marketing", "sales", "finance"]), max_size=2, unique=True).map(
        tuple
    ),
    roles=st.lists(st.sampled_from(["analyst", "steward", "service"]), max_size=2, unique=True).map(tuple),
)


@given(
    _ACCESS, st.sets(st.sampled_from(["analyst", "steward", "service", "auditor"])), st.sampled_from("mxs")
)
def test_nobody_is_let_in_who_is_not_named(access: Access, roles: set[str], letter: str) -> None:
    department = {"m": "marketing", "s": "sales", "x": "elsewhere"}[letter]
    allowed = decide(
        rules(export=access), "export", "sales_history", Person(tuple(roles), department)
    ).allowed
    named = (not access.departments or department in access.departments) and (
        not access.roles or bool(roles & set(access.roles))
    )
    assert allowed == (named and bool(access.departments or access.roles))


# --- the file ---


def test_the_first_file_lacks_only_what_the_company_knows() -> None:
    text = written("email", "Lifetime value", "shoe size", "religion")
    with pytest.raises(MutualsError) as caught:
        parse_policy_toml(text, version=1)
    assert caught.value.code is ErrorCode.INPUT_QUALITY
    assert "owner: is still a blank" in caught.value.message
    found = parse_policy_toml(re.sub(BLANK, "Olga", re.sub(r"<[^<>]*>", "Olga", text)), version=1)
    owned = {name: held.name for held in found.categories for name in held.fields}
    assert owned == {
        "email": "contact",
        "Lifetime value": "sales_history",
        "shoe size": "other",
        "religion": "special",
    }
    assert parse_policy(policy_bytes(found)) == found
    assert all(found.category(name).share.nobody for name in ("other", "special"))  # type: ignore[union-attr]


def written(*headings: str) -> str:
    departments = (DepartmentDraft("marketing"),)
    drafts = propose_categories(headings, ("marketing",), "marketing")
    return policy_toml(PolicyDraft('Acme "Ltd"', "<who>", departments, drafts, ("anna\nreads",)))


def test_a_person_is_asked_again_until_a_department_can_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(
        ["Olga", "Field Sales", "sales, legal"]  # the owner; a department with a space, then two that can be
        + ["Sells.", "Sam", "Advises.", "Lea"]
        + ["slaes", "sales", "legal", "legal", "everybody", "sales", "-", "no"]  # the first category
        + ["By a box.", "In the CRM.", "By a link.", "Lea"]
    )
    monkeypatch.setattr(policy_walk, "SETTINGS", Settings())  # a command of another test may have said --yes
    monkeypatch.setattr(policy_walk, "interactive", lambda: True)
    monkeypatch.setattr(policy_walk, "ask", lambda _question, _default=None: next(answers))
    draft = policy_walk.walk("Acme", {"crm": ["email"]}, ["sales"], ["sales"], [])
    found = parse_policy_toml(policy_toml(draft), version=1)
    assert not list(answers)
    assert [department.name for department in found.departments] == ["sales", "legal"]
    first = found.categories[0]
    assert (first.collected_by, first.stored_by, first.shared_by) == ("sales", "legal", "legal")
    assert first.view.departments == ("sales",)
    assert first.export.nobody
    assert first.share.nobody


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("E-Mail", "contact"),
        ("NPS score", "feedback"),
        ("opt_in", "marketing_permissions"),
        ("Orders", "sales_history"),
    ],
)
def test_headings_suggest_a_category(heading: str, name: str) -> None:
    assert category_for(heading) == name


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('owner = "Olga', "line 1: a text in quotation marks is not closed on its line"),
        ("owner = 3", "owner: must be text in quotes"),
        ("owner = 2026-01-01", "owner: is a date"),
        ('ownr = "Olga"', "ownr: unknown key; did you mean owner?"),
        ("version = 2", "version: is filled in by mutuals"),
        ('owner = "O\u202elga"', "owner: holds the control or invisible character U+202E"),
        ('four_eyes = ["reveel"]', 'four_eyes[1]: must be "sign"'),
    ],
)
def test_a_fault_is_named_by_its_key(line: str, sentence: str) -> None:
    rest = "\n".join(
        part for part in written("email").splitlines() if not part.startswith(line.split(" ", maxsplit=1)[0])
    )
    with pytest.raises(MutualsError, match=re.escape(sentence)):
        parse_policy_toml(f"{line}\n{rest}", version=1)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"categories": (category(), category())}, "categories names 'contact' more than once"),
        (
            {"categories": (category(fields=("City",)), category("b", fields=("city ",)))},
            "more than one category",
        ),
        ({"categories": (category(stored_by="legal"),)}, "the department legal, which departments lacks"),
        (
            {"categories": (category(archive_after_days=2000, archive_means="x"),)},
            "not before delete_after_days",
        ),
    ],
)
def test_contradictions_are_refused(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        policy(**changed)


def test_changes_are_told_by_name() -> None:
    after = policy(category(fields=("city",), delete_after_days=5), version=2, four_eyes=("reveal",))
    told = [str(change) for change in changes(policy(), after)]
    assert told == [
        "categories.contact.fields: city, score → city",
        "categories.contact.delete_after_days: 1000 → 5",
        "four_eyes: none → reveal",
    ]


def test_every_rule_is_said_and_marked() -> None:
    blocks = describe_policy(policy(four_eyes=("export",)))
    marks = {getattr(block, "label", ""): getattr(block, "enforced", None) for block in blocks}
    assert (marks["May export"], marks["May share"], marks["Four eyes"], marks["Deletion"]) == (
        True,
        True,
        True,
        False,
    )


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `([a-z_]+)`", page, re.MULTILINE))
    assert documented == set(_keys(Policy)) - {"format", "version"}


def _keys(model: Any) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if hasattr(inner, "model_fields"):
                yield from _keys(inner)


# --- approval ---


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    with open_peer(make_peer(tmp_path / "home")) as peer:
        yield peer


def operator(peer: Peer, name: str, *roles: str, department: str = "marketing") -> OperatorKeys:
    row = create_operator(name, roles, department, PASSPHRASE, kdf=CHEAP, now=NOW)
    admin = anna(peer)
    with peer.store.transaction() as tx:
        tx.operators.put(row)
        log_appointment(tx, row, admin, NOW)
    return unlock(row, PASSPHRASE)


def anna(peer: Peer) -> OperatorKeys:
    with peer.store.transaction() as tx:
        row = tx.operators.get("anna")
    assert row is not None
    return unlock(row, PASSPHRASE)


def approve(peer: Peer, keys: OperatorKeys, **changed: Any) -> tuple[str, ...]:
    with peer.store.transaction() as tx:
        return approve_policy(tx, policy(**changed), keys, NOW).operators


def test_an_approved_version_is_in_force_and_signed(peer: Peer) -> None:
    approve(peer, anna(peer))
    with peer.store.transaction() as tx:
        assert current_policy(tx) == policy()
        assert [entry.event for entry in tx.log.entries()][-1] == "policy.approved"
        assert tx.notifications.unread("anna", ()) == [], "anna knows what she did"
        (note,) = tx.notifications.unread("bert", ())
        assert "Version 1 of the policy is in force" in note.text


@pytest.mark.parametrize("field", ["document", "digest", "signature", "operator"])
def test_an_edited_version_decides_nothing(peer: Peer, field: str) -> None:
    operator(peer, "bea", "admin")
    approve(peer, anna(peer))
    with peer.store.transaction() as tx:
        row = tx.policies.current()
        assert row is not None
        lax = {
            "document": policy_bytes(policy(version=1, four_eyes=("sign",))),
            "digest": "00" * 32,
            "signature": bytes(64),
            "operator": "bea",
        }
        tx.policies.put(
            replace(
                row, version=2, **({field: lax[field]} | ({} if field == "digest" else {"digest": "11" * 32}))
            )
        )
    with peer.store.transaction() as tx, pytest.raises(MutualsError, match="is not what"):
        current_policy(tx)


def test_who_may_approve_what(peer: Peer) -> None:
    with pytest.raises(MutualsError, match="four_eyes: reveal would need two operators"):
        approve(peer, anna(peer), four_eyes=("reveal",))
    with pytest.raises(MutualsError, match="needs the role admin or privacy_officer"):
        approve(peer, operator(peer, "bea", "steward"))
    with pytest.raises(MutualsError, match="Version 2 is not the next one"):
        approve(peer, anna(peer), version=2)
    approve(peer, anna(peer))
    with pytest.raises(MutualsError, match="nothing to approve"):
        approve(peer, anna(peer), version=2)


def test_four_eyes_over_the_policy_are_two_people(peer: Peer) -> None:
    bea = operator(peer, "bea", "privacy_officer")
    approve(peer, anna(peer), four_eyes=("policy",))
    changed: dict[str, Any] = {"version": 2, "backups_expire_days": 3}
    assert approve(peer, anna(peer), **changed) == ("anna",)
    assert approve(peer, anna(peer), **changed) == ("anna",)
    with peer.store.transaction() as tx:
        assert operators_required(tx, "policy") == 2
    assert approve(peer, bea, version=2, backups_expire_days=4) == ("bea",)
    assert set(approve(peer, bea, **changed)) == {"anna", "bea"}
    with peer.store.transaction() as tx:
        assert operators_required(tx, "policy") == 1


def test_a_second_signature_counts_for_the_same_facts_only(peer: Peer) -> None:
    bea, first_keys = operator(peer, "bea", "steward"), anna(peer)
    approve(peer, first_keys, four_eyes=("terminate",))
    with peer.store.transaction() as tx:
        first = co_sign(tx, first_keys, "terminate", "aa", {"reason": "over"}, NOW)
        with pytest.raises(MutualsError, match="only anna has signed") as caught:
            first.require("mutuals agreement terminate A-1")
        assert caught.value.exit_code == 9
        assert not co_sign(tx, bea, "terminate", "aa", {"reason": "other"}, NOW).complete
        assert co_sign(tx, bea, "terminate", "aa", {"reason": "over"}, NOW).complete
        tx.operators.disable("bea", NOW)
        assert signers(tx, "terminate", "aa", {"reason": "over"}) == ("anna",)


# --- questions ---


def test_a_marketing_analyst_learns_why(peer: Peer) -> None:
    held = category("sales_history", fields=("Lifetime value",), export={"roles": ("steward",)})
    approve(peer, anna(peer), categories=(held,))
    with peer.store.transaction() as tx:
        answer = explain(tx, "export", "lifetime_value", ANALYST, NOW)
        assert not answer.allowed
        (why,) = answer.against
        assert "lets every steward export it, and this operator is analyst of marketing" in why.rule
        assert explain(tx, "export", "lifetime_value", SELLER, NOW).allowed
        assert not explain(tx, "share", "lifetime_value", Person(("auditor",), "marketing"), NOW).allowed


def test_what_does_not_fit_is_named(peer: Peer) -> None:
    operator(peer, "bea", "analyst", department="legal")
    with peer.store.transaction() as tx:
        found = compare(tx, policy(), {"crm": ("city", "shoe")})
    faults = [str(finding) for finding in found if finding.fault]
    assert any("source crm: the field “shoe” is in no category" in fault for fault in faults)
    assert any("operator bea: the policy has no department legal" in fault for fault in faults)
    notes = [str(finding) for finding in found if not finding.fault]
    assert "category contact: no source has the field “score”." in notes
    assert "department finance: no operator is in it." in notes
