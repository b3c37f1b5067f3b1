from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Hello(_message.Message):
    __slots__ = ("version", "agreement", "engine", "profile", "profile_digest", "set_size", "initiator", "responder", "nonce", "receiving_key", "sent_at", "signature", "count_only")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SET_SIZE_FIELD_NUMBER: _ClassVar[int]
    INITIATOR_FIELD_NUMBER: _ClassVar[int]
    RESPONDER_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVING_KEY_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    COUNT_ONLY_FIELD_NUMBER: _ClassVar[int]
    version: int
    agreement: bytes
    engine: str
    profile: str
    profile_digest: bytes
    set_size: int
    initiator: bytes
    responder: bytes
    nonce: bytes
    receiving_key: bytes
    sent_at: int
    signature: bytes
    count_only: bool
    def __init__(self, version: _Optional[int] = ..., agreement: _Optional[bytes] = ..., engine: _Optional[str] = ..., profile: _Optional[str] = ..., profile_digest: _Optional[bytes] = ..., set_size: _Optional[int] = ..., initiator: _Optional[bytes] = ..., responder: _Optional[bytes] = ..., nonce: _Optional[bytes] = ..., receiving_key: _Optional[bytes] = ..., sent_at: _Optional[int] = ..., signature: _Optional[bytes] = ..., count_only: bool = ...) -> None: ...

class Blinded(_message.Message):
    __slots__ = ("start", "points")
    START_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    start: int
    points: bytes
    def __init__(self, start: _Optional[int] = ..., points: _Optional[bytes] = ...) -> None: ...

class TagCommit(_message.Message):
    __slots__ = ("commitment",)
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    commitment: bytes
    def __init__(self, commitment: _Optional[bytes] = ...) -> None: ...

class Tags(_message.Message):
    __slots__ = ("start", "tags", "nonce")
    START_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    start: int
    tags: bytes
    nonce: bytes
    def __init__(self, start: _Optional[int] = ..., tags: _Optional[bytes] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class Counted(_message.Message):
    __slots__ = ("signature",)
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    signature: bytes
    def __init__(self, signature: _Optional[bytes] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("sid", "points", "points_digest", "commitment", "tags", "tags_digest", "finished")
    SID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    POINTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    TAGS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    sid: bytes
    points: int
    points_digest: bytes
    commitment: bytes
    tags: int
    tags_digest: bytes
    finished: bool
    def __init__(self, sid: _Optional[bytes] = ..., points: _Optional[int] = ..., points_digest: _Optional[bytes] = ..., commitment: _Optional[bytes] = ..., tags: _Optional[int] = ..., tags_digest: _Optional[bytes] = ..., finished: bool = ...) -> None: ...

class MatchRequest(_message.Message):
    __slots__ = ("open", "blinded", "tag_commit", "tags", "counted", "resume")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    BLINDED_FIELD_NUMBER: _ClassVar[int]
    TAG_COMMIT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    open: Hello
    blinded: Blinded
    tag_commit: TagCommit
    tags: Tags
    counted: Counted
    resume: Resume
    def __init__(self, open: _Optional[_Union[Hello, _Mapping]] = ..., blinded: _Optional[_Union[Blinded, _Mapping]] = ..., tag_commit: _Optional[_Union[TagCommit, _Mapping]] = ..., tags: _Optional[_Union[Tags, _Mapping]] = ..., counted: _Optional[_Union[Counted, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ...) -> None: ...

class MatchResponse(_message.Message):
    __slots__ = ("accept", "blinded", "tag_commit", "tags", "counted", "resume")
    ACCEPT_FIELD_NUMBER: _ClassVar[int]
    BLINDED_FIELD_NUMBER: _ClassVar[int]
    TAG_COMMIT_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    accept: Hello
    blinded: Blinded
    tag_commit: TagCommit
    tags: Tags
    counted: Counted
    resume: Resume
    def __init__(self, accept: _Optional[_Union[Hello, _Mapping]] = ..., blinded: _Optional[_Union[Blinded, _Mapping]] = ..., tag_commit: _Optional[_Union[TagCommit, _Mapping]] = ..., tags: _Optional[_Union[Tags, _Mapping]] = ..., counted: _Optional[_Union[Counted, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ...) -> None: ...
