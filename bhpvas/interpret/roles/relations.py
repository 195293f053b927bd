"""Dependency relations: how well every head follows each, against the best fixed offset.

Letters: N sentences, B those of a batch, L layers, H heads, T tokens, W words, R relations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bhpvas.interpret.align import Sentence
from bhpvas.stats import holm, sign_test

Direction = Literal["dependent to head", "head to dependent"]
DIRECTIONS: tuple[Direction, Direction] = ("dependent to head", "head to dependent")
#: Fixed offsets that a head must beat; of equally good ones the first is named.
OFFSETS = (-1, 1, -2, 2, -3, 3)
#: No relations in a grammarian's sense: the root, punctuation, and what the parser cannot name, as
#: ClearNLP (spaCy's English pipelines), Universal Dependencies and TIGER (its German ones) call it.
#: All others are looked for under the names that the parser has for them.
NOT_JUDGED = frozenset({"ROOT", "root", "punct", "dep", "--", "_", ""})
# Attention that differs by less, relatively, is equal: rounding decides nothing.
_TIE = 1e-5


@dataclass(frozen=True, eq=False)
class Relation:
    """How well every head follows one dependency relation.

    ``count`` dependents; ``baseline`` is the accuracy of always answering the word at ``offset``
    from the dependent. ``accuracies`` ``[2, L, H]`` by :data:`DIRECTIONS`, ``p`` corrected, NaN
    where the head is removed or the relation has too few dependents to be ``judged``.
    """

    name: str
    count: int
    offset: int
    baseline: float
    judged: bool
    accuracies: np.ndarray
    p: np.ndarray

    @property
    def accuracy(self) -> np.ndarray:
        """Accuracy in the better direction: ``[L, H]``, 0 to 1."""
        return self.accuracies.max(0)

    @property
    def direction(self) -> np.ndarray:
        """The better direction as an index into :data:`DIRECTIONS`: ``[L, H]``."""
        return (self.accuracies[1] > self.accuracies[0]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Predictions:
    """The word that each head takes for the head of each word, by direction.

    ``words`` int16 ``[2, L, H, ΣW]`` lies sentence after sentence; −1 where a word looks at no
    other, or at two equally.
    """

    words: np.ndarray
    starts: np.ndarray

    def of(self, sentence: int) -> np.ndarray:
        """Predicted heads of one sentence: ``[2, L, H, W]``, W counts up to the last word seen."""
        return self.words[..., self.starts[sentence] : self.starts[sentence + 1]]


@dataclass(frozen=True, eq=False)
class RelationBatch:
    """What all layers of a batch need for its relations, padded to its widest sentence."""

    rows: np.ndarray
    member: Tensor  # [B, W, T], which tokens each word has
    mean: Tensor  # [B, W, T], the same with rows that sum to 1
    truth: Tensor  # [B, W], head of each judged dependent, −2 elsewhere
    relation: Tensor  # [B, W, R]
    baseline: Tensor  # [B, R], dependents that the best offset gets right


class RelationCounter:
    """Sums over sentences of what every head and the best fixed offset get right.

    The offsets to beat follow from the parses, so they are known before the first map.
    """

    def __init__(
        self, sentences: Sequence[Sentence], layers: int, heads: int, *, keep_predictions: bool
    ) -> None:
        self._sentences = sentences
        self._truth = [dependents_of(sentence) for sentence in sentences]  # N × [W]
        counts = Counter(
            sentence.parse.relations[word]
            for sentence, truth in zip(sentences, self._truth, strict=True)
            for word in np.flatnonzero(truth >= 0)
        )
        self.counts = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        self._column = {name: column for column, name in enumerate(self.counts)}
        self._offsets, self._baselines = self._best_offsets()
        shape = (2, layers, heads, len(self.counts))
        self._hits, self._wins, self._losses = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        starts = np.concatenate([[0], np.cumsum([len(truth) for truth in self._truth])])
        self.predictions: Predictions | None = None
        if keep_predictions:
            words = np.full((2, layers, heads, int(starts[-1])), -1, np.int16)
            self.predictions = Predictions(words, starts)

    def batch(self, rows: np.ndarray, width: int, device: torch.device) -> RelationBatch:
        """The sentences at ``rows``, padded to ``width`` tokens."""
        words = max([2, *(len(self._truth[row]) for row in rows)])  # 2, so that there is a second
        member = np.zeros((len(rows), words, width), dtype=np.float32)
        truth = np.full((len(rows), words), -2, dtype=np.int64)
        relation = np.zeros((len(rows), words, len(self.counts)), dtype=np.float32)
        baseline = np.zeros((len(rows), len(self.counts)), dtype=np.float32)
        for place, row in enumerate(rows):
            sentence, heads = self._sentences[row], self._truth[row]
            owned = np.flatnonzero(sentence.word_of >= 0)
            member[place, sentence.word_of[owned], owned] = 1
            truth[place, : len(heads)] = np.where(heads >= 0, heads, -2)
            for word in np.flatnonzero(heads >= 0):
                column = self._column[sentence.parse.relations[word]]
                relation[place, word, column] = 1
                baseline[place, column] += heads[word] - word == self._offsets[column]
        belongs, *others = (
            torch.from_numpy(one).to(device) for one in (member, truth, relation, baseline)
        )
        return RelationBatch(rows, belongs, F.normalize(belongs, p=1, dim=2), *others)

    def count(
        self, layer: int, batch: RelationBatch, maps: Tensor
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Count one layer's maps ``[B, H, T, T]``: sums, each with what is to be added to it."""
        words = batch.mean[:, None] @ maps @ batch.member.transpose(1, 2)[:, None]  # [B, H, W, W]
        words.diagonal(dim1=-2, dim2=-1).zero_()
        both = torch.stack([words, words.transpose(2, 3)])  # [2, B, H, W, W]
        predicted = strongest(both)  # [2, B, H, W]
        right = (predicted == batch.truth[:, None]).float()
        hits = right @ batch.relation  # [2, B, H, R]
        ahead = hits - batch.baseline[:, None]
        sums = (self._hits, hits), (self._wins, ahead > 0), (self._losses, ahead < 0)
        for total, found in sums:
            yield total[:, layer], found.sum(1).long().cpu().numpy()
        if self.predictions is not None:
            heads = predicted.to(torch.int16).cpu().numpy()
            for place, row in enumerate(batch.rows):
                here = self.predictions.of(row)[:, layer]  # [2, H, W]
                here[...] = heads[:, place, :, : here.shape[-1]]

    def judged(self, kept: np.ndarray, min_count: int) -> dict[str, Relation]:
        """Every relation, most dependents first; tests are corrected for the kept heads tried."""
        judged = np.array([*self.counts.values()], dtype=np.int64) >= min_count
        tried = kept[None, :, :, None] & judged  # [1, L, H, R]
        tested = holm(np.where(tried, sign_test(self._wins, self._losses), np.nan))  # [2, L, H, R]
        return {
            name: Relation(
                name=name,
                count=count,
                offset=int(self._offsets[column]),
                baseline=float(self._baselines[column] / count),
                judged=bool(judged[column]),
                accuracies=np.where(kept, self._hits[..., column] / count, np.nan),
                p=tested[..., column],
            )
            for column, (name, count) in enumerate(self.counts.items())
        }

    def _best_offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """For each relation the best fixed offset and how many dependents it gets right."""
        right = np.zeros((len(self.counts), len(OFFSETS)), dtype=np.int64)
        for sentence, heads in zip(self._sentences, self._truth, strict=True):
            for word in np.flatnonzero(heads >= 0):
                step = int(heads[word] - word)
                if step in OFFSETS:
                    column = self._column[sentence.parse.relations[word]]
                    right[column, OFFSETS.index(step)] += 1
        best = right.argmax(1) if len(right) else np.zeros(0, dtype=np.int64)
        return np.array(OFFSETS, dtype=np.int64)[best], right.max(1, initial=0)


def dependents_of(sentence: Sentence) -> np.ndarray:
    """The head of each word whose relation counts, −1 for other words: int64 ``[W]``.

    Both words must have a token; words after the last that has one are cut.
    """
    width = int(sentence.word_of.max(initial=-1)) + 1
    truth = np.full(width, -1, dtype=np.int64)
    parse, seen = sentence.parse, sentence.seen
    for word in range(width):
        head = parse.heads[word]
        if head != word and parse.relations[word] not in NOT_JUDGED and seen[word] and seen[head]:
            truth[word] = head
    return truth


def strongest(attention: Tensor) -> Tensor:
    """Place of the largest value of the last axis; −1 where there is none or two are equal."""
    top = attention.topk(2, dim=-1)
    first, second = top.values.unbind(-1)
    clear = (first > 0) & (first - second > _TIE * first)
    return torch.where(clear, top.indices[..., 0], -1)
