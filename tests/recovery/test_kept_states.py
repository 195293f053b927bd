"""Kept states: as they were given, in memory or from the file, which says when it has no room."""

from __future__ import annotations

import pytest
import torch

from bhpvas.errors import LimitError
from bhpvas.recovery import kept_states
from bhpvas.recovery.kept_states import KeptStates


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_is_filed_comes_back_as_it_was(monkeypatch, dtype):
    monkeypatch.setattr(kept_states, "IN_MEMORY", 100)
    shapes = [(2, 3, 4), (1, 5, 4), (3, 2, 0), (2, 7, 4)]
    given = [torch.randn(shape, dtype=torch.float32).to(dtype) for shape in shapes]
    given.append(torch.randn(4, 6, 2, dtype=torch.float32).to(dtype)[:, ::2])  # not contiguous
    kept = KeptStates(iter(given))
    assert len(kept) == 5
    for found in (list(kept), [kept[place] for place in range(5)], kept[:]):
        for one, expected in zip(found, given, strict=True):
            assert one.dtype == dtype and torch.equal(one, expected)
    assert torch.equal(kept[-1], given[-1])


def test_only_so_many_bytes_stay_in_memory(monkeypatch):
    monkeypatch.setattr(kept_states, "IN_MEMORY", 1000)
    given = [torch.zeros(10, 10) for _ in range(6)]  # 400 bytes each
    kept = KeptStates(given)
    held = [any(one is kept[place] for one in given) for place in range(6)]
    assert held == [True, True, False, False, False, False]


def test_a_full_disk_is_said(monkeypatch):
    monkeypatch.setattr(kept_states, "IN_MEMORY", 0)
    kept = KeptStates([torch.zeros(4)])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept._file._file, "write", full)
    with pytest.raises(LimitError, match=r"No space left on device.*TMPDIR"):
        kept.append(torch.zeros(4))
