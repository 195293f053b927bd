"""Which sentences a search and a recovery learn from where there are more than they need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bhpvas.datasets import Dataset
from bhpvas.evaluation import stratified_sample

#: Sentences that a search or a recovery learns from, if not told otherwise.
SENTENCES = 2048


def parts_of_others(texts: Sequence[str]) -> np.ndarray:
    """Which texts are a run of words within another text: bool ``[N]``.

    >>> parts_of_others(("a fine film", "fine film", "fine", "a fine film", "films")).tolist()
    [False, True, True, False, False]
    """
    known = dict.fromkeys(texts, False)
    # From the longest down: the runs of a part are runs of the text that holds it.
    for words in sorted((text.split() for text in known), key=len, reverse=True):
        if known.get(" ".join(words)):
            continue
        for start in range(len(words)):
            for end in range(start + 1, len(words) + (start > 0)):
                run = " ".join(words[start:end])
                if run in known:
                    known[run] = True
    return np.array([known[text] for text in texts], dtype=bool)


def calibration_sample(dataset: Dataset, size: int = SENTENCES, seed: int = 0) -> Dataset:
    """At most ``size`` sentences, each label in its proportion; fewer are left as they are.

    Texts that are part of another text are left out as long as there are enough others: SST-2's
    training part holds every phrase of its sentences, and what is pruned must answer sentences.
    """
    if len(dataset) <= size:
        return dataset
    rows = np.arange(len(dataset))
    if dataset.pairs is None:
        whole = np.flatnonzero(~parts_of_others(dataset.texts))
        rows = whole if len(whole) >= size else rows
    return dataset.take(rows[stratified_sample(dataset.labels[rows], size, seed)])
