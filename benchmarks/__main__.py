"""Measure the budgets: ``python -m benchmarks`` (``--short`` for those without a browser).

Each ratio is of two times taken in the same round, interleaved; the median over the rounds is
printed with its spread, so that a machine whose speed drifts does not change the verdict.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import transformers
from torch import Tensor

from bhpvas.criteria import DEFAULT_NEURON_CRITERIA, NEURON_CRITERIA, score
from bhpvas.data.dataset import Dataset
from bhpvas.data.reading import read_dataset, sample_splits
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.estimate import Estimate
from bhpvas.evaluation.widths import POINTS, ablate_widths
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.cost import speed_bound
from bhpvas.model.engine import predict
from bhpvas.model.latency import measure_latency
from bhpvas.model.states import StateCache
from bhpvas.recovery import compensation, recover
from bhpvas.recovery.layerwise import LayerFit, Originals, calibration_parts, layerwise_pass
from bhpvas.recovery.ridge import CrossMoments

# Sentences in a batch of the plain loop; the fastest of these stands for it.
_PLAIN_BATCH_SIZES = (8, 16, 32, 64)


@dataclass(frozen=True)
class Row:
    """One budget: what it is, the two jobs whose times are divided, the limit, and on what."""

    what: str
    job: Callable[[], object]
    against: Callable[[], object]
    limit: float
    on: str
    per: int = 1


def plain_loop(classifier: Classifier, dataset: Dataset, batch_size: int) -> np.ndarray:
    """What a careful user would write: the model's own forward on length-sorted batches."""
    encoded = classifier.tokenizer(list(dataset.texts), truncation=True)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    order = np.argsort(lengths, kind="stable")
    logits = np.empty((len(dataset), classifier.geometry.labels), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = classifier.tokenizer.pad(
                {name: [encoded[name][row] for row in rows] for name in encoded},
                return_tensors="pt",
            ).to(classifier.device)
            logits[rows] = classifier.model(**batch).logits.float().cpu().numpy()
    return logits


def seconds(job: Callable[[], object]) -> float:
    """How long a job takes, once."""
    begun = time.perf_counter()
    job()
    return time.perf_counter() - begun


def rows_of(
    classifier: Classifier, dataset: Dataset, calibration: Dataset, every: int = 1
) -> list[Row]:
    """Ratios to a plain evaluation; ``every``: of how many heads one is toggled."""
    geometry = classifier.geometry
    heads = geometry.layers * geometry.heads
    encoded = classifier.encode(dataset)
    batch_size = min(
        _PLAIN_BATCH_SIZES,
        key=lambda size: min(seconds(lambda: plain_loop(classifier, dataset, size)) for _ in "ab"),
    )

    def plain() -> object:
        return plain_loop(classifier, dataset, batch_size)

    def plain_calibration() -> object:
        return plain_loop(classifier, calibration, batch_size)

    def own() -> object:
        return predict(classifier, classifier.encode(dataset))

    def toggles() -> None:
        """Each head removed alone, one after the other, as clicks would do it."""
        cache = StateCache()
        predict(classifier, encoded, cache=cache)
        for head in toggled:
            predict(classifier, encoded, classifier.full_mask().without([head]), cache=cache)

    toggled = list(classifier.full_mask())[::every]
    half = half_of(classifier)
    on = f"{len(dataset)} sentences"
    return [
        Row("three criteria in one pass / one plain evaluation",
            lambda: score(classifier, dataset), plain, 2.6, on),
        Row("the same with three criteria of all neurons / one plain evaluation",
            lambda: score(classifier, dataset, neurons=DEFAULT_NEURON_CRITERIA), plain, 2.8, on),
        Row("the same with the refit saliency of neurons too / one plain evaluation",
            lambda: score(classifier, dataset, neurons=tuple(NEURON_CRITERIA)), plain, 2.8, on),
        Row("exact ablation of all heads / heads × one plain evaluation",
            lambda: ablate(classifier, dataset), plain, 0.42 if geometry.layers < 12 else 0.48, on,
            per=heads),
        Row("exact loss of every layer at fewer neurons / points × one plain evaluation",
            lambda: ablate_widths(classifier, dataset), plain,
            0.42 if geometry.layers < 12 else 0.48, on, per=len(POINTS) * geometry.layers),
        Row("metrics after one toggled head / one plain evaluation",
            toggles, plain, 0.5, f"{len(toggled)} heads, {on}", per=len(toggled) + 1),
        Row("compensation of half of the heads / one plain pass over the calibration sentences",
            lambda: recover(classifier, calibration, half), plain_calibration, 1.5,
            f"{len(calibration)} sentences"),
        Row(f"one evaluation / plain loop, length-sorted batches of {batch_size}",
            own, plain, 0.9, on),
    ]  # fmt: skip


def half_of(classifier: Classifier) -> HeadMask:
    """The mask without every second head."""
    full = classifier.full_mask()
    return full.without(list(full)[::2])


def fitting_seconds(classifier: Classifier, calibration: Dataset) -> float:
    """Seconds that closed-form fitting itself takes, without the passes over the sentences."""
    taken = 0.0

    def timed(
        weight: Tensor, bias: Tensor, head_size: int, fitted: CrossMoments, held_out: CrossMoments
    ) -> LayerFit:
        nonlocal taken
        begun = time.perf_counter()
        fit = compensation.compensate(weight, bias, head_size, fitted, held_out)
        taken += time.perf_counter() - begun
        return fit

    with torch.inference_mode():
        parts = calibration_parts(classifier, classifier.encode(calibration))
        layerwise_pass(Originals(classifier, parts), half_of(classifier), timed)
    return taken


def gain_reached(classifier: Classifier, rounds: int) -> tuple[list[float], float]:
    """Of a model without half of its heads: speed-up in each round, and what arithmetic allows."""
    full, half = classifier.full_mask(), half_of(classifier)
    candidates = {"all": (classifier, full), "half": (classifier, half)}
    found = measure_latency(candidates, batch=8, length=128, rounds=rounds)
    bound = speed_bound(classifier.geometry, half, [128])
    return list(found.seconds[:, 0] / found.seconds[:, 1]), bound


def estimate_times(classifier: Classifier, dataset: Dataset) -> tuple[float, float]:
    """Seconds for the estimate of one mask and of 10,000."""
    estimate = Estimate.from_scores(score(classifier, dataset, ["importance"]))
    geometry = classifier.geometry
    gates = np.random.default_rng(0).integers(0, 2, (10_000, geometry.layers, geometry.heads))
    one = [HeadMask.from_array(gates[0])]

    def both(masks: object) -> None:
        estimate.loss_change(masks)  # type: ignore[arg-type]
        estimate.accuracy_change(masks)  # type: ignore[arg-type]

    both(one)  # the first one ever waits for libraries
    return seconds(lambda: both(one)), seconds(lambda: both(gates.astype(np.float64)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="folder or hub id (default: the sample model)")
    parser.add_argument("--data", help="file (default: the 480 sample evaluation sentences)")
    parser.add_argument(
        "--short",
        action="store_true",
        help="a sixth of the sentences and of the toggled heads, two rounds, and no browser",
    )
    given = parser.parse_args()
    classifier = load_classifier(given.model)
    dataset = read_dataset(given.data) if given.data else sample_splits().evaluation
    dataset = dataset.aligned(classifier.label_names)
    calibration = (
        dataset.take(range(min(240, len(dataset)))) if given.data else sample_splits().calibration
    )
    calibration = calibration.aligned(classifier.label_names)
    rounds = 2 if given.short else 7
    if given.short:
        dataset = dataset.take(range(0, len(dataset), 6))
    lengths = classifier.encode(dataset).lengths
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}, {torch.get_num_threads()} threads; model {classifier.name}, "
        f"sentences of {lengths.mean():.1f} tokens\n"
    )
    print("| what | ratio (median) | min – max | budget | measured on |\n|---|---|---|---|---|")
    for row in rows_of(classifier, dataset, calibration, every=6 if given.short else 1):
        if row.per == 1:  # jobs that are many evaluations long are warm soon enough
            row.job(), row.against()
        ratios = [seconds(row.job) / seconds(row.against) / row.per for _ in range(rounds)]
        print(
            f"| {row.what} | {statistics.median(ratios):.3f} | {min(ratios):.3f} – "
            f"{max(ratios):.3f} | {row.limit} | {row.on}, {rounds} rounds |",
            flush=True,
        )
    one, many = estimate_times(classifier, dataset)
    print(f"| estimate of one mask | {1000 * one:.1f} ms | | 10 ms | once, warm |")
    print(f"| estimate of 10,000 masks | {many:.2f} s | | 1 s | once, warm |")
    fitting = fitting_seconds(classifier, calibration)
    print(
        f"| compensation of half of the heads, after the passes | {fitting:.2f} s | | 2 s | "
        f"{len(calibration)} sentences, once |"
    )
    speeds, bound = gain_reached(classifier, 3 * rounds)
    gains = [(speed - 1) / (bound - 1) for speed in speeds]
    print(
        f"| gain in speed without half of the heads ({statistics.median(speeds):.2f} ×) / gain "
        f"that its arithmetic allows ({bound:.2f} ×) | {statistics.median(gains):.2f} | "
        f"{min(gains):.2f} – {max(gains):.2f} | at least 0.9 | "
        f"8 sentences of 128 tokens, {len(gains)} rounds |",
        flush=True,
    )
    if given.short:
        print("| app start, page change, memory of the server | left out by --short | | | |")
        return
    from benchmarks import app

    app.print_rows(3)


if __name__ == "__main__":
    main()
