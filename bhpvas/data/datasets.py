"""Batches of sentences of similar length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def length_sorted_batches(
    lengths: Sequence[int] | np.ndarray, tokens_per_batch: int
) -> list[np.ndarray]:
    """Indices of the sentences in batches of similar length, the longest first.

    A batch is padded to its longest sentence; so padded it has at most ``tokens_per_batch`` tokens
    unless it is a single sentence. Every index is in exactly one batch.

    >>> [batch.tolist() for batch in length_sorted_batches([3, 9, 4, 2], tokens_per_batch=9)]
    [[1], [2, 0], [3]]
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches = []
    while order.size:
        longest = max(int(lengths[order[0]]), 1)
        size = max(tokens_per_batch // longest, 1)
        batches.append(order[:size])
        order = order[size:]
    return batches
