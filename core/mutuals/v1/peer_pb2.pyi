from mutuals.v1 import document_pb2 as _document_pb2
from mutuals.v1 import exchange_pb2 as _exchange_pb2
from mutuals.v1 import match_pb2 as _match_pb2
from mutuals.v1 import reveal_pb2 as _reveal_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PingRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PingResponse(_message.Message):
    __slots__ = ("version", "now", "profiles", "card", "your_card")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    YOUR_CARD_FIELD_NUMBER: _ClassVar[int]
    version: int
    now: int
    profiles: _containers.RepeatedCompositeFieldContainer[ProfileDigest]
    card: int
    your_card: int
    def __init__(self, version: _Optional[int] = ..., now: _Optional[int] = ..., profiles: _Optional[_Iterable[_Union[ProfileDigest, _Mapping]]] = ..., card: _Optional[int] = ..., your_card: _Optional[int] = ...) -> None: ...

class ProfileDigest(_message.Message):
    __slots__ = ("name", "digest")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: bytes
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[bytes] = ...) -> None: ...
