"""Latency of pruned models, with their heads really removed, beside the unpruned one.

A processor's speed drifts while one measures. So the models take turns in every round, each round
begins with another one, and a speed-up is the ratio of two times of the same round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.pruning import remove_heads
from bhpvas.progress import Progress, silent
from bhpvas.stats import SEED, Median

#: Rounds that are measured; the median's 95% interval then goes from the 6th to the 16th of 21.
ROUNDS = 21
#: Runs of each model before the first that counts.
WARM_UP = 2


@dataclass(frozen=True, eq=False)
class Latencies:
    """Seconds ``[rounds, models]`` of one forward pass of ``batch`` sentences of ``length`` tokens.

    The first model is the one that the others are compared with.
    """

    names: tuple[str, ...]
    seconds: np.ndarray
    batch: int
    length: int
    threads: int
    device: str

    def milliseconds(self, name: str) -> Median:
        """The time of one pass."""
        return Median.of(1000 * self.seconds[:, self.names.index(name)])

    def speed_up(self, name: str) -> Median:
        """How many times faster than the first model, from the ratios within each round."""
        return Median.of(self.seconds[:, 0] / self.seconds[:, self.names.index(name)])


def measure_latency(
    candidates: Mapping[str, tuple[Classifier, HeadMask]],
    *,
    batch: int,
    length: int,
    rounds: int = ROUNDS,
    seed: int = SEED,
    progress: Progress = silent,
    clock: Callable[[], float] = time.perf_counter,
) -> Latencies:
    """Time one forward pass of each model, without its removed heads, on the same random tokens.

    ``candidates`` are, by name, a mask and the classifier under it; the first is what the others
    are compared with. Sentences are exactly ``length`` tokens long, so nothing is padded. Times are
    in seconds, and medians come with a 95% interval from six ``rounds`` on.

    Raises :class:`ModelError` for a length that the model cannot read.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> whole = classifier.full_mask()
    >>> candidates = {"all": (classifier, whole), "none": (classifier, whole.without(whole))}
    >>> found = bhpvas.measure_latency(candidates, batch=1, length=8, rounds=6)
    >>> found.seconds.shape, found.speed_up("all").value
    ((6, 2), 1.0)
    """
    classifier = next(iter(candidates.values()))[0]
    longest = classifier.geometry.max_length
    if not 1 <= length <= longest or batch < 1:
        raise ModelError(
            f"{batch} sentences of {length} tokens cannot be timed: the model reads at least one "
            f"sentence of 1 to {longest} tokens."
        )
    models = [remove_heads(one, mask, shared=True) for one, mask in candidates.values()]
    tokens = np.random.default_rng(seed).integers(
        classifier.model.get_input_embeddings().num_embeddings, size=(batch, length)
    )
    inputs = torch.from_numpy(tokens).to(classifier.device)
    count = len(models)
    seconds = np.empty((WARM_UP + rounds, count))
    with torch.inference_mode():
        for turn in range(WARM_UP + rounds):
            for place in range(count):
                number = (turn + place) % count
                began = clock()
                models[number](input_ids=inputs).logits.cpu()  # a GPU answers at once and works on
                seconds[turn, number] = clock() - began
                progress(turn * count + place + 1, (WARM_UP + rounds) * count)
    return Latencies(
        names=tuple(candidates),
        seconds=seconds[WARM_UP:],
        batch=batch,
        length=length,
        threads=torch.get_num_threads(),
        device=str(classifier.device),
    )
