"""Batches: sentences of about equal length, padded, and halved where memory is short."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from bhpvas.errors import ModelError
from bhpvas.model import distributed
from bhpvas.model.classifier import Classifier
from bhpvas.model.encoding import Encoded
from bhpvas.model.memory import exhausted
from bhpvas.progress import Progress, silent

T = TypeVar("T")

# Padded tokens in a batch: enough to fill the cores, few enough to stay in their caches. On two
# cores passes take the same time with 384 to 1,024, ablation a fifth less with 512 than with 1,024.
TOKENS_PER_BATCH = {"cpu": 512, "cuda": 32768, "mps": 8192}
#: Numbers that enter the layers, all together, for a batch on the processor: those of 1,024 tokens
#: in 6 layers of 384. A pass with gradients keeps ten times as many for the way back, so models
#: wider or deeper than that get fewer tokens at once: as fast, since their matrices are large.
NUMBERS_PER_BATCH = 1024 * 6 * 384


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


def length_sorted_batches(
    lengths: Sequence[int] | np.ndarray, tokens_per_batch: int
) -> list[np.ndarray]:
    """Indices of the sentences in batches of similar length, the longest first.

    A batch is padded to its longest sentence; so padded it has at most ``tokens_per_batch`` tokens
    unless it is a single sentence. Every index is in exactly one batch.

    >>> [batch.tolist() for batch in length_sorted_batches([3, 9, 4, 2], tokens_per_batch=9)]
    [[1], [2, 0], [3]]
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches = []
    while order.size:
        longest = max(int(lengths[order[0]]), 1)
        size = max(tokens_per_batch // longest, 1)
        batches.append(order[:size])
        order = order[size:]
    return batches


def batches(
    classifier: Classifier, encoded: Encoded, indices: Sequence[int] | np.ndarray | None = None
) -> list[np.ndarray]:
    """Positions of the sentences, cut into batches of about equal length."""
    chosen = np.arange(len(encoded)) if indices is None else np.asarray(indices, dtype=np.int64)
    limit = TOKENS_PER_BATCH[classifier.device.type]
    if classifier.device.type == "cpu":
        limit = min(limit, NUMBERS_PER_BATCH // numbers_per_token(classifier))
    return [chosen[part] for part in length_sorted_batches(encoded.lengths[chosen], limit)]


def numbers_per_token(classifier: Classifier) -> int:
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
