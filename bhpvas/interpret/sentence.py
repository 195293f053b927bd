"""One sentence closely: its attention maps, rollout, and what each head contributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bhpvas.criteria.gradients import GateGradients
from bhpvas.data.dataset import Dataset
from bhpvas.data.sampling import Sample
from bhpvas.evaluation.ablation import logits_without_each
from bhpvas.heads import HeadMask
from bhpvas.interpret.align import TOKEN_PARTS, Sentence, sentences_of
from bhpvas.interpret.saliency import check_label
from bhpvas.model.batching import Batch, load_batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import Gradients, Seen, predict, stream
from bhpvas.model.pruning import narrowed
from bhpvas.tasks.base import Task

#: Tokens of one sentence that are kept for drawing; no screen shows more side by side.
MOST_TOKENS = 96
_SPECIAL = (TOKEN_PARTS.index("[CLS]"), TOKEN_PARTS.index("[SEP]"))


class _KeptMaps:
    """Keeps the maps of a single sentence."""

    needs = frozenset({"maps"})

    def __init__(self) -> None:
        self.layers: list[np.ndarray] = []

    def see_layer(self, seen: Seen) -> None:
        assert seen.maps is not None
        self.layers.append(seen.maps[0].float().cpu().numpy())

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        """Everything was seen layer by layer."""


def attention_maps(
    classifier: Classifier, text: str, pair: str | None = None, mask: HeadMask | None = None
) -> np.ndarray:
    """Attention maps of one sentence under a mask: float32 ``[L, H, T, T]``, rows sum to 1.

    A removed head still has a map; nothing reads it any more.
    """
    encoded = classifier.encode_texts([text], None if pair is None else [pair])
    kept = _KeptMaps()
    stream(classifier, encoded, np.zeros(1, dtype=np.int64), [kept], mask=mask)
    return np.stack(kept.layers)


def rollout(maps: np.ndarray, mask: HeadMask | None = None) -> np.ndarray:
    """Attention rollout (Abnar and Zuidema 2020): ``[L, T, T]``, rows sum to 1.

    Entry ``[l, i, j]`` is how much of token i after layer l comes from input token j if attention
    is all that mixes: half of each layer is the mean map of its kept heads, half the residual
    connection, and layers multiply. A layer without heads passes everything on.
    """
    layers, _, tokens, _ = maps.shape
    mixed = np.eye(tokens)
    found = np.empty((layers, tokens, tokens))
    for layer in range(layers):
        kept = maps[layer] if mask is None else maps[layer][mask.kept[layer]]
        if len(kept):
            mixed = (kept.mean(0, dtype=np.float64) + np.eye(tokens)) / 2 @ mixed
        found[layer] = mixed
    return found


@dataclass(frozen=True, eq=False)
class Reading:
    """One sentence with its parse and what the heads make of it under a mask.

    ``maps`` ``[L, H, T, T]`` and ``rollout`` ``[L, T, T]`` hold the first T of ``length`` tokens,
    at most :data:`MOST_TOKENS`; rows sum to 1 where nothing is cut.
    """

    sentence: Sentence
    length: int
    mask: HeadMask
    maps: np.ndarray
    rollout: np.ndarray

    def units(self, *, words: bool, special_tokens: bool) -> SentenceUnits:
        """Words or word pieces side by side, with or without [CLS] and [SEP]."""
        sentence = self.sentence
        units = sentence.unit_of if words else np.arange(len(sentence))
        first = np.unique(units, return_index=True)[1]  # the first token of each unit
        shown = np.flatnonzero(special_tokens | ~np.isin(sentence.parts[first], _SPECIAL))
        names = sentence.unit_names if words else sentence.tokens
        return SentenceUnits(sentence, words, units, shown, tuple(names[unit] for unit in shown))


@dataclass(frozen=True, eq=False)
class SentenceUnits:
    """Units of a sentence side by side.

    ``units`` ``[T]`` is the unit of each token, ``shown`` ``[U]`` the units that are shown,
    ``names`` what they are called.
    """

    sentence: Sentence
    words: bool
    units: np.ndarray
    shown: np.ndarray
    names: tuple[str, ...]

    def attention(self, maps: np.ndarray) -> np.ndarray:
        """Attention between the units ``[…, U, U]`` from that between tokens ``[…, T, T]``."""
        whole = self.sentence.word_attention(maps) if self.words else maps
        return whole[..., self.shown[:, None], self.shown[None, :]]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums of token values over each unit: ``[U]``; tokens that are cut are left out."""
        kept = np.asarray(values)[: len(self.units)]
        return np.bincount(self.units, weights=kept)[self.shown]

    def place_of(self, word: int) -> int | None:
        """Where a word of the parse stands: the middle one of its units; None where it does not."""
        tokens = np.flatnonzero(self.sentence.word_of == word)
        places = np.flatnonzero(np.isin(self.shown, self.units[tokens]))
        return int(places[(len(places) - 1) // 2]) if len(places) else None


def read(
    classifier: Classifier,
    text: str,
    pair: str | None = None,
    mask: HeadMask | None = None,
    *,
    parser: str | None = None,
    among: Sequence[str] = (),
) -> Reading:
    """Parse one sentence and pass it through the network once.

    ``parser`` is the name or folder of a spaCy pipeline; without one, a sentence that is plainly
    not English, by itself or as those that it stands ``among`` are, has no relations. Raises
    :class:`~bhpvas.errors.BhpvasError` where the parser is not installed.
    """
    mask = mask or classifier.full_mask()
    pairs, labels = None if pair is None else (pair,), np.zeros(1, dtype=np.int64)
    one = Dataset("one sentence", (text,), pairs, labels, classifier.label_names)
    (sentence,) = sentences_of(classifier, one, parser=parser, among=among)
    maps = attention_maps(classifier, text, pair, mask)
    kept, of_tokens = slice(MOST_TOKENS), ("tokens", "token_ids", "word_of", "parts")
    return Reading(
        sentence=replace(sentence, **{name: getattr(sentence, name)[kept] for name in of_tokens}),
        length=len(sentence),
        mask=mask,
        maps=maps[..., kept, kept].copy(),
        rollout=rollout(maps, mask)[:, kept, kept].astype(np.float32),
    )


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each head contributes to the decision on one sentence.

    It speaks for or against what the ``task`` explains of the output ``label``
    (:meth:`~bhpvas.tasks.base.Task.explained`): the log-odds of a label, or the score. ``logits``
    ``[C]`` are those under the mask, ``removed_logits`` ``[L, H, C]`` those without each head as
    well, and ``slope`` ``[L, H]`` is that of what is explained at each gate: what a head adds to
    first order. NaN where a head is removed.
    """

    label: int
    task: Task
    logits: np.ndarray
    slope: np.ndarray
    removed_logits: np.ndarray

    @property
    def removal(self) -> np.ndarray:
        """What each head adds to what is explained, by exact removal: ``[L, H]``."""
        return self._explained(self.logits) - self._explained(self.removed_logits)

    def _explained(self, logits: np.ndarray) -> np.ndarray:
        found = self.task.explained(torch.from_numpy(logits).double(), self.label)
        return np.asarray(found.numpy())


@dataclass(frozen=True)
class _Slope:
    """In place of a task where a pass is to find the slope of what it explains, not of the loss."""

    task: Task
    label: int

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.task.explained(logits, self.label)


def contributions(
    classifier: Classifier,
    text: str,
    *,
    pair: str | None = None,
    label: int | None = None,
    mask: HeadMask | None = None,
) -> Contributions:
    """What each head contributes to one sentence; without a label, to what is answered.

    Raises :class:`~bhpvas.errors.BhpvasError` for a label that the model does not have.
    """
    pairs, task = None if pair is None else (pair,), classifier.task
    encoded = classifier.encode_texts([text], pairs)
    if label is None:
        label = task.label_to_explain(predict(classifier, encoded, mask)[0])
    check_label(classifier, label)
    mask = mask or classifier.full_mask()
    gates = GateGradients(classifier, Sample.of(1, 1))
    explaining: Any = _Slope(task, label)
    nothing = np.zeros(1, dtype=np.int64)
    stream(replace(classifier, task=explaining), encoded, nothing, [gates], mask=mask)
    batch = load_batch(classifier, encoded, np.zeros(1, dtype=np.int64))
    logits, removed = logits_without_each(narrowed(classifier, mask), batch, mask)
    return Contributions(
        label=label,
        task=task,
        logits=logits[0],
        slope=np.where(mask.kept, gates.gradients[0], np.nan),
        removed_logits=removed[:, :, 0],
    )
