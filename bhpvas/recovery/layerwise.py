"""Layer-by-layer refitting: the unpruned network, which is aimed at, beside the pruned one.

Layers are visited from the lowest up. At each, the pruned network's heads are run on what its own
lower layers produce, their outputs and the aim are summed into moments, the output projection is
fitted, and likewise the down projection of the feed-forward part; so the layer is finished. Only
the states of one layer are kept at a time, and of many sentences most of them in a temporary file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from bhpvas.errors import DataError
from bhpvas.heads import HeadMask
from bhpvas.model.batching import Batch, batches, load_batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.encoding import Encoded
from bhpvas.model.families.base import Layer
from bhpvas.model.layers import (
    after_attention,
    attend,
    finish_layer,
    neurons_of,
    project,
)
from bhpvas.model.linear import bias_of, linear
from bhpvas.model.pruning import prune_layer
from bhpvas.progress import Progress, silent
from bhpvas.recovery.kept_states import KeptStates
from bhpvas.recovery.ridge import CrossMoments

#: Every so many different sentences, one does not fit but chooses the ridge.
HELD_OUT = 4


@dataclass(frozen=True, eq=False)
class CalibrationPart:
    """A batch of calibration sentences and which of them are held out."""

    batch: Batch
    held_out: Tensor  # [B]

    def samples(self, values: Tensor) -> Tensor:
        """The real tokens of ``[B, T, p]`` as ``[n, p]``; T is 1 where only the first counts."""
        if values.shape[1] == 1 or not self.batch.padded:
            return values.flatten(0, 1)
        return values[self.batch.real]

    def held_out_samples(self, length: int) -> Tensor:
        """Which of :meth:`samples` belong to held-out sentences: ``[n]``."""
        spread = self.held_out[:, None].expand(-1, length)  # [B, T]
        return spread.flatten() if length == 1 else spread[self.batch.real]


def calibration_parts(
    classifier: Classifier, encoded: Encoded, *, seed: int = 0
) -> list[CalibrationPart]:
    """Calibration sentences in batches, every fourth held out, with its copies.

    Raises :class:`DataError` where there are fewer than two different sentences.
    """
    first = encoded.first_copies
    different = np.unique(first)
    if len(different) < 2:
        raise DataError(
            "Recovery needs at least 2 different calibration sentences, one to fit and one to "
            f"check, and there is {len(different)}: take more sentences."
        )
    order = np.random.default_rng(seed).permutation(different)
    held_out = np.isin(first, order[1::HELD_OUT])
    parts = []
    for rows in batches(classifier, encoded):
        checks = torch.from_numpy(held_out[rows]).to(classifier.device)
        parts.append(CalibrationPart(load_batch(classifier, encoded, rows), checks))
    return parts


class Originals:
    """What the unpruned network does on the calibration sentences, layer by layer.

    One layer's is kept at a time, unless ``keep`` says that many recoveries will ask for all.
    """

    def __init__(
        self, classifier: Classifier, parts: Sequence[CalibrationPart], *, keep: bool = False
    ) -> None:
        self.classifier = classifier.with_weights(None)
        self.parts = parts
        self._keep = keep
        embedded = KeptStates(
            self.classifier.embed(part.batch.input_ids, part.batch.token_type_ids) for part in parts
        )
        self._entering = {0: embedded}
        self._attended: dict[int, KeptStates] = {}

    def entering(self, number: int) -> KeptStates:
        """The states that enter a layer, part by part ``[B, T, D]``; ``L`` gives the last ones.

        Layers are asked for in order, unless they are kept.
        """
        self._run_to(number)
        return self._entering[number]

    def attended(self, number: int) -> KeptStates:
        """The states of a layer after its attention and before the norm, part by part."""
        self._run_to(number + 1)
        return self._attended[number]

    def fed(self, number: int) -> Iterator[Tensor]:
        """The states of a layer after its feed-forward part and before the norm, part by part."""
        layer = self.classifier.layers[number]
        for attended in self.attended(number):
            states = after_attention(layer, attended)
            yield layer.down(neurons_of(layer, states)) + states

    @property
    def logits(self) -> Tensor:
        """The unpruned network's logits ``[n, C]``, part after part."""
        return logits_of(self.classifier, self.parts, self.entering(len(self.classifier.layers)))

    def _run_to(self, number: int) -> None:
        classifier = self.classifier
        for current in range(max(self._entering), number):
            layer, first_only = classifier.layers[current], classifier.first_only(current)
            attended, leaving = KeptStates(), KeptStates()
            for part, states in zip(self.parts, self._entering[current], strict=True):
                mask = part.batch.attention_mask
                outputs, _ = attend(classifier, layer, states, mask, first_only=first_only)
                states = states[:, : outputs.shape[1]]
                attention = project(layer, outputs, None)
                attended.append(attention + states)
                leaving.append(finish_layer(layer, states, attention))
            if not self._keep:
                self._entering.clear()
                self._attended.clear()
            self._entering[current + 1] = leaving
            self._attended[current] = attended


def logits_of(
    classifier: Classifier, parts: Sequence[CalibrationPart], states: Sequence[Tensor]
) -> Tensor:
    """Logits ``[n, C]`` from the last states of each part."""
    both = zip(states, parts, strict=True)
    found = [classifier.classify(one, part.batch.attention_mask) for one, part in both]
    return torch.cat(found).float()


class LayerFit(NamedTuple):
    """A fitted projection of what is kept: W ``[D, p]``, bias ``[D]``, and how good it is.

    Where the projection has no bias, that is 0, and the variance the mean square.

    ``p`` is k·d_h of k heads, or the number of neurons.
    Errors are sums of squares over the held-out samples, as is the variance of what is aimed at.
    """

    weight: Tensor
    bias: Tensor
    ridge: float
    error_before: float
    error_after: float
    variance: float


#: Fits a projection, given its columns for what is kept, its bias, how many columns a unit has (the
#: head size, 1 of neurons), and the moments of the samples that are fitted and that are held out.
#: Inputs of the moments are what is projected, targets the output aimed at.
Fitter = Callable[[Tensor, Tensor, int, CrossMoments, CrossMoments], LayerFit]


@dataclass(frozen=True, eq=False)
class LayerwisePass:
    """A pruned network on the calibration sentences: its fits, by layer, states and logits.

    ``states[l]`` are those that enter layer l, part by part; only from the layer at which the
    pass began, and only if they were kept.
    """

    fits: dict[int, LayerFit]
    feed_forward_fits: dict[int, LayerFit]
    states: dict[int, Sequence[Tensor]]
    logits: Tensor  # [n, C]


def layerwise_pass(
    originals: Originals,
    mask: HeadMask,
    fitter: Fitter,
    *,
    begin: int = 0,
    entering: Sequence[Tensor] | None = None,
    feed_forward: bool = False,
    keep: bool = False,
    progress: Progress = silent,
) -> LayerwisePass:
    """Run the pruned network from layer ``begin`` up, refitting each layer that has lost something.

    W_O is refitted where a head is gone, the down projection where a neuron is.

    - ``fitter``: how a layer is refitted.
    - ``begin``: the lowest layer that is run.
    - ``entering``: the states that enter it, part by part ``[B, T, D]``; those of the unpruned
      network if not given, so nothing below may be removed then.
    - ``feed_forward``: whether the down projection of every layer is refitted.
    - ``keep``: whether the states that enter each layer are kept.
    """
    classifier, parts = originals.classifier, originals.parts
    layers = len(classifier.layers)
    states: Sequence[Tensor] = originals.entering(begin) if entering is None else entering
    fits: dict[int, LayerFit] = {}
    feed_forward_fits: dict[int, LayerFit] = {}
    kept_states: dict[int, Sequence[Tensor]] = {}
    for number in range(begin, layers):
        progress(number - begin, layers - begin)
        if keep:
            kept_states[number] = states
        kept, first_only = mask.kept[number], classifier.first_only(number)
        layer = prune_layer(classifier, number, mask)
        outputs = KeptStates(
            heads_of(classifier, layer, one, part, first_only=first_only)
            for one, part in zip(states, parts, strict=True)
        )  # [B, T, k·d_h] each
        counted = slice(1 if first_only else None)  # the tokens that the rest of the layer reads
        if not kept.all():
            both = zip(originals.attended(number), states, strict=True)
            aims = (attended - one[:, counted] for attended, one in both)
            size = classifier.geometry.head_size
            fits[number] = _fit(layer.output, size, fitter, parts, outputs, aims)
            layer = replace(layer, output=as_linear(classifier, fits[number], layer.output))
        if feed_forward or (mask.neurons is not None and mask.neurons.counts[number]):
            normed = KeptStates(
                after_attention(layer, layer.output(out) + one[:, counted])
                for one, out in zip(states, outputs, strict=True)
            )
            inner = (neurons_of(layer, one) for one in normed)  # [B, T, F], one at a time
            fed = (aim - one for aim, one in zip(originals.fed(number), normed, strict=True))
            fit = _fit(layer.down, 1, fitter, parts, inner, fed)
            feed_forward_fits[number] = fit
            layer = replace(layer, down=as_linear(classifier, fit, layer.down))
        states = KeptStates(
            finish_layer(layer, one[:, counted], layer.output(out))
            for one, out in zip(states, outputs, strict=True)
        )
    progress(layers - begin, layers - begin)
    return LayerwisePass(fits, feed_forward_fits, kept_states, logits_of(classifier, parts, states))


def heads_of(
    classifier: Classifier, layer: Layer, states: Tensor, part: CalibrationPart, *, first_only: bool
) -> Tensor:
    """The outputs of a pruned layer's heads ``[B, T, k·d_h]``."""
    if not layer.query.out_features:
        return states[:, : 1 if first_only else None, :0]
    mask = part.batch.attention_mask
    return attend(classifier, layer, states, mask, first_only=first_only)[0].flatten(2)


def _fit(
    projection: nn.Linear,
    unit: int,
    fitter: Fitter,
    parts: Sequence[CalibrationPart],
    outputs: Iterable[Tensor],
    aims: Iterable[Tensor],
) -> LayerFit:
    """Fit ``projection`` to ``aims`` ``[B, T, D]`` from ``outputs`` ``[B, T, p]``, part by part."""
    fitted, held_out = moments_of(projection, parts, outputs, aims)
    weight, bias = projection.weight.double().cpu(), bias_of(projection).double().cpu()
    return fitter(weight, bias, unit, fitted, held_out)


def moments_of(
    projection: nn.Linear,
    parts: Sequence[CalibrationPart],
    outputs: Iterable[Tensor],
    aims: Iterable[Tensor],
) -> tuple[CrossMoments, CrossMoments]:
    """Moments of what is projected and what is aimed at: to be fitted, and held out."""
    sizes = projection.in_features, projection.out_features
    biased = projection.bias is not None
    fitted, held_out = CrossMoments(*sizes, bias=biased), CrossMoments(*sizes, bias=biased)
    for part, out, aim in zip(parts, outputs, aims, strict=True):
        checks = part.held_out_samples(out.shape[1])
        inputs, targets = part.samples(out), part.samples(aim)
        fitted.add(inputs[~checks], targets[~checks])
        held_out.add(inputs[checks], targets[checks])
    return fitted, held_out


def as_linear(classifier: Classifier, fit: LayerFit, projection: nn.Linear) -> nn.Linear:
    """What was fitted, as a projection; without a bias where that has none."""
    weight, bias = (one.to(classifier.device, classifier.dtype) for one in (fit.weight, fit.bias))
    return linear(weight, None if projection.bias is None else bias)
