"""Reports on runs that never were: any state, any numbers, names with markup in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mutuals.models.agreement import Agreement, AgreementState
from mutuals.models.run import Role, Run, RunState
from mutuals.models.statistics import Effort, RunStatistics
from mutuals.runs.moved import ExchangeSummary
from mutuals.runs.report import Export, LogHead, Milestone, RunReport

AT = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
NAMES = ("Acme Outdoor Ltd", "Globex Reisen GmbH")


def made_agreement(title: str = "Spring campaign", **matching: Any) -> Agreement:
    """A small agreement between the two."""
    text = "Each party for its own part."
    party = {
        "lawful_basis": "consent",
        "contact": "ops@company.example",
        "data_protection_officer": "dpo@company.example",
    }
    values: dict[str, Any] = {
        "title": title,
        "nonce": "00" * 32,
        "purpose": "One joint spring campaign to people who are customers of both.",
        "valid_from": date(2026, 11, 1),
        "valid_until": date(2027, 3, 31),
        "governing_law": "Germany",
        "onward_transfer": text,
        "international_transfer": text,
        "liabilities": text,
        "parties": {
            "proposer": party | {"organisation": NAMES[0], "fingerprint": "11" * 32},
            "partner": party | {"organisation": NAMES[1], "fingerprint": "22" * 32},
        },
        "responsibilities": dict.fromkeys(
            ("access_control", "encryption", "breach_notification", "data_subject_requests"), text
        ),
        "matching": {
            "identifiers": ("email", "phone"),
            "profile": "uid2-v1",
            "profile_digest": "33" * 32,
            **matching,
        },
        "consent": {"purpose": "joint-marketing"},
        "security": {"measures": text, "breach_contact": "security@company.example"},
        "proposer_sends": ({"name": "city", "departments": ("marketing",)},),
        "partner_sends": ({"name": "segment", "departments": ("marketing",)},),
    }
    return Agreement.model_validate(values)


STATISTICS = RunStatistics(
    eligible=18_240,
    excluded={"no_consent": 6_120, "suppressed": 1_377, "consent_expired": 902, "no_identifier": 214},
    identifiers={"email": 17_980, "phone": 9_412},
    withheld={"shared": 61},
    pairs={"email": 5_113, "phone": 2_208},
    contacts={"email": 3_804, "phone": 899, "email+phone": 1_309},
    efforts={
        "match": Effort(
            seconds={
                "reading contacts": 1.31,
                "asking the partner": 0.42,
                "blinding both lists": 9.8,
                "comparing": 0.3,
            },
            sent=1_315_000,
            received=1_941_000,
        ),
        "reveal": Effort(seconds={"reading contacts": 1.2, "revealing": 0.6}, sent=29_500, received=29_400),
        "exchange": Effort(seconds={"exchanging records": 4.1}, sent=812_000, received=905_000),
    },
)


def made_report(state: RunState = RunState.DONE, **changes: Any) -> RunReport:
    """A report on a run in ``state``, which has gone as far as that state needs; ``changes`` are to the report."""
    counted = state not in {RunState.MATCHING, RunState.FAILED, RunState.BELOW_THRESHOLD}
    revealed = state in {RunState.REVEALED, RunState.EXCHANGING, RunState.DONE}
    began = state in {RunState.EXCHANGING, RunState.DONE}
    done = state is RunState.DONE
    statistics = STATISTICS if revealed else STATISTICS.model_copy(update={"pairs": None, "contacts": None})
    run = Run(
        run_id="R-7Q3K2M9X",
        sid=b"s" * 32,
        agreement="ab" * 32,
        partner="22" * 32,
        role=Role.INITIATOR,
        engine="x25519",
        state=state,
        own_size=27_392,
        partner_size=40_455,
        opened_at=AT,
        own_receiving_key=b"",
        partner_receiving_key=b"",
        count=7_321 if counted else None,
        th=b"t" * 32 if counted else None,
        counted_at=AT if counted else None,
        revealed_at=AT + timedelta(hours=1) if revealed else None,
        contacts=6_012 if revealed else None,
        statistics=statistics,
    )
    moved = ExchangeSummary(
        contacts_sent=5_904 if began else 0,
        records_sent=5_904 if began else 0,
        withheld={"consent_withdrawn": 83, "suppressed": 25} if began else {},
        fields_sent=("city",) if began else (),
        contacts_received=5_877 if done else 0,
        records_received=5_877 if done else 0,
        pairs_received=7_100 if done else 0,
    )
    events = ["run.opened", "run.counted", "reveal.authorised", "run.revealed"]
    events += ["exchange.authorised", "run.exchange_prepared", "run.exchanged", "run.done", "run.exported"]
    reached = 9 if done else 6 if began else 4 if revealed else 2 if counted else 1
    milestones = tuple(
        Milestone(
            number + 4, AT + timedelta(minutes=7 * number), event, ("anna",) if "authorised" in event else ()
        )
        for number, event in enumerate(events[:reached])
    )
    report = RunReport(
        run=run,
        made_at=AT + timedelta(days=1),
        own=NAMES[0],
        partner=NAMES[1],
        agreement=made_agreement(),
        agreement_state=AgreementState.ACTIVE,
        moved=moved,
        fields_promised=("segment",),
        envelopes=(12, 12) if done else (7, 12) if began else (0, 0),
        held=5_877 if done else 0,
        exports=(Export(AT + timedelta(hours=2), "anna", 5_877, ("segment",)),) if done else (),
        milestones=milestones,
        head=LogHead(13, "c4" * 32, AT + timedelta(hours=2), cosigned=True, entries=13),
        events=frozenset(one.event for one in milestones),
    )
    return replace(report, **changes)
