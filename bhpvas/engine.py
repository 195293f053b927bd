"""The only place that runs the network: gates, collectors, and reuse of what did not change.

The forward pass is written out over the neutral parts of :class:`~bhpvas.classifier.Layer`, so a
gate is an argument, there is no hook and no global state, and any number of threads can run
different masks on one classifier. Written out, it can also do what a module's ``forward`` cannot:
begin at any layer, stack many variants of one attention output, and compute the last layer for the
first token only, which is all that a classifier reads.

Letters: B sentences, L layers, H heads, T tokens, D hidden size, d_h head size, C labels.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bhpvas.classifier import Classifier, Encoded, Layer
from bhpvas.datasets import length_sorted_batches
from bhpvas.heads import HeadMask
from bhpvas.progress import Progress, silent

# Padded tokens in a batch: enough to fill the cores, few enough to stay in their caches.
TOKENS_PER_BATCH = {"cpu": 1024, "cuda": 32768, "mps": 8192}


@dataclass(frozen=True, eq=False)
class Batch:
    """Some sentences, padded to the longest of them."""

    rows: np.ndarray  # [B], positions in the dataset
    input_ids: Tensor  # [B, T]
    token_type_ids: Tensor  # [B, T]
    real: Tensor  # [B, T], true where a token is not padding
    padded: bool

    @property
    def attention_mask(self) -> Tensor | None:
        """Which keys may be attended, ``[B, 1, 1, T]``; None where nothing is padded."""
        return self.real[:, None, None, :] if self.padded else None


def batches(
    classifier: Classifier,
    encoded: Encoded,
    indices: Sequence[int] | np.ndarray | None = None,
    *,
    tokens_per_batch: int | None = None,
) -> list[np.ndarray]:
    """Positions of the sentences, cut into batches of about equal length."""
    chosen = np.arange(len(encoded)) if indices is None else np.asarray(indices, dtype=np.int64)
    limit = tokens_per_batch or TOKENS_PER_BATCH[classifier.device.type]
    return [chosen[part] for part in length_sorted_batches(encoded.lengths[chosen], limit)]


def load_batch(classifier: Classifier, encoded: Encoded, rows: np.ndarray) -> Batch:
    """Pad the sentences at ``rows`` and put them on the classifier's device."""
    lengths = encoded.lengths[rows]
    width = int(lengths.max())
    input_ids = np.full((len(rows), width), classifier.tokenizer.pad_token_id, dtype=np.int64)
    token_type_ids = np.zeros((len(rows), width), dtype=np.int64)
    for place, row in enumerate(rows):
        input_ids[place, : lengths[place]] = encoded.input_ids[row]
        token_type_ids[place, : lengths[place]] = encoded.token_type_ids[row]
    real = np.arange(width)[None, :] < lengths[:, None]
    return Batch(
        rows=rows,
        input_ids=torch.from_numpy(input_ids).to(classifier.device),
        token_type_ids=torch.from_numpy(token_type_ids).to(classifier.device),
        real=torch.from_numpy(real).to(classifier.device),
        padded=not real.all(),
    )


def gates_of(classifier: Classifier, mask: HeadMask | None) -> Tensor | None:
    """A mask as gates ``[1, L, H]`` on the classifier's device; None where nothing is removed."""
    if mask is None or not mask.removed:
        return None
    return torch.tensor(mask.array, device=classifier.device, dtype=classifier.dtype)[None]


# --- one layer ------------------------------------------------------------------------------------


def _split_heads(classifier: Classifier, projected: Tensor) -> Tensor:
    shape = (*projected.shape[:-1], -1, classifier.geometry.head_size)
    return projected.view(shape).transpose(1, 2)  # [B, H, T, d_h]


def attend(
    classifier: Classifier,
    layer: Layer,
    states: Tensor,
    attention_mask: Tensor | None,
    *,
    first_only: bool = False,
    with_maps: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """The heads' outputs Z ``[B, T, H, d_h]`` and, if asked for, their maps ``[B, H, T, T]``.

    With ``first_only`` the queries are those of the first token alone, so Z has T = 1.
    """
    asking = states[:, :1] if first_only else states
    query = _split_heads(classifier, layer.query(asking))
    key = _split_heads(classifier, layer.key(states))
    value = _split_heads(classifier, layer.value(states))
    if not with_maps:
        outputs = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        return outputs.transpose(1, 2), None  # [B, T, H, d_h]
    scores = query @ key.transpose(2, 3) * (classifier.geometry.head_size**-0.5)  # [B, H, T, T]
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, -math.inf)
    maps = scores.softmax(-1)
    return (maps @ value).transpose(1, 2), maps


def project(layer: Layer, outputs: Tensor, gates: Tensor | None) -> Tensor:
    """The attention's output ``[B, T, D]`` from Z ``[B, T, H, d_h]`` under gates ``[B, H]``."""
    if gates is not None:
        outputs = outputs * gates[:, None, :, None]
    return layer.output(outputs.flatten(2))


def finish_layer(layer: Layer, states: Tensor, attention_output: Tensor) -> Tensor:
    """What a layer does after its attention: add & norm, feed-forward, add & norm."""
    attended = layer.attention_norm(attention_output + states)
    return layer.output_norm(layer.down(layer.activation(layer.up(attended))) + attended)


def run_layers(
    classifier: Classifier,
    states: Tensor,
    attention_mask: Tensor | None,
    gates: Tensor | None,
    *,
    start: int = 0,
) -> Iterator[tuple[int, Tensor]]:
    """Run the layers from ``start``; yields each layer's number and the states that enter it.

    After the last layer it yields ``(L, states)`` with the first token alone: ``[B, 1, D]``.
    """
    last = len(classifier.layers) - 1
    for number in range(start, last + 1):
        yield number, states
        layer = classifier.layers[number]
        outputs, _ = attend(classifier, layer, states, attention_mask, first_only=number == last)
        attention_output = project(layer, outputs, None if gates is None else gates[:, number])
        states = finish_layer(layer, states[:, : outputs.shape[1]], attention_output)
    yield last + 1, states


def logits_from(
    classifier: Classifier,
    states: Tensor,
    attention_mask: Tensor | None,
    gates: Tensor | None,
    *,
    start: int = 0,
) -> Tensor:
    """Logits ``[B, C]`` from the states that enter layer ``start``."""
    for _, entering in run_layers(classifier, states, attention_mask, gates, start=start):
        states = entering
    return classifier.read(states[:, 0])


# --- predictions, with reuse of the layers below a change -----------------------------------------


class StateCache:
    """Hidden states that enter each layer, kept for masks that share everything below it.

    An entry belongs to one batch of one dataset, one layer, and what was changed below that layer.
    Entries are never written to; the least used leave when ``limit_bytes`` is reached. One cache
    serves one model, with all its masks and weights; threads may share it.
    """

    def __init__(self, limit_bytes: int = 192 * 2**20) -> None:
        self.limit_bytes = limit_bytes
        self._used = 0
        self._entries: OrderedDict[tuple, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """Bytes that the kept states take."""
        return self._used

    def deepest(
        self, batch_key: tuple, below: Callable[[int], Hashable], layers: int
    ) -> tuple[int, Tensor] | None:
        """The highest layer whose entering states are known, with those states.

        ``below(layer)`` says what was changed below a layer.
        """
        with self._lock:
            for layer in range(layers - 1, 0, -1):
                key = (batch_key, layer, below(layer))
                if key in self._entries:
                    self._entries.move_to_end(key)
                    return layer, self._entries[key]
        return None

    def keep(
        self, batch_key: tuple, below: Callable[[int], Hashable], layer: int, states: Tensor
    ) -> None:
        """Remember the states that enter ``layer``."""
        key = (batch_key, layer, below(layer))
        size = states.numel() * states.element_size()
        with self._lock:
            if key in self._entries or size > self.limit_bytes:
                return
            self._entries[key] = states
            self._used += size
            while self._used > self.limit_bytes:
                _, dropped = self._entries.popitem(last=False)
                self._used -= dropped.numel() * dropped.element_size()


def _changes_below(classifier: Classifier, mask: HeadMask) -> Callable[[int], Hashable]:
    """What the states that enter a layer depend on: removed heads and changed weights."""

    @lru_cache
    def below(layer: int) -> Hashable:
        removed = frozenset(head for head in mask.removed if head.layer < layer)
        return removed, classifier.changed_below(layer)

    return below


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
    logits = np.empty((len(encoded), classifier.geometry.labels), dtype=np.float32)
    parts = batches(classifier, encoded, chosen)
    below = _changes_below(classifier, mask)
    with torch.inference_mode():
        for done, rows in enumerate(parts):
            progress(done, len(parts))
            batch = load_batch(classifier, encoded, rows)
            batch_key = (encoded.fingerprint, rows.tobytes()) if cache else ()
            known = cache.deepest(batch_key, below, len(classifier.layers)) if cache else None
            if known is None:
                start, states = 0, classifier.embed(batch.input_ids, batch.token_type_ids)
            else:
                start, states = known
            for number, entering in run_layers(
                classifier, states, batch.attention_mask, gates, start=start
            ):
                if cache and start < number < len(classifier.layers):
                    cache.keep(batch_key, below, number, entering)
                states = entering
            logits[rows] = classifier.read(states[:, 0]).float().cpu().numpy()
    progress(len(parts), len(parts))
    return logits[chosen]


def first_states(
    classifier: Classifier,
    encoded: Encoded,
    mask: HeadMask | None = None,
    *,
    layers: Sequence[int] | None = None,
    progress: Progress = silent,
) -> np.ndarray:
    """The first token's ([CLS]) state as it leaves each of ``layers``: float32 ``[K, N, D]``.

    By default all L layers, lowest first. What lies above the highest one is not computed.
    """
    wanted = list(range(len(classifier.layers))) if layers is None else list(layers)
    gates = gates_of(classifier, mask)
    states = np.empty((len(wanted), len(encoded), classifier.geometry.hidden_size), np.float32)
    parts = batches(classifier, encoded)
    with torch.inference_mode():
        for done, rows in enumerate(parts):
            progress(done, len(parts))
            batch = load_batch(classifier, encoded, rows)
            embedded = classifier.embed(batch.input_ids, batch.token_type_ids)
            for number, entering in run_layers(classifier, embedded, batch.attention_mask, gates):
                if number - 1 in wanted:
                    leaving = entering[:, 0].float().cpu().numpy()  # [B, D]
                    states[wanted.index(number - 1), rows] = leaving
                if number > max(wanted):
                    break
    progress(len(parts), len(parts))
    return states


# --- one pass that feeds collectors ---------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Seen:
    """What one layer did with one batch: shown to the collectors, and gone afterwards."""

    batch: Batch
    layer: int
    outputs: Tensor  # Z before gating, [B, T, H, d_h]
    maps: Tensor | None  # [B, H, T, T]


class Collector(Protocol):
    """Gathers statistics during one pass; ``needs`` says what the pass must provide.

    ``needs`` holds any of ``"outputs"`` (Z of every token, the last layer included), ``"maps"``
    (attention maps) and ``"gradients"`` (of each sentence's loss for each gate).
    """

    needs: frozenset[str]

    def see_layer(self, seen: Seen) -> None:
        """Called for every layer of every batch where outputs or maps are needed."""

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Tensor | None) -> None:
        """Called at the end of every batch: logits ``[B, C]``, gate gradients ``[B, L, H]``."""


def stream(
    classifier: Classifier,
    encoded: Encoded,
    labels: np.ndarray,
    collectors: Sequence[Collector],
    *,
    mask: HeadMask | None = None,
    progress: Progress = silent,
) -> np.ndarray:
    """Pass every sentence through the network once, feed the collectors, return logits ``[N, C]``.

    Gradients are those of each sentence's own cross-entropy loss, by the batch dimension of the
    gates (Michel, Levy, Neubig 2019 take the absolute value per sentence, so they must stay apart).
    """
    needs = frozenset[str]().union(*(collector.needs for collector in collectors))
    watchers = [one for one in collectors if one.needs & {"outputs", "maps"}]
    layers, heads = classifier.geometry.layers, classifier.geometry.heads
    base = gates_of(classifier, mask)
    if base is None:
        base = torch.ones(1, layers, heads, device=classifier.device, dtype=classifier.dtype)
    logits = np.empty((len(encoded), classifier.geometry.labels), dtype=np.float32)
    parts = batches(classifier, encoded)
    for done, rows in enumerate(parts):
        progress(done, len(parts))
        batch = load_batch(classifier, encoded, rows)
        gates = base.expand(len(rows), -1, -1).clone()  # [B, L, H]
        with torch.set_grad_enabled("gradients" in needs):
            gates.requires_grad_("gradients" in needs)
            states = classifier.embed(batch.input_ids, batch.token_type_ids)
            for number, layer in enumerate(classifier.layers):
                is_last = number == layers - 1
                outputs, maps = attend(
                    classifier,
                    layer,
                    states,
                    batch.attention_mask,
                    first_only=is_last and not watchers,
                    with_maps="maps" in needs,
                )
                with torch.no_grad():
                    shown = None if maps is None else maps.detach()
                    seen = Seen(batch, number, outputs.detach(), shown)
                    for collector in watchers:
                        collector.see_layer(seen)
                if is_last:
                    states, outputs = states[:, :1], outputs[:, :1]
                states = finish_layer(layer, states, project(layer, outputs, gates[:, number]))
            found = classifier.read(states[:, 0]).float()  # [B, C]
            gradients = None
            if "gradients" in needs:
                target = torch.as_tensor(labels[rows], device=classifier.device)
                loss = F.cross_entropy(found, target, reduction="sum")
                (gradients,) = torch.autograd.grad(loss, gates)
        found = found.detach()
        logits[rows] = found.cpu().numpy()
        for collector in collectors:
            collector.see_batch(batch, found, gradients)
    progress(len(parts), len(parts))
    return logits
