"""What a mask costs: every statistic that follows from logits and labels.

:func:`evaluate` runs the network once; everything else here is arithmetic on its result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import bdtr, log_softmax, ndtri, stdtrit

from bhpvas.data.sampling import stratified_sample
from bhpvas.errors import DataError
from bhpvas.heads import HeadMask
from bhpvas.model.engine import check_finite, predict
from bhpvas.progress import Progress, silent

if TYPE_CHECKING:
    from bhpvas.data.dataset import Dataset
    from bhpvas.model.classifier import Classifier
    from bhpvas.model.engine import StateCache

#: Sentences in the first answer of :func:`evaluate_progressively`: at 90% accuracy the Wilson
#: interval is then about 10 points wide, enough to see whether a removal was a bad idea.
FIRST_PART = 128


class EvaluatedPart(NamedTuple):
    """Which sentences of a dataset were evaluated, where not all were."""

    indices: np.ndarray  # int64 [n], ascending
    total: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The logits of a masked model on a dataset and everything that follows from them.

    ``labels`` are numbered as the model numbers them, so ``label_names`` are the model's C names.
    ``part`` is None where the whole dataset was evaluated. Raises :class:`ModelError` where a
    logit is not a finite number.

    >>> import numpy as np
    >>> import bhpvas
    >>> logits = np.array([[2.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.0, 3.0]])
    >>> mask, names = bhpvas.HeadMask(2, 4), ("negative", "positive")
    >>> found = bhpvas.Evaluation(mask, "four", logits, np.array([0, 1, 1, 1]), names)
    >>> found.accuracy, [round(end, 2) for end in found.accuracy_interval], round(found.f1, 2)
    (0.75, [0.3, 0.95], 0.8)
    """

    mask: HeadMask
    dataset: str
    logits: np.ndarray  # float32 [n, C]
    labels: np.ndarray  # int64 [n]
    label_names: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    part: EvaluatedPart | None = None

    def __post_init__(self) -> None:
        assert self.logits.shape == (len(self.labels), len(self.label_names)), self.logits.shape
        assert len(self.labels) > 0, "a dataset is never empty"
        check_finite(self.logits, self.dataset)

    @property
    def n(self) -> int:
        """How many sentences were evaluated."""
        return len(self.labels)

    @property
    def total(self) -> int:
        """How many sentences the dataset has."""
        return self.n if self.part is None else self.part.total

    @property
    def complete(self) -> bool:
        """Whether every sentence of the dataset was evaluated."""
        return self.part is None

    @property
    def indices(self) -> np.ndarray:
        """The place of every evaluated sentence in the dataset, int64 ``[n]``, ascending."""
        return np.arange(self.n) if self.part is None else self.part.indices

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, float64 ``[n, C]``; each row sums to 1."""
        return np.exp(self._log_probabilities)

    @cached_property
    def predictions(self) -> np.ndarray:
        """The label with the highest logit, int64 ``[n]``; the lower one of equals."""
        return np.argmax(self.logits, axis=1)

    @cached_property
    def right(self) -> np.ndarray:
        """Whether each prediction is right, bool ``[n]``."""
        return self.predictions == self.labels

    @cached_property
    def losses(self) -> np.ndarray:
        """Cross-entropy of each sentence in nats, float64 ``[n]``."""
        return -self._log_probabilities[np.arange(self.n), self.labels]

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats; lower = better."""
        return float(self.losses.mean())

    @property
    def loss_interval(self) -> tuple[float, float]:
        """Student's 95% interval of the mean loss; NaN for a single sentence."""
        return mean_interval(self.losses)

    @property
    def accuracy(self) -> float:
        """Share of right predictions, in [0, 1]."""
        return float(self.right.mean())

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95% Wilson interval of the accuracy."""
        return wilson_interval(int(self.right.sum()), self.n)

    @cached_property
    def confusion(self) -> np.ndarray:
        """Sentences by label (row) and prediction (column), int64 ``[C, C]``."""
        classes = len(self.label_names)
        cells = np.bincount(self.labels * classes + self.predictions, minlength=classes**2)
        return cells.reshape(classes, classes)

    @property
    def f1(self) -> float:
        """F1 of class 1 where there are two classes, else the mean over classes, in [0, 1].

        A class that is never predicted has F1 = 0. The mean leaves out a class that occurs neither
        among the labels nor among the predictions; with two classes such a class 1 gives 0.
        """
        return float(_f1(self.confusion))

    def f1_interval(self, *, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
        """The 95% interval of F1: quantiles of what the confusion matrix may well have come from.

        Its cells are drawn from a Dirichlet distribution, so that a cell that happened to stay
        empty is not taken for impossible: where every answer is right, sentences drawn again with
        replacement would say that F1 is 1 beyond doubt. Before any sentence is seen, the right
        cells together count as one sentence and the wrong ones as half of one. With two classes
        that is Jeffreys' interval (Brown, Cai and DasGupta 2001, "Interval estimation for a
        binomial proportion") of J, the share of right sentences among those that have class 1 as
        label or prediction, for F1 is 2J / (1 + J). As theirs it ends at 0 or 1 where F1 does.
        """
        classes = len(self.label_names)
        unseen = np.full((classes, classes), 0.5 / max(classes * (classes - 1), 1))
        np.fill_diagonal(unseen, 1 / classes)
        drawn = np.random.default_rng(seed).standard_gamma(
            self.confusion + unseen, size=(draws, classes, classes)
        )
        occurring = ~np.isnan(_f1_by_class(self.confusion))
        low, high = np.quantile(_f1(drawn, occurring), [0.025, 0.975])
        return min(float(low), self.f1), max(float(high), self.f1)

    @property
    def matthews(self) -> float:
        """Matthews correlation of labels and predictions, in [-1, 1]; 0 = no better than chance.

        For more than two classes the generalisation of Gorodkin (2004), "Comparing two K-category
        assignments by a K-category correlation coefficient". 0 where all labels or all predictions
        are the same.
        """
        cells = self.confusion.astype(float)
        labelled, predicted = cells.sum(1), cells.sum(0)
        scale = (self.n**2 - predicted @ predicted) * (self.n**2 - labelled @ labelled)
        covariance = cells.trace() * self.n - labelled @ predicted
        return float(covariance / sqrt(scale)) if scale > 0 else 0.0

    def per_class(self) -> pd.DataFrame:
        """One row a label: label, n, accuracy (= recall), precision, f1, loss, low, high.

        ``low`` and ``high`` bound the accuracy (95%, Wilson). The precision of a class that is
        never predicted is 0. What a class without sentences cannot have (accuracy, loss, and F1
        unless it is predicted) is NaN, and its interval is 0 to 1.
        """
        frame = self._by_group(self.labels, self.label_names)
        hits, predicted = self.confusion.diagonal(), self.confusion.sum(0)
        return pd.DataFrame(
            {
                "label": frame["group"],
                "n": frame["n"],
                "accuracy": frame["accuracy"],
                "precision": hits / np.maximum(predicted, 1),
                "f1": _f1_by_class(self.confusion),
                "loss": frame["loss"],
                "low": frame["low"],
                "high": frame["high"],
            }
        )

    def per_tag(self) -> pd.DataFrame:
        """One row a tag, in alphabetical order: tag, n, accuracy, low, high, loss.

        ``low`` and ``high`` bound the accuracy (95%, Wilson). Empty where sentences have no tags.
        """
        names, codes = np.unique(self.tags or (), return_inverse=True)
        frame = self._by_group(codes, [str(name) for name in names])
        return frame.rename(columns={"group": "tag"})

    def metrics(self) -> dict[str, Any]:
        """The numbers that a scheme step keeps, ready for JSON."""
        return {
            "dataset": self.dataset,
            "n": self.n,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "loss": self.loss,
            "f1": self.f1,
            "matthews": self.matthews,
        }

    def summary(self, unpruned: Evaluation | None = None) -> dict[str, Any]:
        """Metrics, predictions and, against ``unpruned``, what changed; ready for JSON.

        Predictions are numbers of labels, one a sentence in the order of the dataset. ``flipped``
        are places in the dataset.
        """
        document = self.metrics() | {
            "label_names": list(self.label_names),
            "predictions": self.predictions.tolist(),
            "removed_heads": [str(head) for head in sorted(self.mask.removed)],
        }
        if unpruned is None:
            return document
        return document | {
            "flipped": flips(unpruned, self).tolist(),
            "accuracy_change": accuracy_change_interval(unpruned, self)._asdict(),
            "mcnemar": mcnemar(unpruned, self)._asdict(),
        }

    @cached_property
    def _log_probabilities(self) -> np.ndarray:
        # In float64 and by log-sum-exp, so that 1e-9 does not become 0 nor 800 infinite.
        return np.asarray(log_softmax(self.logits.astype(np.float64), axis=1))

    def _by_group(self, codes: np.ndarray, names: Any) -> pd.DataFrame:
        def sums(weights: np.ndarray) -> np.ndarray:
            return np.bincount(codes, weights[: len(codes)], minlength=len(names))

        n, right = sums(np.ones(self.n)).astype(int), sums(self.right)
        intervals = [wilson_interval(hit, count) for hit, count in zip(right, n, strict=True)]
        return pd.DataFrame(
            {
                "group": list(names),
                "n": n,
                "accuracy": _share(right, n),
                "low": [low for low, _ in intervals],
                "high": [high for _, high in intervals],
                "loss": _share(sums(self.losses), n),
            }
        )


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``, NaN where the whole is 0."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def _f1_by_class(confusion: np.ndarray) -> np.ndarray:
    """F1 of each class, ``[…, C]``, from counts ``[…, C, C]``; NaN for one that never occurs."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _share(2 * hits, confusion.sum(-1) + confusion.sum(-2))


def _f1(confusion: np.ndarray, occurring: np.ndarray | None = None) -> np.ndarray:
    """What :attr:`Evaluation.f1` says, for each of some confusion matrices ``[…, C, C]``.

    The mean is over the classes that are ``occurring`` ``[C]``, if not over those of each matrix.
    """
    by_class = _f1_by_class(confusion)
    if by_class.shape[-1] == 2:
        return np.nan_to_num(by_class[..., 1])
    if occurring is not None:
        by_class = by_class[..., occurring]
    return np.nanmean(by_class, axis=-1)


def mean_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Student's interval of a mean; without a second value its ends are NaN.

    >>> low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
    >>> round(low, 2), round(high, 2)
    (-0.48, 4.48)
    """
    n = len(values)
    if n < 2:
        return np.nan, np.nan
    reach = float(stdtrit(n - 1, (1 + level) / 2) * values.std(ddof=1) / sqrt(n))
    return float(values.mean()) - reach, float(values.mean()) + reach


def wilson_interval(right: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """The score interval of a share, right out of n (Wilson 1927), within [0, 1].

    Without any trial it is 0 to 1.

    >>> low, high = wilson_interval(9, 10)
    >>> round(low, 4), round(high, 4)
    (0.5958, 0.9821)
    """
    z = float(ndtri((1 + level) / 2))
    centre = (right + z**2 / 2) / (n + z**2)
    reach = z / (n + z**2) * sqrt(right * (n - right) / max(n, 1) + z**2 / 4)
    return 0.0 if right == 0 else centre - reach, 1.0 if right == n else centre + reach


class McNemar(NamedTuple):
    """Sentences right only before, right only after, and how probable so uneven a split is."""

    lost: int
    gained: int
    p: float


def mcnemar(before: Evaluation, after: Evaluation) -> McNemar:
    """The exact two-sided McNemar test (1947) of equal accuracy on the same sentences.

    If a change were as likely to help as to hurt, ``lost`` would be binomial with probability ½;
    p is the chance of a split at least as uneven. 1 where nothing changed. Where one evaluation
    is of a part, only the sentences of both count. Raises :class:`DataError` where the two are of
    different datasets.
    """
    lost, gained, _ = _changes(before, after)
    return McNemar(lost, gained, min(1.0, 2 * float(bdtr(min(lost, gained), lost + gained, 0.5))))


class AccuracyChange(NamedTuple):
    """A change of accuracy with its interval, as shares of 1; negative = lost."""

    change: float
    low: float
    high: float


def accuracy_change_interval(
    before: Evaluation, after: Evaluation, level: float = 0.95
) -> AccuracyChange:
    """How the accuracy changed from one evaluation to another of the same sentences.

    Pairing makes it far narrower than the two accuracies' own intervals. The interval is the score
    interval of Tango (1998), "Equivalence test and confidence interval for the difference in
    proportions for the paired-sample design", Statistics in Medicine 17: the paired relative of
    Wilson's. It holds its level when few or no predictions change, which is where pruning lives and
    where the textbook (Wald) interval shrinks to nothing. Errors as for :func:`mcnemar`.
    """
    lost, gained, n = _changes(before, after)
    low, high = paired_change_interval(lost, gained, n, level)
    return AccuracyChange((gained - lost) / n, low, high)


def paired_change_interval(
    lost: int, gained: int, n: int, level: float = 0.95
) -> tuple[float, float]:
    """Tango's score interval of (gained - lost) / n, from counts out of n pairs.

    >>> low, high = paired_change_interval(lost=7, gained=1, n=21)
    >>> round(low, 3), round(high, 3)
    (-0.517, -0.026)
    """
    z = float(ndtri((1 + level) / 2))
    return -_highest_change(gained, lost, n, z), _highest_change(lost, gained, n, z)


def _highest_change(lost: int, gained: int, n: int, z: float) -> float:
    def excess(change: float) -> float:
        # The likelihood under share_gained = share_lost + change is highest where
        # 2n share_lost² + linear share_lost + constant = 0 (Tango 1998, equations 24 to 26).
        linear = (2 * n - gained + lost) * change - gained - lost
        constant = -lost * change * (1 - change)
        share_lost = (sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
        variance = max(0.0, n * (2 * share_lost + change * (1 - change)))
        return n * change - (gained - lost) - z * sqrt(variance)

    if gained == n:
        return 1.0
    # Where every pair changes alike the observed change itself is a root, but not the limit.
    start = (gained - lost) / n + 1e-9
    return float(brentq(excess, start, 1.0, xtol=1e-12))


def divergences(before: Evaluation, after: Evaluation) -> np.ndarray:
    """How far each sentence's answer moved: KL(before ‖ after) in nats, float64, 0 = not at all.

    Of the sentences that both evaluations have, in the order of the dataset; errors as for
    :func:`mcnemar`. Unlike a flip it sees a probability that falls from 0.9 to 0.6.
    """
    _, first, second = _paired(before, after)
    was, is_ = before._log_probabilities[first], after._log_probabilities[second]
    # Rounding can leave a hair below 0, which no divergence is.
    return np.maximum((np.exp(was) * (was - is_)).sum(1), 0.0)


def flips(before: Evaluation, after: Evaluation) -> np.ndarray:
    """The places in the dataset whose prediction changes, int64, ascending.

    Errors as for :func:`mcnemar`.
    """
    common, first, second = _paired(before, after)
    return common[before.predictions[first] != after.predictions[second]]


def _changes(before: Evaluation, after: Evaluation) -> tuple[int, int, int]:
    """Sentences lost, sentences gained and how many sentences both evaluations have."""
    common, first, second = _paired(before, after)
    was, is_ = before.right[first], after.right[second]
    return int((was & ~is_).sum()), int((~was & is_).sum()), len(common)


def _paired(before: Evaluation, after: Evaluation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The common sentences' places in the dataset and in either evaluation."""
    common, first, second = np.intersect1d(
        before.indices, after.indices, assume_unique=True, return_indices=True
    )
    same = (before.dataset, before.total) == (after.dataset, after.total) and len(common) > 0
    if not same or (before.labels[first] != after.labels[second]).any():
        raise DataError(
            f"The evaluations of {before.dataset} ({before.n} of {before.total} sentences) and of "
            f"{after.dataset} ({after.n} of {after.total} sentences) cannot be compared: "
            "evaluate both masks on the same sentences."
        )
    return common, first, second


def evaluate(
    classifier: Classifier,
    dataset: Dataset,
    mask: HeadMask | None = None,
    *,
    cache: StateCache | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate a mask (default: all heads) on every sentence of a dataset.

    A ``cache`` saves the layers below the lowest one that differs from an earlier mask. Raises
    :class:`DataError` where the dataset has a label that the model lacks.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> data = bhpvas.sample_splits().evaluation.take(range(16))
    >>> mask = classifier.full_mask().without(bhpvas.parse_heads("L0H3,L5H11"))
    >>> found = bhpvas.evaluate(classifier, data, mask)
    >>> found.n, found.logits.shape, 0 <= found.accuracy <= 1
    (16, (16, 2), True)
    """
    whole = len(dataset)
    return next(
        evaluate_progressively(
            classifier, dataset, mask, first=whole, cache=cache, progress=progress
        )
    )


def evaluate_progressively(
    classifier: Classifier,
    dataset: Dataset,
    mask: HeadMask | None = None,
    *,
    first: int = FIRST_PART,
    seed: int = 0,
    cache: StateCache | None = None,
    progress: Progress = silent,
) -> Iterator[Evaluation]:
    """First an evaluation of ``first`` sentences, then the exact one, which reuses the first.

    The first part holds each label in the proportion of the whole. A dataset of at most ``first``
    sentences gives the exact evaluation only. Progress counts sentences. Cache and errors as for
    :func:`evaluate`.
    """
    mask = classifier.full_mask() if mask is None else mask
    dataset = dataset.aligned(classifier.label_names)
    encoded = classifier.encode(dataset)
    whole = len(dataset)

    def logits_of(indices: np.ndarray, done_before: int) -> np.ndarray:
        def passed_on(done: int, total: int) -> None:
            progress(done_before + len(indices) * done // total, whole)

        return predict(classifier, encoded, mask, indices=indices, cache=cache, progress=passed_on)

    def evaluation(logits: np.ndarray, part: EvaluatedPart | None = None) -> Evaluation:
        picked = np.arange(whole) if part is None else part.indices
        tags = None if dataset.tags is None else tuple(dataset.tags[i] for i in picked)
        labels = dataset.labels[picked]
        return Evaluation(mask, dataset.name, logits, labels, classifier.label_names, tags, part)

    if whole <= first:
        yield evaluation(logits_of(np.arange(whole), 0))
        return
    sample = stratified_sample(dataset.labels, first, seed)
    begun = logits_of(sample, 0)
    yield evaluation(begun, EvaluatedPart(sample, whole))
    rest = np.setdiff1d(np.arange(whole), sample)
    logits = np.empty((whole, begun.shape[1]), begun.dtype)
    logits[sample] = begun
    logits[rest] = logits_of(rest, first)
    yield evaluation(logits)
