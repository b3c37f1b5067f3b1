"""Without an operator's signature that still counts, nothing is revealed or exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.pairing import PASSPHRASE, Pair, contact
from support.revealed import Snapshot, reveal_once

from mutuals.agreement.active import ActiveAgreement, load_active
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.appointment import log_appointment
from mutuals.identity.home import Kdf
from mutuals.identity.operators import OperatorKeys, create_operator, unlock
from mutuals.models.agreement import Permission
from mutuals.models.run import Run, RunState
from mutuals.runs.authorisation import (
    Authorisation,
    RunAct,
    authorise_exchange,
    authorise_reveal,
    grant_mandate,
    require_authorisation,
)
from mutuals.runs.keys import subject
from mutuals.store.rows import AuthorisationRow

PREVIEW = b"\x09" * 32


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    left = [contact(f"L{i}", f"p{i}@example.com") for i in range(3)]
    right = [contact(f"R{i}", f"p{i}@example.com") for i in range(3)]
    return reveal_once(tmp_path_factory.mktemp("pair"), left, right)


@pytest.fixture
def pair(snapshot: Snapshot, tmp_path: Path) -> Iterator[Pair]:
    with snapshot.copy(tmp_path) as pair:
        yield pair


@pytest.fixture
def run(pair: Pair, snapshot: Snapshot) -> Run:
    return pair.left.run(snapshot.run_id)


def require(pair: Pair, run: Run, act: RunAct = "exchange", **permission: str) -> Authorisation:
    with pair.left.peer.store.transaction() as tx:
        return require_authorisation(tx, act, run, active_in(tx, pair, permission), pair.left.clock())


def active_in(tx: Any, pair: Pair, permission: dict[str, str]) -> ActiveAgreement:
    loaded = load_active(tx, pair.digest, pair.left.clock())
    changed = loaded.agreement.model_copy(update={"permission": Permission.model_validate(permission)})
    return replace(loaded, agreement=changed)


def why_not(pair: Pair, run: Run, act: RunAct = "exchange", **permission: str) -> str:
    with pytest.raises(MutualsError) as caught:
        require(pair, run, act, **permission)
    assert caught.value.code is ErrorCode.NOT_AUTHORISED_YET
    assert caught.value.exit_code == 9
    assert f"mutuals {act} {run.run_id}" in (caught.value.hint or "")
    return caught.value.message


def authorise(pair: Pair, run: Run) -> Authorisation:
    return authorise_exchange(pair.left.peer, run, ["city"], PREVIEW, pair.left.keys)


def stored(pair: Pair, run: Run) -> AuthorisationRow:
    with pair.left.peer.store.transaction() as tx:
        row = tx.authorisations.current("exchange", run.run_id, pair.left.clock())
    assert row is not None
    return row


def operator(pair: Pair, role: str) -> OperatorKeys:
    kdf = Kdf(memory_kib=8, iterations=1)
    row = create_operator(role, (role,), "marketing", PASSPHRASE, kdf=kdf, now=pair.left.clock())
    with pair.left.peer.store.transaction() as tx:
        tx.operators.put(row)
        log_appointment(tx, row, pair.left.keys, pair.left.clock())
    return unlock(row, PASSPHRASE)


def mandate(pair: Pair, keys: OperatorKeys | None = None, **changes: Any) -> Authorisation:
    options: dict[str, Any] = {
        "acts": ("exchange",),
        "max_runs": 1,
        "expires_at": pair.left.clock() + timedelta(days=30),
        **changes,
    }
    return grant_mandate(pair.left.peer, pair.digest, keys or pair.left.keys, **options)


def add_run(pair: Pair, run: Run, number: int, **changes: Any) -> None:
    other = replace(
        run,
        run_id=f"R-OTHER{number:03}",
        sid=bytes([number]) * 32,
        state=RunState.DONE,
        spool_key=None,
        **changes,
    )
    with pair.left.peer.store.transaction() as tx:
        tx.runs.add(other)


def test_an_authorisation_permits_its_own_run_and_preview(pair: Pair, run: Run) -> None:
    assert "No operator of yours" in why_not(pair, run)
    given = authorise(pair, run)
    found = require(pair, run)
    assert (found.id, found.preview, found.by_mandate) == (given.id, PREVIEW, False)
    other = replace(run, run_id="R-OTHER", sid=bytes(32))
    why_not(pair, other)


def test_the_latest_authorisation_counts_and_a_void_one_does_not(pair: Pair, run: Run) -> None:
    authorise(pair, run)
    pair.left.clock.now += timedelta(seconds=1)
    second = authorise(pair, run)
    assert require(pair, run).id == second.id
    with pair.left.peer.store.transaction() as tx:
        tx.authorisations.void(second.id, pair.left.clock())
    why_not(pair, run)


def test_an_authorisation_ends_with_its_time(pair: Pair, run: Run) -> None:
    given = authorise(pair, run)
    pair.left.clock.now = given.expires_at
    why_not(pair, run)


def test_a_reveal_is_authorised_until_the_runs_own_date(pair: Pair, run: Run) -> None:
    assert authorise_reveal(pair.left.peer, run, pair.left.keys).expires_at == run.reveal_by


def test_a_disabled_operator_no_longer_permits_anything(pair: Pair, run: Run) -> None:
    authorise(pair, run)
    with pair.left.peer.store.transaction() as tx:
        tx.operators.disable("anna", pair.left.clock())
    assert "anna" in why_not(pair, run)


def test_only_those_whom_an_admin_made_operators_permit_anything_or_hold_a_key(pair: Pair, run: Run) -> None:
    """Somebody who can write to the store plants an operator, or gives one a role, and signs as them."""
    kdf = Kdf(memory_kib=8, iterations=1)
    row = create_operator("mallory", ("steward",), "marketing", PASSPHRASE, kdf=kdf, now=pair.left.clock())
    with pair.left.peer.store.transaction() as tx:
        tx.operators.put(row)
    authorise_exchange(pair.left.peer, run, ["city"], PREVIEW, unlock(row, PASSPHRASE))
    assert "mallory, who had, what no admin signed" in why_not(pair, run)
    fresh, _ = pair.match()
    with pair.left.peer.store.transaction() as tx:
        assert set(tx.keys.blobs(subject(fresh.run_id))) == {"anna"}
        anna = tx.operators.get("anna")
        assert anna is not None
        tx.operators.put(replace(anna, wrapping_public=row.wrapping_public))
    with pytest.raises(MutualsError, match="No operator of this peer may read"):
        pair.match()


@pytest.mark.parametrize("role", ["admin", "analyst", "auditor"])
def test_only_some_roles_authorise(pair: Pair, run: Run, role: str) -> None:
    keys = operator(pair, role)
    for attempt in (
        lambda: authorise_exchange(pair.left.peer, run, ["city"], PREVIEW, keys),
        lambda: authorise_reveal(pair.left.peer, run, keys),
        lambda: mandate(pair, keys),
    ):
        with pytest.raises(MutualsError) as caught:
            attempt()
        assert caught.value.code is ErrorCode.NOT_ENTITLED


def test_a_service_operator_authorises_runs_but_grants_no_mandate(pair: Pair, run: Run) -> None:
    keys = operator(pair, "service")
    authorise_exchange(pair.left.peer, run, ["city"], PREVIEW, keys)
    assert require(pair, run).operator == "service"
    with pytest.raises(MutualsError) as caught:
        mandate(pair, keys)
    assert caught.value.code is ErrorCode.NOT_ENTITLED


@pytest.mark.parametrize(
    "forge",
    [
        lambda row: replace(row, statement=row.statement.replace(b"exchange", b"exchangf")),
        lambda row: replace(row, signature=bytes(64)),
        lambda row: replace(row, preview=bytes(32)),
        lambda row: replace(row, preview=None),
        lambda row: replace(row, act="reveal"),
        lambda row: replace(
            row, expires_at=row.expires_at + timedelta(days=9), statement=row.statement + b" "
        ),
    ],
)
def test_a_row_that_is_not_what_the_operator_signed_does_not_count(pair: Pair, run: Run, forge: Any) -> None:
    authorise(pair, run)
    row = forge(stored(pair, run))
    with pair.left.peer.store.transaction() as tx:
        tx.authorisations.void(row.id, pair.left.clock())
        tx.authorisations.put(replace(row, id="forged", created_at=pair.left.clock() + timedelta(seconds=1)))
    assert "stored authorisation" in why_not(pair, run, row.act)


def test_a_row_moved_to_another_run_or_operator_does_not_count(pair: Pair, run: Run) -> None:
    authorise(pair, run)
    row = stored(pair, run)
    operator(pair, "steward")
    with pair.left.peer.store.transaction() as tx:
        tx.authorisations.void(row.id, pair.left.clock())
        tx.authorisations.put(replace(row, id="other-run", subject="R-OTHER"))
        tx.authorisations.put(replace(row, id="other-operator", operator="steward"))
    assert "not what" in why_not(pair, run)
    assert "something else" in why_not(pair, replace(run, run_id="R-OTHER", sid=bytes(32)))


def test_a_longer_date_in_the_row_does_not_prolong_what_was_signed(pair: Pair, run: Run) -> None:
    given = authorise(pair, run)
    row = stored(pair, run)
    with pair.left.peer.store.transaction() as tx:
        tx.authorisations.void(row.id, pair.left.clock())
        tx.authorisations.put(replace(row, id="longer", expires_at=row.expires_at + timedelta(days=60)))
    pair.left.clock.now = given.expires_at
    assert "expired" in why_not(pair, run)


def test_a_mandate_counts_only_where_the_agreement_permits_it(pair: Pair, run: Run) -> None:
    mandate(pair)
    why_not(pair, run)
    found = require(pair, run, exchange="mandate")
    other = replace(run, run_id="R-OTHER", sid=bytes(32))  # the reveal of ``run`` is authorised
    assert (found.by_mandate, found.preview) == (True, None)
    assert "does not cover" in why_not(pair, other, "reveal", reveal="mandate", exchange="mandate")


def test_a_mandate_is_used_up_by_the_runs_it_names(pair: Pair, run: Run) -> None:
    mandate(pair, max_runs=2)
    now = pair.left.clock()
    add_run(pair, run, 1, revealed_at=now - timedelta(days=1))
    add_run(pair, run, 2, revealed_at=None)
    add_run(pair, run, 3, revealed_at=now)
    assert require(pair, run, exchange="mandate").by_mandate
    add_run(pair, run, 4, revealed_at=now + timedelta(minutes=1))
    assert "used up" in why_not(pair, run, exchange="mandate")


def test_a_mandate_ends_with_its_time_and_its_operator(pair: Pair, run: Run) -> None:
    given = mandate(pair)
    with pair.left.peer.store.transaction() as tx:
        tx.operators.disable("anna", pair.left.clock())
    assert "anna" in why_not(pair, run, exchange="mandate")
    pair.left.clock.now = given.expires_at
    assert "anna" not in why_not(pair, run, exchange="mandate")


@pytest.mark.parametrize("change", [{"acts": ()}, {"max_runs": 0}, {"expires_at": None}])
def test_a_mandate_without_bounds_is_refused(pair: Pair, change: dict[str, Any]) -> None:
    if "expires_at" in change:
        change = {"expires_at": pair.left.clock()}
    with pytest.raises(MutualsError) as caught:
        mandate(pair, **change)
    assert caught.value.code is ErrorCode.USAGE


def test_authorisations_are_logged_with_who_gave_them(pair: Pair, run: Run) -> None:
    authorise(pair, run)
    with pair.left.peer.store.transaction() as tx:
        entry = tx.log.entries(pair.digest)[-1]
    assert entry.event == "exchange.authorised"
    assert (entry.body["operator"], entry.body["fields"]) == ("anna", ["city"])
