"""Layer statistics: how heads vary together, and how much the answer feels their layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import check_finite
from bhpvas.model.layers import attend, finish_layer, project
from bhpvas.progress import Progress, silent
from bhpvas.recovery.layerwise import CalibrationPart
from bhpvas.recovery.ridge import CrossMoments


class LayerStatistics(NamedTuple):
    """Of one layer on the calibration sentences, in float64.

    ``covariance`` ``[H·d_h, H·d_h]`` is that of the heads' outputs, a mean over tokens; ``metric``
    ``[D, D]`` is the mean of ``g gᵀ``, with g the gradient of the answer for the layer's attention
    output at a token. In the last layer only the first token counts.
    """

    covariance: Tensor
    metric: Tensor


def measure_layers(
    classifier: Classifier,
    parts: Sequence[CalibrationPart],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> list[LayerStatistics]:
    """One pass forward and backward over the sentences, without labels.

    The answer is a random direction of the logits, drawn anew for each sentence, without what moves
    no answer, so that over sentences it stands for all of them; unlike the gradient of a loss, it
    does not vanish where the model is sure. Raises :class:`ModelError` where the model answers with
    numbers that are not finite.
    """
    layers, labels = len(classifier.layers), classifier.geometry.labels
    width = classifier.geometry.heads * classifier.geometry.head_size
    hidden = classifier.geometry.hidden_size
    draws = torch.Generator().manual_seed(seed)
    moments = [
        CrossMoments(width, 0, bias=layer.output.bias is not None) for layer in classifier.layers
    ]
    metrics = [torch.zeros(hidden, hidden, dtype=torch.float64) for _ in range(layers)]
    answers: list[Tensor] = []
    for done, part in enumerate(parts):
        progress(done, len(parts))
        batch, mask = part.batch, part.batch.attention_mask
        states = classifier.embed(batch.input_ids, batch.token_type_ids)
        leaves: list[Tensor] = []
        for number, layer in enumerate(classifier.layers):
            with torch.enable_grad():
                first_only = classifier.first_only(number)
                outputs, _ = attend(classifier, layer, states, mask, first_only=first_only)
                attention = project(layer, outputs, None)
                leaf = torch.zeros_like(attention).requires_grad_()
                states = finish_layer(layer, states[:, : outputs.shape[1]], attention + leaf)
            leaves.append(leaf)
            moments[number].add(part.samples(outputs.detach().flatten(2)))
        with torch.enable_grad():
            logits = classifier.classify(states, mask).float()  # [B, C]
            answers.append(logits.detach().cpu())
            direction = torch.randn(len(logits), labels, generator=draws).to(logits.device)
            direction = classifier.task.moving(direction)
            gradients = torch.autograd.grad((logits * direction).sum(), leaves)
        for number, gradient in enumerate(gradients):
            samples = part.samples(gradient).float()
            metrics[number] += (samples.T @ samples).cpu()
    progress(len(parts), len(parts))
    check_finite(torch.cat(answers).numpy())
    return [
        LayerStatistics(one.covariance(), metric / one.count)
        for one, metric in zip(moments, metrics, strict=True)
    ]
