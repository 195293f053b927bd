"""Task: what a model's output answers, its loss, metrics, and what counts as a change.

Logits are ``[…, C]``, one a label name. Labels are what the data say: int64 numbers of labels,
float64 scores or bool sets, by the kind of the task. ``before`` and ``after`` are the logits of two
models on the same sentences.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from bhpvas import text
from bhpvas.errors import BhpvasError

if TYPE_CHECKING:
    from torch import Tensor

    from bhpvas.stats import PairedChange


# Words that titles begin with and that are written so everywhere.
_NAMES = {"F1", "Pearson", "Spearman", "Matthews", "nDCG@10,"}


@dataclass(frozen=True)
class Metric:
    """A metric of many answers.

    ``title`` is what a table calls it. A ``share`` lies in 0 to 1 and is written in percent;
    ``unit`` is that of another metric, "" where it has none.
    """

    name: str
    title: str
    higher_is_better: bool = True
    share: bool = False
    unit: str = ""

    @property
    def title_in_text(self) -> str:
        """The title within a sentence, as "accuracy" or "Pearson correlation".

        >>> Metric("mse", "Mean squared error").title_in_text
        'mean squared error'
        """
        first = self.title.partition(" ")[0]
        return self.title if first in _NAMES else self.title[0].lower() + self.title[1:]

    @property
    def scale(self) -> int:
        """What a figure draws a value times: percent of a share."""
        return 100 if self.share else 1

    @property
    def axis(self) -> str:
        """The title of an axis, as "accuracy, %"."""
        unit = "%" if self.share else self.unit
        return f"{self.title_in_text}, {unit}" if unit else self.title_in_text

    @property
    def change_axis(self) -> str:
        """The title of an axis of changes, as "change of accuracy, points"."""
        unit = "points" if self.share else self.unit
        return f"change of {self.title_in_text}{f', {unit}' if unit else ''}"

    def value_text(self, value: float) -> str:
        """A value: of a share in percent.

        >>> Metric("accuracy", "Accuracy", share=True).value_text(0.914)
        '91.4%'
        """
        if not isfinite(value):
            return "not defined"
        return f"{text.percent(value)}%" if self.share else text.number(value)

    def interval_text(self, low: float, high: float) -> str:
        """An interval of values; "" where it is not defined.

        >>> Metric("pearson", "Pearson correlation").interval_text(-0.1, 0.9)
        '(−0.100 to 0.900)'
        """
        if not (isfinite(low) and isfinite(high)):
            return ""
        if self.share:
            return text.interval(low, high)
        return f"({text.number(low)} to {text.number(high)})"

    def change_text(self, change: float) -> str:
        """A change: of a share in points.

        >>> Metric("accuracy", "Accuracy", share=True).change_text(-0.006)
        '−0.6 points'
        >>> Metric("pearson", "Pearson correlation").change_text(-0.006)
        '−0.006'
        """
        if not isfinite(change):
            return "not defined"
        return f"{text.signed(100 * change)} points" if self.share else text.signed(change, 3)

    def change_interval_text(self, low: float, high: float) -> str:
        """An interval of changes; "" where it is not defined.

        >>> Metric("pearson", "Pearson correlation").change_interval_text(-0.1, 0.05)
        '(−0.100 … +0.050)'
        """
        if not (isfinite(low) and isfinite(high)):
            return ""
        if self.share:
            return text.change_interval(low, high)
        return f"({text.signed(low, 3)} {text.ELLIPSIS} {text.signed(high, 3)})"

    def changed_text(self, before: float, after: float, sentences: int) -> str:
        """A change with its base and how many sentences it is of.

        >>> Metric("pearson", "Pearson correlation").changed_text(0.85, 0.84, 480)
        '−0.010 (0.850 → 0.840, 480 sentences)'
        """
        if self.share:
            return text.accuracy_change(before, after, sentences)
        base = f"{self.value_text(before)} {text.ARROW} {self.value_text(after)}"
        many = text.plural(sentences, "sentence")
        return f"{self.change_text(after - before)} ({base}, {many})"


class Measured(NamedTuple):
    """A metric's value with its 95% interval; NaN where it is not defined."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Measured:
        """What :meth:`record` gave.

        >>> Measured.of({"value": 0.5, "interval": [0.25, 0.75]})
        Measured(value=0.5, low=0.25, high=0.75)
        """
        value, interval = record["value"], record["interval"]
        return cls(float("nan") if value is None else value, *(interval or ()))

    def record(self) -> dict[str, Any]:
        """The value ready for JSON: null where it, or its interval, is not defined.

        >>> Measured(0.5, 0.25, 0.75).record(), Measured(float("nan")).record()
        ({'value': 0.5, 'interval': [0.25, 0.75]}, {'value': None, 'interval': None})
        """
        ends = [self.low, self.high]
        return {
            "value": self.value if isfinite(self.value) else None,
            "interval": ends if all(map(isfinite, ends)) else None,
        }


def measured_text(metric: Metric, found: Measured) -> str:
    """A metric's value with its interval: of a share in percent.

    >>> measured_text(Metric("accuracy", "Accuracy", share=True), Measured(0.914, 0.89, 0.937))
    '91.4% (89.0–93.7)'
    >>> measured_text(Metric("pearson", "Pearson correlation"), Measured(0.85, -0.1, 0.9))
    '0.850 (−0.100 to 0.900)'
    """
    value, low, high = found
    return f"{metric.value_text(value)} {metric.interval_text(low, high)}".rstrip()


@dataclass(frozen=True)
class Task(ABC):
    """What the outputs of a model answer; ``label_names`` are those of its C outputs.

    ``name`` is the task's in a config (``problem_type``), ``title`` its words, and ``test`` says
    what the p of :meth:`change` is of.
    """

    label_names: tuple[str, ...]

    name: ClassVar[str]
    title: ClassVar[str]
    test: ClassVar[str]

    #: The test as it stands in brackets after a p.
    test_in_brackets: ClassVar[str]
    #: Where the headline is not defined, as the end of a sentence.
    undefined_if: ClassVar[str] = "there is no sentence"
    #: What is said of answers that are ``lost`` and ``gained``, in a word or two.
    became: ClassVar[tuple[str, str]] = ("lost", "gained")

    @property
    def setting(self) -> str:
        """What of it no config says, "" where it is as usual."""
        return ""

    def with_threshold(self, threshold: float) -> Task:
        """The task with another threshold.

        Raises :class:`BhpvasError` where it has none, or where no probability is given.
        """
        raise BhpvasError(
            f"A threshold of {threshold:g} is for models of several labels, and this one gives "
            f"{self.title}: leave it out."
        )

    # --- one sentence -----------------------------------------------------------------------------

    @abstractmethod
    def answers(self, logits: np.ndarray) -> np.ndarray:
        """What logits ``[…, C]`` answer, in the form of labels: ``[…]``, or ``[…, C]`` of sets."""

    @abstractmethod
    def losses(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The loss of each sentence, float64 ``[…]``, for labels that broadcast."""

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each sentence ``[B]``, a function with a gradient of logits ``[B, C]``."""

    @abstractmethod
    def divergences(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """How far each answer moved, in nats, float64 ``[B]``; 0 = not at all."""

    @abstractmethod
    def divergence(self, before: Tensor, after: Tensor) -> Tensor:
        """As :meth:`divergences`, a function with a gradient of logits ``[B, C]``."""

    def moving(self, directions: Tensor) -> Tensor:
        """Directions of logits ``[B, C]`` without what moves no answer: all of it, where each
        output counts by itself.
        """
        return directions

    @abstractmethod
    def changed(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Which answers count as changed, bool ``[B]``."""

    @abstractmethod
    def outcomes(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """What became of each answer, text ``[B]``: ``lost``, ``gained``, ``other``, ``same``."""

    def right(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
        """Which answers are right, bool ``[…]``; None where answers are only better or worse."""
        return None

    @abstractmethod
    def explained(self, logits: Tensor, label: int) -> Tensor:
        """What heads and words speak for or against ``[…]``, with a gradient of ``[…, C]``."""

    @abstractmethod
    def explained_title(self, label: int) -> str:
        """What :meth:`explained` is, in words, as "log-odds of positive"."""

    @abstractmethod
    def label_to_explain(self, logits: np.ndarray) -> int:
        """The output that is explained unless another is asked for, of logits ``[C]``."""

    @abstractmethod
    def words(self, answers: np.ndarray) -> list[str]:
        """Answers or labels ``[B]`` or ``[B, C]`` as they stand in a table."""

    def groups(self, labels: np.ndarray) -> dict[str, np.ndarray]:
        """The sentences of each label by its name, bool ``[N]`` each, of labels ``[N]``."""
        return {name: labels == number for number, name in enumerate(self.label_names)}

    @abstractmethod
    def plain(self, answers: np.ndarray) -> list[Any]:
        """Answers or labels ready for JSON."""

    # --- many sentences ---------------------------------------------------------------------------

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric, the headline first."""

    @property
    def headline(self) -> Metric:
        """The metric that curves, drops and comparisons are of."""
        return self.metrics[0]

    @abstractmethod
    def measured(
        self, logits: np.ndarray, labels: np.ndarray, queries: np.ndarray | None = None
    ) -> dict[str, Measured]:
        """Every metric by its name, of logits ``[N, C]``.

        Of scores with ``queries``, numbers ``[N]`` that pairs of the same one share, also those of
        :mod:`bhpvas.tasks.ranking`.
        """

    def metric(self, name: str) -> Metric:
        """The metric of a name that :meth:`measured` gives."""
        return next(one for one in self.metrics if one.name == name)

    @abstractmethod
    def changed_if(self, labels: np.ndarray) -> str:
        """When an answer counts as changed, as the end of a sentence."""

    @abstractmethod
    def terms(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """What a sentence adds to the sums that the headline follows from: float64 ``[…, K]``."""

    @abstractmethod
    def headline_of(self, sums: np.ndarray, sentences: int) -> np.ndarray:
        """The headline ``[…]`` from sums ``[…, K]`` of the terms of so many sentences."""

    def headline_changes(self, sums: np.ndarray, sentences: int) -> np.ndarray:
        """How the headline changes from the first of some sums ``[P, K]``: ``[P]``."""
        found = self.headline_of(sums, sentences)
        return found - found[0]

    def headline_value(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """The headline of logits ``[N, C]``."""
        return float(self.headline_of(self.terms(logits, labels).sum(0), len(logits)))

    def headline_measured(self, logits: np.ndarray, labels: np.ndarray) -> Measured:
        """The headline of logits ``[N, C]`` with its interval: a bootstrap's unless one is known.

        It takes a part of the time of :meth:`measured`, and says the same.
        """
        from bhpvas import stats

        terms = self.terms(logits, labels)
        value = float(self.headline_of(terms.mean(0), 1))
        drawn = self.headline_of(stats.bootstrap_means(terms), 1)
        return Measured(value, *stats.drawn_interval(value, drawn))

    @abstractmethod
    def change(self, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> PairedChange:
        """How the headline changed from logits ``[N, C]`` to others of the same sentences.

        With its 95% interval, and the p of :attr:`test`.
        """
