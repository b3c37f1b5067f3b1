"""Phone numbers in common spellings, a whole column at a time; what `phonenumbers` would answer, or no answer at all.

Why the answers are the same (``phonenumberutil``, function by function):

- *Spelling.* Taken are texts of ASCII digits, at most one ``+`` with no digit before it, and ``SEPARATORS``, with 6 to
  17 digits. ``_extract_possible_number`` cuts separators off both ends; what is left is viable, holds no extension
  (those need a letter, ``#``, ``,``, ``;`` or ``~``) and is normalised to its digits.
- *Country code.* After ``+``, or the default country's international prefix where no 0 follows it,
  ``_extract_country_code`` takes the first digits that are one; a code that nobody has is left to the library.
- *National prefix.* ``_maybe_strip_national_prefix_carrier_code`` and the check of the length after it are repeated
  where the prefix is plain; where it carries a code or is rewritten, numbers that begin with it are left out.
- *Default country.* ``_maybe_extract_country_code`` tries whether a number without ``+`` begins with the country code
  after all; repeated as it stands.
- *Judgement.* ``_test_number_length`` over the first region of the country code; ``is_valid_number`` region by region.
- *Form.* Country code and digits, Italian zeros included, are the E.164 form, unless all digits are 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutuals.normalisation.phone_plans import (
    Described,
    Plan,
    RegionTest,
    code_of_prefix,
    home_plan,
    main_plan,
    region_tests,
)
from mutuals.normalisation.result import Reason
from mutuals.normalisation.rules import PhoneRules

if TYPE_CHECKING:
    import polars as pl

SEPARATORS = " ()./\u00a0\u2010\u2011\u2012\u2013\u2014\u2015-"
_SHAPE = rf"^[{SEPARATORS}]*\+?[0-9{SEPARATORS}]*$"
_MOST_CHARACTERS = 60
_DIGITS = (6, 17)
# Below so many numbers, asking the library costs less than setting polars to work.
FEW = 60


def phones_by_column(text: pl.Series, country: str | None, rules: PhoneRules, few: int = FEW) -> pl.DataFrame:
    """The trimmed numbers that can be answered here: ``row`` (u32, position in ``text``), ``digits`` of E.164 without
    its ``+``, or null and the ``reason``.

    ``country`` is a supported region, for numbers without a country code. Groups of fewer than ``few`` numbers that
    need the same rules are left out too.
    """
    import polars as pl

    if len(text) < few:
        return _nothing()
    written = pl.col("text")
    frame = (
        pl.DataFrame({"text": text})
        .with_row_index("row")
        .filter((written.str.len_bytes() <= _MOST_CHARACTERS) & written.str.contains(_SHAPE))
        .select(
            "row",
            plus=written.str.contains("+", literal=True),
            digits=written.str.replace_many([*SEPARATORS, "+"], [""] * (len(SEPARATORS) + 1)),
        )
        .filter(pl.col("digits").str.len_bytes().is_between(*_DIGITS))
    )
    found = [_nothing()]
    international = frame.filter("plus").select("row", "digits")
    national = frame.filter(~pl.col("plus")).select("row", "digits")
    if country is None:
        found.append(_refused(national, Reason.NO_COUNTRY_CODE))
    elif national.height >= max(few, 1):
        dialled, national = _with_international_prefix(national, home_plan(country))
        international = pl.concat([international, dialled])
        found.extend(_national(national, home_plan(country), rules, few))
    found.extend(_international(international, rules, few))
    return pl.concat(found)


def _with_international_prefix(frame: pl.DataFrame, home: Plan) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Those dialled as abroad, without the prefix; and those that are not."""
    import polars as pl

    if home.international_prefix is None:
        return frame.clear(), frame
    digits, prefix = pl.col("digits"), pl.col("digits").str.extract(home.international_prefix)
    abroad = frame["digits"].str.contains(home.international_prefix)
    after = frame.filter(abroad).select("row", digits=digits.str.slice(prefix.str.len_bytes()))
    # Where a 0 follows, the prefix is none after all. That, and what is left of a short number, is for the library.
    clear = (digits.str.len_bytes() >= _DIGITS[0]) & ~digits.str.starts_with("0")
    return after.filter(clear), frame.filter(~abroad)


def _international(frame: pl.DataFrame, rules: PhoneRules, few: int) -> list[pl.DataFrame]:
    import polars as pl

    codes = pl.Series(code_of_prefix(), dtype=pl.Int32)
    frame = frame.with_columns(
        code=codes.gather(frame["digits"].str.slice(0, 3).cast(pl.UInt32)).alias("code")
    ).filter(pl.col("code") > 0)
    found = []
    for (code,), part in frame.partition_by("code", as_dict=True).items():
        if part.height >= few:
            rest = pl.col("digits").str.slice(len(str(code))).alias("number")
            numbers = _without_national_prefix(part.select("row", rest), main_plan(code))
            found.append(_judged(numbers, code, rules.international, rules, few))
    return found


def _national(frame: pl.DataFrame, home: Plan, rules: PhoneRules, few: int) -> list[pl.DataFrame]:
    """Those without an international prefix. They may begin with the country code even so."""
    import polars as pl

    code = str(home.country_code)
    digits = pl.col("digits")
    begins = frame["digits"].str.starts_with(code)
    parts = [(frame.filter(~begins).select("row", number=digits), home)]
    doubtful = frame.filter(begins)
    if doubtful.height and not home.unclear:
        rest = _shortened(
            doubtful.select("row", "digits", number=digits.str.slice(len(code))), home
        ).drop_nulls("after")
        full, after = rest["digits"], rest["after"]
        carried = (~full.str.contains(home.viable) & after.str.contains(home.viable)) | (
            (full.str.len_bytes() > home.possible[-1]) & ~full.str.len_bytes().is_in(home.local_only)
        )
        parts.append((rest.filter(~carried).select("row", number=digits), home))
        parts.append((rest.filter(carried).select("row", number="after"), main_plan(home.country_code)))
    return [
        _judged(_without_national_prefix(part, plan), home.country_code, rules.national, rules, few)
        for part, plan in parts
        if part.height >= max(few, 1)
    ]


def _shortened(frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """``after``: ``number`` without its national prefix, where that leaves as viable a number; null where only the
    library knows.
    """
    import polars as pl

    number, after = pl.col("number"), pl.col("after")
    if plan.unclear:
        return frame.with_columns(after=pl.lit(None, pl.String))
    if plan.national_prefix is None:
        return frame.with_columns(after=number)
    prefix = number.str.extract(plan.national_prefix).str.len_bytes().fill_null(0)
    if plan.rewrites:
        return frame.with_columns(after=pl.when(prefix == 0).then(number))
    return frame.with_columns(after=number.str.slice(prefix)).with_columns(
        after=pl.when(number.str.contains(plan.viable) & ~after.str.contains(plan.viable))
        .then(number)
        .otherwise(after)
    )


def _without_national_prefix(frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """``row`` and ``number``, which lost its national prefix if the rest is long enough; some are left out."""
    import polars as pl

    if plan.national_prefix is None and not plan.unclear:
        return frame
    prefixed = (
        frame["number"].str.contains(plan.national_prefix)
        if plan.national_prefix is not None
        else pl.repeat(value=True, n=frame.height, dtype=pl.Boolean, eager=True)
    )
    if not prefixed.any():
        return frame
    number, after, length = pl.col("number"), pl.col("after"), pl.col("after").str.len_bytes()
    long_enough = (length.is_in(plan.possible) | (length > plan.possible[-1])) & ~length.is_in(
        plan.local_only
    )
    shortened = (
        _shortened(frame.filter(prefixed), plan)
        .drop_nulls("after")
        .select("row", number=pl.when(long_enough).then(after).otherwise(number))
    )
    return pl.concat([frame.filter(~prefixed), shortened])


def _judged(frame: pl.DataFrame, code: int, wanted: str, rules: PhoneRules, few: int) -> pl.DataFrame:
    """The answers for national numbers without their prefix."""
    import polars as pl

    number = pl.col("number")
    length = number.str.len_bytes()
    frame = frame.filter((length >= 2) & (length <= _DIGITS[1]) & number.str.contains("[1-9]"))
    if wanted == "possible":
        good = length.is_in(main_plan(code).usable_lengths)
        frame = frame.select("row", "number", good=good)
        bad = Reason.WRONG_LENGTH
    else:
        frame = _valid(frame, region_tests(code), few)
        bad = Reason.NOT_VALID
    fits = length + len(str(code)) <= rules.max_digits
    return frame.select(
        "row",
        digits=pl.when(pl.col("good") & fits).then(pl.concat_str(pl.lit(str(code)), number)),
        reason=pl.when(~pl.col("good"))
        .then(pl.lit(bad.value))
        .when(~fits)
        .then(pl.lit(Reason.WRONG_LENGTH.value)),
    )


def _valid(frame: pl.DataFrame, tests: tuple[RegionTest, ...], few: int) -> pl.DataFrame:
    """With ``good``; a few numbers that most regions of a shared country code do not have are left out."""
    import polars as pl

    decided = [frame.clear().with_columns(good=pl.lit(value=True))]
    for place, test in enumerate(tests):
        if frame.height < (few if place else 1):
            break
        good = _within(test.general)
        kinds = [_within(kind) for kind in test.kinds] or [pl.lit(value=False)]
        good &= pl.any_horizontal(kinds)
        if test.leading is not None:
            led = frame["number"].str.contains(test.leading)
            decided.append(frame.filter(led).with_columns(good=good))
            frame = frame.filter(~led)
            continue
        asked = frame.with_columns(good=good)
        decided.append(asked.filter("good"))
        frame = asked.filter(~pl.col("good")).drop("good")
    else:
        decided.append(frame.with_columns(good=pl.lit(value=False)))
    return pl.concat(decided)


def _within(described: Described) -> pl.Expr:
    import polars as pl

    number = pl.col("number")
    matches = number.str.contains(described.pattern)
    return matches if described.lengths is None else matches & number.str.len_bytes().is_in(described.lengths)


def _refused(frame: pl.DataFrame, reason: Reason) -> pl.DataFrame:
    import polars as pl

    return frame.select("row", digits=pl.lit(None, pl.String), reason=pl.lit(reason.value))


def _nothing() -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(schema={"row": pl.get_index_type(), "digits": pl.String, "reason": pl.String})
