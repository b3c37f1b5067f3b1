from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SealedRecord(_message.Message):
    __slots__ = ("rank", "also", "retention_days", "ciphertext")
    RANK_FIELD_NUMBER: _ClassVar[int]
    ALSO_FIELD_NUMBER: _ClassVar[int]
    RETENTION_DAYS_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    rank: int
    also: _containers.RepeatedScalarFieldContainer[int]
    retention_days: int
    ciphertext: bytes
    def __init__(self, rank: _Optional[int] = ..., also: _Optional[_Iterable[int]] = ..., retention_days: _Optional[int] = ..., ciphertext: _Optional[bytes] = ...) -> None: ...

class Envelope(_message.Message):
    __slots__ = ("header", "signature", "records")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    signature: bytes
    records: _containers.RepeatedCompositeFieldContainer[SealedRecord]
    def __init__(self, header: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., records: _Optional[_Iterable[_Union[SealedRecord, _Mapping]]] = ...) -> None: ...

class EnvelopeAck(_message.Message):
    __slots__ = ("envelope", "signature")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    envelope: bytes
    signature: bytes
    def __init__(self, envelope: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ExchangeStart(_message.Message):
    __slots__ = ("sid",)
    SID_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    def __init__(self, sid: _Optional[bytes] = ...) -> None: ...

class ExchangeDone(_message.Message):
    __slots__ = ("sid",)
    SID_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    def __init__(self, sid: _Optional[bytes] = ...) -> None: ...

class ExchangeRequest(_message.Message):
    __slots__ = ("start", "envelope", "ack")
    START_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    start: ExchangeStart
    envelope: Envelope
    ack: EnvelopeAck
    def __init__(self, start: _Optional[_Union[ExchangeStart, _Mapping]] = ..., envelope: _Optional[_Union[Envelope, _Mapping]] = ..., ack: _Optional[_Union[EnvelopeAck, _Mapping]] = ...) -> None: ...

class ExchangeResponse(_message.Message):
    __slots__ = ("start", "envelope", "ack", "done")
    START_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    start: ExchangeStart
    envelope: Envelope
    ack: EnvelopeAck
    done: ExchangeDone
    def __init__(self, start: _Optional[_Union[ExchangeStart, _Mapping]] = ..., envelope: _Optional[_Union[Envelope, _Mapping]] = ..., ack: _Optional[_Union[EnvelopeAck, _Mapping]] = ..., done: _Optional[_Union[ExchangeDone, _Mapping]] = ...) -> None: ...
