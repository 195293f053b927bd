"""How long a batch takes before and after heads are really removed, measured here and now.

The two models are timed in turn, so that a machine whose speed drifts treats both alike, and the
median over the rounds is what counts. :func:`bhpvas.cost.speed_bound` says what arithmetic allows.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from bhpvas.classifier import Classifier
from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.progress import Progress, silent
from bhpvas.surgery import remove_heads

#: Rounds before the first that counts: the first runs of a model are slower.
WARM_UP = 2


@dataclass(frozen=True)
class Latency:
    """Seconds a batch of ``batch_size`` sentences of ``length`` tokens takes, round by round."""

    batch_size: int
    length: int
    device: str
    threads: int
    unpruned_seconds: tuple[float, ...]
    pruned_seconds: tuple[float, ...]

    @property
    def unpruned(self) -> float:
        """Median seconds a batch with every head."""
        return statistics.median(self.unpruned_seconds)

    @property
    def pruned(self) -> float:
        """Median seconds a batch without the removed heads."""
        return statistics.median(self.pruned_seconds)

    @property
    def speed_up(self) -> float:
        """How many times faster the pruned model is: the median over the rounds' ratios."""
        return statistics.median(self._ratios)

    @property
    def speed_up_range(self) -> tuple[float, float]:
        """The quartiles of the rounds' ratios, between which half of the rounds lie."""
        low, _, high = statistics.quantiles(self._ratios, n=4, method="inclusive")
        return low, high

    @property
    def _ratios(self) -> list[float]:
        return [
            before / after
            for before, after in zip(self.unpruned_seconds, self.pruned_seconds, strict=True)
        ]


def latency(
    classifier: Classifier,
    mask: HeadMask,
    *,
    batch_size: int = 1,
    length: int = 32,
    repeats: int = 20,
    progress: Progress = silent,
) -> Latency:
    """Time the model's own forward on a batch, with every head and with those of ``mask`` alone.

    ``length`` is in tokens, special tokens included; nothing is padded. Both models run on the
    classifier's device with its number type and as many threads as torch is set to. Progress counts
    rounds. Raises :class:`ModelError` for a length that the model cannot read, and for sizes that
    measure nothing.
    """
    longest = classifier.geometry.max_length
    if batch_size < 1 or repeats < 2 or not 1 <= length <= longest:
        raise ModelError(
            f"A batch of {batch_size} × {length} tokens in {repeats} rounds cannot be timed: give "
            f"at least 1 sentence, 1 to {longest} tokens and 2 rounds."
        )
    token = classifier.tokenizer.cls_token_id
    input_ids = torch.full((batch_size, length), token, device=classifier.device)
    inputs = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}

    def running(model: torch.nn.Module) -> Callable[[], object]:
        def run() -> None:
            with torch.inference_mode():
                model(**inputs)
            if classifier.device.type == "cuda":
                torch.cuda.synchronize()

        return run

    jobs = running(classifier.model), running(remove_heads(classifier, mask))
    unpruned, pruned = interleaved(jobs, repeats, progress=progress)
    return Latency(
        batch_size=batch_size,
        length=length,
        device=classifier.device.type,
        threads=torch.get_num_threads(),
        unpruned_seconds=unpruned,
        pruned_seconds=pruned,
    )


def interleaved(
    jobs: tuple[Callable[[], object], Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = WARM_UP,
    clock: Callable[[], float] = time.perf_counter,
    progress: Progress = silent,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Seconds of two jobs in each round; which goes first changes from round to round."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(warm_up + rounds):
        progress(max(0, number - warm_up), rounds)
        for which in (0, 1) if number % 2 else (1, 0):
            begun = clock()
            jobs[which]()
            taken = clock() - begun
            if number >= warm_up:
                seconds[which].append(taken)
    progress(rounds, rounds)
    return tuple(seconds[0]), tuple(seconds[1])
