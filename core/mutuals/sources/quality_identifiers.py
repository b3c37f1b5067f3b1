"""The addresses and numbers of a source under every published profile, in batches and on all cores.

    examined = examine_batch(Batch(table, "DE", "uid2-v1"))        # in a worker
    tally = IdentifierTally("email", get_profile("uid2-v1"))
    tally.add(examined.kinds["email"], contacts_before)
    tally.figures()

Of a value nothing is kept but a hash of 8 bytes for each way in which profiles write it, and its contact: enough to
count which are the same. Two different ones of ten million are taken for one with a chance of 1 in 400,000.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np
import numpy.typing as npt
import polars as pl

from mutuals.normalisation import PROFILES, Normalised, Profile, Reason, get_profile
from mutuals.normalisation.email import normalise_emails
from mutuals.normalisation.phone import normalise_phones
from mutuals.normalisation.phone_plans import code_of_prefix
from mutuals.normalisation.rules import EmailRules, PhoneRules
from mutuals.sources.contacts import ContactTable
from mutuals.sources.identifiers import SCHEMA, written_identifiers
from mutuals.sources.quality_rows import ROWS_SHOWN, Refusal, Refusals
from mutuals.sources.quality_values import odd_values

BASE = "strict-v1"
"""The profile that the others are held against: it changes least."""
COUNTRY = "country"
"""The column of ``Batch.table.frame`` that says where a contact lives, if there is one."""
_REJECTED = -1
_WRITTEN = "as written"
_CODE_DIGITS = 3
SHORT_DIGITS = 8
"""With so many digits or fewer, country code included, a number may be valid in a region of its country code and not
have a possible length of the code's main region."""

Hashes = npt.NDArray[np.uint64]
Holders = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Batch:
    """Work for ``examine_batch``: of ``table.frame`` the columns ``row``, ``email``, ``phone`` and perhaps COUNTRY, and
    its rejected identifiers. ``collect`` are the types of which the normalised values are wanted.
    """

    table: ContactTable
    default_country: str | None
    profile: str
    collect: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class KindExamined:
    """The values of one type in one batch.

    ``hashes`` of the values under BASE, 0 for a refused one, and their ``holders``: the position of the contact in the
    batch, or -1 for a rejected row. Values that every profile refuses are left out. ``others`` has by variant the
    positions in these where it differs, and its hashes there. The rest counts values of usable rows under the chosen
    profile: all that were ``written``, those ``refused`` by reason with the first rows, numbers by country ``codes``,
    rows without a country code by what COUNTRY says, and ``odd`` ones by what is odd about them.
    """

    hashes: Hashes
    holders: Holders
    others: dict[str, tuple[npt.NDArray[np.uint32], Hashes]]
    written: int
    refused: dict[str, tuple[int, tuple[int, ...]]]
    codes: dict[int, int] = field(default_factory=dict)
    homeless: dict[str, int] = field(default_factory=dict)
    odd: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Examined:
    """``kinds`` by type of identifier; ``collected`` as ``collect_identifiers`` gives it, of the types wanted."""

    kinds: dict[str, KindExamined]
    collected: pl.DataFrame


@dataclass(frozen=True)
class IdentifierFigures:
    """Of the ``written`` values of usable rows, ``usable`` were accepted, which are ``distinct`` identifiers.

    Of these, ``shared`` are held by several contacts, ``sharing`` together, or also by a row that cannot be used.
    Of addresses, ``respelt`` are there in several spellings, and ``capitals`` values are in capitals only.
    """

    written: int
    usable: int
    distinct: int
    shared: int
    sharing: int
    respelt: int
    capitals: int
    refused: tuple[Refusal, ...]


@dataclass(frozen=True)
class ProfileFigures:
    """What a profile makes of the values of usable rows, held against BASE.

    ``more`` are accepted here and refused there, ``fewer`` the other way round; ``changed`` are accepted by both and
    written otherwise. ``alike`` identifiers that are different there are taken as ``becoming`` here.
    """

    usable: int
    distinct: int
    more: int
    fewer: int
    changed: int
    alike: int
    becoming: int


@cache
def _email_variants() -> dict[EmailRules, str]:
    return {profile.rules.email: name for name, profile in reversed(PROFILES.items())}


@cache
def _phone_variants() -> dict[PhoneRules, str]:
    """By rules apart from how a number is written, which changes nothing about which are the same."""
    return {_plainly(profile.rules.phone): name for name, profile in reversed(PROFILES.items())}


def _plainly(rules: PhoneRules) -> PhoneRules:
    return replace(rules, form="E.164 with +")


def variant_of(kind: str, profile: Profile) -> str:
    """The name under which the values of a type are kept as ``profile`` writes them: that of a profile alike."""
    if kind == "email":
        return _email_variants()[profile.rules.email]
    return _phone_variants()[_plainly(profile.rules.phone)]


def examine_batch(batch: Batch) -> Examined:
    """Normalise all identifiers of a batch under all profiles. Raises MutualsError (USAGE) for an unknown country."""
    profile = get_profile(batch.profile)
    kinds, collected = {}, [pl.DataFrame(schema=SCHEMA)]
    for kind in ("email", "phone"):
        written = written_identifiers(batch.table, kind)
        by_variant = _normalised(written["raw"], kind, profile, batch.default_country)
        kinds[kind] = _examined(batch, kind, written, by_variant, variant_of(kind, profile))
        if kind in batch.collect:
            collected.append(_collected(written, kind, by_variant[variant_of(kind, profile)], profile))
    return Examined(kinds, pl.concat(collected))


def _normalised(
    raw: pl.Series, kind: str, profile: Profile, default_country: str | None
) -> dict[str, Normalised]:
    """By variant. Values on which it cannot differ from BASE are normalised once."""
    trimmed = profile.rules.trimmed
    base = variant_of(kind, get_profile(BASE))
    if kind == "email":
        by_email = {
            name: partial(normalise_emails, rules=r, trimmed=trimmed) for r, name in _email_variants().items()
        }
        done = {base: by_email.pop(base)(raw)}
        for rules, name in _email_variants().items():
            if name in by_email:
                done[name] = _again(
                    raw, done[base], _emails_that_differ(raw, done[base], rules, trimmed), by_email[name]
                )
        return done
    by_phone = {
        name: partial(normalise_phones, default_country=default_country, rules=r, trimmed=trimmed)
        for r, name in _phone_variants().items()
    }
    done = {base: by_phone.pop(base)(raw)}
    differ = _phones_that_differ(done[base])
    return done | {name: _again(raw, done[base], differ, normalise) for name, normalise in by_phone.items()}


def _again(
    raw: pl.Series, base: Normalised, differ: pl.Series, normalise: Callable[[pl.Series], Normalised]
) -> Normalised:
    """``base``, but where they may ``differ`` what ``normalise`` gives."""
    if not differ.any():
        return base
    anew, places = normalise(raw.filter(differ)), differ.arg_true()
    values, reasons = base.values.clone(), base.reasons.clone()  # scatter works in place
    return Normalised(values.scatter(places, anew.values), reasons.scatter(places, anew.reasons))


def _emails_that_differ(raw: pl.Series, base: Normalised, rules: EmailRules, trimmed: str) -> pl.Series:
    """Addresses at a domain of aliases, and, where the rules take it out, any with white space inside."""
    domains = [f"@{domain}" for domain in rules.alias_domains]
    differ = pl.any_horizontal(
        pl.lit(value=False), *(pl.col("value").str.ends_with(name) for name in domains)
    )
    if rules.inner_white_space == "remove":
        differ |= pl.col("raw").str.strip_chars(trimmed).str.contains_any(list(trimmed))
    frame = pl.DataFrame({"value": base.values, "raw": raw})
    return frame.select(differ=differ.fill_null(value=False))["differ"]


def _phones_that_differ(base: Normalised) -> pl.Series:
    """Numbers that were told apart from others only by the assigned ranges, or are shorter than elsewhere possible.

    A test holds that whatever is longer and valid has a possible length.
    """
    frame = pl.DataFrame({"value": base.values, "reason": base.reasons})
    judged = pl.col("reason").is_in([Reason.NOT_VALID.value, Reason.WRONG_LENGTH.value])
    short = pl.col("value").str.len_bytes() <= len("+") + SHORT_DIGITS
    return frame.select(differ=(judged | short).fill_null(value=False))["differ"]


def _collected(written: pl.DataFrame, kind: str, chosen: Normalised, profile: Profile) -> pl.DataFrame:
    values = chosen.values
    if kind == "phone" and profile.rules.phone.form == "E.164 without +":
        values = values.str.strip_prefix("+")
    return written.select(
        "row",
        "contact",
        pl.lit(kind).alias("type"),
        values.alias("value"),
        chosen.reasons.alias("reason"),
    )


def _examined(
    batch: Batch, kind: str, written: pl.DataFrame, by_variant: dict[str, Normalised], chosen: str
) -> KindExamined:
    base = variant_of(kind, get_profile(BASE))
    hashes = {name: _hashes(normalised.values) for name, normalised in by_variant.items()}
    if kind == "email":  # numbers are written in so many ways that it would say nothing
        hashes[_WRITTEN] = np.where(hashes[chosen] != 0, _hashes(written["raw"]), 0)
    kept = np.logical_or.reduce(list(hashes.values()))
    hashes = {name: array[kept] for name, array in hashes.items()}
    below = hashes.pop(base)
    others = {}
    for name, array in hashes.items():
        places = np.flatnonzero(array != below)
        others[name] = (places.astype(np.uint32), array[places])
    own = written.with_columns(value=by_variant[chosen].values, reason=by_variant[chosen].reasons).filter(
        pl.col("contact").is_not_null()
    )
    return KindExamined(
        hashes=below,
        holders=written["contact"].fill_null(_REJECTED).to_numpy()[kept],
        others=others,
        written=len(own),
        refused=_refused(own),
        codes=_codes(own["value"]) if kind == "phone" else {},
        homeless=_homeless(own, batch.table.frame) if kind == "phone" else {},
        odd=odd_values(kind, own),
    )


def _hashes(values: pl.Series) -> Hashes:
    """8 bytes each, never 0 but for a null."""
    hashed = np.maximum(values.hash().to_numpy(), 1)
    return np.where(values.is_null().to_numpy(), np.uint64(0), hashed)


def _refused(own: pl.DataFrame) -> dict[str, tuple[int, tuple[int, ...]]]:
    grouped = (
        own.filter(pl.col("reason").is_not_null())
        .group_by("reason")
        .agg(pl.len(), pl.col("row").unique().sort().head(ROWS_SHOWN))
    )
    return {reason: (count, tuple(rows)) for reason, count, rows in grouped.iter_rows()}


def _codes(values: pl.Series) -> dict[int, int]:
    """How many numbers have each country code."""
    starts = values.drop_nulls().str.strip_prefix("+").str.slice(0, _CODE_DIGITS)
    counts = starts.value_counts()
    known = pl.Series(code_of_prefix(), dtype=pl.Int32)
    codes = known.gather(counts.get_column(starts.name).cast(pl.UInt32))
    return dict(
        pl.DataFrame({"code": codes, "n": counts["count"]})
        .group_by("code")
        .agg(pl.col("n").sum())
        .iter_rows()
    )


def _homeless(own: pl.DataFrame, frame: pl.DataFrame) -> dict[str, int]:
    if COUNTRY not in frame.columns:
        return {}
    rows = own.filter(reason=Reason.NO_COUNTRY_CODE.value)["contact"]
    return dict(frame[COUNTRY].gather(rows).value_counts().iter_rows()) if len(rows) else {}


class IdentifierTally:
    """Gathers what was found of one type of identifier."""

    def __init__(self, kind: str, profile: Profile) -> None:
        self.kind = kind
        self._chosen = variant_of(kind, profile)
        self._base = variant_of(kind, get_profile(BASE))
        self._hashes: list[Hashes] = []
        self._holders: list[Holders] = []
        self._others: dict[str, list[tuple[npt.NDArray[np.int64], Hashes]]] = {}
        self._length = 0
        self._written = 0
        self._refusals = Refusals()
        self.codes: Counter[int] = Counter()
        self.odd: Counter[tuple[str, str]] = Counter()

    def add(self, found: KindExamined, before: int) -> None:
        """What was found in the next batch; ``before`` it there were so many contacts."""
        self._hashes.append(found.hashes)
        self._holders.append(
            np.where(found.holders == _REJECTED, _REJECTED, found.holders + before).astype(np.int32)
        )
        for name, (places, hashes) in found.others.items():
            self._others.setdefault(name, []).append((places.astype(np.int64) + self._length, hashes))
        self._length += len(found.hashes)
        self._written += found.written
        for reason, (count, rows) in found.refused.items():
            self._refusals.add(self.kind, reason, count, rows)
        self.codes.update(found.codes)
        self.odd.update(found.odd)

    def figures(self) -> IdentifierFigures:
        """Under the chosen profile."""
        values, holders = self._variant(self._chosen), self._all_holders()
        own = (values != 0) & (holders != _REJECTED)
        usable, distinct = _counted(values[own])
        shared, sharing = _shared(values, holders)
        respelt = _alike(values[own], self._variant(_WRITTEN)[own])[1] if self.kind == "email" else 0
        return IdentifierFigures(
            written=self._written,
            usable=usable,
            distinct=distinct,
            shared=shared,
            sharing=sharing,
            respelt=respelt,
            capitals=self.odd["capitals", ""],
            refused=self._refusals.found(),
        )

    def under(self, profile: Profile) -> ProfileFigures:
        """Under another profile."""
        own = self._all_holders() != _REJECTED
        values = self._variant(variant_of(self.kind, profile))[own]
        base = self._variant(self._base)[own]
        usable, distinct = _counted(values)
        both = (values != 0) & (base != 0)
        alike, becoming = _alike(values[both], base[both])
        return ProfileFigures(
            usable=usable,
            distinct=distinct,
            more=int(np.count_nonzero((values != 0) & (base == 0))),
            fewer=int(np.count_nonzero((values == 0) & (base != 0))),
            changed=int(np.count_nonzero(both & (values != base))),
            alike=alike,
            becoming=becoming,
        )

    def _all_holders(self) -> Holders:
        self._holders = [np.concatenate([np.empty(0, np.int32), *self._holders])]
        return self._holders[0]

    def _variant(self, name: str) -> Hashes:
        self._hashes = [np.concatenate([np.empty(0, np.uint64), *self._hashes])]
        if name == self._base:
            return self._hashes[0]
        values = self._hashes[0].copy()
        for places, hashes in self._others.get(name, ()):
            values[places] = hashes
        return values


def _counted(values: Hashes) -> tuple[int, int]:
    """How many are accepted, and how many different ones."""
    accepted = np.sort(values[values != 0])
    return len(accepted), _distinct(accepted)


def _distinct(ordered: npt.NDArray[np.uint64]) -> int:
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + bool(len(ordered))


def _shared(values: Hashes, holders: Holders) -> tuple[int, int]:
    """How many identifiers of usable rows have several holders, and how many contacts hold those."""
    there = np.flatnonzero(values != 0)
    there = there[_repeated(values[there])]
    contacts = _with_several(values[there], holders[there]).filter(pl.col("other") != _REJECTED)
    return contacts["value"].n_unique(), contacts["other"].n_unique()


def _alike(values: Hashes, others: Hashes) -> tuple[int, int]:
    """How many different ``others`` stand beside values that have several of them, and how many such values."""
    if np.array_equal(values, others):
        return 0, 0
    chosen = _repeated(values)
    several = _with_several(values[chosen], others[chosen])
    return len(several), several["value"].n_unique()


def _with_several(values: Hashes, others: npt.NDArray[np.generic]) -> pl.DataFrame:
    """The different pairs of ``value`` and ``other`` whose value is in several of them."""
    pairs = pl.DataFrame({"value": values, "other": others}).unique()
    return pairs.filter(pl.Series(_repeated(pairs["value"].to_numpy()), dtype=pl.Boolean))


def _repeated(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which of them are there more than once."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    same = np.zeros(len(values), dtype=np.bool_)
    again = ordered[1:] == ordered[:-1]
    same[1:] |= again
    same[:-1] |= again
    found = np.empty(len(values), dtype=np.bool_)
    found[order] = same
    return found
