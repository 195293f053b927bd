"""Evaluation: a masked model's outputs on a dataset, and every number that follows from them.

:func:`evaluate` runs the network once; everything else here is arithmetic on its result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bhpvas import stats
from bhpvas.data.sampling import Sample, strata, stratified_sample
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask
from bhpvas.model.engine import check_finite, predict
from bhpvas.progress import Progress, silent
from bhpvas.tasks import single_label
from bhpvas.tasks.base import Measured, Task, measured_text
from bhpvas.tasks.score import Score
from bhpvas.tasks.single_label import SingleLabel

if TYPE_CHECKING:
    from bhpvas.data.dataset import Dataset
    from bhpvas.model.classifier import Classifier
    from bhpvas.model.states import StateCache

#: Sentences in the first answer of :func:`evaluate_progressively`: at 90% accuracy the Wilson
#: interval is then about 10 points wide, enough to see whether a removal was a bad idea.
FIRST_PART = 128


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The logits of a masked model on a dataset and everything that follows from them.

    ``labels`` are those of the model's ``task``: numbered as the model numbers them, or scores, or
    sets. ``queries`` are numbers that pairs of the same query share, where scores rank. ``part``
    says which sentences they are of, None = all. Raises :class:`ModelError` where a logit is not a
    finite number.

    >>> import numpy as np
    >>> import bhpvas
    >>> from bhpvas.tasks.single_label import SingleLabel
    >>> logits = np.array([[2.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.0, 3.0]])
    >>> mask, task = bhpvas.HeadMask(2, 4), SingleLabel(("negative", "positive"))
    >>> found = bhpvas.Evaluation(mask, "four", logits, np.array([0, 1, 1, 1]), task)
    >>> found.accuracy, [round(end, 2) for end in found.accuracy_interval], round(found.f1, 2)
    (0.75, [0.3, 0.95], 0.8)
    """

    mask: HeadMask
    dataset: str
    logits: np.ndarray  # float32 [n, C]
    labels: np.ndarray  # int64 or float64 [n], or bool [n, C]
    task: Task
    tags: tuple[str, ...] | None = None
    part: Sample | None = None
    queries: np.ndarray | None = None  # int64 [n]

    def __post_init__(self) -> None:
        assert self.logits.shape == (len(self.labels), len(self.label_names)), self.logits.shape
        assert len(self.labels) > 0, "a dataset is never empty"
        check_finite(self.logits, self.dataset)

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        dataset: Dataset,
        mask: HeadMask,
        logits: np.ndarray,
        part: Sample | None = None,
    ) -> Evaluation:
        """The evaluation of logits ``[n, C]`` of a dataset, or of a part of it, that is aligned."""
        rows = np.arange(len(dataset)) if part is None else part.rows
        tags = None if dataset.tags is None else tuple(dataset.tags[row] for row in rows)
        labels = dataset.labels[rows]
        task, queries = classifier.task, None
        if isinstance(task, Score) and dataset.query_codes is not None:
            queries = dataset.query_codes[rows]
        return cls(mask, dataset.name, logits, labels, task, tags, part, queries)

    @property
    def label_names(self) -> tuple[str, ...]:
        """What the C outputs are called."""
        return self.task.label_names

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
        return np.arange(self.n) if self.part is None else self.part.rows

    @cached_property
    def measured(self) -> dict[str, Measured]:
        """Every metric of the task by its name, with its interval."""
        return self.task.measured(self.logits, self.labels, self.queries)

    @cached_property
    def headline(self) -> Measured:
        """The metric that curves, drops and comparisons are of, with its interval."""
        return self.task.headline_measured(self.logits, self.labels)

    @cached_property
    def headline_value(self) -> float:
        """The headline without its interval, which takes no time."""
        return self.task.headline_value(self.logits, self.labels)

    def headline_text(self) -> str:
        """The headline with its interval; unless it is an accuracy, with its name."""
        if self.is_single_label:
            return measured_text(self.task.headline, self.headline)
        return f"{self.task.headline.title} {measured_text(self.task.headline, self.headline)}"

    @property
    def is_single_label(self) -> bool:
        """Whether one label out of several is answered, of which much more is known."""
        return isinstance(self.task, SingleLabel)

    @cached_property
    def log_probabilities(self) -> np.ndarray:
        """Logarithms of the probabilities, float64 ``[n, C]``; those of the C labels sum to 1."""
        self._check_labels("a softmax")
        return single_label.log_probabilities(self.logits)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, float64 ``[n, C]``; each row sums to 1."""
        return np.exp(self.log_probabilities)

    @cached_property
    def predictions(self) -> np.ndarray:
        """What is answered, in the form of ``labels``; of one label out of several its number."""
        return self.task.answers(self.logits)

    @cached_property
    def right(self) -> np.ndarray:
        """Whether each prediction is right, bool ``[n]``; of several labels, the whole set."""
        found = self.task.right(self.logits, self.labels)
        if found is None:
            raise BhpvasError(
                f"No answer is right or wrong of a model that gives {self.task.title}: take the "
                f"{self.task.headline.title} instead."
            )
        return found

    @cached_property
    def losses(self) -> np.ndarray:
        """The loss of each sentence, float64 ``[n]``; cross-entropy in nats of labels."""
        return self.task.losses(self.logits, self.labels)

    @property
    def loss(self) -> float:
        """The mean loss; lower = better."""
        return float(self.losses.mean())

    @property
    def loss_interval(self) -> tuple[float, float]:
        """Student's 95% interval of the mean loss; NaN for a single sentence."""
        return stats.mean_interval(self.losses)

    @property
    def accuracy(self) -> float:
        """Share of right predictions, in [0, 1]."""
        self._check_labels("accuracy")
        return float(self.right.mean())

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95% Wilson interval of the accuracy."""
        self._check_labels("accuracy")
        return stats.wilson_interval(int(self.right.sum()), self.n)

    @cached_property
    def confusion(self) -> np.ndarray:
        """Sentences by label (row) and prediction (column), int64 ``[C, C]``."""
        self._check_labels("a table of labels and answers")
        return single_label.confusion_of(self.labels, self.predictions, len(self.label_names))

    @property
    def f1(self) -> float:
        """F1 of class 1 where there are two classes, else the mean over classes, in [0, 1]."""
        return float(single_label.f1_of(self.confusion))

    @property
    def f1_of(self) -> str:
        """What F1 is of: the name of class 1 of two, else over how many labels the mean is."""
        if len(self.label_names) == 2:
            return self.label_names[1]
        occurring = int(self._occurring.sum())
        every = len(self.label_names)
        of = "" if occurring == every else f" of {every}"
        return f"mean over {occurring}{of} labels"

    @property
    def f1_title(self) -> str:
        """F1 with what it is of, as a table names it."""
        return f"F1 of {self.f1_of}" if len(self.label_names) == 2 else f"F1, {self.f1_of}"

    @property
    def _occurring(self) -> np.ndarray:
        """Whether a class is some sentence's label or prediction, bool ``[C]``."""
        return single_label.occurring(self.confusion)

    def f1_interval(self, *, draws: int = stats.MATRIX_DRAWS) -> tuple[float, float]:
        """The 95% interval of F1, after Jeffreys (:func:`bhpvas.stats.confusion_interval`)."""
        return stats.confusion_interval(
            self.confusion, lambda one: single_label.f1_of(one, self._occurring), draws=draws
        )

    @property
    def matthews(self) -> float:
        """Matthews correlation of labels and predictions, in [-1, 1]; 0 = no better than chance."""
        return float(single_label.matthews_of(self.confusion))

    def _check_labels(self, what: str) -> None:
        """Refuse what is of one label out of several."""
        if not self.is_single_label:
            raise BhpvasError(
                f"There is no {what.removeprefix('a ')} of a model that gives {self.task.title}: "
                f"take the {self.task.headline.title} instead."
            )

    def metrics(self) -> dict[str, Any]:
        """The numbers that a scheme step keeps, ready for JSON.

        What is of one label out of several is None of another task, whose metrics are those of
        :meth:`record`.
        """
        common = {"dataset": self.dataset, "n": self.n}
        if not self.is_single_label:
            nothing = dict.fromkeys(("accuracy", "accuracy_interval", "f1", "f1_of", "matthews"))
            return common | nothing | {"loss": self.loss} | self._by_name()
        return common | {
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "loss": self.loss,
            "f1": self.f1,
            "f1_of": self.f1_of,
            "matthews": self.matthews,
        }

    def record(self) -> dict[str, Any]:
        """As :meth:`metrics`, with the task, its headline and every metric with its interval."""
        return self.metrics() | self._by_name()

    def _by_name(self) -> dict[str, Any]:
        return {
            "task": self.task.name,
            **({"setting": self.task.setting} if self.task.setting else {}),
            "headline": self.task.headline.name,
            "metrics": {name: one.record() for name, one in self.measured.items()},
        }


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
    whole = evaluate_progressively(
        classifier, dataset, mask, first=len(dataset), cache=cache, progress=progress
    )
    return next(whole)


def evaluate_progressively(
    classifier: Classifier,
    dataset: Dataset,
    mask: HeadMask | None = None,
    *,
    first: int = FIRST_PART,
    cache: StateCache | None = None,
    progress: Progress = silent,
) -> Iterator[Evaluation]:
    """First an evaluation of ``first`` sentences, then the exact one, which reuses the first.

    The first part holds each label in the proportion of the whole. Errors as for :func:`evaluate`.

    - ``mask``: the heads that are kept, all if not given.
    - ``first``: sentences in the first part; of no more there is the exact evaluation only.
    - ``cache``: as for :func:`evaluate`.
    - ``progress``: counts sentences.
    """
    mask = classifier.full_mask() if mask is None else mask
    dataset = dataset.for_task(classifier.task)
    encoded = classifier.encode(dataset)
    whole = len(dataset)

    def logits_of(indices: np.ndarray, done_before: int) -> np.ndarray:
        def passed_on(done: int, total: int) -> None:
            progress(done_before + len(indices) * done // total, whole)

        return predict(classifier, encoded, mask, indices=indices, cache=cache, progress=passed_on)

    if whole <= first:
        yield Evaluation.of(classifier, dataset, mask, logits_of(np.arange(whole), 0))
        return
    sample = stratified_sample(strata(dataset.labels), first, seed=0)
    begun = logits_of(sample, 0)
    yield Evaluation.of(classifier, dataset, mask, begun, Sample(sample, whole))
    rest = np.setdiff1d(np.arange(whole), sample)
    logits = np.empty((whole, begun.shape[1]), begun.dtype)
    logits[sample] = begun
    logits[rest] = logits_of(rest, first)
    yield Evaluation.of(classifier, dataset, mask, logits)
