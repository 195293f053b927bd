"""Latency of pruned models, with what they lack really removed, beside the unpruned one.

A processor's speed drifts while one measures. So the models take turns in every round, each round
begins with another one, and a speed-up is the ratio of two times of the same round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.runtimes import Engine, Pass, Timing, pass_of
from bhpvas.progress import Progress, silent
from bhpvas.stats import SEED, Median
from bhpvas.text import plural

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
    engine: Engine = "torch"

    def milliseconds(self, name: str) -> Median:
        """The time of one pass."""
        return Median.of(1000 * self.seconds[:, self.names.index(name)])

    def speed_up(self, name: str) -> Median:
        """How many times faster than the first model, from the ratios within each round."""
        return Median.of(self.seconds[:, 0] / self.seconds[:, self.names.index(name)])

    def line(self) -> str:
        """A sentence with all of them."""
        said = []
        for name in self.names:
            value, low, high = self.milliseconds(name)
            ratio, slowest, fastest = self.speed_up(name)
            times = (
                ""
                if name == self.names[0]
                else (f", {ratio:.2f} times as fast ({slowest:.2f} to {fastest:.2f})")
            )
            said.append(f"{name} {value:.2f} ms ({low:.2f} to {high:.2f}){times}")
        timing = Timing(self.engine, self.batch, self.length)
        return (
            f"{timing}, {plural(self.threads, 'thread')} on this machine, medians of "
            f"{plural(len(self.seconds), 'round')} in turns (95% intervals): {'; '.join(said)}"
        )


def measure_latency(
    candidates: Mapping[str, tuple[Classifier, HeadMask]],
    *,
    batch: int,
    length: int,
    engine: Engine = "torch",
    rounds: int = ROUNDS,
    seed: int = SEED,
    progress: Progress = silent,
    clock: Callable[[], float] = time.perf_counter,
) -> Latencies:
    """Time one forward pass of each model, without what it lacks, on the same random tokens.

    ``candidates`` are, by name, a mask and the classifier under it; the first is what the others
    are compared with. Sentences are exactly ``length`` tokens long, so nothing is padded.
    ``engine`` is what runs them: torch, on the classifier's device, or ONNX Runtime, on the
    processor, from graphs as an export writes them. Times are in seconds, and medians come with a
    95% interval from six ``rounds`` on.

    Raises :class:`~bhpvas.errors.ModelError` for a length that the model cannot read, and where a
    package that ONNX needs is missing.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> whole = classifier.full_mask()
    >>> candidates = {"all": (classifier, whole), "none": (classifier, whole.without(whole))}
    >>> found = bhpvas.measure_latency(candidates, batch=1, length=8, rounds=6)
    >>> found.seconds.shape, found.speed_up("all").value
    ((6, 2), 1.0)
    """
    timing = Timing(engine, batch, length)
    passes = {name: pass_of(one, mask, timing, seed) for name, (one, mask) in candidates.items()}
    device = str(next(iter(candidates.values()))[0].device) if engine == "torch" else "cpu"
    return time_passes(passes, timing, device, rounds=rounds, progress=progress, clock=clock)


def time_passes(
    passes: Mapping[str, Pass],
    timing: Timing,
    device: str = "cpu",
    *,
    rounds: int = ROUNDS,
    progress: Progress = silent,
    clock: Callable[[], float] = time.perf_counter,
) -> Latencies:
    """Time passes of models, as :func:`measure_latency` does; the first is compared with."""
    return Latencies(
        names=tuple(passes),
        seconds=in_turns([*passes.values()], rounds, progress=progress, clock=clock),
        batch=timing.batch,
        length=timing.length,
        threads=torch.get_num_threads(),
        device=device,
        engine=timing.engine,
    )


def in_turns(
    passes: Sequence[Pass],
    rounds: int,
    *,
    warm_up: int = WARM_UP,
    progress: Progress = silent,
    clock: Callable[[], float] = time.perf_counter,
) -> np.ndarray:
    """Seconds ``[rounds, passes]``: every pass once in a round, each round from another one on."""
    count = len(passes)
    seconds = np.empty((warm_up + rounds, count))
    for turn in range(warm_up + rounds):
        for place in range(count):
            number = (turn + place) % count
            began = clock()
            passes[number]()
            seconds[turn, number] = clock() - began
            progress(turn * count + place + 1, (warm_up + rounds) * count)
    return seconds[warm_up:]
