from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutuals.errors import ErrorCode, PartnerFault
from mutuals.models.run import Role
from mutuals.protocol.confirm import SHARE_SIZE, Confirmation

TH = b"\x11" * 32
HANDLES = b"\x22" * 64
PARTIES = (b"\x33" * 32, b"\x44" * 32)


def pair(**right: bytes) -> tuple[Confirmation, Confirmation]:
    """Two sides; ``right`` changes what the responder believes."""
    theirs = {"th": TH, "handles": HANDLES, "initiator": PARTIES[0], "responder": PARTIES[1]} | right
    return (
        Confirmation(Role.INITIATOR, TH, HANDLES, *PARTIES),
        Confirmation(Role.RESPONDER, **theirs),
    )


def exchange(left: Confirmation, right: Confirmation) -> None:
    left.receive_share(right.share)
    right.receive_share(left.share)


def test_two_sides_with_the_same_pairs_convince_each_other() -> None:
    left, right = pair()
    exchange(left, right)
    assert left.mac() != right.mac()
    left.check_mac(right.mac())
    right.check_mac(left.mac())


@pytest.mark.parametrize(
    "differs",
    [
        {"handles": b"\x22" * 63 + b"\x23"},
        {"handles": b"\x22" * 32},
        {"handles": b""},
        {"th": b"\x12" * 32},
        {"initiator": PARTIES[1]},
        {"responder": b"\x45" * 32},
    ],
    ids=lambda differs: next(iter(differs)),
)
def test_a_side_with_anything_else_convinces_nobody(differs: dict[str, bytes]) -> None:
    left, right = pair(**differs)
    exchange(left, right)
    for one, other in ((left, right), (right, left)):
        with pytest.raises(PartnerFault) as caught:
            one.check_mac(other.mac())
        assert caught.value.code is ErrorCode.CONFIRMATION_FAILED


def test_an_own_mac_sent_back_proves_nothing() -> None:
    left, right = pair()
    exchange(left, right)
    with pytest.raises(PartnerFault):
        left.check_mac(left.mac())


@pytest.mark.parametrize("side", [b"A", b"B"])
def test_an_own_share_sent_back_is_refused(side: bytes) -> None:
    left, _ = pair()
    with pytest.raises(PartnerFault) as caught:
        left.receive_share(side + left.share[1:])
    assert caught.value.code is ErrorCode.CONFIRMATION_FAILED


@settings(deadline=None, max_examples=60)
@given(
    st.one_of(
        st.binary(max_size=70),
        st.binary(min_size=32, max_size=32).map(lambda rest: b"B" + rest),
        st.sampled_from([b"B" + bytes(32), b"B\x01" + bytes(31), b"B" + b"\xff" * 32, b"S" + bytes(32)]),
    )
)
def test_whatever_a_partner_sends_as_a_share_is_a_share_or_a_fault(share: bytes) -> None:
    left, _ = pair()
    with pytest.raises(PartnerFault) as caught:  # noqa: PT012 - the share may be refused, or else the MAC
        left.receive_share(share)
        assert len(share) == SHARE_SIZE
        left.check_mac(bytes(32))
    assert caught.value.code is ErrorCode.CONFIRMATION_FAILED


def test_a_relayed_share_of_another_run_leads_to_no_common_key() -> None:
    left, right = pair()
    _, other = pair(th=b"\x55" * 32)
    left.receive_share(other.share)
    right.receive_share(left.share)
    with pytest.raises(PartnerFault):
        left.check_mac(right.mac())


@pytest.mark.parametrize("mac", [b"", bytes(31), bytes(33)])
def test_a_mac_of_another_size_is_refused(mac: bytes) -> None:
    left, right = pair()
    exchange(left, right)
    with pytest.raises(PartnerFault):
        left.check_mac(mac)


def test_there_is_no_mac_before_the_partners_share() -> None:
    left, _ = pair()
    with pytest.raises(RuntimeError, match="share"):
        left.mac()


def test_fixed_randomness_gives_a_fixed_share() -> None:
    shares = {
        Confirmation(Role.INITIATOR, TH, HANDLES, *PARTIES, randbytes=lambda size: b"\x07" * size).share
        for _ in range(2)
    }
    assert len(shares) == 1
    assert len(shares.pop()) == SHARE_SIZE
