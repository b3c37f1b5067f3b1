"""Phone numbers to E.164, by `phonenumbers`. It knows where a leading zero belongs (Italy) and where it does
not.

Common spellings take a path through whole columns (``phone_columns``), everything else the library one by one. A
property test holds that both give the same answer, reasons included.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import phonenumbers
from phonenumbers import CountryCodeSource, NumberParseException, PhoneNumberFormat, ValidationResult

from mutuals.errors import ErrorCode, MutualsError
from mutuals.normalisation.phone_columns import phones_by_column
from mutuals.normalisation.result import Normalised, Outcome, Reason, Spread, for_each_distinct, in_pieces
from mutuals.normalisation.rules import PhoneRules

if TYPE_CHECKING:
    import polars as pl

_INTERNATIONAL = (CountryCodeSource.FROM_NUMBER_WITH_PLUS_SIGN, CountryCodeSource.FROM_NUMBER_WITH_IDD)


def normalise_phones(
    raw: pl.Series, default_country: str | None, rules: PhoneRules, trimmed: str, spread: Spread = map
) -> Normalised:
    """Normalise a string series of numbers, each as somebody typed it.

    ``default_country`` is an ISO 3166 code such as ``DE``, for numbers without a country code; many
    uncommon ones are distributed by ``spread``. Raises MutualsError (USAGE) where it is not one.
    """
    country = checked_country(default_country)
    return in_pieces(raw, lambda piece: _normalised(piece.str.strip_chars(trimmed), country, rules, spread))


def _normalised(text: pl.Series, country: str | None, rules: PhoneRules, spread: Spread) -> Normalised:
    import polars as pl

    columns = phones_by_column(text, country, rules)
    frame = pl.DataFrame({"text": text}).with_row_index("row")
    uncommon = frame.join(columns, on="row", how="anti", maintain_order="left")
    rest = for_each_distinct(
        uncommon["text"], partial(normalised_phone, country=country, rules=rules), spread
    )
    common = columns.select("row", value=pl.lit(_prefix(rules)) + pl.col("digits"), reason="reason")
    others = pl.DataFrame({"row": uncommon["row"], "value": rest.values, "reason": rest.reasons})
    done = pl.concat([common, others]).sort("row")
    return Normalised(done["value"], done["reason"])


def checked_country(code: str | None) -> str | None:
    """``code`` in capitals. Raises MutualsError (USAGE) where no phone numbers are known for it."""
    if code is None:
        return None
    country = code.strip().upper()
    if country not in phonenumbers.SUPPORTED_REGIONS:
        raise MutualsError(
            ErrorCode.USAGE,
            f"“{code}” is not a country code.",
            hint="Use the two letters of ISO 3166, for example DE, US or GB.",
        )
    return country


def normalised_phone(text: str, country: str | None, rules: PhoneRules) -> Outcome:
    """One trimmed number, by `phonenumbers`."""
    if not text:
        return None, Reason.EMPTY
    # The library's patterns are more than Python's own cache of compiled ones holds.
    phonenumbers.enable_pattern_cache()
    try:
        number = phonenumbers.parse(text, country, keep_raw_input=True)
    except NumberParseException as error:
        return None, _parse_reason(error.error_type, text)
    reason = _reason_to_refuse(number, rules)
    if reason is not None:
        return None, reason
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164).removeprefix("+")
    if len(written) > rules.max_digits:
        return None, Reason.WRONG_LENGTH
    return _prefix(rules) + written, None


def _prefix(rules: PhoneRules) -> str:
    """What stands before the digits."""
    return "+" if rules.form == "E.164 with +" else ""


def _reason_to_refuse(number: phonenumbers.PhoneNumber, rules: PhoneRules) -> Reason | None:
    if number.extension:
        return Reason.HAS_EXTENSION
    international = number.country_code_source in _INTERNATIONAL
    wanted = rules.international if international else rules.national
    if wanted == "possible":
        # Not is_possible_number(), which also takes numbers that can only be dialled within one town.
        length = phonenumbers.is_possible_number_with_reason(number)
        return None if length == ValidationResult.IS_POSSIBLE else Reason.WRONG_LENGTH
    return None if phonenumbers.is_valid_number(number) else Reason.NOT_VALID


def _parse_reason(kind: int, text: str) -> Reason:
    if kind == NumberParseException.INVALID_COUNTRY_CODE:
        return Reason.UNKNOWN_COUNTRY_CODE if text.startswith(("+", "＋")) else Reason.NO_COUNTRY_CODE
    if kind == NumberParseException.NOT_A_NUMBER:
        return Reason.NOT_A_NUMBER
    return Reason.WRONG_LENGTH
