from mutuals.v1 import document_pb2 as _document_pb2
from mutuals.v1 import exchange_pb2 as _exchange_pb2
from mutuals.v1 import match_pb2 as _match_pb2
from mutuals.v1 import reveal_pb2 as _reveal_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class PingRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PingResponse(_message.Message):
    __slots__ = ("version", "now")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    version: int
    now: int
    def __init__(self, version: _Optional[int] = ..., now: _Optional[int] = ...) -> None: ...
