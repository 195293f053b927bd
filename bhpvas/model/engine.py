"""Engine: passes of sentences through the network, under a mask, from a cache, or for collectors.

Nothing else runs the network over a dataset. Batches are made in :mod:`bhpvas.model.batching`, what
a layer does stands in :mod:`bhpvas.model.layers`.

Letters: B sentences, L layers, H heads, T tokens, D hidden size, d_h head size, F neurons, C
labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.model import distributed
from bhpvas.model.batching import Batch, each_batch, numbers_per_token
from bhpvas.model.classifier import Classifier
from bhpvas.model.encoding import Encoded
from bhpvas.model.layers import (
    after_attention,
    after_feed_forward,
    attend,
    gates_of,
    neurons_of,
    project,
    run_layers,
)
from bhpvas.model.memory import trim
from bhpvas.model.pruning import narrowed
from bhpvas.model.states import StateCache, changes_below
from bhpvas.progress import Progress, silent

#: Numbers that enter the layers before a pass with gradients gives memory back: four batches of the
#: sample model's. The gaps grow to a third of the memory of such a pass; to fetch them again takes
#: longer than to give them back, and after each batch both took a fifth of the pass.
NUMBERS_PER_TRIM = 8_000_000


def predict(
    classifier: Classifier,
    encoded: Encoded,
    mask: HeadMask | None = None,
    *,
    indices: Sequence[int] | np.ndarray | None = None,
    cache: StateCache | None = None,
    progress: Progress = silent,
) -> np.ndarray:
    """Logits of every sentence under a mask: float32 ``[N, C]``, in the order of ``indices``.

    With a ``cache``, layers below the lowest one that differs from an earlier mask are not computed
    again. The result is the same with and without it up to rounding.
    """
    chosen = np.arange(len(encoded)) if indices is None else np.asarray(indices, dtype=np.int64)
    mask = mask or classifier.full_mask()
    gates = gates_of(classifier, mask)
    below = changes_below(classifier, mask)
    classifier = narrowed(classifier, mask)

    @torch.inference_mode()
    def run(batch: Batch) -> Tensor:
        key = (classifier.identity, encoded.fingerprint, batch.rows.tobytes()) if cache else ()
        known = cache.deepest(key, below, len(classifier.layers)) if cache else None
        start, states = known or (0, classifier.embed(batch.input_ids, batch.token_type_ids))
        passed = run_layers(classifier, states, batch.attention_mask, gates, start=start)
        for number, entering in passed:
            if cache and start < number < len(classifier.layers):
                cache.keep(key, below, number, entering)
            states = entering
        return classifier.classify(states, batch.attention_mask).float()

    logits = np.zeros((len(encoded), classifier.geometry.labels), dtype=np.float32)
    for batch, found in each_batch(classifier, encoded, run, indices=chosen, progress=progress):
        logits[batch.rows] = found.cpu().numpy()
    distributed.add_up(logits)
    return logits[chosen]


def first_states(
    classifier: Classifier,
    encoded: Encoded,
    mask: HeadMask | None = None,
    *,
    layers: Sequence[int] | None = None,
    progress: Progress = silent,
) -> np.ndarray:
    """What stands for each sentence as it leaves each of ``layers``: float32 ``[K, N, D]``.

    That is the state of the first token ([CLS]) or, where the model reads their mean, of all. By
    default all L layers, lowest first. What lies above the highest one is not computed.
    """
    wanted = list(range(len(classifier.layers))) if layers is None else list(layers)
    gates = gates_of(classifier, mask)
    classifier = narrowed(classifier, mask)

    @torch.inference_mode()
    def run(batch: Batch) -> Tensor:
        embedded = classifier.embed(batch.input_ids, batch.token_type_ids)
        leaving: dict[int, Tensor] = {}
        for number, entering in run_layers(classifier, embedded, batch.attention_mask, gates):
            leaving[number - 1] = classifier.pool(entering, batch.attention_mask).float()
            if number > max(wanted):
                break
        return torch.stack([leaving[number] for number in wanted])  # [K, B, D]

    shape = (len(wanted), len(encoded), classifier.geometry.hidden_size)
    states = np.zeros(shape, dtype=np.float32)
    for batch, found in each_batch(classifier, encoded, run, progress=progress):
        states[:, batch.rows] = found.cpu().numpy()
    distributed.add_up(states)
    return states


@dataclass(frozen=True, eq=False)
class Seen:
    """What one layer did with one batch: shown to the collectors and not stored."""

    batch: Batch
    layer: int
    outputs: Tensor  # Z before gating, [B, T, H, d_h]
    maps: Tensor | None  # [B, H, T, T]
    # What enters the feed-forward part, [B, T, D], and its activations, [B, T, F] of the neurons
    # that the mask keeps; T = 1 in the last layer of a model that reads the first token alone.
    attended: Tensor | None = None
    neurons: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Gradients:
    """Of each sentence's loss, for the gates of each head and each kept neuron of every layer."""

    heads: Tensor  # [B, L, H]
    neurons: tuple[Tensor, ...]  # [B, F] by layer; none where they are not needed


class Collector(Protocol):
    """Gathers statistics during one pass; ``needs`` says what the pass must provide.

    ``needs`` holds any of ``"outputs"`` (Z of every token, the last layer included), ``"maps"``
    (attention maps), ``"neurons"`` (activations of the feed-forward part; in the last layer those
    of the first token, where the model reads no other), ``"gradients"`` and ``"neuron gradients"``
    (of each sentence's loss for the gate of each head, and besides of each neuron).

    A batch that does not fit into memory is begun again in halves. So what ``see_layer`` counts is
    settled in ``see_batch`` and not before, and layer 0 is a fresh start.
    """

    needs: frozenset[str]

    def see_layer(self, seen: Seen) -> None:
        """Called for every layer of every batch where outputs, maps or neurons are needed."""

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        """Called at the end of every batch: logits ``[B, C]``, and gradients where needed."""


def stream(
    classifier: Classifier,
    encoded: Encoded,
    labels: np.ndarray,
    collectors: Sequence[Collector],
    *,
    mask: HeadMask | None = None,
    indices: Sequence[int] | np.ndarray | None = None,
    progress: Progress = silent,
) -> np.ndarray:
    """Pass every sentence through the network once, feed the collectors, return logits ``[N, C]``.

    With ``indices`` only those sentences pass; the logits of all others are 0. Gradients are those
    of each sentence's own loss (:meth:`~bhpvas.tasks.base.Task.loss`), by the batch dimension of
    the gates (Michel, Levy, Neubig 2019 take the absolute value per sentence, so they must stay
    apart).

    Raises :class:`ModelError` where the model answers with numbers that are not finite.
    """
    needs = frozenset[str]().union(*(collector.needs for collector in collectors))
    watchers = [one for one in collectors if one.needs & {"outputs", "maps", "neurons"}]
    of_neurons = "neuron gradients" in needs
    with_gradients = of_neurons or "gradients" in needs
    layers, heads = classifier.geometry.layers, classifier.geometry.heads
    classifier, base = narrowed(classifier, mask), gates_of(classifier, mask)
    if base is None:
        base = torch.ones(1, layers, heads, device=classifier.device, dtype=classifier.dtype)

    def run(batch: Batch) -> tuple[Tensor, Gradients | None]:
        """Logits ``[B, C]`` and, where needed, gradients."""
        gates = base.expand(len(batch.rows), -1, -1).clone()  # [B, L, H]
        neuron_gates: list[Tensor] = []
        with torch.set_grad_enabled(with_gradients):
            gates.requires_grad_(with_gradients)
            states = classifier.embed(batch.input_ids, batch.token_type_ids)
            for number, layer in enumerate(classifier.layers):
                first_only = classifier.first_only(number)
                outputs, maps = attend(
                    classifier,
                    layer,
                    states,
                    batch.attention_mask,
                    first_only=first_only and not needs & {"outputs", "maps"},
                    with_maps="maps" in needs,
                )
                some = slice(
                    1 if first_only else None
                )  # the tokens that the rest of the layer reads
                attention = project(layer, outputs[:, some], gates[:, number])
                attended = after_attention(layer, attention + states[:, some])
                neurons = neurons_of(layer, attended)
                # Statistics are exact, whatever the network multiplies in.
                with torch.no_grad(), torch.autocast(classifier.device.type, enabled=False):
                    seen = Seen(
                        batch,
                        number,
                        outputs.detach(),
                        None if maps is None else maps.detach(),
                        attended.detach(),
                        neurons.detach(),
                    )
                    for collector in watchers:
                        collector.see_layer(seen)
                if of_neurons:
                    ones = neurons.new_ones(len(neurons), 1, neurons.shape[2])  # [B, 1, F]
                    neuron_gates.append(ones.requires_grad_())
                    neurons = neurons * ones
                states = after_feed_forward(layer, layer.down(neurons) + attended)
            found = classifier.classify(states, batch.attention_mask).float()
            if not with_gradients:
                return found, None
            target = torch.as_tensor(labels[batch.rows], device=classifier.device)
            loss = classifier.task.loss(found, target).sum()
            of_heads, *rest = torch.autograd.grad(loss, [gates, *neuron_gates])
            return found.detach(), Gradients(of_heads, tuple(one[:, 0] for one in rest))

    logits = np.zeros((len(encoded), classifier.geometry.labels), dtype=np.float32)
    passed = each_batch(classifier, encoded, run, indices=indices, progress=progress)
    since_trim = 0
    for batch, (found, gradients) in passed:
        logits[batch.rows] = found.cpu().numpy()
        for collector in collectors:
            collector.see_batch(batch, found, gradients)
        since_trim += batch.real.numel() * numbers_per_token(classifier)
        if since_trim > NUMBERS_PER_TRIM:
            since_trim = 0
            trim()
    distributed.add_up(logits)
    check_finite(logits)
    return logits


def check_finite(logits: np.ndarray, dataset: str = "") -> None:
    """Raise :class:`ModelError` where logits ``[N, C]`` are no numbers to compare."""
    broken = int((~np.isfinite(logits)).any(1).sum())
    if broken:
        raise ModelError(
            f"The model answers {broken} of {len(logits)} sentences{dataset and f' of {dataset}'} "
            "with numbers that are not finite: load it as float32, or, if it is, save the model "
            "again."
        )
