"""The own side of an export: who of the overlap still takes part, and columns of the own source.

    still = still_taking_part(peer, active, contacts)      # contact ids, and why the others are left out
    own = OwnTable.open(peer, active)
    cells = own.cells(contacts, own.resolve(["Email"]))    # as the source has them, a row for each contact

An export is for using it, so the source is read again: whoever was suppressed, withdrew, or whose consent has run out
since the exchange is left out, and so is whoever the source no longer has, whom an import would otherwise bring back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from mutuals.agreement.active import ActiveAgreement, utc_date
from mutuals.errors import ErrorCode, MutualsError
from mutuals.identity.operators import OperatorKeys
from mutuals.models.policy import Policy
from mutuals.normalisation import TRIMMED
from mutuals.peer import Peer
from mutuals.policy.consent_age import carried_out
from mutuals.policy.current import current_policy
from mutuals.policy.decide import decide
from mutuals.runs.permitted import RefusedField
from mutuals.runs.prepare import bound_source, read_bound_source
from mutuals.sources.definition import SourceDefinition
from mutuals.sources.eligibility import consent_exclusions
from mutuals.sources.layout import Layout
from mutuals.sources.layouts import BY_NAME, GENERIC
from mutuals.sources.sheet import SheetFile
from mutuals.sources.tables import open_rows
from mutuals.store.rows import OperatorRow

NOT_IN_SOURCE = "not_in_source"
"""Why a contact is left out that the source no longer has, or whose row cannot be used."""

_CONTACT = "mutuals contact"  # no heading can be called so: position columns have digits


@dataclass(frozen=True)
class StillThere:
    """The contacts that may be exported, and how many may not, by reason (``Exclusion``, or NOT_IN_SOURCE)."""

    contacts: pl.Series = field(repr=False)
    withheld: Mapping[str, int]


def still_taking_part(peer: Peer, active: ActiveAgreement, contacts: pl.Series) -> StillThere:
    """Who of ``contacts`` (ids, String) the source, read now, still lets take part under the agreement.

    Raises MutualsError: INPUT_QUALITY where the source is missing or unusable, LOCAL where nobody can say who withdrew.
    """
    wanted = contacts.unique(maintain_order=True)
    _, table = read_bound_source(peer, active, (), wanted)
    with peer.store.transaction() as tx:
        agreement = carried_out(current_policy(tx), active.agreement)
    reasons = consent_exclusions(table.frame, agreement.consent, utc_date(peer.clock()))
    found = table.frame["contact_id"]
    withheld = Counter(reasons.drop_nulls().to_list())
    gone = len(wanted) - int(wanted.is_in(found.implode()).sum())
    if gone:
        withheld[NOT_IN_SOURCE] = gone
    return StillThere(found.filter(reasons.is_null()), dict(sorted(withheld.items())))


@dataclass(frozen=True)
class OwnTable:
    """The source bound to an agreement, its headings read, as an export writes columns that go back into it."""

    definition: SourceDefinition
    layout: Layout
    file: SheetFile = field(repr=False)

    @classmethod
    def open(cls, peer: Peer, active: ActiveAgreement) -> OwnTable:
        """Raises MutualsError (INPUT_QUALITY) where there is no source, or it cannot be used."""
        definition = bound_source(peer, active)
        layout = GENERIC if definition.mapping is None else BY_NAME.get(definition.mapping.layout, GENERIC)
        return cls(definition, layout, open_rows(definition))

    @property
    def contact_heading(self) -> str:
        """The heading under which the source has the ids."""
        mapping = self.definition.mapping
        return self.definition.heading("contact_id") if mapping is None else mapping.contact_id

    @property
    def headings(self) -> tuple[str, ...]:
        """The source's headings, without columns that have none."""
        return tuple(heading for heading in self.file.headings if heading)

    def resolve(self, names: Sequence[str]) -> tuple[str, ...]:
        """The headings that a person named, as the source writes them: exactly, or but for upper and lower case.

        Raises MutualsError (USAGE) for one the source does not have, has twice, or that was named twice.
        """
        found = tuple(self._resolved(name.strip()) for name in names)
        twice = next((name for name, count in Counter(found).items() if count > 1), None)
        if twice is not None or self.contact_heading in found:
            raise MutualsError(
                ErrorCode.USAGE,
                f"The column “{twice or self.contact_heading}” would be in the file twice.",
                hint="The ids are always its first column; name each other column once with --own.",
            )
        return found

    def _resolved(self, name: str) -> str:
        exact = [heading for heading in self.headings if heading == name]
        found = exact or [heading for heading in self.headings if heading.casefold() == name.casefold()]
        if len(found) == 1:
            return found[0]
        shown = ", ".join(f"“{heading}”" for heading in self.headings[:20])
        more = f" and {len(self.headings) - 20} more" if len(self.headings) > 20 else ""
        raise MutualsError(
            ErrorCode.USAGE,
            f"Source {self.definition.name} has {len(found) or 'no'} column{'s' if found else ''} “{name}”.",
            hint=f"Its columns are {shown}{more}.",
        )

    def cells(self, contacts: pl.Series, headings: Sequence[str]) -> pl.DataFrame:
        """The cells under ``headings`` as written, a row for each of ``contacts`` (ids, String) in their order.

        Of several rows with one id, the first cell that is not empty. Raises MutualsError (INPUT_QUALITY) where a
        contact is not there any more.
        """
        if not headings:
            return pl.DataFrame()
        at = {
            heading: str(self.file.headings.index(heading)) for heading in (self.contact_heading, *headings)
        }
        wanted = contacts.unique().implode()
        found: list[pl.DataFrame] = []
        for sheet in self.file.sheets(sorted(map(int, set(at.values())))):
            ids = sheet.cells[at[self.contact_heading]].str.strip_chars(TRIMMED)
            cells = sheet.cells.select(
                ids.alias(_CONTACT), *(pl.col(at[name]).alias(name) for name in headings)
            )
            found.append(cells.filter(ids.is_in(wanted)))
        first = [pl.col(name).filter(pl.col(name) != "").first().fill_null("") for name in headings]
        by_contact = pl.concat(found).group_by(_CONTACT).agg(*first)
        joined = (
            contacts.alias(_CONTACT)
            .to_frame()
            .join(by_contact, on=_CONTACT, how="left", maintain_order="left")
        )
        if joined[headings[0]].null_count():
            raise MutualsError(
                ErrorCode.INPUT_QUALITY,
                f"Source {self.definition.name} was changed while it was read.",
                hint="Repeat the command.",
            )
        return joined.drop(_CONTACT)


def require_own_exportable(
    policy: Policy | None, headings: Collection[str], operator: OperatorKeys | OperatorRow
) -> None:
    """Raise MutualsError (NOT_ENTITLED) unless the policy lets ``operator`` export the own columns ``headings``."""
    refused = []
    for heading in headings:
        category = None if policy is None else policy.category_of(heading)
        decision = decide(policy, "export", category.name if category else None, operator)
        if not decision.allowed:
            refused.append(RefusedField(heading, decision.rule, decision.changes))
    if refused:
        raise MutualsError(
            ErrorCode.NOT_ENTITLED,
            f"Operator {operator.name} may not export {', '.join(f'“{item.field}”' for item in refused)}. "
            + " ".join(dict.fromkeys(item.rule for item in refused)),
            hint=refused[0].changes,
        )
