"""Heads and masks: which attention head, and which of them are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bhpvas.errors import HeadError
from bhpvas.neurons import NeuronSet

_HEAD = re.compile(r"L(\d{1,6})H(\d{1,6})", re.IGNORECASE)
# The same head of several layers.
_COLUMN = re.compile(r"L(\d{1,4})-(\d{1,4})H(\d{1,6})", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class HeadId:
    """One attention head, counted from zero and written ``L3H7`` everywhere.

    >>> from bhpvas import HeadId
    >>> HeadId.parse("L3H7")
    HeadId(layer=3, head=7)
    >>> str(HeadId(0, 11))
    'L0H11'
    """

    layer: int
    head: int

    def __str__(self) -> str:
        return f"L{self.layer}H{self.head}"

    @classmethod
    def parse(cls, text: str) -> HeadId:
        """Read ``L3H7``; raises :class:`HeadError` on anything else."""
        match = _HEAD.fullmatch(text.strip())
        if match is None:
            raise HeadError(f"{text.strip()!r} names no head: write layer and head as in L3H7.")
        return cls(int(match[1]), int(match[2]))


def parse_heads(text: str) -> tuple[HeadId, ...]:
    """Read a comma-separated list such as ``L0H3,L5H11``, sorted, each head once.

    ``L0-11H3`` names head 3 of the layers 0 to 11. An empty text is the empty list. Raises
    :class:`HeadError` on a part that names no head.

    >>> from bhpvas import parse_heads
    >>> [str(head) for head in parse_heads("L5H11, L0H3,L0H3")]
    ['L0H3', 'L5H11']
    >>> [str(head) for head in parse_heads("L0-2H3")]
    ['L0H3', 'L1H3', 'L2H3']
    """
    heads = set[HeadId]()
    for part in filter(str.strip, text.split(",")):
        column = _COLUMN.fullmatch(part.strip())
        if column is None:
            heads.add(HeadId.parse(part))
            continue
        first, last, head = map(int, column.groups())
        if first > last:
            raise HeadError(f"{part.strip()!r} names no head: write the lower layer first.")
        heads |= {HeadId(layer, head) for layer in range(first, last + 1)}
    return tuple(sorted(heads))


def format_heads(heads: Iterable[HeadId]) -> str:
    """Write heads as a sorted comma-separated list, the inverse of :func:`parse_heads`."""
    return ",".join(str(head) for head in sorted(heads))


@dataclass(frozen=True)
class HeadMask:
    """Which heads of a model are kept: an immutable value that can be a dictionary key.

    ``pruned`` are heads that the model never had, as those of a smaller one that bhpvas exported:
    they are always among the removed ones, and :meth:`restored` leaves them there. ``neurons`` are
    feed-forward neurons that are removed beside the heads, None where there are none;
    ``pruned_neurons`` are those of them that the model never had.

    >>> from bhpvas import HeadId, HeadMask
    >>> mask = HeadMask(2, 4).without([HeadId(0, 3)])
    >>> str(mask), mask.kept_count
    ('L0H3', 7)
    >>> mask.restored([HeadId(0, 3)]) == HeadMask(2, 4)
    True
    """

    layers: int
    heads: int
    removed: frozenset[HeadId] = field(default_factory=frozenset)
    pruned: frozenset[HeadId] = field(default_factory=frozenset, compare=False)
    neurons: NeuronSet | None = None
    pruned_neurons: NeuronSet | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "removed", self.removed | self.pruned)
        neurons = self.neurons or None
        if self.pruned_neurons is not None and neurons != self.pruned_neurons:
            lacking = self.pruned_neurons
            neurons = lacking if neurons is None else neurons | lacking
        object.__setattr__(self, "neurons", neurons)
        for head in sorted(self.removed):
            if not (0 <= head.layer < self.layers and 0 <= head.head < self.heads):
                raise HeadError(
                    f"{head} does not exist: the model has layers 0 to {self.layers - 1} "
                    f"with heads 0 to {self.heads - 1}."
                )

    @classmethod
    def parse(cls, text: str, layers: int, heads: int) -> HeadMask:
        """The mask that removes the heads named in ``text``, such as ``L0H3,L5H11``."""
        return cls(layers, heads, frozenset(parse_heads(text)))

    @classmethod
    def from_array(cls, kept: np.ndarray) -> HeadMask:
        """The mask whose kept heads are the true (non-zero) entries of ``kept`` ``[L, H]``."""
        layers, heads = kept.shape
        removed = np.argwhere(np.asarray(kept) == 0).tolist()
        return cls(layers, heads, frozenset(HeadId(layer, head) for layer, head in removed))

    def __str__(self) -> str:
        return format_heads(self.removed)

    def __iter__(self) -> Iterator[HeadId]:
        """Every kept head, layer by layer."""
        return (head for head in self.every_head() if head not in self.removed)

    def every_head(self) -> Iterator[HeadId]:
        """Every head of the geometry, kept or not, layer by layer."""
        return (HeadId(la, he) for la in range(self.layers) for he in range(self.heads))

    def without(self, heads: Iterable[HeadId]) -> HeadMask:
        """The mask with ``heads`` removed as well."""
        return replace(self, removed=self.removed | frozenset(heads))

    def restored(self, heads: Iterable[HeadId]) -> HeadMask:
        """The mask with ``heads`` kept again, the pruned ones excepted."""
        return replace(self, removed=self.removed - frozenset(heads))

    def common(self, groups: Iterable[Sequence[int]]) -> HeadMask:
        """The mask with only those heads and neurons of some layers removed that all of a group are
        without.

        >>> str(HeadMask.parse("L0H3,L1H3,L1H4,L2H0", 3, 12).common([(0, 1)]))
        'L0H3,L1H3,L2H0'
        """
        gone, removed = ~self.kept, None if self.neurons is None else self.neurons.array.copy()
        for group in map(list, groups):
            gone[group] = gone[group].all(0)
            if removed is not None:
                removed[group] = removed[group].all(0)
        heads = HeadMask.from_array(~gone).removed
        return replace(
            self, removed=heads, neurons=None if removed is None else NeuronSet.of(removed)
        )

    def without_neurons(self, neurons: NeuronSet) -> HeadMask:
        """The mask with feed-forward neurons removed as well."""
        return replace(self, neurons=neurons if self.neurons is None else self.neurons | neurons)

    def with_neurons(self, neurons: NeuronSet) -> HeadMask:
        """The mask with feed-forward neurons kept again, the pruned ones excepted."""
        return replace(self, neurons=None if self.neurons is None else self.neurons - neurons)

    def neurons_below(self, layer: int) -> tuple[str, ...]:
        """What is removed of the neurons in the layers below one, as a value to compare."""
        below = () if self.neurons is None else self.neurons.bits[:layer]
        return below if any(below) else ()

    @property
    def changes(self) -> bool:
        """Whether it removes anything that the model has."""
        return bool(self.masked) or self.neurons != self.pruned_neurons

    @property
    def masked(self) -> frozenset[HeadId]:
        """The removed heads that the model has."""
        return self.removed - self.pruned

    @property
    def masked_neurons(self) -> NeuronSet | None:
        """The removed neurons that the model has; None where there are none."""
        if self.neurons is None or self.pruned_neurons is None:
            return self.neurons
        return self.neurons - self.pruned_neurons or None

    @cached_property
    def kept(self) -> np.ndarray:
        """Which heads are kept: bool ``[L, H]``. Read-only."""
        kept = np.ones((self.layers, self.heads), dtype=bool)
        for head in self.removed:
            kept[head.layer, head.head] = False
        kept.setflags(write=False)
        return kept

    @cached_property
    def array(self) -> np.ndarray:
        """Gates as float32 ``[L, H]``: 1 = kept, 0 = removed. Read-only."""
        gates = self.kept.astype(np.float32)
        gates.setflags(write=False)
        return gates

    @property
    def kept_count(self) -> int:
        """How many heads are kept."""
        return self.layers * self.heads - len(self.removed)

    @property
    def kept_per_layer(self) -> tuple[int, ...]:
        """How many heads each layer keeps."""
        return tuple(self.kept.sum(1).tolist())
