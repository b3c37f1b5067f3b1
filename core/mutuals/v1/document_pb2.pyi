from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Document(_message.Message):
    __slots__ = ("kind", "body", "signature")
    KIND_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    body: bytes
    signature: bytes
    def __init__(self, kind: _Optional[str] = ..., body: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("document", "accepted", "reason", "signature")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    document: bytes
    accepted: bool
    reason: str
    signature: bytes
    def __init__(self, document: _Optional[bytes] = ..., accepted: bool = ..., reason: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class LogHead(_message.Message):
    __slots__ = ("agreement", "note", "base", "proof", "seen", "refused")
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    agreement: bytes
    note: bytes
    base: int
    proof: _containers.RepeatedScalarFieldContainer[bytes]
    seen: bytes
    refused: bool
    def __init__(self, agreement: _Optional[bytes] = ..., note: _Optional[bytes] = ..., base: _Optional[int] = ..., proof: _Optional[_Iterable[bytes]] = ..., seen: _Optional[bytes] = ..., refused: bool = ...) -> None: ...

class LogHeads(_message.Message):
    __slots__ = ("heads",)
    HEADS_FIELD_NUMBER: _ClassVar[int]
    heads: _containers.RepeatedCompositeFieldContainer[LogHead]
    def __init__(self, heads: _Optional[_Iterable[_Union[LogHead, _Mapping]]] = ...) -> None: ...

class SyncRequest(_message.Message):
    __slots__ = ("documents", "receipts", "logs")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[Document]
    receipts: _containers.RepeatedCompositeFieldContainer[Receipt]
    logs: LogHeads
    def __init__(self, documents: _Optional[_Iterable[_Union[Document, _Mapping]]] = ..., receipts: _Optional[_Iterable[_Union[Receipt, _Mapping]]] = ..., logs: _Optional[_Union[LogHeads, _Mapping]] = ...) -> None: ...

class SyncResponse(_message.Message):
    __slots__ = ("receipts", "documents", "logs")
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    receipts: _containers.RepeatedCompositeFieldContainer[Receipt]
    documents: _containers.RepeatedCompositeFieldContainer[Document]
    logs: LogHeads
    def __init__(self, receipts: _Optional[_Iterable[_Union[Receipt, _Mapping]]] = ..., documents: _Optional[_Iterable[_Union[Document, _Mapping]]] = ..., logs: _Optional[_Union[LogHeads, _Mapping]] = ...) -> None: ...
