"""What an agreement must fulfil beyond types and ranges, so that it can be carried out as written."""

from __future__ import annotations

from collections.abc import Iterator

from mutuals.models.agreement import Agreement, SharedField, Side

MAX_TERM_DAYS = 3660

_FITTING_TYPES = {
    "year": ("date",),
    "month": ("date",),
    "lower": ("text",),
    "first_letter": ("text",),
    "round": ("integer", "decimal"),
    "band": ("integer", "decimal"),
}


def broken_rules(agreement: Agreement) -> Iterator[tuple[str, str]]:
    """Key and sentence of each rule that ``agreement`` breaks; nothing for a sound one."""
    matching = agreement.matching
    if (
        agreement.valid_until - agreement.valid_from
    ).days > MAX_TERM_DAYS or agreement.valid_until.year > 9000:
        yield "valid_until", "is more than ten years after valid_from"
    if matching.min_overlap > matching.max_set_size:
        yield "matching.min_overlap", "is larger than max_set_size, so no match could ever succeed"
    if matching.items_per_30_days < matching.min_set_size:
        yield "matching.items_per_30_days", "is smaller than min_set_size, so no match could ever begin"
    for side in Side:
        for index, field in enumerate(agreement.sends(side)):
            sentence = _misfit(field)
            if sentence:
                yield f"{side.value}_sends[{index + 1}].transform", sentence


def _misfit(field: SharedField) -> str | None:
    name, _, arguments = field.transform.partition(":")
    fitting = _FITTING_TYPES.get(name)
    if fitting is not None and field.type not in fitting:
        return f'"{name}" needs a field of type {" or ".join(fitting)}, and this one is of type {field.type}'
    bounds = [int(bound) for bound in arguments.split(",")] if name == "band" else []
    if sorted(set(bounds)) != bounds:
        return "the bounds of the bands must rise"
    return None
