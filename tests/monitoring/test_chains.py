"""Which versions belong to one agreement, and which of them is shown as the one that counts."""

from __future__ import annotations

from datetime import UTC, datetime

from mutuals.models.agreement import AgreementState, Side
from mutuals.monitoring.chains import chains
from mutuals.store.rows import AgreementRow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def row(name: str, state: AgreementState, replaces: str | None = None) -> AgreementRow:
    return AgreementRow(
        digest=name,
        agreement_id=f"A-{name}",
        title="Spring",
        partner="bb" * 32,
        own_side=Side.PROPOSER,
        state=state,
        document=b"",
        source=None,
        mapping={},
        created_at=NOW,
        updated_at=NOW,
        replaces=replaces,
    )


def test_versions_are_grouped_in_whatever_order_they_were_stored() -> None:
    rows = [
        row("third", AgreementState.PROPOSED, "second"),
        row("first", AgreementState.SUPERSEDED),
        row("other", AgreementState.REJECTED, "first"),
        row("second", AgreementState.ACTIVE, "first"),
        row("alone", AgreementState.ENDED),
    ]
    found = chains(rows)
    assert sorted(sorted(chain.digests) for chain in found) == [
        ["alone"],
        ["first", "other", "second", "third"],
    ]
    (chain,) = [chain for chain in found if len(chain.rows) > 1]
    assert chain.rows[0].digest == "first"
    assert chain.head.digest == "second"


def test_a_proposal_is_the_head_only_where_nothing_ever_bound() -> None:
    assert chains([row("new", AgreementState.PROPOSED)])[0].head.digest == "new"
    ended = chains([row("old", AgreementState.ENDED), row("new", AgreementState.PROPOSED, "old")])
    assert ended[0].head.digest == "old"


def test_a_version_whose_predecessor_is_unknown_and_a_circle_are_still_shown() -> None:
    found = chains(
        [
            row("orphan", AgreementState.PROPOSED, "never seen"),
            row("a", AgreementState.ACTIVE, "b"),
            row("b", AgreementState.ACTIVE, "a"),
        ]
    )
    assert {digest for chain in found for digest in chain.digests} == {"orphan", "a", "b"}
