"""No field leaves that the policy keeps back, and none through an operator whom it does not name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.pairing import PASSPHRASE, Company, Pair, contact
from support.policies import approve, category, policy
from support.revealed import Snapshot, authorise, exchange, exchange_both, reveal_once

from mutuals.agreement.active import load_active
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.accountability import open_accountability
from mutuals.identity.home import Kdf
from mutuals.identity.operators import OperatorKeys, create_operator, unlock
from mutuals.models.agreement import ConsentRule
from mutuals.models.policy import Access, Action, Policy
from mutuals.models.run import RunState
from mutuals.policy.consent_age import carried_out
from mutuals.policy.current import current_policy
from mutuals.policy.decide import decide
from mutuals.runs.authorisation import (
    authorise_exchange,
    authorise_reveal,
    grant_mandate,
    require_authorisation,
)
from mutuals.runs.export import open_received, write_export
from mutuals.runs.export_approval import approve_export
from mutuals.runs.handover import consequences, disable, take_on
from mutuals.runs.permitted import readable_fields, refused_sender, sendable_fields
from mutuals.runs.prepare import read_own_set
from mutuals.runs.preview import preview_exchange

LEFT = [contact(f"L{i}", f"p{i}@example.com", city="Planted City") for i in range(4)]
RIGHT = [contact(f"R{i}", f"p{i}@example.com") for i in range(4)]
FIELDS = {
    "proposer_sends": (
        {"name": "city", "departments": ("marketing",)},
        {"name": "score", "departments": ("marketing",)},
    ),
    "partner_sends": (
        {"name": "score", "type": "integer", "departments": ("marketing", "sales")},
        {"name": "city", "category": "sales_history", "departments": ("marketing",)},
    ),
}
PLACE, POINTS = category("place", fields=("city",)), category("points", fields=("Score",))
NOBODY: dict[str, Any] = {}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return reveal_once(tmp_path_factory.mktemp("pair"), LEFT, RIGHT, **FIELDS)


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


@pytest.fixture
def done(pair: Pair, snapshot: Snapshot) -> Pair:
    exchange_both(pair, snapshot.run_id)
    return pair


def hire(company: Company, name: str, *roles: str, department: str = "marketing") -> OperatorKeys:
    kdf = Kdf(memory_kib=8, iterations=1)
    row = create_operator(name, roles, department, PASSPHRASE, kdf=kdf, now=company.clock())
    take_on(company.peer, row, company.keys)
    return unlock(row, PASSPHRASE)


def refused(code: ErrorCode, act: Any, *arguments: Any, **options: Any) -> MutualsError:
    with pytest.raises(MutualsError) as caught:
        act(*arguments, **options)
    assert caught.value.code is code, caught.value.message
    assert caught.value.hint
    return caught.value


# --- towards the partner ---


def test_a_field_kept_back_is_named_and_not_sent(pair: Pair, snapshot: Snapshot, tmp_path: Path) -> None:
    approve(pair.left, category("place", fields=("city",), share=NOBODY), POINTS)
    preview = preview_exchange(pair.left.peer, snapshot.run_id)
    assert [item.shared.name for item in preview.outgoing.fields] == ["score"]
    (kept,) = preview.kept_back
    assert "share of category place in version 1 of the policy names nobody" in kept.rule
    assert not any(b"Planted" in record.plaintext for record in preview.outgoing.records)
    exchange_both(pair, snapshot.run_id)
    found = open_received(pair.right.peer, snapshot.run_id, pair.right.keys)
    assert all(values.keys() == {"score"} for _, values in found.rows)


def test_an_unowned_field_is_kept_back(pair: Pair, snapshot: Snapshot) -> None:
    approve(pair.left, POINTS)
    (kept,) = preview_exchange(pair.left.peer, snapshot.run_id).kept_back
    assert "gives this field to no category" in kept.rule


def test_no_consent_counts_for_longer_than_the_policy_says(pair: Pair, snapshot: Snapshot) -> None:
    """All contacts consented thirty days ago, and the agreement takes that."""
    company = pair.left
    rules = {"collected": "On forms.", "kept": "In the CRM.", "withdrawal": "By letter."}
    with company.peer.store.transaction() as tx:
        active = load_active(tx, pair.digest, company.clock())
    approve(company, PLACE, POINTS, consent={**rules, "max_age_days": 29})
    outgoing = preview_exchange(company.peer, snapshot.run_id).outgoing
    assert (outgoing.withheld, list(outgoing.records)) == ({"consent_expired": 4}, [])
    assert not read_own_set(company.peer, active).items.size
    approve(company, PLACE, POINTS, consent={**rules, "max_age_days": 3650})
    assert not preview_exchange(company.peer, snapshot.run_id).outgoing.withheld
    assert len(read_own_set(company.peer, active).items) == 4
    longest = active.agreement.model_copy(update={"consent": ConsentRule(purpose="p", max_age_days=31)})
    with company.peer.store.transaction() as tx:
        assert carried_out(current_policy(tx), longest).consent.max_age_days == 31  # never a longer one


def test_only_whom_the_policy_lets_share_authorises(pair: Pair, snapshot: Snapshot) -> None:
    approve(pair.left, category("place", fields=("city",), share={"departments": ("sales",)}), POINTS)
    error = refused(ErrorCode.NOT_ENTITLED, authorise, pair.left, snapshot.run_id)
    assert "anna may not let city leave" in error.message
    assert "everybody of sales" in error.message
    seller = hire(pair.left, "sid", "steward", department="sales")
    preview = preview_exchange(pair.left.peer, snapshot.run_id)
    error = refused(
        ErrorCode.NOT_ENTITLED,
        authorise_exchange,
        pair.left.peer,
        preview.run,
        ["city"],
        preview.digest,
        seller,
    )
    assert "score" in error.message


@pytest.mark.parametrize("later", [{"backups_expire_days": 9}, {"categories": (PLACE,)}])
def test_a_new_policy_voids_what_was_authorised_before(pair: Pair, snapshot: Snapshot, later: Any) -> None:
    approve(pair.left, PLACE, POINTS)
    for company in pair.sides.values():
        authorise(company, snapshot.run_id)
    approve(
        pair.left,
        *later.get("categories", (PLACE, POINTS)),
        **{k: v for k, v in later.items() if k != "categories"},
    )
    ends = exchange(pair, snapshot.run_id)
    assert any("the policy changed since anna did" in str(error) for error in ends.errors.values())
    assert pair.left.run(snapshot.run_id).state is RunState.REVEALED


def test_a_mandate_holds_only_while_its_operator_may_share(pair: Pair, snapshot: Snapshot) -> None:
    run = pair.left.run(snapshot.run_id)
    grant_mandate(
        pair.left.peer,
        pair.digest,
        pair.left.keys,
        acts=("exchange",),
        max_runs=5,
        expires_at=pair.left.clock().replace(year=pair.left.clock().year + 1),
    )
    with pair.left.peer.store.transaction() as tx:
        active = load_active(tx, pair.digest, pair.left.clock())
        mandated = active.agreement.model_copy(
            update={"permission": active.agreement.permission.model_copy(update={"exchange": "mandate"})}
        )
    active = replace(active, agreement=mandated)

    def ask() -> None:
        with pair.left.peer.store.transaction() as tx:
            require_authorisation(tx, "exchange", run, active, pair.left.clock())

    ask()
    approve(pair.left, category("place", fields=("city",), share={"departments": ("sales",)}), POINTS)
    error = refused(ErrorCode.NOT_AUTHORISED_YET, ask)
    assert "may not let city leave" in error.message


_PARTS = st.builds(
    Access,
    departments=st.sets(st.sampled_from(["marketing", "sales"])).map(lambda names: tuple(sorted(names))),
    roles=st.sets(st.sampled_from(["analyst", "steward"])).map(lambda names: tuple(sorted(names))),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    share=st.lists(_PARTS, min_size=2, max_size=2),
    out=st.lists(_PARTS, min_size=2, max_size=2),
    data=st.data(),
)
def test_no_field_leaves_that_the_policy_forbids(
    snapshot: Snapshot, share: list[Access], out: list[Access], data: st.DataObject
) -> None:
    wanted = policy(
        category("place", fields=("city",), share=share[0].model_dump()),
        category("contact", fields=("score",), share=share[1].model_dump(), export=out[0].model_dump()),
        category("sales_history", export=out[1].model_dump()),
    )
    roles = tuple(data.draw(st.sets(st.sampled_from(["analyst", "steward", "auditor"]), min_size=1)))
    person = OperatorKeys("x", None, b"", roles, data.draw(st.sampled_from(["marketing", "sales"])))  # type: ignore[arg-type]
    active = _load(snapshot)
    sent, _ = sendable_fields(wanted, active)
    refusals = {item.field for item in refused_sender(wanted, active, person)}
    for item in sent:
        owner = wanted.category_of(item.name)
        assert owner is not None
        assert (item.name in refusals) is not _allowed(wanted, "share", owner.name, person)
    exported, _ = readable_fields(wanted, active, "export", person)
    for item in exported:
        assert person.department in item.departments
        assert _allowed(wanted, "export", item.category, person)


@cache
def _load(snapshot: Snapshot) -> Any:
    with (
        tempfile.TemporaryDirectory() as place,
        snapshot.copy(Path(place)) as pair,
        pair.left.peer.store.transaction() as tx,
    ):
        return load_active(tx, pair.digest, pair.left.clock())


def _allowed(policy: Policy, action: Action, name: str, person: OperatorKeys) -> bool:
    return decide(policy, action, name, person).allowed


# --- towards the own operators ---


def test_an_export_leaves_out_what_the_policy_forbids_and_names_the_rule(
    done: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    history = category("sales_history", export={"roles": ("privacy_officer",), "departments": ("sales",)})
    approve(done.left, category(fields=("city", "score")), history)
    found = open_received(done.left.peer, snapshot.run_id, done.left.keys)
    assert [item.name for item in found.fields] == ["score"]
    (item,) = found.refused
    assert (item.field, "export of category sales_history" in item.rule) == ("city", True)
    write_export(done.left.peer, found, tmp_path / "out.csv", done.left.keys)
    assert "Bremen" not in (tmp_path / "out.csv").read_text("utf-8")
    with done.left.peer.store.transaction() as tx:
        (entry,) = [entry for entry in tx.log.entries() if entry.event == "run.exported"]
    assert "act_signature" in entry.body


@pytest.mark.parametrize("later", [category(export=NOBODY), category("other")])
def test_the_policy_is_asked_again_when_the_file_appears(
    done: Pair, snapshot: Snapshot, tmp_path: Path, later: dict[str, Any]
) -> None:
    found = open_received(done.left.peer, snapshot.run_id, done.left.keys)
    approve(done.left, later)
    path = tmp_path / "out.csv"
    refused(ErrorCode.NOT_ENTITLED, write_export, done.left.peer, found, path, done.left.keys)
    assert not path.exists()


def test_what_was_opened_to_be_viewed_is_not_exported(done: Pair, snapshot: Snapshot, tmp_path: Path) -> None:
    approve(done.left, category(export=NOBODY), category("sales_history", export=NOBODY))
    found = open_received(done.left.peer, snapshot.run_id, done.left.keys, reading="view")
    assert len(found.fields) == 2
    refused(ErrorCode.NOT_ENTITLED, write_export, done.left.peer, found, tmp_path / "o.csv", done.left.keys)


# --- four eyes ---


def test_an_exchange_needs_two_different_operators_under_one_preview(pair: Pair, snapshot: Snapshot) -> None:
    bea = hire(pair.left, "bea", "privacy_officer")
    approve(pair.left, PLACE, POINTS, four_eyes=("exchange",))
    authorise(pair.right, snapshot.run_id)
    authorise(pair.left, snapshot.run_id)
    assert (
        "only anna has signed"
        in refused(ErrorCode.NOT_AUTHORISED_YET, authorise, pair.left, snapshot.run_id).message
    )
    preview = preview_exchange(pair.left.peer, snapshot.run_id)
    names = [item.shared.name for item in preview.outgoing.fields]
    authorise_exchange(pair.left.peer, preview.run, names, b"\x01" * 32, bea)
    assert any("four eyes" in str(error) for error in exchange(pair, snapshot.run_id).errors.values())
    authorise_exchange(pair.left.peer, preview.run, names, preview.digest, bea)
    assert not exchange(pair, snapshot.run_id).errors


def test_a_reveal_is_authorised_by_two_people_and_no_service(pair: Pair, snapshot: Snapshot) -> None:
    batch, bea = hire(pair.left, "batch", "service"), hire(pair.left, "bea", "steward")
    approve(pair.left, PLACE, POINTS, four_eyes=("reveal",))
    run = pair.left.run(snapshot.run_id)

    def ask() -> None:
        with pair.left.peer.store.transaction() as tx:
            active = load_active(tx, pair.digest, pair.left.clock())
            require_authorisation(tx, "reveal", run, active, pair.left.clock())

    authorise_reveal(pair.left.peer, run, pair.left.keys)
    authorise_reveal(pair.left.peer, run, batch)
    refused(ErrorCode.NOT_AUTHORISED_YET, ask)
    authorise_reveal(pair.left.peer, run, bea)
    ask()


def test_an_export_is_approved_by_somebody_else_for_once(
    done: Pair, snapshot: Snapshot, tmp_path: Path
) -> None:
    left = done.left
    bea = hire(left, "bea", "analyst")
    approve(left, category(), category("sales_history", export=NOBODY), four_eyes=("export",))
    found = open_received(left.peer, snapshot.run_id, bea)
    path = tmp_path / "out.csv"
    assert "--approve bea" in (
        refused(ErrorCode.NOT_AUTHORISED_YET, write_export, left.peer, found, path, bea).hint or ""
    )
    refused(ErrorCode.USAGE, approve_export, left.peer, snapshot.run_id, "anna", left.keys)
    refused(ErrorCode.NOT_ENTITLED, approve_export, left.peer, snapshot.run_id, "anna", bea)
    assert approve_export(left.peer, snapshot.run_id, "bea", left.keys) == ("score",)
    write_export(left.peer, found, path, bea)
    refused(ErrorCode.NOT_AUTHORISED_YET, write_export, left.peer, found, tmp_path / "again.csv", bea)


# --- operators who come and go ---


def test_a_new_reader_opens_earlier_runs_and_the_ledger(done: Pair, snapshot: Snapshot) -> None:
    bea = hire(done.left, "bea", "analyst", "auditor")
    assert len(open_received(done.left.peer, snapshot.run_id, bea).rows) == 4
    with done.left.peer.store.transaction() as tx:
        assert open_accountability(tx, bea, done.left.peer.accountability_public)


def test_whoever_is_disabled_opens_nothing_and_permits_nothing(done: Pair, snapshot: Snapshot) -> None:
    left = done.left
    bea = hire(left, "bea", "steward", "auditor")
    with left.peer.store.transaction() as tx:
        held = tx.keys.blobs(f"run:{snapshot.run_id}")["bea"]
    shares = {path: path.read_bytes() for path in left.peer.home.run_keys.iterdir()}
    gone = disable(left.peer, "bea", left.keys)
    assert (gone.lost_runs, gone.rotated) == ((), 1)
    assert all(path.read_bytes() != share for path, share in shares.items())
    refused(ErrorCode.NOT_ENTITLED, open_received, left.peer, snapshot.run_id, bea)
    with left.peer.store.transaction() as tx:
        assert set(tx.keys.blobs(f"run:{snapshot.run_id}")) == {"anna"}
        assert tx.keys.wrapped("accountability", "bea") is None
        row = tx.operators.get("bea")
        assert row is not None
        assert row.sealed_private == b""
        tx.keys.put_wrapped(f"run:{snapshot.run_id}", "bea", held)
    assert len(open_received(left.peer, snapshot.run_id, left.keys).rows) == 4
    refused(ErrorCode.NOT_ENTITLED, open_received, left.peer, snapshot.run_id, bea)


def test_what_only_the_one_who_leaves_can_open_ends_if_somebody_agrees(
    done: Pair, snapshot: Snapshot
) -> None:
    left = done.left
    kdf = Kdf(memory_kib=8, iterations=1)
    row = create_operator("root", ("admin",), "it", PASSPHRASE, kdf=kdf, now=left.clock())
    take_on(left.peer, row, left.keys)
    root = unlock(row, PASSPHRASE)
    with left.peer.store.transaction() as tx:
        foreseen = consequences(tx, "anna", root)
    assert (foreseen.lost_runs, foreseen.lost_records) == ((snapshot.run_id,), 4)
    error = refused(ErrorCode.USAGE, disable, left.peer, "anna", root)
    assert "--destroy-lost" in (error.hint or "")
    assert len(open_received(left.peer, snapshot.run_id, left.keys).rows) == 4
    disable(left.peer, "anna", root, may_destroy=foreseen.lost_runs)
    with left.peer.store.transaction() as tx:
        assert tx.received.count(snapshot.run_id) == 0
        assert tx.overlaps.get(snapshot.run_id) is None
    assert not list(left.peer.home.run_keys.iterdir())


def test_permissions_of_the_disabled_lose_their_force(pair: Pair, snapshot: Snapshot) -> None:
    bea = hire(pair.left, "bea", "steward")
    run = pair.left.run(snapshot.run_id)
    authorise_reveal(pair.left.peer, run, bea)
    assert disable(pair.left.peer, "bea", pair.left.keys).voided == 1
    with pair.left.peer.store.transaction() as tx:
        assert tx.authorisations.standing("reveal", run.run_id, pair.left.clock())[0].operator == "anna"


def test_four_eyes_are_never_left_without_two(pair: Pair) -> None:
    hire(pair.left, "bea", "steward")
    approve(pair.left, PLACE, POINTS, four_eyes=("reveal",))
    error = refused(ErrorCode.NOT_ENTITLED, disable, pair.left.peer, "bea", pair.left.keys)
    assert "the two operators whom the policy asks for: reveal" in error.message
    with pair.left.peer.store.transaction() as tx:
        assert current_policy(tx) is not None


def test_only_an_admin_adds_and_disables(pair: Pair) -> None:
    bea = hire(pair.left, "bea", "steward")
    refused(ErrorCode.NOT_ENTITLED, disable, pair.left.peer, "anna", bea)
