"""Score: one number for each sentence or pair, as regressions and rerankers give it.

Labels are float64. A score is read as it is and trained by its squared error, or, where the config
says so, through a sigmoid and by binary cross-entropy; :mod:`bhpvas.tasks.choosing` has the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from bhpvas.tasks.base import Measured, Metric, Task
from bhpvas.tasks.bernoulli import kl_of_logits, kl_of_tensors, losses_of_logits
from bhpvas.tasks.ranking import RANKINGS, rankings
from bhpvas.text import MINUS

if TYPE_CHECKING:
    from torch import Tensor

    from bhpvas.stats import PairedChange

#: What is done to the only logit: nothing, or a sigmoid, which makes it a probability.
Activation = Literal["identity", "sigmoid"]
#: A score has changed if it moved by more than this share of the range of the labels.
MOVED = 0.05


@dataclass(frozen=True)
class Score(Task):
    """One number for each sentence: squared error, or binary cross-entropy after a ``sigmoid``.

    >>> task = Score(("similarity",))
    >>> logits = np.array([[1.0], [2.5], [4.0]])
    >>> task.words(task.answers(logits)), task.losses(logits, np.array([1, 2, 5])).tolist()
    (['1', '2.5', '4'], [0.0, 0.25, 1.0])
    """

    activation: Activation = "identity"

    name: ClassVar[str] = "regression"
    title: ClassVar[str] = "one score"
    test: ClassVar[str] = "paired bootstrap of the Pearson correlation"
    test_in_brackets: ClassVar[str] = "paired bootstrap"
    undefined_if: ClassVar[str] = "all scores, or all labels, are the same"
    became: ClassVar[tuple[str, str]] = ("farther from their labels", "nearer")

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """The score, float64 ``[…]``, of logits ``[…, 1]``."""
        score = logits[..., 0].astype(np.float64)
        if self.activation == "identity":
            return np.asarray(score)
        from scipy.special import expit

        return np.asarray(expit(score))

    def losses(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The squared error, or binary cross-entropy in nats, float64 ``[…]``."""
        if self.activation == "identity":
            return np.asarray((self.answers(logits) - labels) ** 2)
        return losses_of_logits(logits[..., 0], labels)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The squared error, or binary cross-entropy in nats ``[B]``."""
        from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

        of = mse_loss if self.activation == "identity" else binary_cross_entropy_with_logits
        return of(logits[..., 0], labels.to(logits.dtype), reduction="none")

    def divergences(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """KL of two normal distributions of variance 1, half the squared movement of the score;
        after a sigmoid, of two Bernoulli distributions.
        """
        if self.activation == "identity":
            return np.asarray((self.answers(before) - self.answers(after)) ** 2 / 2)
        return kl_of_logits(before[..., 0], after[..., 0])

    def divergence(self, before: Tensor, after: Tensor) -> Tensor:
        if self.activation == "identity":
            return (before[..., 0] - after[..., 0]).square() / 2
        return kl_of_tensors(before[..., 0], after[..., 0])

    def amount(self, labels: np.ndarray) -> float:
        """By how much a score has to move to count as changed: 5% of the range of the labels.

        Where these are all the same it is 5% of 1.
        """
        return MOVED * (float(np.ptp(labels)) or 1.0)

    def changed(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Whether a score moved by more than :meth:`amount`."""
        moved = np.abs(self.answers(after) - self.answers(before))
        return np.asarray(moved > self.amount(labels))

    def outcomes(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Of a changed score: ``lost`` is farther from its label, ``gained`` nearer."""
        was, is_ = (np.abs(self.answers(one) - labels) for one in (before, after))
        moved = self.changed(before, after, labels)
        return np.select(
            [moved & (is_ > was), moved & (is_ < was), moved], ["lost", "gained", "other"], "same"
        )

    def explained(self, logits: Tensor, label: int) -> Tensor:
        """The logit: the score, or the log-odds of 1."""
        return logits[..., 0]

    def explained_title(self, label: int) -> str:
        return "score" if self.activation == "identity" else "log-odds of the score"

    def label_to_explain(self, logits: np.ndarray) -> int:
        return 0

    def words(self, answers: np.ndarray) -> list[str]:
        """Numbers of four digits."""
        return [f"{one:z.4g}".replace("-", MINUS) for one in answers]

    def groups(self, labels: np.ndarray) -> dict[str, np.ndarray]:
        """Those with labels up to the median, and those above it."""
        middle = float(np.median(labels))
        low = labels <= middle
        return {f"label to {middle:.3g}": low, f"label above {middle:.3g}": ~low}

    def plain(self, answers: np.ndarray) -> list[Any]:
        """Numbers."""
        return list(answers.tolist())

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric("pearson", "Pearson correlation"),
            Metric("spearman", "Spearman correlation"),
            Metric("mse", "Mean squared error", higher_is_better=False),
            Metric("mae", "Mean absolute error", higher_is_better=False),
            Metric("loss", "Loss", higher_is_better=False, unit=self._loss_unit),
        )

    @property
    def _loss_unit(self) -> str:
        return "squared error" if self.activation == "identity" else "nats"

    def metric(self, name: str) -> Metric:
        return next(one for one in (*self.metrics, *RANKINGS) if one.name == name)

    def changed_if(self, labels: np.ndarray) -> str:
        return f"the score moves by more than {self.amount(labels):.3g}"

    def measured(
        self, logits: np.ndarray, labels: np.ndarray, queries: np.ndarray | None = None
    ) -> dict[str, Measured]:
        """Correlations and errors with bootstrap intervals, the mean loss with Student's.

        A correlation is not defined where scores or labels are all the same.
        """
        from bhpvas import stats

        answers, losses = self.answers(logits), self.losses(logits, labels)
        errors = np.stack([(answers - labels) ** 2, np.abs(answers - labels)], axis=-1)  # [N, 2]
        drawn_errors = stats.bootstrap_means(errors)
        terms = self.terms(logits, labels)
        found = {
            "pearson": (
                self.headline_of(terms.mean(0), 1),
                self.headline_of(stats.bootstrap_means(terms), 1),
            ),
            "spearman": (
                stats.rank_correlation(answers, labels),
                stats.bootstrap_rank_correlations(answers, labels),
            ),
            "mse": (errors[:, 0].mean(), drawn_errors[:, 0]),
            "mae": (errors[:, 1].mean(), drawn_errors[:, 1]),
        }
        ranked = {} if queries is None else rankings(answers, labels, queries)
        return {
            **{
                name: Measured(float(value), *stats.drawn_interval(float(value), drawn))
                for name, (value, drawn) in found.items()
            },
            "loss": Measured(float(losses.mean()), *stats.mean_interval(losses)),
            **ranked,
        }

    def terms(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Score, label, their squares and their product, ``[…, 5]``."""
        score = self.answers(logits)
        label = np.broadcast_to(labels, score.shape)
        return np.stack([score, label, score**2, label**2, score * label], axis=-1)

    def headline_of(self, sums: np.ndarray, sentences: int) -> np.ndarray:
        """The Pearson correlation; NaN where scores or labels do not vary."""
        score, label, scores, labels, both = np.moveaxis(sums / sentences, -1, 0)
        variances = scores - score**2, labels - label**2
        # What rounding leaves of numbers that are all the same.
        vary = (variances[0] > 1e-12 * scores) & (variances[1] > 1e-12 * labels)
        scale = np.sqrt(np.where(vary, variances[0] * variances[1], 1.0))
        return np.where(vary, np.clip((both - score * label) / scale, -1.0, 1.0), np.nan)

    def change(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> PairedChange:
        """The change of the Pearson correlation, by a paired bootstrap."""
        from bhpvas import stats

        was, is_ = (self.terms(one, labels) for one in (before, after))
        return stats.paired_bootstrap(was, is_, lambda means: self.headline_of(means, 1))
