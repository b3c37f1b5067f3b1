"""Countries as people write them into a CRM: by ISO 3166 code, or by name in any language that `phonenumbers` knows."""

from __future__ import annotations

from functools import cache

import phonenumbers


def region_of(text: str) -> str | None:
    """The two letters of the country that ``text`` names; None where it names none."""
    word = text.strip()
    if word.upper() in phonenumbers.SUPPORTED_REGIONS:
        return word.upper()
    return _by_name().get(word.casefold())


def name_of(region: str) -> str:
    """What the country is called in English; its code where that is not known."""
    from phonenumbers.geodata.locale import LOCALE_DATA

    return _in(LOCALE_DATA.get(region, {}), "en") or region


def main_region(country_code: int) -> str | None:
    """The country that has this code, the largest where several share it; None where it is no country's."""
    region: str = phonenumbers.region_code_for_country_code(country_code)
    return region if region in phonenumbers.SUPPORTED_REGIONS else None


@cache
def _by_name() -> dict[str, str]:
    from phonenumbers.geodata.locale import LOCALE_DATA  # 0.4 s, and hardly ever needed

    names = {
        name.casefold(): region
        for region, by_language in LOCALE_DATA.items()
        if region in phonenumbers.SUPPORTED_REGIONS
        for name in by_language.values()
        if name and not name.startswith("*")
    }
    return names | {"usa": "US", "uk": "GB", "england": "GB", "scotland": "GB", "wales": "GB"}


def _in(by_language: dict[str, str], language: str) -> str:
    name = by_language.get(language, "")
    return _in(by_language, name[1:]) if name.startswith("*") else name
