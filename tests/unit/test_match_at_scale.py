"""What long lists need: points on disk, a spool written in pieces, lists of very different length."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from support.peers import match_session
from support.pump import pump_match

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.run import Role
from mutuals.protocol.items import as_rows
from mutuals.protocol.points import MemoryPoints, NewPoints, Points, distinct_points
from mutuals.runs import spool
from mutuals.runs.spill import FilePoints, spilling


def filled(points: Points, data: bytes, width: int) -> Points:
    """``points`` with ``data`` put in from both ends, as work comes back in any order."""
    half = len(data) // width // 2
    points.put(half, data[half * width :])
    points.put(0, data[: half * width])
    return points


@pytest.mark.parametrize("width", [8, 32, 33])
def test_points_on_disk_are_those_in_memory(tmp_path: Path, width: int) -> None:
    data = os.urandom(100 * width)
    memory, file = (
        filled(MemoryPoints(100, width), data, width),
        filled(FilePoints(tmp_path, 100, width), data, width),
    )
    some = np.array([0, 7, 64, 99])
    for points in (memory, file):
        assert len(points) == 100
        assert points.get(30, 77) == data[30 * width : 77 * width]
        assert np.array_equal(points.keys(), memory.keys())
        assert np.array_equal(points.rows(some), as_rows(data, width)[some])
    assert not distinct_points(memory, file)
    assert distinct_points(file)


def test_a_point_is_found_twice_though_only_its_end_is_in_memory(tmp_path: Path) -> None:
    rows = np.zeros((70_000, 32), np.uint8)  # all alike in the eight bytes that are looked at first
    rows[:, :4] = np.arange(70_000, dtype="<u4").view(np.uint8).reshape(-1, 4)
    assert distinct_points(filled(FilePoints(tmp_path, len(rows), 32), rows.tobytes(), 32))
    rows[69_999] = rows[3]
    assert not distinct_points(filled(FilePoints(tmp_path, len(rows), 32), rows.tobytes(), 32))


def test_what_is_on_disk_has_no_name_and_no_reader_but_its_owner(tmp_path: Path) -> None:
    points = filled(FilePoints(tmp_path / "spool", 4, 8), os.urandom(32), 8)
    assert isinstance(points, FilePoints)
    assert list((tmp_path / "spool").iterdir()) == []
    assert os.fstat(points._file.fileno()).st_mode & 0o777 == 0o600
    points.close()
    points.close()


def test_an_announcement_alone_fills_neither_memory_nor_disk(tmp_path: Path) -> None:
    room = spilling(tmp_path, above=1000)
    assert isinstance(room(31, 32), MemoryPoints)
    points = room(4_000_000, 32)
    assert isinstance(points, FilePoints)
    assert os.fstat(points._file.fileno()).st_size == 0


def test_a_full_disk_ends_the_match_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = FilePoints(tmp_path, 4, 8)

    class Full:
        def seek(self, _: int) -> None: ...

        def write(self, _: memoryview) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(points, "_file", Full())
    with pytest.raises(MutualsError, match="the disk is full") as caught:
        points.put(0, bytes(32))
    assert caught.value.code is ErrorCode.LOCAL


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MutualsError, match="cannot be kept"):
        FilePoints(tmp_path / "file", 4, 8)


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_match_is_the_same_wherever_its_points_are(tmp_path: Path, kind: str) -> None:
    room: NewPoints = MemoryPoints if kind == "memory" else spilling(tmp_path, above=0)
    lists = {Role.INITIATOR: range(3), Role.RESPONDER: range(1, 5000)}
    ends = pump_match(
        {
            role: match_session(role, [f"email:u{number}@example.com" for number in numbers], points=room)
            for role, numbers in lists.items()
        }
    )
    assert ends[Role.INITIATOR].count == ends[Role.RESPONDER].count == 2


@pytest.mark.parametrize("sizes", [[], [0], [9], [10], [3, 7], [25, 0, 5], [1] * 21])
def test_the_spool_is_cut_into_pieces_and_only_the_last_is_short(
    monkeypatch: pytest.MonkeyPatch, sizes: Iterable[int]
) -> None:
    monkeypatch.setattr(spool, "_PIECE_BYTES", 10)
    data = [os.urandom(size) for size in sizes]
    pieces = list(spool._cut(data))
    assert b"".join(piece for piece, _ in pieces) == b"".join(data)
    assert [last for _, last in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(len(piece) == 10 for piece, _ in pieces[:-1])
    assert len(pieces[-1][0]) < 10
