"""What was used longest ago leaves, from a folder and from the memory, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.storage.eviction import Recent, evict_files, remove_older


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four files of ten bytes, the first used longest ago, and one of another kind."""
    for age, name in enumerate(("d.zip", "c.zip", "b.zip", "a.zip")):
        (tmp_path / name).write_bytes(b"0123456789")
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "notes.txt").write_bytes(b"0" * 100)
    return tmp_path


def left(folder: Path) -> str:
    assert (folder / "notes.txt").exists()
    return "".join(sorted(path.stem for path in folder.glob("*.zip")))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, "abcd"),
        ({"most_files": 4}, "abcd"),
        ({"most_files": 3}, "bcd"),
        ({"most_bytes": 40}, "abcd"),
        ({"most_bytes": 39}, "bcd"),
        ({"most_bytes": 10}, "d"),
        ({"most_bytes": 0}, ""),
        ({"most_files": 2, "most_bytes": 35}, "cd"),
    ],
)
def test_files_used_longest_ago_leave(
    limits: dict[str, float], expected: str, folder: Path
) -> None:
    evict_files(folder, "*.zip", **limits)
    assert left(folder) == expected


def test_the_file_that_is_needed_stays(folder: Path) -> None:
    evict_files(folder, "*.zip", most_bytes=20, spare=folder / "a.zip")
    assert left(folder) == "ad"
    evict_files(folder, "*.zip", most_bytes=0, spare=folder / "a.zip")
    assert left(folder) == "a"


def test_files_that_are_old_leave_and_new_ones_stay(folder: Path) -> None:
    now = time.time()
    os.utime(folder / "d.zip", (now, now))
    remove_older(folder, "*.zip", 60)
    assert left(folder) == "d"


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9))), st.integers(0, 20))
def test_values_in_memory_are_those_used_last(puts: list[tuple[str, int]], most: int) -> None:
    recent = Recent[str, int](most, int)
    order: dict[str, int] = {}
    for key, size in puts:
        recent.put(key, size)
        order.pop(key, None)
        order[key] = size
        while sum(order.values()) > most and len(order) > 1:
            del order[next(iter(order))]
        assert len(recent) == len(order) and recent.used == sum(order.values())
    assert {key: recent.get(key) for key in order} == order


def test_a_value_that_is_asked_for_was_used_last() -> None:
    recent = Recent[str, int](2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert [recent.get(key) for key in "abc"] == [1, None, 3]
    recent.drop("a")
    recent.drop("a")
    assert len(recent) == recent.used == 1
