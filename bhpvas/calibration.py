"""Which sentences a search and a recovery learn from where there are more than they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import TypeAlias

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
    shapes = _shapes(known)
    # From the longest down: the runs of a part are runs of the text that holds it.
    for words in sorted((text.split() for text in known), key=len, reverse=True):
        if known.get(" ".join(words)):
            continue
        for start, end in _likely_runs(words, shapes):
            run = " ".join(words[start:end])
            if run in known:
                known[run] = True
    return np.array([known[text] for text in texts], dtype=bool)


#: How many words texts have and how they end, by their first word.
_Shapes: TypeAlias = Mapping[str, Mapping[int, Set[str]]]


def _shapes(texts: Iterable[str]) -> _Shapes:
    found: dict[str, dict[int, set[str]]] = {}
    for text in texts:
        if words := text.split():
            found.setdefault(words[0], {}).setdefault(len(words), set()).add(words[-1])
    return found


def _likely_runs(words: Sequence[str], shapes: _Shapes) -> Iterator[tuple[int, int]]:
    """Where runs of a text begin and end that have a shape of one of the texts; not the whole."""
    for start, word in enumerate(words):
        for length, last in shapes.get(word, {}).items():
            end = start + length
            if end <= len(words) and length < len(words) and words[end - 1] in last:
                yield start, end


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
