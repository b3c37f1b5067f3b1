"""Only partners are let in, and only the partner itself is believed: over real loopback TLS."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.companies import Company, MakeCompany

from mutuals.errors import ErrorCode, MutualsError, PartnerRefused

Pair = tuple[Company, Company]


def test_partners_reach_each_other(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving(), beta.call(acme) as connection:
        reply = connection.ping()
    assert reply.version == 1
    assert abs(reply.now - acme.clock()) < timedelta(seconds=1)
    assert [line["code"] for line in acme.log_lines()] == ["OK"]


def test_stranger_is_refused(pair: Pair, company: MakeCompany) -> None:
    acme, _ = pair
    carl = company("Carl GmbH")
    carl.knows(acme)
    with acme.serving(), carl.call(acme) as connection, pytest.raises(MutualsError) as refused:
        connection.ping()
    assert refused.value.code is ErrorCode.UNREACHABLE
    assert "current card" in (refused.value.hint or "")


def test_removed_partner_is_refused_on_its_old_connection(pair: Pair) -> None:
    acme, beta = pair
    with acme.serving(), beta.call(acme) as connection:
        connection.ping()
        acme.forgets(beta)
        with pytest.raises(PartnerRefused) as refused:
            connection.ping()
    assert refused.value.code is ErrorCode.PEER_IDENTITY
    assert refused.value.exit_code == 4
