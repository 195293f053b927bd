"""Single label: one of C labels for each sentence, by the highest logit.

Labels are int64. F1 and Matthews are scikit-learn's, but from counts, of thousands of matrices at
once, and without the memory that its import takes in a server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bhpvas.tasks.base import Measured, Metric, Task

if TYPE_CHECKING:
    from torch import Tensor

    from bhpvas.stats import PairedChange

#: The headline of one label out of several.
ACCURACY = Metric("accuracy", "Accuracy", share=True)


@dataclass(frozen=True)
class SingleLabel(Task):
    """One label out of several: cross-entropy, accuracy, and the label as the answer.

    >>> task = SingleLabel(("negative", "positive"))
    >>> logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> task.words(task.answers(logits)), task.headline_value(logits, np.array([0, 0]))
    (['negative', 'positive'], 0.5)
    """

    name: ClassVar[str] = "single_label_classification"
    title: ClassVar[str] = "one label out of several"
    test: ClassVar[str] = "McNemar's exact test"
    test_in_brackets: ClassVar[str] = "McNemar"

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """The label with the highest logit, int64 ``[…]``; the lower one of equals."""
        return np.argmax(logits, axis=-1)

    def losses(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Cross-entropy in nats, float64 ``[…]``, of logits ``[…, C]``."""
        own = np.broadcast_to(labels, logits.shape[:-1])[..., None]
        return -np.take_along_axis(log_probabilities(logits), own, -1)[..., 0]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy in nats ``[B]``."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits, labels, reduction="none")

    def divergences(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """KL(before ‖ after) of the two softmaxes."""
        return kl_divergences(log_probabilities(before), log_probabilities(after))

    def divergence(self, before: Tensor, after: Tensor) -> Tensor:
        """KL(before ‖ after) of the two softmaxes ``[B]``."""
        before, after = before.log_softmax(-1), after.log_softmax(-1)
        return (before.exp() * (before - after)).sum(-1)

    def moving(self, directions: Tensor) -> Tensor:
        """Without their mean, which a softmax does not see."""
        return directions - directions.mean(1, keepdim=True)

    def changed(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Whether another label is answered."""
        return np.asarray(self.answers(before) != self.answers(after))

    def right(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Whether the answer is the label, bool ``[…]``."""
        return np.asarray(self.answers(logits) == labels)

    def outcomes(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """``lost`` was right, ``gained`` is, ``other`` is a different wrong answer."""
        was, is_ = self.answers(before), self.answers(after)
        moved = was != is_
        return np.select(
            [moved & (was == labels), moved & (is_ == labels), moved],
            ["lost", "gained", "other"],
            "same",
        )

    def explained(self, logits: Tensor, label: int) -> Tensor:
        """Log-odds of the label."""
        return log_odds(logits, label)

    def explained_title(self, label: int) -> str:
        return f"log-odds of {self.label_names[label]}"

    def label_to_explain(self, logits: np.ndarray) -> int:
        """The label that is answered."""
        return int(self.answers(logits))

    def words(self, answers: np.ndarray) -> list[str]:
        return [self.label_names[number] for number in answers]

    def plain(self, answers: np.ndarray) -> list[Any]:
        """Numbers of labels."""
        return list(answers.tolist())

    @property
    def metrics(self) -> tuple[Metric, ...]:
        of = f"F1 of {self.label_names[1]}" if len(self.label_names) == 2 else "F1, mean of labels"
        return (
            ACCURACY,
            Metric("loss", "Loss", higher_is_better=False, unit="nats"),
            Metric("f1", of),
            Metric("matthews", "Matthews correlation"),
        )

    def measured(
        self, logits: np.ndarray, labels: np.ndarray, queries: np.ndarray | None = None
    ) -> dict[str, Measured]:
        """Accuracy with Wilson's interval, the mean loss with Student's, F1 and Matthews with one
        after Jeffreys (:func:`bhpvas.stats.confusion_interval`).
        """
        from bhpvas import stats

        answers, losses = self.answers(logits), self.losses(logits, labels)
        right, n = int((answers == labels).sum()), len(labels)
        confusion = confusion_of(labels, answers, len(self.label_names))
        found = occurring(confusion)
        f1 = stats.confusion_interval(confusion, lambda one: f1_of(one, found))
        matthews = stats.confusion_interval(confusion, matthews_of)
        return {
            "accuracy": Measured(right / n, *stats.wilson_interval(right, n)),
            "loss": Measured(float(losses.mean()), *stats.mean_interval(losses)),
            "f1": Measured(float(f1_of(confusion)), *f1),
            "matthews": Measured(float(matthews_of(confusion)), *matthews),
        }

    def changed_if(self, labels: np.ndarray) -> str:
        return "another label is answered"

    def terms(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Whether the answer is right, ``[…, 1]``."""
        return self.right(logits, labels)[..., None].astype(np.float64)

    def headline_of(self, sums: np.ndarray, sentences: int) -> np.ndarray:
        """The accuracy."""
        return np.asarray(sums[..., 0] / sentences)

    def headline_changes(self, sums: np.ndarray, sentences: int) -> np.ndarray:
        """From whole numbers, so that no rounding is seen in the difference of two shares."""
        return self.headline_of(sums - sums[0], sentences)

    def headline_measured(self, logits: np.ndarray, labels: np.ndarray) -> Measured:
        """The accuracy with Wilson's interval."""
        from bhpvas import stats

        right, n = int(self.right(logits, labels).sum()), len(labels)
        return Measured(right / n, *stats.wilson_interval(right, n))

    def change(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> PairedChange:
        """The change of accuracy with Tango's interval, and McNemar's exact test."""
        from bhpvas import stats

        was, is_ = (self.right(one, labels) for one in (before, after))
        return stats.PairedChange(*stats.share_change(was, is_), stats.mcnemar(was, is_).p)


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the softmax, float64 ``[…, C]``."""
    from scipy.special import log_softmax

    # In float64 and by log-sum-exp, so that 1e-9 does not become 0 nor 800 infinite.
    return np.asarray(log_softmax(logits.astype(np.float64), axis=-1))


def log_odds(logits: Tensor, label: int) -> Tensor:
    """Log-odds of a label ``[…]``, a function with a gradient of logits ``[…, C]``."""
    import torch

    others = torch.cat([logits[..., :label], logits[..., label + 1 :]], dim=-1)  # […, C − 1]
    return logits[..., label] - others.logsumexp(-1)


def margins(logits: np.ndarray, labels: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of the labels, and those above which their answer is right: float64 ``[…]`` each.

    Of logits ``[…, C]``, for labels that broadcast. The loss is ``log(1 + exp(-margin))``.
    """
    from scipy.special import logsumexp

    own = np.broadcast_to(labels, logits.shape[:-1])[..., None]
    others = logits.astype(np.float64)
    mine = np.take_along_axis(others, own, -1)[..., 0]
    np.put_along_axis(others, own, -np.inf, -1)
    together = logsumexp(others, axis=-1)
    return mine - together, others.max(-1) - together


def kl_divergences(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far each answer moved: KL(before ‖ after) in nats, 0 = not at all.

    Float64 ``[B]`` from two log-probabilities ``[B, C]``. Unlike a flip it sees a probability that
    falls from 0.9 to 0.6.
    """
    # Rounding can leave a hair below 0, which no divergence is.
    return np.maximum((np.exp(before) * (before - after)).sum(1), 0.0)


def confusion_of(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Sentences by label (row) and prediction (column), int64 ``[C, C]``."""
    cells = np.bincount(labels * classes + predictions, minlength=classes**2)
    return cells.reshape(classes, classes)


def occurring(confusion: np.ndarray) -> np.ndarray:
    """Whether a class is some sentence's label or prediction, bool ``[C]``."""
    return np.asarray(confusion.sum(0) + confusion.sum(1) > 0)


def f1_of(confusion: np.ndarray, occurring: np.ndarray | None = None) -> np.ndarray:
    """F1 of each of some confusion matrices ``[…, C, C]``, of counts or shares: ``[…]`` in 0 to 1.

    That of class 1 where there are two classes, else the mean over classes. A class that is never
    predicted has F1 = 0. The mean leaves out a class that occurs neither among the labels nor among
    the predictions (or is not ``occurring`` ``[C]``); with two classes such a class 1 gives 0.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    either = confusion.sum(-1) + confusion.sum(-2)
    by_class = np.where(either > 0, 2 * hits / np.where(either > 0, either, 1), np.nan)
    if by_class.shape[-1] == 2:
        return np.nan_to_num(by_class[..., 1])
    return np.nanmean(by_class if occurring is None else by_class[..., occurring], axis=-1)


def matthews_of(confusion: np.ndarray) -> np.ndarray:
    """Matthews correlation of labels and predictions, in [-1, 1]; 0 = no better than chance.

    Of each of some confusion matrices ``[…, C, C]``, of counts or shares: ``[…]``. For more than
    two classes the generalisation of Gorodkin (2004), "Comparing two K-category assignments by a
    K-category correlation coefficient". 0 where all labels or all predictions are the same.
    """
    cells = confusion.astype(float)
    labelled, predicted, n = cells.sum(-1), cells.sum(-2), cells.sum((-2, -1))
    scale = (n**2 - (predicted**2).sum(-1)) * (n**2 - (labelled**2).sum(-1))
    hits = np.trace(cells, axis1=-2, axis2=-1)
    found = (hits * n - (labelled * predicted).sum(-1)) / np.sqrt(np.where(scale > 0, scale, 1))
    return np.where(scale > 0, found, 0.0)
