"""A peer's public identity, as it is exchanged by file (DESIGN §4)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from mutuals.models.moment import within_calendar

Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"),
]
Paragraph = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ContactPerson(BaseModel):
    """Someone to talk to at the peer's company: a person's name, what they do, how to reach them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Line
    role: Line
    email: Line


class Card(BaseModel):
    """Who a peer is: organisation, endpoint, keys, certificate, people and disclosures.

    ``signing_key`` is the raw Ed25519 public key in hex, ``log_key`` that of the key which signs the heads of its logs
    (docs/protocol.md §12), ``tls_certificate`` the PEM certificate, ``endpoint`` ``host:port`` or nothing where the
    peer cannot be called. The signature over the card is not part of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mutuals/v1/card"] = "mutuals/v1/card"
    organisation: Line
    introduction: Paragraph = ""
    privacy_policy: Paragraph = ""
    data_handling: Paragraph = ""
    contacts: tuple[ContactPerson, ...] = Field(default=(), max_length=20)
    endpoint: Line | None = None
    signing_key: Hex32
    log_key: Hex32
    tls_certificate: Annotated[str, StringConstraints(max_length=8000)]
    serial: int = Field(ge=1, le=2**31)
    issued_at: Annotated[datetime, AfterValidator(within_calendar)]


class SignedCard(BaseModel):
    """A card and its own key's signature over ``frame(CARD, canonical JSON of card)``, in hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    card: Card
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
