"""A stored agreement for people: on a terminal, as Markdown, or as a page.

view = local_view(tx, row, now)
console.print(render_terminal(agreement, view))
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mutuals.agreement.active import utc_date
from mutuals.agreement.blocks import to_markdown, to_terminal
from mutuals.agreement.describe import LocalView, Signature, describe
from mutuals.agreement.html import to_html
from mutuals.agreement.statements import BadStatement, verify_statement
from mutuals.agreement.terminated import termination_of
from mutuals.models.agreement import Agreement
from mutuals.store.rows import AgreementRow, StatementRow

if TYPE_CHECKING:
    from rich.console import Group

    from mutuals.store.database import Transaction


def local_view(tx: Transaction, row: AgreementRow, agreement: Agreement, now: datetime) -> LocalView:
    """What this side holds about ``row``, each signature verified now."""
    return LocalView(
        digest=row.digest,
        agreement_id=row.agreement_id,
        state=row.state,
        own_side=row.own_side,
        today=utc_date(now),
        signatures=tuple(
            _check(row, agreement, statement) for statement in tx.agreements.statements(row.digest)
        ),
        source=row.source,
        mapping=dict(row.mapping),
        reason=row.reason,
        termination=termination_of(tx, row),
    )


def render_terminal(agreement: Agreement, view: LocalView | None = None) -> Group:
    """The agreement as a rich renderable."""
    return to_terminal(_title(agreement, view), describe(agreement, view))


def render_markdown(agreement: Agreement, view: LocalView | None = None) -> str:
    """The agreement as Markdown."""
    return to_markdown(_title(agreement, view), describe(agreement, view))


def render_html(agreement: Agreement, view: LocalView | None = None) -> str:
    """The agreement as one HTML page that needs nothing else."""
    return to_html(_title(agreement, view), describe(agreement, view))


def _title(agreement: Agreement, view: LocalView | None) -> str:
    name = f"Agreement {view.agreement_id}: " if view else ""
    return name + agreement.title


def _check(row: AgreementRow, agreement: Agreement, held: StatementRow) -> Signature:
    try:
        statement = verify_statement(held.body, held.signature, agreement, row.digest, held.side)
    except BadStatement:
        return Signature(held.side, verified=False)
    return Signature(
        held.side,
        verified=True,
        operators=tuple(f"{operator.name} ({operator.role})" for operator in statement.operators),
        signed_at=f"{statement.signed_at:%Y-%m-%d %H:%M} UTC",
        assessment=statement.assessment,
    )
