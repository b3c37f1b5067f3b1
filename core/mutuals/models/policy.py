"""A company's own CRM data-ownership policy: who is responsible for which data, and who may do what with it.

A person writes it as TOML (``docs/policy.md``); approved, it is canonical JSON with a version and a digest. Unknown
keys are refused; what is not permitted is prohibited: a category that names nobody for an action lets nobody do it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mutuals.models.agreement import Slug
from mutuals.models.card import Line, Paragraph

Action = Literal["view", "export", "share"]
ACTIONS: tuple[Action, ...] = ("view", "export", "share")

RoleName = Literal["admin", "steward", "privacy_officer", "analyst", "auditor", "service"]

FourEyesAct = Literal["sign", "reveal", "exchange", "export", "terminate", "policy"]
FOUR_EYES_ACTS: tuple[FourEyesAct, ...] = ("sign", "reveal", "exchange", "export", "terminate", "policy")

Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Department(_Part):
    """A department: the name that operators and agreements use for it, what it does, and whom to ask there."""

    name: Slug
    does: Line
    contact: Line


class Access(_Part):
    """Who may: operators of one of ``departments`` who have one of ``roles``.

    Where one of the two is left out it does not matter; where both are, nobody may.
    """

    departments: tuple[Slug, ...] = Field(default=(), max_length=50)
    roles: tuple[RoleName, ...] = Field(default=(), max_length=6)

    @property
    def nobody(self) -> bool:
        """True where no operator whatever may."""
        return not self.departments and not self.roles

    def permits(self, department: str, roles: Iterable[str]) -> bool:
        """Whether an operator of this department with these roles may."""
        if self.nobody:
            return False
        right_department = not self.departments or department in self.departments
        return right_department and (not self.roles or bool(set(self.roles).intersection(roles)))


class Category(_Part):
    """One kind of data: the fields it has, who answers for it, who may do what with it, and how long it is kept.

    ``fields`` are headings of the own sources. ``collected_by``, ``stored_by`` and ``shared_by`` are the departments
    responsible; ``view``, ``export`` and ``share`` say who may.
    """

    name: Slug
    description: Line
    fields: tuple[Line, ...] = Field(default=(), max_length=500)
    sensitivity: Literal["normal", "sensitive", "special"] = "normal"
    collected_by: Slug
    stored_by: Slug
    shared_by: Slug
    view: Access = Access()
    export: Access = Access()
    share: Access = Access()
    archive_after_days: int | None = Field(default=None, ge=1, le=36_500)
    archive_means: Paragraph = ""
    delete_after_days: int = Field(ge=1, le=36_500)

    def access(self, action: Action) -> Access:
        """Who may do ``action``."""
        return {"view": self.view, "export": self.export, "share": self.share}[action]

    def departments(self) -> set[str]:
        """Every department the category names."""
        named = {self.collected_by, self.stored_by, self.shared_by}
        return named.union(*(self.access(action).departments for action in ACTIONS))

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.archive_after_days is not None:
            if self.archive_after_days >= self.delete_after_days:
                raise ValueError("archive_after_days is not before delete_after_days")
            if not self.archive_means:
                raise ValueError("archive_means is missing: say what archiving means here")
        return self


class ConsentRules(_Part):
    """How consent is asked for and kept, how long it counts, and how a person withdraws it."""

    collected: Prose
    kept: Prose
    max_age_days: int = Field(default=730, ge=1, le=3650)
    withdrawal: Prose


class VendorRules(_Part):
    """What binds vendors that see the data, and which of them are approved."""

    rules: Prose
    approved: tuple[Line, ...] = Field(default=(), max_length=200)


class BreachPlan(_Part):
    """The company's own steps in a breach, in order, whom to call, and within how many hours they are told."""

    steps: tuple[Prose, ...] = Field(min_length=1, max_length=50)
    contacts: tuple[Line, ...] = Field(min_length=1, max_length=20)
    tell_within_hours: int = Field(default=24, ge=1, le=72)


class NewAgreements(_Part):
    """What a new agreement needs before it is signed. No ``purposes`` means any consent purpose will do."""

    field_owner_approval: bool = True
    max_retention_days: int = Field(default=365, ge=1, le=3650)
    min_set_size: int = Field(default=100, ge=1, le=100_000_000)
    purposes: tuple[Slug, ...] = Field(default=(), max_length=100)
    special_categories: bool = False


class Policy(_Part):
    """The whole policy. ``version`` counts the approved versions from 1.

    ``four_eyes`` names the acts that need two operators; ``backups_expire_days`` is how long a backup of this
    peer's home may still hold what was deleted, which the deletion certificate states.
    """

    format: Literal["mutuals/v1/policy"] = "mutuals/v1/policy"
    version: int = Field(ge=1, le=10_000)
    title: Line
    owner: Line
    departments: tuple[Department, ...] = Field(min_length=1, max_length=50)
    categories: tuple[Category, ...] = Field(min_length=1, max_length=100)
    consent: ConsentRules
    vendors: VendorRules
    breach: BreachPlan
    new_agreements: NewAgreements = NewAgreements()
    four_eyes: tuple[FourEyesAct, ...] = Field(default=(), max_length=6)
    backups_expire_days: int = Field(default=30, ge=0, le=3650)

    def category(self, name: str) -> Category | None:
        """The category of this name."""
        return next((category for category in self.categories if category.name == name), None)

    def category_of(self, heading: str) -> Category | None:
        """The category that has this field of an own source, by its heading; nothing where nobody owns it."""
        wanted = heading.strip().casefold()
        return next(
            (
                category
                for category in self.categories
                if any(field.strip().casefold() == wanted for field in category.fields)
            ),
            None,
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _once("departments names", (department.name for department in self.departments))
        _once("categories names", (category.name for category in self.categories))
        headings = (field.strip().casefold() for category in self.categories for field in category.fields)
        _once("categories give to more than one category, or twice to one, the field", headings)
        _once("four_eyes names", self.four_eyes)
        known = {department.name for department in self.departments}
        for number, category in enumerate(self.categories, 1):
            strange = sorted(category.departments() - known)
            if strange:
                raise ValueError(
                    f"categories[{number}] names the department {strange[0]}, which departments lacks"
                )
        return self


def _once(what: str, names: Iterable[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"{what} {twice!r} more than once")
