"""State cache: the hidden states that enter each layer, for masks that share what lies below."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache

from torch import Tensor

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier


class StateCache:
    """Hidden states that enter each layer, kept for masks that share everything below it.

    An entry belongs to one model, one batch of one dataset, one layer, and what was changed below
    that layer. Entries are never written to; those used longest ago leave when ``limit_bytes`` is
    reached. Any number of models, masks and threads may share one cache.
    """

    def __init__(self, limit_bytes: int = 128 * 2**20) -> None:
        self.limit_bytes = limit_bytes
        self._used = 0
        self._entries: OrderedDict[tuple, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """Bytes that the kept states take."""
        return self._used

    def deepest(
        self, batch_key: tuple, below: Callable[[int], Hashable], layers: int
    ) -> tuple[int, Tensor] | None:
        """The highest layer whose entering states are known, with those states.

        ``below(layer)`` says what was changed below a layer.
        """
        with self._lock:
            for layer in range(layers - 1, 0, -1):
                key = (batch_key, layer, below(layer))
                if key in self._entries:
                    self._entries.move_to_end(key)
                    return layer, self._entries[key]
        return None

    def keep(
        self, batch_key: tuple, below: Callable[[int], Hashable], layer: int, states: Tensor
    ) -> None:
        """Remember the states that enter ``layer``."""
        key = (batch_key, layer, below(layer))
        size = states.numel() * states.element_size()
        with self._lock:
            if key in self._entries or size > self.limit_bytes:
                return
            self._entries[key] = states
            self._used += size
            while self._used > self.limit_bytes:
                _, dropped = self._entries.popitem(last=False)
                self._used -= dropped.numel() * dropped.element_size()


def changes_below(classifier: Classifier, mask: HeadMask) -> Callable[[int], Hashable]:
    """What the states that enter a layer depend on: removed heads and changed weights."""

    @lru_cache
    def below(layer: int) -> Hashable:
        removed = frozenset(head for head in mask.removed if head.layer < layer)
        return removed, classifier.changed_below(layer)

    return below
