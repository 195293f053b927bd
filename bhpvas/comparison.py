"""Several pruned models on the same sentences, beside random masks of the same size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bhpvas.classifier import Classifier
from bhpvas.cost import flops_per_sentence, parameters, speed_bound
from bhpvas.datasets import Dataset
from bhpvas.engine import StateCache
from bhpvas.evaluation import (
    Evaluation,
    accuracy_change_interval,
    evaluate,
    flips,
    mcnemar,
)
from bhpvas.heads import HeadMask
from bhpvas.progress import Progress, silent

#: The row of the model with all heads.
UNPRUNED = "unpruned"


class Candidate(NamedTuple):
    """A mask, and the classifier under it: a recovered one has other weights."""

    classifier: Classifier
    mask: HeadMask


def random_mask(every_head: HeadMask, count: int, seed: int) -> HeadMask:
    """The mask without the first ``count`` heads of the random order of a seed."""
    heads = list(every_head.every_head())
    order = np.random.default_rng(seed).permutation(len(heads))
    return every_head.without([heads[place] for place in order[:count]])


def compare(
    classifier: Classifier,
    dataset: Dataset,
    candidates: Mapping[str, tuple[Classifier, HeadMask]],
    *,
    random: int = 20,
    seed: int = 0,
    progress: Progress = silent,
) -> pd.DataFrame:
    """One row for the unpruned model and one for each candidate.

    Accuracies, as shares of 1, come with their 95% Wilson interval, changes against the unpruned
    model with Tango's and the McNemar test. ``random_low``, ``random_median`` and ``random_high``
    are the 5%, 50% and 95% quantiles of the accuracy of ``random`` masks with as many heads
    removed, neither chosen nor recovered; empty where no head is removed.
    """
    named = {UNPRUNED: Candidate(classifier.with_weights(None), classifier.full_mask())}
    named |= {name: Candidate(*candidate) for name, candidate in candidates.items()}
    sizes = sorted({len(one.mask.removed) for one in named.values()} - {0})
    total, done = len(named) + random * len(sizes), 0
    cache = StateCache()

    def measured(candidate: Candidate) -> Evaluation:
        nonlocal done
        found = evaluate(candidate.classifier, dataset, candidate.mask, cache=cache)
        done += 1
        progress(done, total)
        return found

    progress(0, total)
    evaluations = {name: measured(candidate) for name, candidate in named.items()}
    plain, every_head = named[UNPRUNED]
    bands: dict[int, tuple[float, ...]] = {}
    for size in sizes if random else []:
        masks = [random_mask(every_head, size, seed + draw) for draw in range(random)]
        accuracies = [measured(Candidate(plain, mask)).accuracy for mask in masks]
        bands[size] = tuple(np.quantile(accuracies, [0.05, 0.5, 0.95]))
    lengths = classifier.encode(dataset).lengths
    return pd.DataFrame(
        [
            _row(name, classifier, evaluations[UNPRUNED], found, bands, lengths)
            for name, found in evaluations.items()
        ]
    )


def _row(
    name: str,
    classifier: Classifier,
    unpruned: Evaluation,
    found: Evaluation,
    bands: Mapping[int, tuple[float, ...]],
    lengths: np.ndarray,
) -> dict[str, Any]:
    mask = found.mask
    change, test = accuracy_change_interval(unpruned, found), mcnemar(unpruned, found)
    low, high = found.accuracy_interval
    random_low, random_median, random_high = bands.get(len(mask.removed), (np.nan,) * 3)
    return {
        "scheme": name,
        "heads_removed": len(mask.removed),
        "heads_kept": mask.kept_count,
        "sentences": found.n,
        "accuracy": found.accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "change": change.change,
        "change_low": change.low,
        "change_high": change.high,
        "flipped": len(flips(unpruned, found)),
        "lost": test.lost,
        "gained": test.gained,
        "mcnemar_p": test.p,
        "loss": found.loss,
        "f1": found.f1,
        "matthews": found.matthews,
        "random_low": random_low,
        "random_median": random_median,
        "random_high": random_high,
        "parameters": parameters(classifier.geometry, mask),
        "flops_per_sentence": flops_per_sentence(classifier.geometry, mask, lengths),
        "speed_bound": speed_bound(classifier.geometry, mask, lengths),
    }
