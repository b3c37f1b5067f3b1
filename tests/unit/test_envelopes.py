"""The header's bytes: exactly one form, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutuals.framing import Context, frame
from mutuals.models.run import Role
from mutuals.protocol.envelopes import (
    EnvelopeHeader,
    batch_digest,
    decode_records,
    encode_records,
    envelope_digest,
)
from mutuals.protocol.messages import SealedRecord
from mutuals.protocol.sealing import SEALED_SECRET_BYTES

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
DIGEST = st.binary(min_size=32, max_size=32)
HEADERS = st.builds(
    EnvelopeHeader,
    agreement=DIGEST,
    sid=DIGEST,
    direction=st.sampled_from(Role),
    sender=DIGEST,
    recipient=DIGEST,
    receiving_key=st.binary(min_size=16, max_size=16),
    number=U64,
    last=st.booleans(),
    total=U64,
    start=U64,
    count=U64,
    previous=DIGEST,
    batch=DIGEST,
    plaintext=DIGEST,
    sealed_secret=st.sampled_from([b"", bytes(SEALED_SECRET_BYTES)]),
)
RECORDS = st.lists(
    st.builds(
        SealedRecord,
        rank=U32,
        also=st.lists(U32, max_size=4).map(tuple),
        retention_days=U32,
        ciphertext=st.binary(min_size=16, max_size=60),
    ),
    max_size=6,
)


@given(HEADERS)
def test_header_reads_back_from_its_own_bytes(header: EnvelopeHeader) -> None:
    assert EnvelopeHeader.from_bytes(header.to_bytes()) == header


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused_with_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"header|short"):
        EnvelopeHeader.from_bytes(data)


@given(HEADERS, st.data())
def test_a_changed_byte_gives_another_header_or_a_refusal(
    header: EnvelopeHeader, data: st.DataObject
) -> None:
    changed = bytearray(header.to_bytes())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read = EnvelopeHeader.from_bytes(bytes(changed))
    except ValueError:
        return
    assert read != header
    assert read.to_bytes() == bytes(changed)


@pytest.mark.parametrize("cut", [1, 4, 20, 36])
def test_truncated_or_extended_header_is_refused(cut: int) -> None:
    data = _header().to_bytes()
    for wrong in (data[:-cut], data + bytes(cut), data + frame(Context.ENVELOPE)):
        with pytest.raises(ValueError, match=r"header|short"):
            EnvelopeHeader.from_bytes(wrong)


def test_another_context_is_refused() -> None:
    data = _header().to_bytes().replace(b"mutuals/v1/envelope", b"mutuals/v1/accepted")
    with pytest.raises(ValueError, match="not an envelope header"):
        EnvelopeHeader.from_bytes(data)


def test_last_flag_is_0_or_1() -> None:
    data = bytearray(_header().to_bytes())
    position = bytes(data).index(b"\x00\x00\x00\x08" + (7).to_bytes(8, "big")) + 12 + 11
    data[position] = 2
    with pytest.raises(ValueError, match="last flag"):
        EnvelopeHeader.from_bytes(bytes(data))


@given(RECORDS)
def test_records_read_back_from_the_store(records: list[SealedRecord]) -> None:
    assert decode_records(encode_records(records)) == tuple(records)


@given(RECORDS, RECORDS)
def test_digests_tell_batches_apart(one: list[SealedRecord], other: list[SealedRecord]) -> None:
    assert (batch_digest(one) == batch_digest(other)) == (one == other)
    assert (envelope_digest(b"h", one) == envelope_digest(b"h", other)) == (one == other)


@given(st.binary(max_size=60))
def test_stored_records_that_are_damaged_are_refused(data: bytes) -> None:
    try:
        records = decode_records(data)
    except ValueError:
        return
    assert encode_records(records) == data


def _header() -> EnvelopeHeader:
    return EnvelopeHeader(
        agreement=b"\x01" * 32,
        sid=b"\x02" * 32,
        direction=Role.INITIATOR,
        sender=b"\x03" * 32,
        recipient=b"\x04" * 32,
        receiving_key=b"\x05" * 16,
        number=7,
        last=False,
        total=9,
        start=3,
        count=4,
        previous=b"\x06" * 32,
        batch=b"\x07" * 32,
        plaintext=b"\x08" * 32,
    )
