"""Neurons: some of an encoder's feed-forward neurons, as an immutable set by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bhpvas.errors import HeadError


@dataclass(frozen=True)
class NeuronSet:
    """Feed-forward neurons by layer: of each layer's ``width``, which are in the set.

    A neuron is an activation between the up and the down projection. ``bits`` says of each layer in
    hexadecimal digits which are in it, the first neuron in the highest bit; "" where none is. So
    the set is hashable, and small: 12 kB of a large encoder with 24 times 4,096.

    >>> some = NeuronSet.of_layers(2, 6, {1: [0, 5]})
    >>> some.counts, len(some), str(some | NeuronSet.of_layers(2, 6, {0: range(6)}))
    ((0, 2), 2, 'L0F 6/6,L1F 2/6')
    """

    width: int
    bits: tuple[str, ...]

    @classmethod
    def of(cls, chosen: np.ndarray) -> NeuronSet:
        """The true entries of ``chosen`` ``[L, F]``."""
        some = np.asarray(chosen, dtype=bool)
        rows = (np.packbits(row).tobytes().hex() if row.any() else "" for row in some)
        return cls(some.shape[1], tuple(rows))

    @classmethod
    def of_bits(cls, width: int, bits: Iterable[str]) -> NeuronSet:
        """The set with these ``bits``; raises :class:`HeadError` where none has them."""
        found = cls(width, tuple(bits))
        lengths = {*map(len, found.bits)}
        try:  # an array is as large as bits say, which stand there, and not as a width alone may
            same = lengths <= {0} or (lengths <= {0, found.digits} and cls.of(found.array) == found)
        except ValueError:  # no hexadecimal digits
            same = False
        if not same:
            raise HeadError(f"These are not the bits of layers with {width:,} neurons.")
        return found

    @classmethod
    def of_layers(cls, layers: int, width: int, chosen: Mapping[int, Iterable[int]]) -> NeuronSet:
        """Neurons counted from 0, by layer; raises :class:`HeadError` for one that is not there."""
        some = np.zeros((layers, width), dtype=bool)
        for layer, neurons in chosen.items():
            places = np.fromiter(neurons, np.int64)
            if not 0 <= layer < layers or ((places < 0) | (places >= width)).any():
                raise HeadError(
                    f"Layer {layer} has no such neurons: the model has layers 0 to {layers - 1} "
                    f"with feed-forward neurons 0 to {width - 1}."
                )
            some[layer, places] = True
        return cls.of(some)

    @cached_property
    def array(self) -> np.ndarray:
        """Which neurons are in the set: bool ``[L, F]``. Read-only."""
        some = np.zeros((len(self.bits), self.width), dtype=bool)
        for layer, digits in enumerate(self.bits):
            if digits:
                packed = np.frombuffer(bytes.fromhex(digits), np.uint8)
                some[layer] = np.unpackbits(packed, count=self.width)
        some.setflags(write=False)
        return some

    @property
    def digits(self) -> int:
        """How many hexadecimal digits stand for a layer that has some."""
        return 2 * ((self.width + 7) // 8)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """How many neurons of each layer are in the set."""
        return tuple(int(digits or "0", 16).bit_count() for digits in self.bits)

    def __len__(self) -> int:
        return sum(self.counts)

    def __or__(self, other: NeuronSet) -> NeuronSet:
        return NeuronSet.of(self.array | other.array)

    def __and__(self, other: NeuronSet) -> NeuronSet:
        return NeuronSet.of(self.array & other.array)

    def __sub__(self, other: NeuronSet) -> NeuronSet:
        return NeuronSet.of(self.array & ~other.array)

    def __str__(self) -> str:
        """How many of each layer's neurons are in the set, of layers that have some."""
        counted = enumerate(self.counts)
        return ",".join(f"L{layer}F {count}/{self.width}" for layer, count in counted if count)
