from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Approve(_message.Message):
    __slots__ = ("sid", "signature")
    SID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    signature: bytes
    def __init__(self, sid: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Positions(_message.Message):
    __slots__ = ("start", "positions")
    START_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    start: int
    positions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, start: _Optional[int] = ..., positions: _Optional[_Iterable[int]] = ...) -> None: ...

class ConfirmShare(_message.Message):
    __slots__ = ("share",)
    SHARE_FIELD_NUMBER: _ClassVar[int]
    share: bytes
    def __init__(self, share: _Optional[bytes] = ...) -> None: ...

class ConfirmMac(_message.Message):
    __slots__ = ("mac",)
    MAC_FIELD_NUMBER: _ClassVar[int]
    mac: bytes
    def __init__(self, mac: _Optional[bytes] = ...) -> None: ...

class RevealRequest(_message.Message):
    __slots__ = ("approve", "positions", "confirm_share", "confirm_mac")
    APPROVE_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_SHARE_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_MAC_FIELD_NUMBER: _ClassVar[int]
    approve: Approve
    positions: Positions
    confirm_share: ConfirmShare
    confirm_mac: ConfirmMac
    def __init__(self, approve: _Optional[_Union[Approve, _Mapping]] = ..., positions: _Optional[_Union[Positions, _Mapping]] = ..., confirm_share: _Optional[_Union[ConfirmShare, _Mapping]] = ..., confirm_mac: _Optional[_Union[ConfirmMac, _Mapping]] = ...) -> None: ...

class RevealResponse(_message.Message):
    __slots__ = ("approve", "positions", "confirm_share", "confirm_mac")
    APPROVE_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_SHARE_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_MAC_FIELD_NUMBER: _ClassVar[int]
    approve: Approve
    positions: Positions
    confirm_share: ConfirmShare
    confirm_mac: ConfirmMac
    def __init__(self, approve: _Optional[_Union[Approve, _Mapping]] = ..., positions: _Optional[_Union[Positions, _Mapping]] = ..., confirm_share: _Optional[_Union[ConfirmShare, _Mapping]] = ..., confirm_mac: _Optional[_Union[ConfirmMac, _Mapping]] = ...) -> None: ...
