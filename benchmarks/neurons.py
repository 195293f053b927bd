"""Feed-forward neurons: what their criteria cost, which order loses least, how an estimate ranks.

    python -m benchmarks.neurons --sentences 96

Times are those of the processor, with one thread, so that other work beside changes them little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.__main__ import plain_loop
from bhpvas.criteria import DEFAULT_NEURON_CRITERIA, NEURON_CRITERIA, score
from bhpvas.criteria.neurons import NeuronGradients
from bhpvas.data.dataset import Dataset
from bhpvas.data.reading import read_dataset, sample_splits
from bhpvas.data.sampling import Sample
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.widths import POINTS, WidthCurves, ablate_widths
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.engine import Gradients, stream
from bhpvas.stats import mean_ranks

_ROUNDS = 2


class _Slopes(NeuronGradients):
    """The mean gradient of each neuron's gate, too: ``means``, ``[F]`` by layer."""

    def __init__(self, classifier: Classifier, sample: Sample) -> None:
        super().__init__(classifier, sample)
        self.means = [np.zeros(layer.up.out_features) for layer in classifier.layers]
        self._share = 1 / sample.total

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        super().see_batch(batch, logits, gradients)
        assert gradients is not None
        for mean, found in zip(self.means, gradients.neurons, strict=True):
            mean += self._share * found.double().sum(0).numpy()


def seconds(job: Callable[[], object]) -> float:
    """Processor time of a job, once."""
    begun = time.process_time()
    job()
    return time.process_time() - begun


def print_costs(classifier: Classifier, data: Dataset) -> None:
    """How many plain evaluations each job takes, the median of some rounds."""
    layers, heads = classifier.geometry.layers, classifier.geometry.heads
    neurons = {"three criteria of heads": (), "and of neurons": DEFAULT_NEURON_CRITERIA}
    neurons |= {"and the refit saliency": tuple(NEURON_CRITERIA)}
    jobs: dict[str, tuple[Callable[[], object], int]] = {
        name: (lambda names=names: score(classifier, data, neurons=names), 1)  # type: ignore[misc]
        for name, names in neurons.items()
    }
    jobs["ablation of heads, a head"] = (lambda: ablate(classifier, data), layers * heads)
    jobs["widths, a point"] = (lambda: ablate_widths(classifier, data), layers * len(POINTS))
    plain_loop(classifier, data, 32)
    ratios: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(_ROUNDS):
        plain = seconds(lambda: plain_loop(classifier, data, 32))
        for name, (job, per) in jobs.items():
            ratios[name].append(seconds(job) / plain / per)
    tokens = int(classifier.encode(data).lengths.sum())
    print(f"{len(data)} sentences, {tokens:,} tokens; plain evaluations that each job takes:")
    for name, found in ratios.items():
        print(f"  {name:28}{statistics.median(found):.2f} ({min(found):.2f} – {max(found):.2f})")


def print_orders(classifier: Classifier, data: Dataset) -> dict[str, WidthCurves]:
    """The change of the loss at each width by each criterion's order, a mean over layers."""
    found = {name: ablate_widths(classifier, data, by=name) for name in NEURON_CRITERIA}
    print("change of the loss in nats, and of accuracy in points, when one layer is narrowed alone")
    for name, curves in found.items():
        losses = np.mean([one[1:] for one in curves.loss_change], 0)
        right = 100 * np.mean([one[1:] for one in curves.headline_change], 0)
        said = (f"{loss:+.3f} ({points:+.1f})" for loss, points in zip(losses, right, strict=True))
        print(f"  {name:12}" + "  ".join(said), flush=True)
    return found


def print_estimate(classifier: Classifier, data: Dataset, curves: dict[str, WidthCurves]) -> None:
    """How an estimate from the mean gradients, and with squares, ranks the points of all layers."""
    slopes = _Slopes(classifier, Sample.of(len(data), 1))
    stream(classifier, classifier.encode(data), data.labels, [slopes])
    print("rank correlation of an estimate with the loss changes measured, over all points")
    for name, one in curves.items():
        first, second, exact, width = [], [], [], []
        for number, order in enumerate(one.order):
            for kept, change in zip(one.kept[number][1:], one.loss_change[number][1:], strict=True):
                gone = order[: len(order) - kept]
                first.append(-slopes.means[number][gone].sum())
                second.append(first[-1] + slopes.squares[number][gone].sum() / 2)
                exact.append(change)
                width.append(-float(kept))
        correlations = [
            np.corrcoef(mean_ranks(np.array(guess)), mean_ranks(np.array(exact)))[0, 1]
            for guess in (first, second, width)
        ]
        signs = [100 * np.mean(np.sign(guess) == np.sign(exact)) for guess in (first, second)]
        print(
            f"  {name:12}first order {correlations[0]:+.2f}, with squares {correlations[1]:+.2f}, "
            f"the width alone {correlations[2]:+.2f}; signs right in "
            f"{signs[0]:.0f}% and {signs[1]:.0f}%",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", help="folder or hub id (default: the sample model)")
    parser.add_argument("--data", help="file (default: the sample's evaluation sentences)")
    parser.add_argument("--sentences", type=int, default=96, help="how many are drawn")
    given = parser.parse_args()
    torch.set_num_threads(1)
    classifier = load_classifier(given.model)
    data = read_dataset(given.data) if given.data else sample_splits().evaluation
    data = data.aligned(classifier.label_names)
    data = data.take(Sample.of(len(data), given.sentences).rows)
    print_costs(classifier, data)
    print_estimate(classifier, data, print_orders(classifier, data))


if __name__ == "__main__":
    main()
