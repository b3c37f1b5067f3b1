"""Which columns grant consent: what is shown, what is refused, whom it makes consenting, and when it stands no more."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.homes import CHEAP, NOW, PASSPHRASE, make_peer, open_peer

from mutuals.consent.decision import (
    DECIDED,
    DecisionState,
    decide,
    decided_definition,
    require_decision,
    standing_of,
)
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import OperatorKeys, create_operator, unlock
from mutuals.peer import Peer
from mutuals.runs.handover import take_on
from mutuals.runs.prepare import bound_source
from mutuals.sources import SourceDefinition, read_source
from mutuals.sources.consent_columns import candidate_columns
from mutuals.sources.consent_decision import (
    check_decision,
    decision_digest,
    foresee,
    keep_decision,
    mapping_of,
    with_decision,
)
from mutuals.sources.mapping import (
    ConsentDecision,
    ConsentFile,
    ConsentGrant,
    ObjectionRule,
    SourceMapping,
)
from mutuals.store.rows import SourceRow

TODAY = NOW.date()
MAPPING = SourceMapping(
    layout="generic",
    contact_id="id",
    emails=("email",),
    objections=(ObjectionRule(column="optout", objects_if=("1",), allows_if=("0",)),),
)
GRANT = ConsentGrant(purpose="sharing", column="ok", values=("Yes",), given_at="day")


def people(folder: Path, count: int = 12) -> SourceDefinition:
    """A file of ``count`` contacts: every third said no, every fourth objects, one wrote what nobody offered."""
    path = folder / "people.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("id", "email", "optout", "ok", "day", "note", "tier", "topics", "late", "empty"))
        for n in range(count):
            said = "no" if n % 3 == 2 else " YES" if n % 2 else "yes"
            out.writerow(
                (
                    f"c{n}",
                    f"p{n}@example.com",
                    int(n % 4 == 3),
                    "perhaps" if n == 4 else said,
                    "" if n == 6 else "2026-01-02",
                    f"met p{n}",
                    "gold" if n else "platinum",
                    "News; Offers" if n % 2 else "offers",
                    "03/04/2026",
                    "",
                )
            )
    return SourceDefinition(name="crm", path=str(path), format="csv", mapping=MAPPING)


@pytest.fixture
def crm(tmp_path: Path) -> SourceDefinition:
    return people(tmp_path)


@pytest.fixture
def peer(tmp_path: Path, crm: SourceDefinition) -> Iterator[Peer]:
    with open_peer(make_peer(tmp_path / "acme")) as opened:
        with opened.store.transaction() as tx:
            tx.sources.put(SourceRow("crm", crm.model_dump_json(), NOW))
        yield opened


def keys_of(peer: Peer, name: str = "anna") -> OperatorKeys:
    with peer.store.transaction() as tx:
        row = tx.operators.get(name)
    assert row is not None
    return unlock(row, PASSPHRASE)


def decided(peer: Peer, definition: SourceDefinition, grant: ConsentGrant = GRANT) -> SourceDefinition:
    keys = keys_of(peer)
    with peer.store.transaction() as tx:
        return decide(tx, with_decision(definition, ConsentDecision(grants=(grant,))), keys, NOW)


def consenting(definition: SourceDefinition) -> set[str]:
    frame = read_source(definition).frame
    return {contact for contact, purposes in frame.select("contact_id", "consent").iter_rows() if purposes}


def test_only_values_that_several_hold_are_shown_and_none_of_free_text(crm: SourceDefinition) -> None:
    found = {c.heading: c for c in candidate_columns(crm, MAPPING)}
    assert list(found) == ["ok", "note", "tier", "topics", "day", "late"]
    assert found["ok"].values == (("yes", 7),)
    assert (found["ok"].filled, found["ok"].distinct) == (12, 3)
    assert found["tier"].values == (("gold", 11),)
    assert (found["note"].values, found["note"].distinct) == ((), 12)
    assert found["topics"].values == (("offers", 12), ("News", 6))
    assert (found["day"].days, found["day"].values, found["day"].filled) == (True, (), 11)


def test_several_rows_of_one_contact_are_one_contact(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = [f"c1,a@example.com,0,rare,{n}" for n in range(6)] + [
        f"c{n},b{n}@example.com,0,often,x" for n in range(2, 8)
    ]
    path.write_text("\n".join(("id,email,optout,ok,other", *rows)))
    merging = MAPPING.model_copy(update={"duplicates": "merge"})
    found = candidate_columns(
        SourceDefinition(name="crm", path=str(path), format="csv", mapping=merging), merging
    )
    assert next(c for c in found if c.heading == "ok").values == (("often", 6),)


def test_what_a_decision_does_is_counted_before_it_is_signed(crm: SourceDefinition) -> None:
    decision = ConsentDecision(grants=(GRANT,), notified_on=date(2026, 4, 1))
    seen = foresee(with_decision(crm, decision), TODAY)
    (sharing,) = seen.granted
    assert (seen.contacts, sharing.purpose, sharing.contacts) == (12, "sharing", 7)
    assert sharing.excluded == {"suppressed": 2, "consent_undated": 1}
    assert (sharing.remaining, sharing.notified) == (4, 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"column": "optout", "values": ("0",)}, "not having objected is no consent"),
        ({"column": "email"}, "says who a contact is"),
        ({"column": "absent"}, "no column “absent”"),
        ({"values": ("Yes", " ")}, "An empty cell"),
        ({"given_at": None}, "since when sharing is granted"),
        ({"given_on": date(2026, 1, 1)}, "since when sharing is granted"),
        ({"given_at": None, "given_on": TODAY + timedelta(days=1)}, "lies ahead"),
        ({"given_at": "note"}, "holds no days"),
        ({"given_at": "late"}, "in March or in April"),
    ],
)
def test_what_could_not_be_meant_is_refused(
    crm: SourceDefinition, change: dict[str, object], said: str
) -> None:
    grant = GRANT.model_copy(update=change)
    with pytest.raises(MutualsError, match=said) as raised:
        check_decision(with_decision(crm, ConsentDecision(grants=(grant,))), TODAY)
    assert raised.value.code is ErrorCode.USAGE


def test_a_register_that_says_yes_of_nobody_is_refused(crm: SourceDefinition, tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_text("contact,purpose,status,date\nc1,sharing,granted,2026-01-01\n")
    register = ConsentFile(
        path=str(path),
        contact_id="contact",
        purpose="purpose",
        status="status",
        granted=("yes",),
        date="date",
    )
    with pytest.raises(MutualsError, match="Nobody has consented by the consent file"):
        check_decision(with_decision(crm, ConsentDecision(file=register)), TODAY)


def test_a_signed_decision_stands_and_is_in_the_log_without_a_value(
    peer: Peer, crm: SourceDefinition
) -> None:
    kept = decided(peer, crm)
    with peer.store.transaction() as tx:
        row = tx.sources.get("crm")
        assert row is not None
        assert decided_definition(tx, row) == kept
        standing = standing_of(tx, kept)
        (entry,) = tx.log.events(DECIDED)
    assert (standing.state, standing.by, standing.at) == (DecisionState.STANDS, "anna", NOW)
    assert consenting(kept) == {"c0", "c1", "c3", "c6", "c7", "c9", "c10"}
    assert entry.body["mapping"] == decision_digest(kept)
    assert "Yes" not in str(entry.body)
    again = SourceDefinition.model_validate_json(kept.model_dump_json())
    assert decision_digest(again) == decision_digest(kept)


def _edits(kept: SourceDefinition, other: SourceDefinition) -> dict[str, tuple[SourceDefinition, str]]:
    mapping = mapping_of(kept)
    decision = mapping.consent
    assert decision is not None
    wider = (decision.grants[0].model_copy(update={"values": ("Yes", "no")}),)

    def edit(**changes: object) -> SourceDefinition:
        return kept.model_copy(update={"mapping": mapping.model_copy(update=changes)})

    def decide_otherwise(**changes: object) -> SourceDefinition:
        return edit(consent=decision.model_copy(update=changes))

    return {
        "values": (decide_otherwise(grants=wider), "was changed since anna decided"),
        "objections": (edit(objections=(), no_objections_because="none"), "was changed since anna decided"),
        "query": (kept.model_copy(update={"query": "SELECT 1"}), "was changed since anna decided"),
        "name": (kept.model_copy(update={"name": "shop"}), "taken on source crm"),
        "unsigned": (decide_otherwise(act={}), "signed by nobody"),
        "signature": (
            decide_otherwise(act={**decision.act, "act_signature": "00" * 64}),
            "not signed by an operator",
        ),
        "garbage": (decide_otherwise(act={"act": "{", "act_signature": "x"}), "not signed by an operator"),
        "operator": (decide_otherwise(decided_by="bea"), "not signed by an operator"),
        "day": (decide_otherwise(decided_at=NOW - timedelta(days=9)), "another operator or day"),
        "earlier": (other, "another decision was taken after"),
    }


def test_after_any_edit_nobody_consents_and_it_is_said(peer: Peer, crm: SourceDefinition) -> None:
    take_on(
        peer, create_operator("bea", ("analyst",), "sales", PASSPHRASE, kdf=CHEAP, now=NOW), keys_of(peer)
    )
    earlier = decided(peer, crm, GRANT.model_copy(update={"values": ("Yes", "perhaps")}))
    kept = decided(peer, crm)
    with peer.store.transaction() as tx:
        for edit, (definition, said) in _edits(kept, earlier).items():
            standing = standing_of(tx, definition)
            assert (standing.state, said in standing.sentence) == (DecisionState.BROKEN, True), (
                edit,
                standing.sentence,
            )
            read = decided_definition(tx, SourceRow(definition.name, definition.model_dump_json(), NOW))
            assert mapping_of(read).consent is None
            with pytest.raises(MutualsError, match="Nobody has consented") as raised:
                require_decision(tx, definition)
            assert raised.value.hint is not None
            assert "mutuals source map" in raised.value.hint
    assert consenting(with_decision(kept, None)) == set()


def test_what_was_not_decided_is_not_read_for_a_partner(peer: Peer, crm: SourceDefinition) -> None:
    bound: Any = SimpleNamespace(source="crm", agreement_id="A-1")
    with pytest.raises(MutualsError, match="no decision was taken") as raised:
        bound_source(peer, bound)
    assert raised.value.code is ErrorCode.INPUT_QUALITY
    kept = decided(peer, crm)
    assert bound_source(peer, bound) == kept


def test_an_analyst_may_not_decide(peer: Peer, crm: SourceDefinition) -> None:
    bea = create_operator("bea", ("analyst",), "sales", PASSPHRASE, kdf=CHEAP, now=NOW)
    take_on(peer, bea, keys_of(peer))
    proposed = with_decision(crm, ConsentDecision(grants=(GRANT,)))
    with peer.store.transaction() as tx, pytest.raises(MutualsError, match="may not decide") as raised:
        decide(tx, proposed, unlock(bea, PASSPHRASE), NOW)
    assert raised.value.code is ErrorCode.NOT_ENTITLED
    with peer.store.transaction() as tx:
        assert tx.log.events(DECIDED) == []
        assert standing_of(tx, crm).state is DecisionState.MISSING


def test_the_next_file_keeps_the_decision_where_it_means_the_same(
    peer: Peer, crm: SourceDefinition, tmp_path: Path
) -> None:
    kept = decided(peer, crm)
    (tmp_path / "new").mkdir()
    fresh = people(tmp_path / "new", count=3)
    carried = keep_decision(kept, fresh)
    assert consenting(carried) == {"c0", "c1"}
    with peer.store.transaction() as tx:
        assert standing_of(tx, carried).holds
    otherwise = fresh.model_copy(update={"mapping": MAPPING.model_copy(update={"duplicates": "merge"})})
    assert keep_decision(kept, otherwise) == otherwise
    Path(fresh.path).write_text("id,email,optout\nc1,a@example.com,0\n")
    assert keep_decision(kept, fresh) == fresh
