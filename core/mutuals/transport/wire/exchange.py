"""The messages of the exchange (DESIGN §7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from mutuals.protocol.envelopes import MAX_RECORD_BYTES, MAX_RECORDS_PER_ENVELOPE
from mutuals.protocol.messages import (
    Envelope,
    EnvelopeAck,
    ExchangeDone,
    ExchangeMessage,
    ExchangeStart,
    SealedRecord,
)
from mutuals.transport.wire.fields import (
    DIGEST_BYTES,
    SIGNATURE_BYTES,
    check_length,
    exactly,
    oneof_codec,
    within,
)
from mutuals.v1 import exchange_pb2

GCM_TAG_BYTES = 16
MAX_HEADER_BYTES = 4096
MAX_ALSO = 65_536
MAX_RETENTION_DAYS = 3650


def _write(message: ExchangeMessage) -> dict[str, Message]:
    match message:
        case ExchangeStart():
            return {"start": exchange_pb2.ExchangeStart(sid=message.sid)}
        case Envelope():
            return {"envelope": _write_envelope(message)}
        case EnvelopeAck():
            return {"ack": exchange_pb2.EnvelopeAck(envelope=message.envelope, signature=message.signature)}
        case ExchangeDone():
            return {"done": exchange_pb2.ExchangeDone(sid=message.sid)}


def _write_envelope(message: Envelope) -> exchange_pb2.Envelope:
    records = (
        exchange_pb2.SealedRecord(
            rank=record.rank,
            also=record.also,
            retention_days=record.retention_days,
            ciphertext=record.ciphertext,
        )
        for record in message.records
    )
    return exchange_pb2.Envelope(header=message.header, signature=message.signature, records=records)


def _read_start(wire: exchange_pb2.ExchangeStart) -> ExchangeStart:
    return ExchangeStart(exactly(wire.sid, DIGEST_BYTES, "ExchangeStart", "sid"))


def _read_envelope(wire: exchange_pb2.Envelope) -> Envelope:
    check_length(wire.header, 1, MAX_HEADER_BYTES, "Envelope", "header")
    check_length(wire.records, 0, MAX_RECORDS_PER_ENVELOPE, "Envelope", "records")
    return Envelope(
        header=wire.header,
        signature=exactly(wire.signature, SIGNATURE_BYTES, "Envelope", "signature"),
        records=tuple(_read_record(record) for record in wire.records),
    )


def _read_record(wire: exchange_pb2.SealedRecord) -> SealedRecord:
    check_length(wire.ciphertext, GCM_TAG_BYTES, MAX_RECORD_BYTES + GCM_TAG_BYTES, "Envelope", "ciphertext")
    check_length(wire.also, 0, MAX_ALSO, "Envelope", "also")
    return SealedRecord(
        rank=wire.rank,
        also=tuple(wire.also),
        retention_days=within(wire.retention_days, 1, MAX_RETENTION_DAYS, "Envelope", "retention_days"),
        ciphertext=wire.ciphertext,
    )


def _read_ack(wire: exchange_pb2.EnvelopeAck) -> EnvelopeAck:
    return EnvelopeAck(
        envelope=exactly(wire.envelope, DIGEST_BYTES, "EnvelopeAck", "envelope"),
        signature=exactly(wire.signature, SIGNATURE_BYTES, "EnvelopeAck", "signature"),
    )


def _read_done(wire: exchange_pb2.ExchangeDone) -> ExchangeDone:
    return ExchangeDone(exactly(wire.sid, DIGEST_BYTES, "ExchangeDone", "sid"))


_READERS: dict[str, Callable[[Any], ExchangeMessage]] = {
    "start": _read_start,
    "envelope": _read_envelope,
    "ack": _read_ack,
    "done": _read_done,
}
EXCHANGE_REQUEST = oneof_codec(exchange_pb2.ExchangeRequest, "Exchange", _write, _READERS)
EXCHANGE_RESPONSE = oneof_codec(exchange_pb2.ExchangeResponse, "Exchange", _write, _READERS)
