"""Ablation: the exact change of loss and headline when one head more is removed, for each head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model import distributed
from bhpvas.model.batching import Batch, each_batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.layers import attend, finish_layer, gates_of, logits_from, project
from bhpvas.model.pruning import narrowed
from bhpvas.model.states import StateCache
from bhpvas.progress import Progress, part, silent

#: Padded tokens of all variants that go through a layer at once.
TOKENS_AT_ONCE = {"cpu": 2048, "cuda": 131072, "mps": 16384}


@dataclass(frozen=True, eq=False)
class Ablation:
    """Change of loss and headline when exactly one more head is removed from ``baseline.mask``.

    ``loss_change`` and ``headline_change`` are float64 ``[L, H]`` (NaN at removed heads), the
    latter of the task's headline, for one label out of several the accuracy as a share of 1; a
    positive loss change and a negative change of what should be high mean that removal hurts.
    ``group_loss_change`` and ``group_headline_change`` ``[G, H]`` are those of a head in all the
    layers of a group at once, of layers that share their weights; G is 0 where each has its own.

    >>> import bhpvas
    >>> data = bhpvas.sample_splits().calibration.take([0, 1])
    >>> ablation = bhpvas.ablate(bhpvas.load_classifier(), data)
    >>> ablation.baseline.n, ablation.loss_change.shape
    (2, (6, 12))
    """

    baseline: Evaluation
    loss_change: np.ndarray
    headline_change: np.ndarray
    group_loss_change: np.ndarray
    group_headline_change: np.ndarray


def ablate(
    classifier: Classifier,
    dataset: Dataset,
    mask: HeadMask | None = None,
    *,
    progress: Progress = silent,
) -> Ablation:
    """Remove each kept head alone and measure; exact, yet far cheaper than one run a head.

    Below a head nothing changes, and in its layer the other heads' attention does not either: its
    part ``Z_h W_h`` is subtracted from the layer's attention output. The variants of a layer then
    go through the rest of the network as one stacked batch. ``mask`` is what the heads are removed
    from (default: every head is kept). Where layers share their weights, a head in all of them
    follows, for one evaluation each.

    Raises :class:`~bhpvas.errors.DataError` where the dataset has a label that the model lacks.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> data = bhpvas.sample_splits().calibration.take([0, 1])
    >>> mask = classifier.full_mask().without(bhpvas.parse_heads("L0H3"))
    >>> loss_change = bhpvas.ablate(classifier, data, mask).loss_change
    >>> loss_change.shape, float(loss_change[0, 3])
    ((6, 12), nan)
    """
    task = classifier.task
    dataset = dataset.for_task(task)
    encoded = classifier.encode(dataset)
    mask = mask or classifier.full_mask()
    smaller = narrowed(classifier, mask)
    base = np.zeros((len(encoded), classifier.geometry.labels), dtype=np.float32)
    losses = np.zeros(mask.array.shape)
    sums = np.zeros((*losses.shape, task.terms(base[:1], dataset.labels[:1]).shape[-1]))

    def run(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        return logits_without_each(smaller, batch, mask)

    groups = classifier.geometry.groups
    alone = part(progress, 0, 2) if groups else progress
    for batch, (whole, fewer) in each_batch(classifier, encoded, run, progress=alone):
        base[batch.rows] = whole
        labels = dataset.labels[batch.rows]
        losses += task.losses(fewer, labels).sum(-1)
        sums += task.terms(fewer, labels).sum(-2)  # [L, H, K]
    distributed.add_up(base, losses, sums)
    baseline = Evaluation.of(classifier, dataset, mask, base)
    together, everywhere = part(progress, 1, 2), np.full((2, len(groups), mask.heads), np.nan)
    cache = StateCache()
    for number, group in enumerate(groups):
        for head in range(mask.heads):
            together(number * mask.heads + head, len(groups) * mask.heads)
            without = mask.without(HeadId(layer, head) for layer in group)
            if without != mask:
                found = evaluate(classifier, dataset, without, cache=cache)
                headline = found.headline_value - baseline.headline_value
                change = found.loss - baseline.loss, headline
                everywhere[:, number, head] = change
    return Ablation(
        baseline=baseline,
        loss_change=losses / len(dataset) - baseline.loss,
        headline_change=np.where(
            mask.kept, task.headline_of(sums, len(dataset)) - baseline.headline_value, np.nan
        ),
        group_loss_change=everywhere[0],
        group_headline_change=everywhere[1],
    )


@torch.inference_mode()
def logits_without_each(
    classifier: Classifier, batch: Batch, mask: HeadMask
) -> tuple[np.ndarray, np.ndarray]:
    """A batch's logits under a mask, ``[B, C]``, and without one head more, ``[L, H, B, C]``.

    NaN where the head is removed already.
    """
    layers, heads = mask.array.shape
    shape = (layers, heads, len(batch.rows), classifier.geometry.labels)
    logits = np.full(shape, np.nan, dtype=np.float32)
    gates = gates_of(classifier, mask)
    size = classifier.geometry.head_size
    keys = batch.attention_mask
    states = classifier.embed(batch.input_ids, batch.token_type_ids)
    for number, layer in enumerate(classifier.layers):
        outputs, _ = attend(
            classifier, layer, states, keys, first_only=classifier.first_only(number)
        )
        layer_gates = None if gates is None else gates[:, number]
        whole = project(layer, outputs, layer_gates)  # [B, T, D]
        residual = states[:, : outputs.shape[1]]
        kept = np.flatnonzero(mask.kept[number])
        at_once = max(1, TOKENS_AT_ONCE[classifier.device.type] // batch.real.numel())
        for start in range(0, len(kept), at_once):
            chosen = torch.as_tensor(kept[start : start + at_once], device=classifier.device)
            weights = layer.output.weight.view(layer.output.out_features, -1, size)[:, chosen]
            parts = torch.einsum("btkd,okd->kbto", outputs[:, :, chosen], weights)
            variants = finish_layer(layer, residual, whole - parts).flatten(0, 1)  # [k·B, T, D]
            attended = None if keys is None else keys.repeat(len(chosen), 1, 1, 1)
            found = logits_from(classifier, variants, attended, gates, start=number + 1)
            logits[number, kept[start : start + at_once]] = (
                found.float().view(len(chosen), len(batch.rows), -1).cpu().numpy()
            )
        states = finish_layer(layer, residual, whole)
    return classifier.classify(states, keys).float().cpu().numpy(), logits
