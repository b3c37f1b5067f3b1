"""How a rotation of the own certificate stands, in words and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mutuals.rotation import Rotation


def rotation_sentences(standing: Rotation) -> list[str]:
    """Who has the card, how long the certificate of before is good, and what to do about those who have not got it."""
    from mutuals.rotation import Has

    until = f"{standing.until:%Y-%m-%d %H:%M} UTC"
    partners = standing.partners
    if not partners:
        return [f"There is no partner to tell; the certificate of before is good until {until}."]
    count = f"{standing.arrived} of {len(partners)} partners {'has' if standing.arrived == 1 else 'have'} it"
    if standing.stolen:
        first = f"{count}, and refuse the TLS key of before. It serves to reach the others until {until}."
    else:
        first = f"{count}. The certificate of before is good until {until}."
    sentences = [first]
    if waiting := [row.name for row, has in partners if has is Has.NOT_YET]:
        sentences.append(
            f"Not yet: {', '.join(waiting)}. They get it with the next sync of either side, or by hand: mutuals card"
        )
        if standing.stolen:
            sentences.append("Call them: until they have it, whoever has the key can pass for you.")
    if refused := [row.name for row, has in partners if has is Has.REFUSED]:
        sentences.append(
            f"Refused by: {', '.join(refused)}. Give them the card by hand, for a person to look at: mutuals card"
        )
    return sentences


def rotation_facts(standing: Rotation | None) -> dict[str, Any] | None:
    """The same as JSON; nothing where no rotation is under way."""
    if standing is None:
        return None
    return {
        "serial": standing.serial,
        "until": standing.until.isoformat(),
        "stolen": standing.stolen,
        "arrived": standing.arrived,
        "partners": [
            {"partner": row.name, "fingerprint": row.fingerprint, "has": has.value}
            for row, has in standing.partners
        ],
    }
