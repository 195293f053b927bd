"""Criteria read from the attention maps.

Every real token of a sentence is a query once, [CLS] and [SEP] included: a map row is one query,
and a sentence's value is the mean over its rows. Padding is neither query nor key.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.special import entr

from bhpvas.criteria.base import DEAD, Criterion, Measurement, SentenceMoments, steadiness
from bhpvas.data.sampling import Sample
from bhpvas.data.text_store import Numbers
from bhpvas.model import distributed
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import Gradients, Seen

#: Where a token's attention can go; each key counts once, under the first part that fits.
PROFILE_PARTS = ("[CLS]", "[SEP]", "itself", "previous", "next", "punctuation", "rest")


class _MapStatistic:
    """Base: one number (or a short vector) per sentence and head, from its attention map."""

    needs = frozenset({"maps"})

    def __init__(self, classifier: Classifier, sample: Sample) -> None:
        self.classifier = classifier
        layers, heads = classifier.geometry.layers, classifier.geometry.heads
        self.moments = SentenceMoments(sample, layers, heads)
        self._layers: list[Tensor] = []

    def see_layer(self, seen: Seen) -> None:
        """Compute the statistic of one layer's maps."""
        assert seen.maps is not None
        if seen.layer == 0:
            self._layers.clear()
            self.prepare(seen.batch)
        self._layers.append(self.of_maps(seen.maps.float()))

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        self.take(batch.rows, torch.stack(self._layers, 1).cpu().numpy())

    def take(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Count the statistic of a batch: ``[B, L, H]`` or ``[B, L, H, width]``."""
        self.moments.add(rows, values)

    def add_up(self) -> None:
        self.moments.add_up()

    def prepare(self, batch: Batch) -> None:
        """Compute once a batch what all its layers need: here the weight of each row."""
        lengths = batch.real.sum(1, keepdim=True)
        self.row_weight = (batch.real / lengths).float()  # [B, T], sums to 1 over T

    def of_maps(self, maps: Tensor) -> Tensor:
        """The statistic of maps ``[B, H, T, T]``: ``[B, H]`` or ``[B, H, width]``."""
        raise TypeError(f"{type(self).__name__} must say what it measures")


class AttentionProfile(_MapStatistic):
    """How a head's attention is shared among :data:`PROFILE_PARTS`, and how much that varies.

    ``mean`` is the mean profile ``[L, H, 7]``, which sums to 1. How far a sentence is from it can
    be said only once all were seen, so each sentence's profile waits, many of them on disk;
    ``moments`` are then those of ``1 − JSD / ln 2``.
    """

    def __init__(self, classifier: Classifier, sample: Sample) -> None:
        super().__init__(classifier, sample)
        self.mean = np.zeros((*self.moments.sums.shape[1:], len(PROFILE_PARTS)))
        self._waiting = Numbers(np.float32)
        self._rows: list[np.ndarray] = []

    def prepare(self, batch: Batch) -> None:
        super().prepare(batch)
        kind = profile_kinds(self.classifier, batch)  # [B, T, T]
        spread = torch.nn.functional.one_hot(kind, len(PROFILE_PARTS)).float()  # [B, T, T, 7]
        self.share = (spread * self.row_weight[:, :, None, None]).flatten(1, 2)  # [B, T·T, 7]

    def of_maps(self, maps: Tensor) -> Tensor:
        return maps.flatten(2) @ self.share  # [B, H, 7]

    def take(self, rows: np.ndarray, values: np.ndarray) -> None:
        self.mean += values.sum(0, dtype=np.float64)
        self._waiting.append(values.ravel())
        self._rows.append(rows)

    def add_up(self) -> None:
        distributed.add_up(self.mean)
        self.mean /= self.moments.sample.total
        start = 0
        for rows in self._rows:
            stop = start + len(rows) * self.mean.size
            profiles = self._waiting[start:stop].reshape(len(rows), *self.mean.shape)
            self.moments.add(rows, 1.0 - jensen_shannon(profiles, self.mean))
            start = stop
        self.moments.add_up()


def profile_kinds(classifier: Classifier, batch: Batch) -> Tensor:
    """Index into :data:`PROFILE_PARTS` for every query and key token: ``[B, T, T]``."""
    ids = batch.input_ids
    width = ids.shape[1]
    places = torch.arange(width, device=ids.device)
    offset = places[None, :] - places[:, None]  # [T, T], place of the key minus that of the query
    punctuation = torch.from_numpy(classifier.punctuation).to(ids.device)[ids]  # [B, T]
    kind = torch.full((len(ids), width, width), 6, device=ids.device)
    kind = torch.where(punctuation[:, None, :], 5, kind)
    for part, distance in ((4, 1), (3, -1), (2, 0)):
        kind = torch.where(offset == distance, part, kind)
    kind = torch.where((ids == classifier.tokenizer.sep_token_id)[:, None, :], 1, kind)
    return torch.where((ids == classifier.tokenizer.cls_token_id)[:, None, :], 0, kind)


class Confidence(_MapStatistic):
    """Mean over rows of the largest attention to anything but [SEP]."""

    def prepare(self, batch: Batch) -> None:
        super().prepare(batch)
        separator = batch.input_ids == self.classifier.tokenizer.sep_token_id
        self.counts = (~separator)[:, None, None, :].float()

    def of_maps(self, maps: Tensor) -> Tensor:
        return ((maps * self.counts).amax(-1) * self.row_weight[:, None, :]).sum(-1)


class Entropy(_MapStatistic):
    """Mean over rows of the entropy of the attention, in nats."""

    def of_maps(self, maps: Tensor) -> Tensor:
        return (entr(maps).sum(-1) * self.row_weight[:, None, :]).sum(-1)


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen–Shannon divergence over the last axis as a share of its maximum ln 2: 0 to 1."""

    def entropy(x: np.ndarray) -> np.ndarray:
        return -(x * np.log(np.where(x > 0, x, 1.0))).sum(-1)

    p, q = p.astype(np.float64), q.astype(np.float64)
    divergence = entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
    return np.clip(divergence / math.log(2), 0.0, 1.0)


def stability(found: AttentionProfile) -> Measurement:
    """``1 − mean_b JSD(p_b ‖ p̄) / ln 2`` of the attention profiles."""
    values = found.moments.if_several(found.moments.mean)
    return Measurement(values, found.moments.kept, profile=found.mean)


def mean_of_sentences(found: Confidence | Entropy) -> Measurement:
    """The mean over sentences of what each gives."""
    return Measurement(found.moments.mean, found.moments.kept)


def stability_confidence(found: Confidence) -> Measurement:
    """``1 / (1 + σ/μ)`` of the confidence over sentences."""
    values = steadiness(found.moments.mean, found.moments.mean_square)
    return Measurement(found.moments.if_several(values), found.moments.kept, "steadiness")


CRITERIA = (
    Criterion(
        name="stability",
        title="Stability",
        higher_means="keep",
        summary="High: the head divides its attention in much the same way in every sentence.",
        formula=r"S(l,h)=1-\frac1N\sum_b \mathrm{JSD}(p_b\,\|\,\bar p)\,/\,\ln 2",
        source="Our reading of BHPVAS 2024, whose abstract fixes no formula; divergence of Lin "
        "1991",
        misleads="A stable head can be a useful positional head or an idle one that rests on "
        "[SEP]: look at its attention profile before you decide which way stability counts.",
        collector=AttentionProfile,
        measure=stability,
        undefined=f"{DEAD}, and of every head by a single sentence",
    ),
    Criterion(
        name="stability-confidence",
        title="Stability of confidence",
        higher_means="keep",
        summary="High: the head is equally focused in every sentence.",
        formula=r"S_c(l,h)=1\,/\,(1+\sigma_b/\mu_b)\ \text{of confidence}",
        source="Coefficient of variation; our reading of stability in BHPVAS 2024",
        misleads="Attention thins out in long sentences, so lengths that vary lower it for every "
        "head that looks broadly.",
        collector=Confidence,
        measure=stability_confidence,
        undefined=f"{DEAD} or looks at [SEP] alone, and of every head by a single sentence",
    ),
    Criterion(
        name="confidence",
        title="Confidence",
        higher_means="keep",
        summary="High: the head points at one token at a time.",
        formula=r"C(l,h)=\mathrm{mean}_b\,\mathrm{mean}_i\max_{j\neq[\mathrm{SEP}]}A_{b,l,h}[i,j]",
        source="Voita et al. 2019, Analyzing Multi-Head Self-Attention",
        misleads="Short sentences raise it, since attention has fewer places to go.",
        collector=Confidence,
        measure=mean_of_sentences,
        undefined=DEAD,
    ),
    Criterion(
        name="entropy",
        title="Attention entropy",
        higher_means="remove",
        summary="High: the head looks everywhere at once.",
        formula=r"E(l,h)=-\mathrm{mean}_b\,\mathrm{mean}_i\sum_j A[i,j]\,\ln A[i,j]",
        source="Clark et al. 2019, What Does BERT Look At?",
        misleads="A broad head can be the one that gathers the sentence for [CLS].",
        collector=Entropy,
        measure=mean_of_sentences,
        undefined=DEAD,
    ),
)
