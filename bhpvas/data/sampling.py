"""Which sentences are learnt from where there are more than are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bhpvas.data.datasets import Dataset

#: Sentences that are drawn to learn from, if not told otherwise.
SENTENCES = 2048
# Sentences among which texts that are part of others are looked for: SST-2's train part has 67,349,
# and 100,000 reviews of 130 words take some 40 seconds.
_MOST_COMPARED = 100_000
# Words by which runs are looked up before they are compared in full: of reviews, few share four.
_FIRST_WORDS = 4


def stratified_sample(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """``size`` different places in ``labels``, ascending, each label in its proportion.

    Every label's count is its exact share rounded up or down.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    # Evenly spaced over the sentences sorted by label: systematic sampling.
    return np.sort(order[np.arange(size) * len(labels) // size])


def parts_of_others(texts: Sequence[str]) -> np.ndarray:
    """Which texts are a run of words within another text: bool ``[N]``.

    >>> parts_of_others(("a fine film", "fine film", "fine", "a fine film", "films")).tolist()
    [False, True, True, False, False]
    """
    known = dict.fromkeys(texts, False)
    lengths: dict[str, set[int]] = {}  # of the texts that begin with these words
    for text in known:
        words = text.split()
        lengths.setdefault(" ".join(words[:_FIRST_WORDS]), set()).add(len(words))
    # From the longest down: the runs of a part are runs of the text that holds it.
    for text in sorted(known, key=lambda text: len(text.split()), reverse=True):
        if known[text]:
            continue
        words = text.split()
        for start in range(len(words)):
            for end in range(start + 1, min(start + _FIRST_WORDS, len(words)) + 1):
                for length in lengths.get(" ".join(words[start:end]), ()):
                    run = " ".join(words[start : start + length])
                    if length < len(words) and start + length <= len(words) and run in known:
                        known[run] = True
    return np.array([known[text] for text in texts], dtype=bool)


def comparable(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Places of the sentences from which :func:`calibration_sample` draws: all, or 100,000."""
    most = max(size, _MOST_COMPARED)
    return stratified_sample(labels, most, seed) if len(labels) > most else np.arange(len(labels))


def calibration_sample(dataset: Dataset, size: int = SENTENCES, seed: int = 0) -> Dataset:
    """At most ``size`` sentences, each label in its proportion; fewer are left as they are.

    Texts that are part of another text are left out as long as there are enough others: SST-2's
    training part holds every phrase of its sentences, and what is pruned must answer sentences.
    """
    if len(dataset) <= size:
        return dataset
    dataset = dataset.take(comparable(dataset.labels, size, seed))
    rows = np.arange(len(dataset))
    if dataset.pairs is None:
        whole = np.flatnonzero(~parts_of_others(dataset.texts))
        rows = whole if len(whole) >= size else rows
    return dataset.take(rows[stratified_sample(dataset.labels[rows], size, seed)])
