"""Criteria of feed-forward neurons: from sums over all sentences, layer by layer.

The gate of a neuron is a factor on its activation at every token of a sentence; 0 takes the neuron
away.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from bhpvas.criteria.base import NeuronCriterion
from bhpvas.data.sampling import Sample
from bhpvas.model import distributed
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import Gradients, Seen
from bhpvas.stats import SEED


class NeuronGradients:
    """``∂loss_b / ∂gate[b, l, j]`` of every neuron: means over all sentences.

    ``absolute`` and ``squares`` are the means of absolute values and of squares, ``[F]`` by layer.
    """

    needs = frozenset({"neuron gradients"})

    def __init__(self, classifier: Classifier, sample: Sample) -> None:
        self._sentences = sample.total
        self._sums = [np.zeros((2, layer.up.out_features)) for layer in classifier.layers]

    @property
    def absolute(self) -> list[np.ndarray]:
        return [one[0] / self._sentences for one in self._sums]

    @property
    def squares(self) -> list[np.ndarray]:
        return [one[1] / self._sentences for one in self._sums]

    def see_layer(self, seen: object) -> None:
        """Gradients are complete only at the end of a batch."""

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        assert gradients is not None
        for sums, found in zip(self._sums, gradients.neurons, strict=True):
            values = found.float().cpu().numpy().astype(np.float64)  # [B, F]
            sums += np.abs(values).sum(0), (values**2).sum(0)

    def add_up(self) -> None:
        distributed.add_up(*self._sums)


class Activations:
    """``written``: how long what a neuron adds is, ``|u| · ‖w‖``, ``[F]`` by layer.

    A mean over the real tokens of a sentence, in the last layer its first one, and then over
    sentences.
    """

    needs = frozenset({"neurons"})

    def __init__(self, classifier: Classifier, sample: Sample) -> None:
        self._sentences = sample.total
        self._lengths = [
            layer.down.weight.double().norm(dim=0).cpu().numpy() for layer in classifier.layers
        ]
        self._sums = [np.zeros(len(one)) for one in self._lengths]
        self._seen: list[Tensor] = []  # of the batch that is passing, by layer

    @property
    def written(self) -> list[np.ndarray]:
        both = zip(self._sums, self._lengths, strict=True)
        return [sums / self._sentences * lengths for sums, lengths in both]

    def see_layer(self, seen: Seen) -> None:
        assert seen.neurons is not None
        if seen.layer == 0:
            self._seen.clear()
        sizes = seen.neurons.float().abs()  # [B, T, F]
        real = seen.batch.real[:, : sizes.shape[1]].float()  # [B, T]
        weights = real / real.sum(1, keepdim=True)
        self._seen.append(weights.flatten() @ sizes.flatten(0, 1))  # [F]

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        for sums, found in zip(self._sums, self._seen, strict=True):
            sums += found.double().cpu().numpy()

    def add_up(self) -> None:
        distributed.add_up(*self._sums)


def leaving_order(values: np.ndarray, *, seed: int = SEED) -> np.ndarray:
    """Places of the values ``[F]`` that are no NaN, the least first; the seed draws among equals.

    >>> leaving_order(np.array([0.3, np.nan, 0.1, 0.2])).tolist()
    [2, 3, 0]
    """
    drawn = np.random.default_rng(seed).permutation(len(values))
    order = drawn[np.argsort(values[drawn], kind="stable")]
    return order[~np.isnan(values[order])]


CRITERIA = (
    NeuronCriterion(
        name="importance",
        title="Importance",
        higher_means="keep",
        summary="High: turning this neuron down a little changes the loss of single sentences "
        "a lot.",
        formula=r"I(l,j)=\frac1N\sum_b"
        r"\left|\frac{\partial\,\mathrm{loss}_b}{\partial g_{b,l,j}}\right|",
        source="Michel, Levy, Neubig 2019 for heads; Molchanov et al. 2019, Importance Estimation "
        "for Neural Network Pruning",
        misleads="It is local: neurons that stand in for each other all score low, and what goes "
        "is hundreds of them together.",
        collector=NeuronGradients,
        measure=lambda found: found.absolute,
    ),
    NeuronCriterion(
        name="fisher",
        title="Fisher information",
        higher_means="keep",
        summary="High: some sentences depend on this neuron strongly.",
        formula=r"F(l,j)=\frac1N\sum_b"
        r"\left(\frac{\partial\,\mathrm{loss}_b}{\partial g_{b,l,j}}\right)^2",
        source="Kwon et al. 2022, A Fast Post-Training Pruning Framework for Transformers",
        misleads="A few hard sentences decide it; and like importance it is local.",
        collector=NeuronGradients,
        measure=lambda found: found.squares,
    ),
    NeuronCriterion(
        name="activation",
        title="Activation size",
        higher_means="keep",
        summary="High: what this neuron adds to the tokens is long.",
        formula=r"a(l,j)=\mathrm{mean}_{b,t}\,|u_{b,t,l,j}|\cdot\lVert w_{l,j}\rVert_2",
        source="After Sun et al. 2024, A Simple and Effective Pruning Approach for Large Language "
        "Models",
        misleads="It looks at no answer; and what is the same at every token, a bias says as well.",
        collector=Activations,
        measure=lambda found: found.written,
    ),
)
