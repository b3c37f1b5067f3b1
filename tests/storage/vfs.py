"""Stands between the SQLite of Python's own sqlite3 module and the disk: sees every write and sync, and can fail them.

    with watching(observer):         # observer(Operation) -> None, or a result code of SQLite to fail with
        ...                          # any connection opened in here, by whomever

SQLite calls the operating system through a table of functions (https://www.sqlite.org/vfs.html). Here a copy of the
default table is registered in which a few functions are replaced by ones that ask first. The library is the one that
the interpreter's ``_sqlite3`` is linked to, so connections, pragmas and statements are the product's, unchanged.
"""

from __future__ import annotations

import ctypes
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OK = 0
_NAME = b"mutuals-storage-tests"
_MAIN_JOURNAL = 0x800
_CREATE = 0x4

_Pointer = ctypes.c_void_p
_Open = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, _Pointer, ctypes.c_int, _Pointer)
_Delete = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, ctypes.c_int)
_Close = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer)
_Write = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, ctypes.c_int, ctypes.c_int64)
_Truncate = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int)


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs``, version 3."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest", ctypes.c_int),
        ("next", _Pointer),
        ("name", ctypes.c_char_p),
        ("data", _Pointer),
        ("open", _Pointer),
        ("delete", _Pointer),
        ("others", _Pointer * 14),
    )


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods``, version 3."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", _Pointer),
        ("read", _Pointer),
        ("write", _Pointer),
        ("truncate", _Pointer),
        ("sync", _Pointer),
        ("size", _Pointer),
        ("lock", _Pointer),
        ("others", _Pointer * 11),
    )


@dataclass(frozen=True)
class Operation:
    """What SQLite is about to do: ``open`` (to create), ``write``, ``truncate``, ``sync`` or ``delete``.

    ``offset`` is that of a write, or the new size of a truncation. ``durable`` says of a deletion that the folder is
    synced too.
    """

    kind: str
    path: Path
    offset: int = 0
    data: bytes = b""
    durable: bool = False


Observer = Callable[[Operation], int | None]


def available() -> bool:
    """Whether this interpreter's SQLite can be reached: not where it is linked in without its names."""
    return _library() is not None


@contextmanager
def watching(observer: Observer) -> Iterator[None]:
    """Ask ``observer`` before every operation, in all threads; another error than a result code ends the process's
    trust in it, so it must not raise.
    """
    layer = _layer()
    if layer.observer is not None:
        raise RuntimeError("somebody watches already")
    layer.observer = observer
    try:
        yield
    finally:
        layer.observer = None


def _library() -> ctypes.CDLL | None:
    import _sqlite3

    try:
        library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
        library.sqlite3_vfs_find.restype = _Pointer
        library.sqlite3_vfs_register.argtypes = (_Pointer, ctypes.c_int)
        library.sqlite3_libversion.restype = ctypes.c_char_p
        version = library.sqlite3_libversion()
    except (OSError, AttributeError, ValueError):
        return None
    return library if version == sqlite3.sqlite_version.encode() else None


_METHODS = {"close": _Close, "write": _Write, "truncate": _Truncate, "sync": _Sync}


@dataclass(frozen=True)
class _Table:
    """The methods of one kind of file: ours as SQLite calls them, and the real ones behind them."""

    ours: _Methods
    close: Callable[[int], int]
    write: Callable[[int, int, int, int], int]
    truncate: Callable[[int, int], int]
    sync: Callable[[int, int], int]


class _Layer:
    """The registered table. It stays for the life of the process, and lets everything through unless watched."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.observer: Observer | None = None
        self._paths: dict[int, Path] = {}
        self._guard = threading.Lock()
        self._tables: dict[int, _Table] = {}
        found = _Vfs.from_address(library.sqlite3_vfs_find(None))
        self._real_open = _Open(found.open)
        self._real_delete = _Delete(found.delete)
        self._open, self._delete = _Open(self._on_open), _Delete(self._on_delete)
        self._close, self._write = _Close(self._on_close), _Write(self._on_write)
        self._truncate, self._sync = _Truncate(self._on_truncate), _Sync(self._on_sync)
        self._vfs = _Vfs.from_buffer_copy(found)
        self._vfs.name = _NAME
        self._vfs.open = ctypes.cast(self._open, _Pointer)
        self._vfs.delete = ctypes.cast(self._delete, _Pointer)
        if library.sqlite3_vfs_register(ctypes.addressof(self._vfs), 1):
            raise RuntimeError("SQLite takes no other table")

    def _asked(self, operation: Operation) -> int:
        observer = self.observer
        return OK if observer is None else (observer(operation) or OK)

    def _on_open(self, vfs: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        path = None if name is None else Path(ctypes.string_at(name).decode())
        if path is not None and flags & _CREATE and not path.exists():
            code = self._asked(Operation("open", path))
            if code:
                # What SQLite must not call the methods of.
                ctypes.cast(file, ctypes.POINTER(_Pointer))[0] = None
                return code
        code = self._real_open(vfs, name, file, flags, out)
        if code == OK and path is not None:
            methods = ctypes.cast(file, ctypes.POINTER(_Pointer))
            with self._guard:
                self._paths[file] = path
                methods[0] = ctypes.addressof(self._table(methods[0]).ours)
        return int(code)

    def _table(self, address: int) -> _Table:
        if address not in self._tables:
            ours = _Methods.from_buffer_copy(_Methods.from_address(address))
            real = {name: kind(getattr(ours, name)) for name, kind in _METHODS.items()}
            for name in _METHODS:
                setattr(ours, name, ctypes.cast(getattr(self, f"_{name}"), _Pointer))
            table = _Table(ours, **real)
            self._tables[address] = self._tables[ctypes.addressof(ours)] = table
        return self._tables[address]

    def _of(self, file: int) -> _Table:
        return self._tables[_Pointer.from_address(file).value or 0]

    def _on_close(self, file: int) -> int:
        table = self._of(file)
        with self._guard:
            self._paths.pop(file, None)
        return int(table.close(file))

    def _on_write(self, file: int, data: int, size: int, offset: int) -> int:
        code = 0
        if self.observer is not None:
            code = self._asked(Operation("write", self._paths[file], offset, ctypes.string_at(data, size)))
        return code or int(self._of(file).write(file, data, size, offset))

    def _on_truncate(self, file: int, size: int) -> int:
        code = self._asked(Operation("truncate", self._paths[file], size))
        return code or int(self._of(file).truncate(file, size))

    def _on_sync(self, file: int, flags: int) -> int:
        code = self._asked(Operation("sync", self._paths[file]))
        return code or int(self._of(file).sync(file, flags))

    def _on_delete(self, vfs: int, name: int, durable: int) -> int:
        path = Path(ctypes.string_at(name).decode())
        code = self._asked(Operation("delete", path, durable=bool(durable)))
        return code or int(self._real_delete(vfs, name, durable))


_made: list[_Layer] = []


def _layer() -> _Layer:
    if not _made:
        library = _library()
        if library is None:
            raise RuntimeError("this interpreter's SQLite cannot be reached")
        _made.append(_Layer(library))
    return _made[0]
