"""Kept states: hidden states of many sentences, those beyond a size in a temporary file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, overload

import numpy as np
import torch
from torch import Tensor

from bhpvas.data.text_store import Numbers

#: Bytes that stay in memory: 43,000 tokens of 384 float32 numbers.
IN_MEMORY = 64 * 2**20


class _Filed(NamedTuple):
    """Where a tensor lies in the file, and what it was."""

    bytes: slice
    shape: torch.Size
    dtype: torch.dtype
    device: torch.device


class KeptStates(Sequence[Tensor]):
    """Tensors in order, each as it was given; taken from the file, a copy of it.

    >>> kept = KeptStates(torch.full((2, 3), float(number)) for number in range(4))
    >>> len(kept), kept[3].shape, [float(one.sum()) for one in kept]
    (4, torch.Size([2, 3]), [0.0, 6.0, 12.0, 18.0])
    """

    def __init__(self, tensors: Iterable[Tensor] = ()) -> None:
        """Raises as :meth:`append` does."""
        self._kept: list[Tensor | _Filed] = []
        self._room = IN_MEMORY
        self._file: Numbers | None = None
        for one in tensors:
            self.append(one)

    def append(self, one: Tensor) -> None:
        """Keep one more; raises :class:`~bhpvas.errors.LimitError` where the disk has no room."""
        self._room -= one.nbytes
        self._kept.append(one if self._room >= 0 else self._filed(one))

    def _filed(self, one: Tensor) -> _Filed:
        if self._file is None:
            self._file = Numbers(np.uint8)
        begun = len(self._file)
        # As bytes, since numpy knows no bfloat16.
        self._file.append(one.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return _Filed(slice(begun, len(self._file)), one.shape, one.dtype, one.device)

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        one = self._kept[index]
        if isinstance(one, Tensor):
            return one
        assert self._file is not None, "something was filed"
        found = torch.empty(one.shape, dtype=one.dtype)
        found.flatten().view(torch.uint8).numpy()[:] = self._file[one.bytes]
        return found.to(one.device)
