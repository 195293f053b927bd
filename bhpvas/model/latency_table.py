"""Latency table: what attention and feed-forward parts of each width take on this machine.

A model's time is taken for a sum over its parts: ``rest + Σ attention(heads) + Σ feed_forward(
neurons)``. Parts of several widths are timed by themselves, on an engine, in turns with the whole
model and with one that has no head and no neuron left; all of them are then scaled so that these
two come out as they were measured, since a part alone finds more of its weights in the cache, or
waits for a session of its own.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from bhpvas.model.classifier import Classifier
from bhpvas.model.families.base import What
from bhpvas.model.latency import ROUNDS, in_turns
from bhpvas.model.latency_parts import Part, first_neurons, passes_of_parts
from bhpvas.model.runtimes import Timing, pass_of, processor
from bhpvas.progress import Progress, silent
from bhpvas.stats import SEED
from bhpvas.storage.results import ResultKey, Results
from bhpvas.version import versions

# Shares of the heads, and of the neurons, that are timed; between them times are straight.
_SHARES: dict[What, tuple[float, ...]] = {
    "heads": (0, 1 / 12, 1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1),
    "neurons": (0, 1 / 96, 1 / 24, 1 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1),
}
# Seconds that all rounds may take, as far as the fewest are done by then.
_SECONDS = 10.0
_FEWEST_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class LatencyTable:
    """Seconds of one pass: ``whole`` of the unpruned model, ``rest`` without head and neuron.

    ``widths`` are those that were timed, from 0 to all; ``added[what]`` is what a part so wide adds
    to the rest, ``[2, widths]``: in every layer but the last, and in the last.
    """

    layers: int
    widths: dict[What, np.ndarray]
    added: dict[What, np.ndarray]
    rest: float
    whole: float

    def price(self, layer: int, what: What, counts: Sequence[int]) -> np.ndarray:
        """Seconds that the heads, or neurons, of a layer take for each number of them."""
        kind = int(layer == self.layers - 1)
        return np.interp(counts, self.widths[what], self.added[what][kind])


def latency_table(
    classifier: Classifier,
    timing: Timing,
    *,
    results: Results | None = None,
    progress: Progress = silent,
) -> LatencyTable:
    """The table of a model's geometry on this machine: among the ``results``, or measured now.

    Raises :class:`~bhpvas.errors.ModelError` for tokens that the model cannot read, and where a
    package that ONNX needs is missing.
    """
    timing.check(classifier)
    return (results or Results(None)).recall(
        _key(classifier, timing), lambda: measured_table(classifier, timing, progress=progress)
    )


def _key(classifier: Classifier, timing: Timing) -> ResultKey:
    """Times depend on the machine and on a model's sizes, and not on its weights."""
    config, family = classifier.model.config, classifier.family
    sizes = [getattr(config, name) for name in family.number_keys]
    sizes += [getattr(config, name, None) for name in family.work_keys]
    onnx = timing.engine != "torch"
    return ResultKey(
        what="latency",
        model=f"{family.name} {sizes} {config.num_labels}",
        weights=None,
        mask=classifier.full_mask(),
        data=("random tokens", str(SEED)),
        settings=(
            ("timing", timing),
            ("threads", torch.get_num_threads()),
            ("arithmetic", "" if onnx else f"{classifier.dtype} {classifier.device}"),
            ("machine", f"{platform.system()} {processor()} {os.cpu_count()}"),
            ("onnxruntime", versions("onnx", "onnxruntime") if onnx else None),
        ),
    )


def steady_clock(classifier: Classifier, timing: Timing) -> Callable[[], float]:
    """The clock that other work on the machine disturbs least: the processor time of this process.

    By the time on the wall a long pass is interrupted more often than a short one, so that narrow
    parts would seem too fast. On a GPU, and where the system counts coarsely, it is that all the
    same.
    """
    gpu = timing.engine == "torch" and classifier.device.type != "cpu"
    coarse = time.get_clock_info("process_time").resolution > 1e-6
    return time.perf_counter if gpu or coarse else time.process_time


def measured_table(
    classifier: Classifier,
    timing: Timing,
    *,
    progress: Progress = silent,
    clock: Callable[[], float] | None = None,
) -> LatencyTable:
    """The table, measured now, by :func:`steady_clock` unless told otherwise."""
    clock = clock or steady_clock(classifier, timing)
    geometry, full = classifier.geometry, classifier.full_mask()
    most: dict[What, int] = {"heads": geometry.heads, "neurons": geometry.intermediate_size}
    widths = {
        what: np.unique([round(share * most[what]) for share in shares])
        for what, shares in _SHARES.items()
    }
    # ONNX graphs compute the last layer for the first token only, models of transformers all of it.
    lasts = (False,) if timing.engine == "torch" else (False, True)
    parts = [
        Part(what, count, last)
        for last, what in product(lasts, widths)
        for count in widths[what].tolist()
    ]
    empty = full.without(full).without_neurons(first_neurons(classifier, 0))
    passes = [pass_of(classifier, mask, timing) for mask in (full, empty)]
    passes += passes_of_parts(classifier, parts, timing)
    once = in_turns(passes, 1, warm_up=1, progress=progress, clock=clock).sum()
    rounds = int(np.clip(_SECONDS / once, _FEWEST_ROUNDS, ROUNDS))
    seconds = in_turns(passes, rounds, warm_up=0, progress=progress, clock=clock)
    # Other work makes a pass slower, also by taking its cache; never faster.
    whole, rest, *each = seconds.min(axis=0)
    took = dict(zip(parts, each, strict=True))
    added = {}
    for what, counts in widths.items():
        rows = np.array([[took[Part(what, n, last)] for n in counts.tolist()] for last in lasts])
        added[what] = np.maximum(rows - rows[:, :1], 0)[[0, -1]]
    together = sum((geometry.layers - 1) * one[0, -1] + one[1, -1] for one in added.values())
    scale = max(whole - rest, 0) / together if together else 0.0
    return LatencyTable(
        layers=geometry.layers,
        widths=widths,
        added={what: scale * one for what, one in added.items()},
        rest=float(rest),
        whole=float(whole),
    )
