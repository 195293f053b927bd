"""State cache: the hidden states that enter each layer, for masks that share what lies below."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from functools import lru_cache

from torch import Tensor

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.storage.eviction import Recent


class StateCache:
    """Hidden states that enter each layer, kept for masks that share everything below it.

    An entry belongs to one model, one batch of one dataset, one layer, and what was changed below
    that layer. Entries are never written to; those used longest ago leave when ``limit_bytes`` is
    reached. Any number of models, masks and threads may share one cache.
    """

    def __init__(self, limit_bytes: int = 128 * 2**20) -> None:
        self._entries = Recent[tuple, Tensor](limit_bytes, lambda states: states.nbytes)
        self._lock = threading.Lock()

    def deepest(
        self, batch_key: tuple, below: Callable[[int], Hashable], layers: int
    ) -> tuple[int, Tensor] | None:
        """The highest layer whose entering states are known, with those states.

        ``below(layer)`` says what was changed below a layer.
        """
        with self._lock:
            for layer in range(layers - 1, 0, -1):
                states = self._entries.get((batch_key, layer, below(layer)))
                if states is not None:
                    return layer, states
        return None

    def keep(
        self, batch_key: tuple, below: Callable[[int], Hashable], layer: int, states: Tensor
    ) -> None:
        """Remember the states that enter ``layer``."""
        with self._lock:
            if states.nbytes <= self._entries.most:
                self._entries.put((batch_key, layer, below(layer)), states)


def changes_below(classifier: Classifier, mask: HeadMask) -> Callable[[int], Hashable]:
    """What the states that enter a layer depend on: what is removed and changed weights."""

    @lru_cache
    def below(layer: int) -> Hashable:
        removed = frozenset(head for head in mask.removed if head.layer < layer)
        return removed, mask.neurons_below(layer), classifier.changed_below(layer)

    return below
