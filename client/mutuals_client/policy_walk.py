"""The questions of ``mutuals policy init``; without a terminal every proposal is taken as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mutuals_client.console import SETTINGS, ask, interactive, say

if TYPE_CHECKING:
    from mutuals.policy.proposal import CategoryDraft, PolicyDraft

OWNER = "<who answers for this policy: name and address>"


def walk(
    organisation: str,
    headings: Mapping[str, Sequence[str]],
    departments: Sequence[str],
    readers: Sequence[str],
    today: Sequence[str],
) -> PolicyDraft:
    """A draft from the fields of the sources and who has access, corrected by a person where there is one."""
    from mutuals.policy.proposal import DepartmentDraft, PolicyDraft, propose_categories

    asks = interactive() and not SETTINGS.yes
    owner = ask("Who answers for the policy (name and address)?", OWNER) if asks else OWNER
    names = _names("Departments", departments) if asks else list(departments)
    responsible = names[0] if names else "company"
    drafts = [DepartmentDraft(name) for name in names or [responsible]]
    if asks:
        drafts = [
            replace(
                draft,
                does=ask(f"What does {draft.name} do with the data?", draft.does),
                contact=ask(f"Whom to ask in {draft.name}?", draft.contact),
            )
            for draft in drafts
        ]
    fields = dict.fromkeys(name for held in headings.values() for name in held)
    known = [name for name in readers if name in names] or names
    categories = propose_categories(fields, known, responsible)
    if asks:
        categories = tuple(_category(category, names) for category in categories)
    return PolicyDraft(organisation, owner, tuple(drafts), categories, tuple(today))


def _category(category: CategoryDraft, departments: Sequence[str]) -> CategoryDraft:
    from rich.text import Text

    from mutuals.models.policy import Access

    say(
        "",
        f"[bold]{category.name}[/]: {category.description}",
        Text(f"  fields: {', '.join(category.fields) or 'none'}"),
    )
    responsible = ask("Responsible department", category.responsible)
    answers = {
        action: _names(
            f"Departments that may {action} it (- for nobody)", getattr(category, action).departments
        )
        for action in ("view", "export")
    }
    may_share = ask("May it be shared with partners (yes, no)?", "no" if category.share.nobody else "yes")
    share = Access(roles=("steward", "privacy_officer")) if may_share.casefold().startswith("y") else Access()
    return replace(
        category,
        responsible=responsible if responsible in departments else category.responsible,
        view=category.view.model_copy(update={"departments": _known(answers["view"], departments)}),
        export=Access(
            departments=_known(answers["export"], departments),
            roles=category.export.roles if _known(answers["export"], departments) else (),
        ),
        share=share,
    )


def _known(names: Sequence[str], departments: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in departments)


def _names(question: str, default: Sequence[str]) -> list[str]:
    """A list of names, typed with commas between."""
    answer = ask(f"{question}, with commas between", ", ".join(default) or "-")
    return [name for name in (part.strip().lower() for part in answer.split(",")) if name and name != "-"]
