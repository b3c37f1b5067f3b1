"""The questions of ``mutuals policy init``; without a terminal every proposal is taken as it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mutuals_client.console import SETTINGS, ask, interactive, say

if TYPE_CHECKING:
    from mutuals.policy.proposal import CategoryDraft, PolicyDraft

OWNER = "<who answers for this policy: name and address>"
_DEPARTMENT = re.compile(r"[a-z][a-z0-9_-]{0,62}")


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
    if asks:
        say("Enter takes what stands in brackets, or leaves a blank to fill in later, in the file.")
    owner = _later("Who answers for the policy (name and address)?", OWNER) if asks else OWNER
    names = list(departments) or ["company"]
    if asks:
        names = _names("Departments that work with contacts' data", names) or names
    drafts = [DepartmentDraft(name) for name in names]
    if asks:
        drafts = [
            replace(
                draft,
                does=_later(f"What does {draft.name} do with the data?", draft.does),
                contact=_later(f"Whom to ask in {draft.name} (name and address)?", draft.contact),
            )
            for draft in drafts
        ]
    fields = dict.fromkeys(name for held in headings.values() for name in held)
    known = [name for name in readers if name in names] or names
    categories = propose_categories(fields, known, names[0])
    if asks:
        categories = tuple(_category(one, names) if one.fields else one for one in categories)
        if empty := [one.name for one in categories if not one.fields]:
            say("", f"No field of yours is in {' or '.join(empty)}; these stay as proposed.")
    draft = PolicyDraft(organisation, owner, tuple(drafts), categories, tuple(today))
    return _procedures(draft) if asks else draft


def _procedures(draft: PolicyDraft) -> PolicyDraft:
    """What a company says of its consents and of a breach."""
    say("", "[bold]Consent, and a breach[/]")
    return replace(
        draft,
        consent_collected=_later("How is consent asked for, and by whom?", draft.consent_collected),
        consent_kept=_later("Where is the evidence of it kept?", draft.consent_kept),
        withdrawal=_later("How does a person withdraw it?", draft.withdrawal),
        breach_contact=_later("Whom to call in a breach, at any hour?", draft.breach_contact),
    )


def _category(category: CategoryDraft, departments: Sequence[str]) -> CategoryDraft:
    from rich.text import Text

    from mutuals.models.policy import Access

    say(
        "",
        f"[bold]{category.name}[/]: {category.description}",
        Text(f"  fields: {', '.join(category.fields)}"),
    )
    collected_by = _one("Department that answers for collecting it", category.collected_by, departments)
    stored_by = _one("For storing it", collected_by, departments)
    shared_by = _one("For sharing it with partners", collected_by, departments)
    view, export = (
        tuple(_names(f"Departments that may {action} it (- for nobody)", now.departments, departments))
        for action, now in (("view", category.view), ("export", category.export))
    )
    may_share = _yes_or_no(
        "May it be shared with partners, where an agreement says so (yes, no)?",
        "no" if category.share.nobody else "yes",
    )
    share = Access(roles=("steward", "privacy_officer")) if may_share else Access()
    return replace(
        category,
        collected_by=collected_by,
        stored_by=stored_by,
        shared_by=shared_by,
        view=category.view.model_copy(update={"departments": view}),
        export=Access(departments=export, roles=category.export.roles if export else ()),
        share=share,
    )


def _later(question: str, blank: str) -> str:
    """An answer, or with Enter the ``<blank>`` that stands in the file until somebody fills it in."""
    return ask(question, "").strip() or blank


def _yes_or_no(question: str, default: str) -> bool:
    """Asked again until it is one of them: what was meant is not guessed."""
    while True:
        answer = ask(question, default).strip().casefold()
        if answer in {"yes", "y", "no", "n"}:
            return answer.startswith("y")
        say("Answer yes or no.")


def _one(question: str, default: str, departments: Collection[str]) -> str:
    """One of ``departments``; asked again until it is one, and not at all where there is but one."""
    if len(departments) == 1:
        return next(iter(departments))
    while True:
        name = ask(question, default).strip().lower()
        if name in departments:
            return name
        say(f"That is none of the departments: {', '.join(departments)}.")


def _names(question: str, default: Sequence[str], known: Collection[str] | None = None) -> list[str]:
    """Names of departments, typed with commas between; asked again until each can be one, or is among ``known``."""
    while True:
        answer = ask(f"{question}, with commas between", ", ".join(default) or "-")
        names = list(dict.fromkeys(part.strip().lower() for part in answer.split(",")))
        names = [name for name in names if name and name != "-"]
        if known is None and all(_DEPARTMENT.fullmatch(name) for name in names):
            return names
        if known is not None and set(names) <= set(known):
            return names
        if known is None:
            say("A department is named in lower case without spaces, as operators and agreements name it.")
        else:
            say(f"The departments are {', '.join(known)}.")
