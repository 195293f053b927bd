"""Surgeon: what a layer's output loses when one neuron goes and the others are refitted."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bhpvas.criteria.base import NeuronCriterion
from bhpvas.data.sampling import Sample
from bhpvas.data.text_store import Numbers
from bhpvas.model import distributed
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import Gradients, Seen
from bhpvas.model.layers import neurons_of

#: Share of the mean variance that is added to every direction, so that a covariance from few
#: sentences can be inverted.
DAMPING = 1e-3
#: Tokens that a layer's covariance is of, at most, for each of its neurons; each costs more than
#: its way through the layer. Of the half of a layer that comes last, 97% are the same as with twice
#: as many, and 91% with half as many (2,048 sentences of SST-2, sample model).
TOKENS_PER_NEURON = 4
# Tokens whose neurons are in memory at once.
_AT_ONCE = 2048


def damping(covariance: Tensor) -> Tensor:
    """What is added to a covariance ``[p, p]`` before it is inverted."""
    scale = covariance.diagonal().mean().clamp(min=1e-12)
    return DAMPING * scale * torch.eye(len(covariance), dtype=covariance.dtype)


def saliencies(covariance: Tensor, columns: Tensor) -> Tensor:
    """``‖w_j‖² / [H⁻¹]_jj`` of every input of a projection, float64 ``[p]``; at least 0.

    With H the damped ``covariance`` ``[p, p]`` of the inputs and w_j a row of ``columns``
    ``[p, D]``, it is by how much the mean squared error of the output grows when input j goes and
    all others, and the bias, are refitted (Hassibi, Stork 1993, eq. 5, for a linear layer).
    """
    if not len(covariance):
        return covariance.new_zeros(0)
    factor = torch.linalg.cholesky(covariance + damping(covariance))
    return columns.square().sum(1) / torch.cholesky_inverse(factor).diagonal()


class TokenSamples:
    """Some tokens of every sentence, or of some of many: what enters the feed-forward parts there.

    They wait in temporary files, and their neurons are computed again layer by layer, so that one
    layer's covariance is in memory at a time. Of a sentence they are evenly spaced, of the last
    layer the first one, which alone is read.
    """

    needs = frozenset({"neurons"})

    def __init__(self, classifier: Classifier, sample: Sample) -> None:
        self._classifier = classifier
        most = TOKENS_PER_NEURON * classifier.geometry.intermediate_size
        self._sample = Sample.of(sample.total, most)
        self._each = max(1, most // len(self._sample))
        self._tokens = [Numbers(np.float32) for _ in classifier.layers]
        self._seen: list[Tensor] = []  # of the batch that is passing, by layer

    def see_layer(self, seen: Seen) -> None:
        assert seen.attended is not None
        if seen.layer == 0:
            self._seen.clear()
        rows, _ = self._sample.among(seen.batch.rows)
        lengths = seen.batch.real.sum(1).cpu().numpy()[rows]
        if seen.attended.shape[1] == 1:
            lengths = np.ones_like(lengths)
        sentences, places = spread(lengths, self._each, seen.batch.rows[rows])
        self._seen.append(seen.attended[rows[sentences], places].float().cpu())  # [n, D]

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        for tokens, found in zip(self._tokens, self._seen, strict=True):
            tokens.append(found.numpy().ravel())

    def add_up(self) -> None:
        """What several processes counted is joined layer by layer, in :meth:`saliencies`."""

    def saliencies(self) -> list[np.ndarray]:
        """:func:`saliencies` of each layer's neurons, ``[F]``."""
        found = []
        for number, layer in enumerate(self._classifier.layers):
            columns = layer.down.weight.double().cpu().T
            found.append(saliencies(self._covariance(number), columns).numpy())
        return found

    @torch.inference_mode()
    def _covariance(self, number: int) -> Tensor:
        """The covariance of a layer's neurons over the tokens: float64 ``[F, F]``."""
        layer, size = self._classifier.layers[number], self._classifier.geometry.hidden_size
        width = layer.up.out_features
        count, total = np.zeros(1), torch.zeros(width, dtype=torch.float64)
        products = torch.zeros(width, width, dtype=torch.float64)
        tokens = self._tokens[number]
        for start in range(0, len(tokens), _AT_ONCE * size):
            part = torch.from_numpy(tokens[start : start + _AT_ONCE * size].copy()).view(-1, size)
            with self._classifier.arithmetic():
                attended = part.to(self._classifier.device, self._classifier.dtype)
                neurons = neurons_of(layer, attended).float()  # [n, F]
            count += len(neurons)
            total += neurons.sum(0).cpu()
            products += (neurons.T @ neurons).cpu()
        distributed.add_up(count, total, products)
        n = float(count[0])
        return products / n - torch.outer(total, total) / n**2


def spread(lengths: np.ndarray, each: int, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most ``each`` places in sentences of some ``lengths``: the sentence and place of each.

    They are evenly spaced from an offset that is the sentence's own, so that over sentences every
    place counts alike.

    >>> spread(np.array([2, 6]), 3, np.array([0, 1]))
    (array([0, 0, 1, 1, 1]), array([0, 1, 1, 3, 5]))
    """
    counts = np.minimum(lengths, each)
    sentences = np.repeat(np.arange(len(lengths)), counts)
    within = np.arange(len(sentences)) - np.repeat(counts.cumsum() - counts, counts)
    whole = lengths[sentences]
    places = (offsets[sentences] + within * whole // counts[sentences]) % whole
    return sentences, places


CRITERION = NeuronCriterion(
    name="surgeon",
    title="Refit saliency",
    higher_means="keep",
    summary="High: what this neuron adds to the layer's output, the others cannot make up for, "
    "refitted as well as can be.",
    formula=r"s(l,j)=\lVert w_{l,j}\rVert_2^2\,/\,[H_l^{-1}]_{jj},\quad "
    r"H_l=\mathrm{cov}_{b,t}(u_{b,t,l})+\lambda I",
    source="Hassibi, Stork 1993, Second Order Derivatives for Network Pruning: Optimal Brain "
    "Surgeon; Frantar, Alistarh 2022, Optimal Brain Compression",
    misleads="It is of one neuron that goes alone, with a refit that plain removal does not do. "
    "From fewer tokens than the layer has neurons (in the last layer: sentences) the others seem "
    "to make up for any. Each layer has a scale of its own.",
    collector=TokenSamples,
    measure=lambda found: found.saliencies(),
)
