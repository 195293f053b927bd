"""Several labels: any of C labels for each sentence, each by its own sigmoid.

Labels are sets, bool ``[N, C]``. A metric that nothing is there to count for is NaN, and left out
of a mean over labels, as scikit-learn's with ``zero_division=nan``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bhpvas.errors import BhpvasError
from bhpvas.tasks.base import Measured, Metric, Task
from bhpvas.tasks.bernoulli import kl_of_logits, kl_of_tensors, losses_of_logits
from bhpvas.tasks.single_label import f1_of

if TYPE_CHECKING:
    from torch import Tensor

    from bhpvas.stats import PairedChange

#: The probability from which a label is answered, unless told otherwise.
THRESHOLD = 0.5


@dataclass(frozen=True)
class SeveralLabels(Task):
    """Any of C labels: mean binary cross-entropy, F1, and the set of labels as the answer.

    A label is answered from a probability of ``threshold`` on. Raises :class:`BhpvasError` for a
    threshold outside of 0 to 1.

    >>> task = SeveralLabels(("rude", "funny"))
    >>> logits, sets = np.array([[2.0, -1.0], [1.0, 3.0]]), np.array([[True, False], [False, True]])
    >>> task.words(task.answers(logits)), float(task.headline_value(logits, sets))
    (['rude', 'rude, funny'], 0.8)
    """

    threshold: float = THRESHOLD

    name: ClassVar[str] = "multi_label_classification"
    title: ClassVar[str] = "several labels at once"
    test: ClassVar[str] = "paired bootstrap of micro F1"
    test_in_brackets: ClassVar[str] = "paired bootstrap"
    undefined_if: ClassVar[str] = "no sentence has a label and none is answered"
    became: ClassVar[tuple[str, str]] = ("whole sets lost", "gained")

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise BhpvasError(
                f"A threshold of {self.threshold:g} cannot be: it is a probability above 0 and "
                "below 1."
            )

    @property
    def setting(self) -> str:
        return "" if self.threshold == THRESHOLD else f"threshold {self.threshold!r}"

    def with_threshold(self, threshold: float) -> SeveralLabels:
        return replace(self, threshold=threshold)

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """The labels that are likely enough, bool ``[…, C]``."""
        return np.asarray(logits >= log(self.threshold / (1 - self.threshold)))

    def losses(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Binary cross-entropy in nats, the mean over labels, float64 ``[…]``."""
        return np.asarray(losses_of_logits(logits, labels).mean(-1))

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Binary cross-entropy in nats, the mean over labels ``[B]``."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        targets = labels.to(logits.dtype)
        return binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(-1)

    def divergences(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """KL of the Bernoulli distributions of all labels, summed."""
        return np.asarray(kl_of_logits(before, after).sum(-1))

    def divergence(self, before: Tensor, after: Tensor) -> Tensor:
        return kl_of_tensors(before, after).sum(-1)

    def changed(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Whether another set is answered."""
        return np.asarray((self.answers(before) != self.answers(after)).any(-1))

    def outcomes(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """``lost``: the whole set was right, ``gained``: it is, ``other``: it is neither."""
        was, is_ = (self.right(one, labels) for one in (before, after))
        moved = self.changed(before, after, labels)
        return np.select([moved & was, moved & is_, moved], ["lost", "gained", "other"], "same")

    def right(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Whether the whole set is right, bool ``[…]``."""
        return np.asarray((self.answers(logits) == labels).all(-1))

    def explained(self, logits: Tensor, label: int) -> Tensor:
        """The label's logit, its log-odds."""
        return logits[..., label]

    def explained_title(self, label: int) -> str:
        return f"log-odds of {self.label_names[label]}"

    def label_to_explain(self, logits: np.ndarray) -> int:
        """The likeliest label."""
        return int(np.argmax(logits))

    def words(self, answers: np.ndarray) -> list[str]:
        """Labels by commas; "none" of an empty set."""
        sets = ([self.label_names[place] for place in np.flatnonzero(row)] for row in answers)
        return [", ".join(names) or "none" for names in sets]

    def groups(self, labels: np.ndarray) -> dict[str, np.ndarray]:
        """The sentences that have each label, which can be the same ones."""
        return dict(zip(self.label_names, labels.T, strict=True))

    def plain(self, answers: np.ndarray) -> list[Any]:
        """A list of numbers of labels for each sentence."""
        return [np.flatnonzero(row).tolist() for row in answers]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric("f1_micro", "Micro F1"),
            Metric("f1_macro", "Macro F1"),
            Metric("subset_accuracy", "Whole sets right", share=True),
            Metric("loss", "Loss", higher_is_better=False, unit="nats"),
            *(Metric(f"f1 {name}", f"F1 of {name}") for name in self.label_names),
        )

    def measured(
        self, logits: np.ndarray, labels: np.ndarray, queries: np.ndarray | None = None
    ) -> dict[str, Measured]:
        """Micro and macro F1 with bootstrap intervals, whole sets with Wilson's, the mean loss with
        Student's, and F1 of each label with one after Jeffreys.
        """
        from bhpvas import stats

        terms, losses, n = self.terms(logits, labels), self.losses(logits, labels), len(labels)
        drawn, whole = stats.bootstrap_means(terms), int(self.right(logits, labels).sum())
        micro = float(self.headline_of(terms.sum(0), n))
        macro, macros = float(self._macro(terms.sum(0))), self._macro(drawn)
        return {
            "f1_micro": Measured(micro, *stats.drawn_interval(micro, self.headline_of(drawn, 1))),
            "f1_macro": Measured(macro, *stats.drawn_interval(macro, macros)),
            "subset_accuracy": Measured(whole / n, *stats.wilson_interval(whole, n)),
            "loss": Measured(float(losses.mean()), *stats.mean_interval(losses)),
            **self._by_label(self.answers(logits), labels),
        }

    def _by_label(self, answers: np.ndarray, labels: np.ndarray) -> dict[str, Measured]:
        """F1 of each label; not defined for one that is neither given nor answered."""
        from bhpvas import stats

        found = {}
        for name, said, given in zip(self.label_names, answers.T, labels.T, strict=True):
            cells = np.bincount(given * 2 + said, minlength=4).reshape(2, 2)
            defined = cells[1].any() or cells[:, 1].any()
            found[f"f1 {name}"] = (
                Measured(float(f1_of(cells)), *stats.confusion_interval(cells, f1_of))
                if defined
                else Measured(float("nan"))
            )
        return found

    def changed_if(self, labels: np.ndarray) -> str:
        return "another set of labels is answered"

    def terms(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Of each label, twice whether it is rightly answered, and in how many of the two sets it
        is: ``[…, 2C]``.
        """
        answers = self.answers(logits)
        hits = 2.0 * (answers & labels)
        return np.concatenate([hits, answers.astype(np.float64) + labels], axis=-1)

    def headline_of(self, sums: np.ndarray, sentences: int) -> np.ndarray:
        """Micro F1; NaN where no label is given or answered."""
        hits, either = (half.sum(-1) for half in np.split(sums, 2, axis=-1))
        return np.where(either > 0, hits / np.where(either > 0, either, 1.0), np.nan)

    def _macro(self, sums: np.ndarray) -> np.ndarray:
        """The mean of F1 over labels for which it is defined, ``[…]``."""
        hits, either = np.split(sums, 2, axis=-1)
        each = np.where(either > 0, hits / np.where(either > 0, either, 1.0), 0.0)
        defined = (either > 0).sum(-1)
        return np.where(defined > 0, each.sum(-1) / np.maximum(defined, 1), np.nan)

    def change(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> PairedChange:
        """The change of micro F1, by a paired bootstrap."""
        from bhpvas import stats

        was, is_ = (self.terms(one, labels) for one in (before, after))
        return stats.paired_bootstrap(was, is_, lambda means: self.headline_of(means, 1))
