"""Names: a column of words, each of which is kept once, as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np


class Names:
    """A column of names as numbers, in the order in which the names first come."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._codes = [np.empty(0, dtype=np.int32)]

    def extend(self, names: Iterable[str]) -> None:
        known = self._numbers
        codes = [known.setdefault(name, len(known)) for name in names]
        self._codes.append(np.array(codes, dtype=np.int32))

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def codes(self, order: Sequence[str]) -> np.ndarray:
        """The places of the column's names in ``order``, -1 of others: int64 ``[N]``."""
        place = {name: number for number, name in enumerate(order)}
        places = np.array([place.get(name, -1) for name in self], dtype=np.int64)
        return places[np.concatenate(self._codes)]

    def take(self, kept: np.ndarray) -> Names:
        """The names of some rows: bool ``[N]``."""
        names, codes = list(self), np.concatenate(self._codes)[kept]
        present, numbers = np.unique(codes, return_inverse=True)
        taken = Names()
        taken._numbers = {names[code]: number for number, code in enumerate(present.tolist())}
        taken._codes = [numbers.astype(np.int32)]
        return taken

    def cells(self) -> tuple[str, ...]:
        """The column as it was, each name once in memory."""
        names = list(self)
        return tuple(names[code] for codes in self._codes for code in codes)
