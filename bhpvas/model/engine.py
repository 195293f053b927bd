"""The only place that runs the network: gates, collectors, and reuse of what did not change.

The forward pass is written out over the neutral parts of :class:`~bhpvas.model.classifier.Layer`,
so a gate is an argument, there is no hook and no global state, and any number of threads can run
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
from typing import Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bhpvas.data.datasets import length_sorted_batches
from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.model import distributed
from bhpvas.model.classifier import Classifier, Encoded, Layer
from bhpvas.model.memory import exhausted, trim
from bhpvas.progress import Progress, silent

T = TypeVar("T")

# Padded tokens in a batch: enough to fill the cores, few enough to stay in their caches. On two
# cores passes take the same time with 384 to 1,024, ablation a fifth less with 512 than with 1,024.
TOKENS_PER_BATCH = {"cpu": 512, "cuda": 32768, "mps": 8192}
#: Numbers that enter the layers, all together, for a batch on the processor: those of 1,024 tokens
#: in 6 layers of 384. A pass with gradients keeps ten times as many for the way back, so models
#: wider or deeper than that get fewer tokens at once: as fast, since their matrices are large.
NUMBERS_PER_BATCH = 1024 * 6 * 384
#: Such numbers that a pass with gradients lets by before it gives memory back: four batches of the
#: sample model's. The gaps grow to a third of the memory of such a pass; to fetch them again takes
#: longer than to give them back, and after each batch both took a fifth of the pass.
NUMBERS_PER_TRIM = 8_000_000


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
) -> list[np.ndarray]:
    """Positions of the sentences, cut into batches of about equal length."""
    chosen = np.arange(len(encoded)) if indices is None else np.asarray(indices, dtype=np.int64)
    limit = TOKENS_PER_BATCH[classifier.device.type]
    if classifier.device.type == "cpu":
        limit = min(limit, NUMBERS_PER_BATCH // _numbers_per_token(classifier))
    return [chosen[part] for part in length_sorted_batches(encoded.lengths[chosen], limit)]


def _numbers_per_token(classifier: Classifier) -> int:
    """How many numbers enter the layers for one token, all layers together: L · D."""
    return classifier.geometry.layers * classifier.geometry.hidden_size


def load_batch(classifier: Classifier, encoded: Encoded, rows: np.ndarray) -> Batch:
    """Pad the sentences at ``rows`` and put them on the classifier's device."""
    lengths = encoded.lengths[rows]
    places = np.arange(int(lengths.max()))
    real = places < lengths[:, None]  # [B, T]
    input_ids = np.full(real.shape, classifier.tokenizer.pad_token_id, dtype=np.int64)
    token_type_ids = np.zeros(real.shape, dtype=np.int64)
    input_ids[real] = np.concatenate([encoded.input_ids(row) for row in rows])
    token_type_ids[real] = np.concatenate([encoded.token_type_ids(row) for row in rows])
    return Batch(
        rows=rows,
        input_ids=torch.from_numpy(input_ids).to(classifier.device),
        token_type_ids=torch.from_numpy(token_type_ids).to(classifier.device),
        real=torch.from_numpy(real).to(classifier.device),
        padded=not real.all(),
    )


def each_batch(
    classifier: Classifier,
    encoded: Encoded,
    run: Callable[[Batch], T],
    *,
    indices: Sequence[int] | np.ndarray | None = None,
    progress: Progress = silent,
) -> Iterator[tuple[Batch, T]]:
    """Every batch of this process's share, with what ``run`` makes of it.

    Where the memory does not suffice, the batch is halved, like all that follow, and begun again;
    so ``run`` may leave nothing behind that counts twice. Raises :class:`ModelError` where there is
    not even room for one sentence.
    """
    parts = distributed.share(batches(classifier, encoded, indices))
    pieces = 1
    for done, part in enumerate(parts):
        progress(done, len(parts))
        waiting = _pieces(part, pieces)
        while waiting:
            batch = load_batch(classifier, encoded, waiting[0])
            try:
                with classifier.arithmetic():
                    found = run(batch)
            except RuntimeError as error:
                if not exhausted(error):
                    raise
                if len(batch.rows) == 1:
                    raise ModelError(
                        f"A sentence of {batch.input_ids.shape[1]} tokens does not fit into the "
                        f"memory of {classifier.device}: choose another --device, or a smaller "
                        "model."
                    ) from error
            else:
                waiting.pop(0)
                yield batch, found
                continue
            # Here, where nothing holds what the failed attempt has left.
            pieces *= 2
            waiting = [piece for rows in waiting for piece in _pieces(rows, 2)]
            if classifier.device.type == "cuda":
                torch.cuda.empty_cache()
    progress(len(parts), len(parts))


def _pieces(rows: np.ndarray, count: int) -> list[np.ndarray]:
    return [piece for piece in np.array_split(rows, count) if piece.size]


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
    queries = states[:, :1] if first_only else states
    query = _split_heads(classifier, layer.query(queries))
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

    An entry belongs to one model, one batch of one dataset, one layer, and what was changed below
    that layer. Entries are never written to; those used longest ago leave when ``limit_bytes`` is
    reached. Any number of models, masks and threads may share one cache.
    """

    def __init__(self, limit_bytes: int = 128 * 2**20) -> None:
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
    below = _changes_below(classifier, mask)

    @torch.inference_mode()
    def run(batch: Batch) -> Tensor:
        batch_key = (
            (classifier.identity, encoded.fingerprint, batch.rows.tobytes()) if cache else ()
        )
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
        return classifier.read(states[:, 0]).float()

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
    """The first token's ([CLS]) state as it leaves each of ``layers``: float32 ``[K, N, D]``.

    By default all L layers, lowest first. What lies above the highest one is not computed.
    """
    wanted = list(range(len(classifier.layers))) if layers is None else list(layers)
    gates = gates_of(classifier, mask)

    @torch.inference_mode()
    def run(batch: Batch) -> Tensor:
        embedded = classifier.embed(batch.input_ids, batch.token_type_ids)
        leaving: dict[int, Tensor] = {}
        for number, entering in run_layers(classifier, embedded, batch.attention_mask, gates):
            leaving[number - 1] = entering[:, 0].float()  # [B, D]
            if number > max(wanted):
                break
        return torch.stack([leaving[number] for number in wanted])  # [K, B, D]

    shape = (len(wanted), len(encoded), classifier.geometry.hidden_size)
    states = np.zeros(shape, dtype=np.float32)
    for batch, found in each_batch(classifier, encoded, run, progress=progress):
        states[:, batch.rows] = found.cpu().numpy()
    distributed.add_up(states)
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

    A batch that does not fit into memory is begun again in halves. So what ``see_layer`` counts is
    settled in ``see_batch`` and not before, and layer 0 is a fresh start.
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
    indices: Sequence[int] | np.ndarray | None = None,
    progress: Progress = silent,
) -> np.ndarray:
    """Pass every sentence through the network once, feed the collectors, return logits ``[N, C]``.

    With ``indices`` only those sentences pass; the logits of all others are 0. Gradients are those
    of each sentence's own cross-entropy loss, by the batch dimension of the gates (Michel, Levy,
    Neubig 2019 take the absolute value per sentence, so they must stay apart).

    Raises :class:`ModelError` where the model answers with numbers that are not finite.
    """
    needs = frozenset[str]().union(*(collector.needs for collector in collectors))
    watchers = [one for one in collectors if one.needs & {"outputs", "maps"}]
    layers, heads = classifier.geometry.layers, classifier.geometry.heads
    base = gates_of(classifier, mask)
    if base is None:
        base = torch.ones(1, layers, heads, device=classifier.device, dtype=classifier.dtype)

    def run(batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Logits ``[B, C]`` and, where needed, gate gradients ``[B, L, H]``."""
        gates = base.expand(len(batch.rows), -1, -1).clone()  # [B, L, H]
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
                # Statistics are exact, whatever the network multiplies in.
                with torch.no_grad(), torch.autocast(classifier.device.type, enabled=False):
                    shown = None if maps is None else maps.detach()
                    seen = Seen(batch, number, outputs.detach(), shown)
                    for collector in watchers:
                        collector.see_layer(seen)
                if is_last:
                    states, outputs = states[:, :1], outputs[:, :1]
                states = finish_layer(layer, states, project(layer, outputs, gates[:, number]))
            found = classifier.read(states[:, 0]).float()
            if "gradients" not in needs:
                return found, None
            target = torch.as_tensor(labels[batch.rows], device=classifier.device)
            loss = F.cross_entropy(found, target, reduction="sum")
            return found.detach(), torch.autograd.grad(loss, gates)[0]

    logits = np.zeros((len(encoded), classifier.geometry.labels), dtype=np.float32)
    passed = each_batch(classifier, encoded, run, indices=indices, progress=progress)
    since_trim = 0
    for batch, (found, gradients) in passed:
        logits[batch.rows] = found.cpu().numpy()
        for collector in collectors:
            collector.see_batch(batch, found, gradients)
        since_trim += batch.real.numel() * _numbers_per_token(classifier)
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
            "with numbers that are not finite: load it as float32."
        )
