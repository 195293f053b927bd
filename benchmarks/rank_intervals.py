"""Coverage of rank intervals by the number of sentences: ``python -m benchmarks.rank_intervals``.

The sentences of the sample, both parts together, are taken for all that there are: each head's
place by each criterion on them is the true one. From them n sentences are drawn with replacement,
many times, and each time the intervals are made of those alone. Two more populations are drawn from
distributions: one in which sentences are hard or easy for all heads and differ by orders of
magnitude, and one in which all heads are nearly equal. Beside the intervals of bhpvas stand those
of the percentile bootstrap (Efron 1979), which they replaced.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

import bhpvas
from bhpvas.criteria import (
    CRITERIA,
    Measurement,
    Scores,
    rank_intervals,
    rank_shift,
    ranks,
    rise_intervals,
)
from bhpvas.criteria.base import Statistic, weighted_statistic
from bhpvas.heads import HeadMask
from bhpvas.stats import bootstrap_weights, mean_ranks, percentile_interval
from bhpvas.tasks.single_label import SingleLabel

SENTENCES = (5, 10, 20, 60, 120, 240)
#: At either end of the order, where the choice is made.
ENDS = 5

Intervals = Callable[[Scores, str], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Population:
    """Where sentences come from: their values for a criterion, ``[N, L, H]``, and the true places.

    ``draw(n, rng)`` gives the values of n of them.
    """

    title: str
    name: str
    statistic: Statistic
    true: np.ndarray
    draw: Callable[[int, np.random.Generator], np.ndarray]


class Held(NamedTuple):
    """How many of the intervals held the true place, of all heads and at the ends; their width."""

    share: float
    ends: float
    width: float


def scores_of(values: np.ndarray, name: str, statistic: Statistic) -> Scores:
    """Values of sentences ``[n, L, H]`` as scores of one criterion."""
    n, layers, heads = values.shape
    weights = np.full((1, n), 1 / n)
    whole = weighted_statistic(values, weights, statistic)[0]
    return Scores(
        mask=HeadMask(layers, heads),
        dataset="drawn",
        task=SingleLabel(("", "")),
        sentences=n,
        rows=np.arange(n),
        logits=np.zeros((n, 2)),
        labels=np.zeros(n, dtype=int),
        dead=np.zeros((layers, heads), dtype=bool),
        values={name: whole},
        measured={name: Measurement(whole, values, statistic)},
    )


def percentiles(scores: Scores, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The middle 95% of the places that the heads have when the sentences are drawn again."""
    one = scores.measured[name]
    assert one.per_example is not None
    weights = bootstrap_weights(len(one.per_example), 400)
    drawn = weighted_statistic(one.per_example, weights, one.statistic).reshape(400, -1)
    sign = 1 if CRITERIA[name].higher_means == "remove" else -1
    low, high = percentile_interval(mean_ranks(sign * drawn), method="nearest")
    shape = scores.values[name].shape
    return low.reshape(shape), high.reshape(shape)


def of_the_sample() -> Iterator[Population]:
    """Every criterion that has a value for each sentence, on the sample's sentences."""
    classifier, splits = bhpvas.load_classifier(), bhpvas.sample_splits()
    names = [name for name in CRITERIA if not name.startswith("similarity")]
    parts = [
        bhpvas.score(classifier, one, names) for one in (splits.calibration, splits.evaluation)
    ]
    for name in names:
        values = np.concatenate([one.per_example[name] for one in parts])
        statistic = parts[0].measured[name].statistic
        yield _population(f"{CRITERIA[name].title}, sample model", name, statistic, values)


def _population(title: str, name: str, statistic: Statistic, values: np.ndarray) -> Population:
    whole = scores_of(values, name, statistic).values[name]
    return Population(
        title,
        name,
        statistic,
        ranks(whole, CRITERIA[name].higher_means),
        lambda n, rng: values[rng.integers(len(values), size=n)],
    )


def made_up(heads: int = 72) -> Iterator[Population]:
    """Populations whose true means are known."""
    typical = np.exp(0.8 * np.random.default_rng(0).normal(size=(1, heads)))

    def hard_and_easy(n: int, rng: np.random.Generator) -> np.ndarray:
        hard = 1.5 * rng.normal(size=(n, 1, 1))
        return typical * np.exp(hard + rng.normal(size=(n, 1, heads)))

    yield Population("made up: lognormal", "importance", "mean", ranks(typical), hard_and_easy)
    close = np.arange(heads, 0, -1.0)[None] * 1e-4

    def nearly_equal(n: int, rng: np.random.Generator) -> np.ndarray:
        return close + rng.normal(size=(n, 1, heads))

    yield Population("made up: nearly equal", "importance", "mean", ranks(close), nearly_equal)


def held(one: Population, n: int, draws: int, intervals: Intervals) -> np.ndarray:
    """A :class:`Held` of each of many draws of n sentences: ``[draws, 3]``."""
    rng, last = np.random.default_rng(n), one.true.max()
    ends = (one.true <= ENDS) | (one.true > last - ENDS)
    found = []
    for _ in range(draws):
        scores = scores_of(one.draw(n, rng), one.name, one.statistic)
        low, high = intervals(scores, one.name)
        inside = (low <= one.true) & (one.true <= high)
        found.append(Held(inside.mean(), inside[ends].mean(), (high - low).mean()))
    return np.array(found)


def risen(draws: int) -> Iterator[str]:
    """Lines of the table on how often the intervals of a rise hold it."""
    classifier, splits = bhpvas.load_classifier(), bhpvas.sample_splits()
    name, data = "importance", splits.evaluation
    first = bhpvas.score(classifier, data, [name])
    mask = classifier.full_mask().without(bhpvas.removal_order(first.values[name])[:24])
    second = bhpvas.score(classifier, data, [name], mask=mask)
    true = rank_shift(first.values[name], second.values[name], mask).rise
    for n in SENTENCES:
        rng, found = np.random.default_rng(n), []
        for seed in range(draws):
            rows = rng.integers(len(data), size=n)
            before, after = (
                scores_of(one.per_example[name][rows], name, "mean") for one in (first, second)
            )
            low, high = rise_intervals(
                before, replace(after, mask=mask), name, draws=400, seed=seed
            )
            inside = ((low <= true) & (true <= high))[mask.kept]
            found.append((inside.mean(), np.nanmean(high - low)))
        share, width = np.mean(found, 0)
        yield f"| {n} | {100 * share:.1f} ± {_error(np.array(found)[:, 0]):.1f} | {width:.1f} |"


def _error(shares: np.ndarray) -> float:
    """The Monte Carlo error of a mean of shares over draws, in percent."""
    return 100 * float(shares.std(ddof=1)) / np.sqrt(len(shares))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200, help="draws of n sentences each")
    arguments = parser.parse_args()
    print("| criterion | sentences | held, % | first and last five, % | places wide | "
          "bootstrap held, % | places wide |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    spent = {"pairs": 0.0, "bootstrap": 0.0}
    for one in (*of_the_sample(), *made_up()):
        for n in SENTENCES:
            start = time.perf_counter()
            ours = held(one, n, arguments.draws, rank_intervals)
            middle = time.perf_counter()
            theirs = held(one, n, arguments.draws, percentiles)
            spent["pairs"] += middle - start
            spent["bootstrap"] += time.perf_counter() - middle
            share, ends, width = ours.mean(0)
            print(
                f"| {one.title} | {n} | {100 * share:.1f} ± {_error(ours[:, 0]):.1f} | "
                f"{100 * ends:.1f} ± {_error(ours[:, 1]):.1f} | {width:.1f} | "
                f"{100 * theirs[:, 0].mean():.1f} ± {_error(theirs[:, 0]):.1f} | "
                f"{theirs[:, 2].mean():.1f} |",
                flush=True,
            )
    print(
        f"\nSeconds in all: {spent['pairs']:.1f}, bootstrap of 400 draws {spent['bootstrap']:.1f}"
    )
    print("\nRise of a head's importance when 24 of 72 heads leave (bootstrap of both models):\n")
    print("| sentences | held, % | places wide |\n|---|---|---|")
    for line in risen(arguments.draws):
        print(line, flush=True)


if __name__ == "__main__":
    main()
