"""Samples of sentences: which are learnt from, or kept, where there are more than are needed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from bhpvas.data.dataset import Dataset
from bhpvas.errors import DataError

#: Sentences that are drawn to learn from, if not told otherwise.
SENTENCES = 2048
# Sentences among which texts that are part of others are looked for: SST-2's train part has 67,349,
# and 100,000 reviews of 130 words take some 40 seconds.
_MOST_COMPARED = 100_000
# Groups of scores, and the fewest sentences with a set of labels that are a group.
_STRATA, _FEWEST_OF_A_SET = 10, 10
# Words by which runs are looked up before they are compared in full: of reviews, few share four.
_FIRST_WORDS = 4


@dataclass(frozen=True, eq=False)
class Sample:
    """Some of ``total`` sentences: their places ``rows``, int64, ascending."""

    rows: np.ndarray
    total: int

    @classmethod
    def of(cls, total: int, most: int) -> Sample:
        """At most so many of the sentences, always the same ones, each as likely as any other."""
        return cls(np.sort(np.random.default_rng(0).permutation(total)[:most]), total)

    def __len__(self) -> int:
        return len(self.rows)

    def among(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of ``rows`` are in the sample, as places in ``rows``, and their places here."""
        places = np.searchsorted(self.rows, rows).clip(max=len(self) - 1)
        found = np.flatnonzero(self.rows[places] == rows)
        return found, places[found]


def stratified_sample(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """``size`` different places in ``labels``, ascending, each label in its proportion.

    Every label's count is its exact share rounded up or down.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    # Evenly spaced over the sentences sorted by label: systematic sampling.
    return np.sort(order[np.arange(size) * len(labels) // size])


def strata(labels: np.ndarray) -> np.ndarray:
    """Groups of like labels, int64 ``[N]``, of which a sample holds each in its proportion.

    They are the labels themselves, or sets of them, of which rare ones are one group. Of scores
    they are ten of about equal size, from the lowest on.

    >>> strata(np.array([2, 0, 2])).tolist(), strata(np.linspace(0, 1, 20)).tolist()[:4]
    ([1, 0, 1], [0, 0, 1, 1])
    """
    _, codes, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    codes = codes.reshape(-1)
    if labels.ndim == 2:
        return np.where(counts[codes] < _FEWEST_OF_A_SET, len(counts), codes)
    if labels.dtype == np.float64 and len(counts) > _STRATA:
        edges = np.quantile(codes, np.arange(1, _STRATA) / _STRATA)
        codes = np.searchsorted(np.unique(edges), codes, side="right")
    return codes


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


def calibration_sample(
    dataset: Dataset, size: int = SENTENCES, seed: int = 0, total: int | None = None
) -> Dataset:
    """At most ``size`` sentences, each label in its proportion; fewer are left as they are.

    Texts that are part of another text are left out as long as there are enough others: SST-2's
    training part holds every phrase of its sentences, and what is pruned must answer sentences.
    A draw is noted; ``total`` is what to say that it is of, where some were drawn already.
    """
    if len(dataset) <= size:
        return dataset
    note = f"Of {total or len(dataset):,} sentences, {size:,} are drawn to learn from, seed {seed}."
    dataset = replace(dataset, provenance=dataset.provenance.noted(note))
    dataset = dataset.take(comparable(strata(dataset.labels), size, seed))
    rows = np.arange(len(dataset))
    if dataset.pairs is None:
        whole = np.flatnonzero(~parts_of_others(dataset.texts))
        rows = whole if len(whole) >= size else rows
    return dataset.take(rows[stratified_sample(strata(dataset.labels)[rows], size, seed)])


def stratified_split(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Divide at random into ``share`` of the sentences and the rest, both in their old order.

    Copies of a sentence, and what differs from it in case, accents and blanks alone, go to the same
    part. The first part has ``round(share · N)`` sentences, at least one and not all, and each
    label's share of them is its share of the whole as nearly as whole sentences allow; where copies
    do not fit, it has fewer. The same seed gives the same parts. Raises :class:`DataError` on a
    share outside (0, 1) or fewer than two different sentences.
    """
    if not 0 < share < 1:
        raise DataError(f"A share of {share} cannot be split off: it must lie between 0 and 1.")
    _, begins, code, copies = np.unique(
        copy_numbers(dataset), return_index=True, return_inverse=True, return_counts=True
    )
    if len(begins) < 2:
        raise DataError(
            f"{dataset.name} has too few sentences to be split: it needs two or more that differ "
            "by more than capitals, accents and blanks."
        )
    order = np.argsort(begins)  # different sentences as they first come
    count = min(max(round(share * len(dataset)), 1), len(dataset) - 1)
    groups = strata(dataset.labels)[begins[order]]
    chosen = order[_stratified(groups, copies[order], count, seed)]
    first = np.isin(code, chosen)
    return dataset.take(np.flatnonzero(first)), dataset.take(np.flatnonzero(~first))


def _stratified(labels: np.ndarray, sizes: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Which of some groups to draw at random for about ``count`` of their sentences.

    A label gives as many sentences as its share, or fewer where no group fits any more; but if none
    of its groups fits, and it has several, its smallest one.
    """
    random = np.random.default_rng(seed)
    _, code = np.unique(labels, return_inverse=True)
    due = np.bincount(code, sizes) * count / sizes.sum()
    most = np.floor(due).astype(int)
    most[np.argsort(most - due, kind="stable")[: count - most.sum()]] += 1
    drawn = list[int]()
    for label, left in enumerate(most.tolist()):
        groups = random.permutation(np.flatnonzero(code == label))
        fitting = list[int]()
        for group, size in zip(groups.tolist(), sizes[groups].tolist(), strict=True):
            if size <= left:
                fitting.append(group)
                left -= size
        if left and not fitting and len(groups) > 1:
            fitting.append(groups[sizes[groups].argmin()])
        drawn += fitting
    return np.array(drawn or [int(sizes.argmin())])


def copy_numbers(dataset: Dataset) -> np.ndarray:
    """A number for each sentence, or pair, that its copies share: int64 ``[N]``.

    Copies are what no tokenizer may tell apart: see :func:`likeness`.
    """
    keys: Iterable[object] = map(likeness, dataset.texts)
    if dataset.pairs is not None:
        keys = zip(keys, map(likeness, dataset.pairs), strict=True)
    return np.fromiter(map(hash, keys), np.int64, len(dataset))


def likeness(text: str) -> bytes:
    """A text without what some tokenizer drops: texts with the same known tokens have the same one.

    Characters are decomposed as compatible ones (NFKD) and lose their case, accents (marks), blanks
    and controls; two single quotation marks are a double one.

    >>> {likeness(text) for text in ("Un café !", "UN CAFE!", "un  cafe\u0301 !\u200b")}
    {b'uncafe!'}
    """
    if not text.isascii():
        text = _NOT_ASCII.sub(lambda run: _word_folded(run[0]), text)
    plain = text.lower().encode().translate(None, _ASCII_DROPPED)
    return plain.replace(b"``", b'"').replace(b"''", b'"')


# A mark belongs to what comes before it and is dropped, so characters decompose each for itself.
_NOT_ASCII = re.compile(r"[^\x00-\x7f]{1,32}")


@lru_cache(2**14)
def _word_folded(run: str) -> str:
    """Some characters, decomposed and without case and what is dropped."""
    folded = unicodedata.normalize("NFKD", run).translate(_DROPPED).casefold()
    # The fold may make new characters of some ("ΐ") that decompose in turn.
    return unicodedata.normalize("NFKD", folded).translate(_DROPPED)


class _Dropped(dict[int, int | None]):
    """Characters that tokenizers drop, as :meth:`str.translate` has them, as they are asked for."""

    def __missing__(self, code: int) -> int | None:
        kind = unicodedata.category(chr(code))
        # Two more: what could not be read, and what SentencePiece writes for a blank.
        dropped = kind[0] in "CMZ" or code in (0xFFFD, 0x2581)
        # Beyond are rare characters only, and far more that nobody has given a meaning.
        if code < 2**17:
            self[code] = None if dropped else code
        return None if dropped else code


_DROPPED = _Dropped()
_ASCII_DROPPED = bytes([*range(33), 127])
