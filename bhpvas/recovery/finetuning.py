"""Fine-tuning: the pruned model trained on, by default also towards the unpruned model's answers.

The model that is trained is the physically smaller one, so a removed head cannot come back, and a
step costs what the heads that are left cost. A share of the sentences is held out; on it, and on
nothing else, is decided which state is the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bhpvas import text
from bhpvas.data.dataset import Dataset
from bhpvas.data.sampling import strata, stratified_sample
from bhpvas.errors import BhpvasError, DataError
from bhpvas.heads import HeadMask
from bhpvas.model.batching import batches, load_batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import predict
from bhpvas.model.pruning import remove_heads, weights_of
from bhpvas.model.weights import Weights
from bhpvas.progress import Cancelled, Progress, silent
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.tasks.single_label import SingleLabel

NAME = "finetune"
#: This share of the different sentences is held out to choose the best state, up to so many of
#: them: at 1,024 the standard error of an accuracy of 90% is 0.9 points.
HELD_OUT_SHARE = 1 / 8
MOST_HELD_OUT = 1024
FEWEST_SENTENCES = 16


@dataclass(frozen=True)
class TuningSettings:
    """Every setting that the result depends on, with defaults for a pruned classifier.

    ``distillation`` is the weight of the unpruned model's answers in the loss (Hinton, Vinyals,
    Dean 2015): 0 = labels alone, 1 = labels are not used; ``temperature`` softens the answers.
    ``warmup`` is the share of all steps in which the learning rate rises, before it falls
    linearly to 0. ``embeddings`` says whether the embeddings, most of a small model's weights, are
    trained as well. ``evaluations`` is how often the held-out sentences are measured.
    """

    epochs: float = 1.0
    learning_rate: float = 5e-5
    batch_size: int = 32
    distillation: float = 0.5
    temperature: float = 2.0
    warmup: float = 0.06
    weight_decay: float = 0.01
    embeddings: bool = False
    evaluations: int = 20
    seed: int = 0

    def check(self) -> TuningSettings:
        """These settings; raises :class:`BhpvasError` naming the first that makes no sense."""
        for name, (allowed, holds) in _LIMITS.items():
            value = getattr(self, name)
            if not holds(value):
                raise BhpvasError(
                    f"The {name.replace('_', ' ')} of {value:g} cannot be: choose {allowed}."
                )
        return self


# What each setting may be, in words and as a test.
_LIMITS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "epochs": ("a number above 0, up to 100", lambda value: 0 < value <= 100),
    "learning_rate": ("a number above 0, up to 0.1", lambda value: 0 < value <= 0.1),
    "batch_size": ("1 to 1024", lambda value: 1 <= value <= 1024),
    "distillation": ("0 to 1", lambda value: 0 <= value <= 1),
    "temperature": ("a number above 0, up to 100", lambda value: 0 < value <= 100),
    "warmup": ("0 to 1", lambda value: 0 <= value <= 1),
    "weight_decay": ("0 to 1", lambda value: 0 <= value <= 1),
    "evaluations": ("1 to 1000", lambda value: 1 <= value <= 1000),
}


class Point(NamedTuple):
    """How far a training was after so many steps.

    ``training_loss`` is the mean since the point before (None at the start). ``loss`` is what is
    trained for, on the held-out sentences; ``accuracy`` the share of them that is right. Of another
    task than one label out of several that is None, and ``headline`` is the value of its
    ``metric``, None where it is not defined.
    """

    step: int
    training_loss: float | None
    loss: float
    accuracy: float | None
    headline: float | None = None
    metric: str | None = None

    def __str__(self) -> str:
        value = text.number(math.nan if self.headline is None else self.headline)
        what = f"{self.metric} {value}"
        if self.accuracy is not None:
            what = f"accuracy {100 * self.accuracy:.1f}%"
        held_out = f"held-out loss {self.loss:.4f}, {what}"
        trained = self.training_loss
        return held_out if trained is None else f"training loss {trained:.4f}, {held_out}"

    def record(self) -> dict[str, Any]:
        """The point ready for JSON."""
        found = self._asdict()
        if self.metric is None:  # of one label out of several there is no more
            del found["headline"], found["metric"]
        return found


@dataclass(frozen=True)
class Course:
    """The course of a training so far: its points in order, the first one before any step.

    ``steps`` are planned; ``held_out`` is the number of held-out sentences.
    """

    steps: int
    held_out: int
    points: tuple[Point, ...] = ()

    @property
    def start(self) -> Point:
        """Before any step."""
        return self.points[0]

    @property
    def best(self) -> Point | None:
        """The point after the start with the lowest held-out loss; None before there is one.

        The start itself does not count: where the model has once been trained on the held-out
        sentences, as is usual, it knows them better than any state that was trained without them.
        """
        return min(self.points[1:], key=lambda point: point.loss, default=None)

    def record(self) -> dict[str, Any]:
        """What is kept of it, ready for JSON."""
        return {
            "steps": self.steps,
            "held_out": self.held_out,
            "best": self.best and self.best.record(),
            "course": [point.record() for point in self.points],
        }


@dataclass(frozen=True)
class FineTuned:
    """The best state of a training, and how it came about.

    ``stopped_at`` is the step at which it was stopped, None where it went to its end.
    """

    mask: HeadMask
    settings: TuningSettings
    weights: Weights
    best: Point
    course: Course
    stopped_at: int | None
    calibration: str
    sentences: int
    learnt_from: LearntSentences

    def record(self) -> dict[str, Any]:
        """What a scheme step keeps of it, ready for JSON."""
        return {
            "calibration": {"name": self.calibration, "sentences": self.sentences},
            **{name: value for name, value in asdict(self.settings).items() if name != "seed"},
            "stopped_at": self.stopped_at,
            **self.course.record(),
        }


def finetune(
    classifier: Classifier,
    sentences: Dataset,
    mask: HeadMask,
    settings: TuningSettings | None = None,
    *,
    watch: Callable[[Course], None] = lambda course: None,
    progress: Progress = silent,
) -> FineTuned:
    """Train the classifier without the removed heads; give back its best state.

    The same seed gives the same result on the same machine with as many threads; the random numbers
    of this process are seeded with it.

    - ``classifier``: its weights are the start, compensated ones for instance; the teacher is the
      model as it was loaded, with every head.
    - ``sentences``: what is learnt from, a share of them held out.
    - ``watch``: told of every point as it is measured.
    - ``progress``: if it raises :class:`~bhpvas.progress.Cancelled`, the training ends, and the
      best state so far is given back; before there is one, the exception passes.

    Raises :class:`BhpvasError` for settings that make no sense or a mask that removes nothing, and
    :class:`DataError` for fewer than 16 sentences, or copies of one alone.
    """
    settings = (settings or TuningSettings()).check()
    if not mask.changes:
        raise BhpvasError("Every head is kept, so there is nothing to recover: remove some first.")
    if len(sentences) < FEWEST_SENTENCES:
        raise DataError(
            f"Fine-tuning needs at least {FEWEST_SENTENCES} sentences, some of them to choose the "
            f"best state, and there are {len(sentences)}: take more sentences."
        )
    training = _Training(classifier, sentences, settings)
    student = remove_heads(classifier, mask).float()
    for parameter in student.parameters():
        parameter.requires_grad_(parameter.numel() > 0)  # a layer may have no head left
    student.base_model.embeddings.requires_grad_(settings.embeddings)
    watcher = _watcher(training, student, watch, progress)
    stopped_at = None
    try:
        watcher.measure(0, None)
        with TemporaryDirectory() as folder:  # the trainer wants one, and is told to write nothing
            _trainer(training, student, watcher, folder).train()
    except Cancelled:
        if watcher.course.best is None:
            raise
        stopped_at = watcher.step
    best = watcher.course.best
    assert best is not None, "the last step is measured"
    student.load_state_dict(watcher.best_state, strict=False)
    return FineTuned(
        mask=mask,
        settings=settings,
        weights=weights_of(classifier, mask, student),
        best=best,
        course=watcher.course,
        stopped_at=stopped_at,
        calibration=sentences.name,
        sentences=len(sentences),
        learnt_from=LearntSentences.of(training.encoded.fingerprints),
    )


class _Training:
    """What the student learns from: sentences, their labels and the teacher's answers to them."""

    def __init__(
        self, classifier: Classifier, sentences: Dataset, settings: TuningSettings
    ) -> None:
        self.classifier = classifier
        self.teacher = classifier.with_weights(None)
        self.settings = settings
        self.encoded = classifier.encode(sentences)
        self.labels = sentences.for_task(classifier.task).labels
        # Copies of a sentence are held out together, or they would have been learnt.
        first = self.encoded.first_copies
        different = np.unique(first)
        if len(different) < 2:
            raise DataError(
                f"The {len(sentences):,} sentences to learn from are copies of one, so that none "
                "is left to choose the best state: take others."
            )
        size = min(math.ceil(HELD_OUT_SHARE * len(different)), MOST_HELD_OUT)
        groups = strata(self.labels)[different]
        drawn = different[stratified_sample(groups, size, settings.seed)]
        self.held_out = np.flatnonzero(np.isin(first, drawn))
        self.learnt = np.setdiff1d(np.arange(len(sentences)), self.held_out)
        self._answers = np.full((len(sentences), classifier.geometry.labels), np.nan, np.float32)

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        each = math.ceil(len(self.learnt) / self.settings.batch_size)
        return math.ceil(self.settings.epochs * each)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Some sentences as a model's ``forward`` takes them, with ``labels`` and ``answers``."""
        batch = load_batch(self.classifier, self.encoded, rows)
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.real.long()}
        if "token_type_ids" in self.classifier.tokenizer.model_input_names:
            inputs["token_type_ids"] = batch.token_type_ids
        inputs["labels"] = torch.from_numpy(self.labels[rows])
        if self.settings.distillation:
            unknown = rows[np.isnan(self._answers[rows, 0])]
            if len(unknown):
                self._answers[unknown] = predict(self.teacher, self.encoded, indices=unknown)
            inputs["answers"] = torch.from_numpy(self._answers[rows])
        return {name: tensor.to(self.classifier.device) for name, tensor in inputs.items()}

    def loss(self, logits: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        """The mean loss of some sentences: of the labels, and of the teacher's softened answers.

        The gradient of softened answers shrinks with the temperature squared, which is made up for
        (Hinton, Vinyals, Dean 2015, section 2.1).
        """
        share, temperature = self.settings.distillation, self.settings.temperature
        task = self.classifier.task
        loss = task.loss(logits, inputs["labels"]).mean()
        if not share:
            return loss
        divergence = task.divergence(inputs["answers"] / temperature, logits / temperature).mean()
        return (1 - share) * loss + share * temperature**2 * divergence


def _watcher(
    training: _Training, student: Any, watch: Callable[[Course], None], progress: Progress
) -> Any:
    """Measures the student every so many steps and remembers its best state."""
    from transformers import TrainerCallback

    times = training.settings.evaluations
    due = {math.ceil(time * training.steps / times) for time in range(1, times + 1)}

    class Watcher(TrainerCallback):
        def __init__(self) -> None:
            self.step = 0
            self.course = Course(training.steps, len(training.held_out))
            self.best_state: dict[str, Tensor] = {}

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.step = state.global_step
            control.should_log = self.step in due
            progress(self.step, training.steps)

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if "loss" in kwargs["logs"]:
                self.measure(state.global_step, kwargs["logs"]["loss"])

        def measure(self, step: int, training_loss: float | None) -> None:
            """A point of the course, by the held-out sentences."""
            task, loss = training.classifier.task, 0.0
            answers = np.zeros((len(training.labels), training.classifier.geometry.labels))
            student.eval()
            for rows in batches(training.classifier, training.encoded, training.held_out):
                progress(self.step, training.steps)
                inputs = training.batch(rows)
                with torch.no_grad():
                    logits = student(**_model_inputs(inputs)).logits
                loss += len(rows) * training.loss(logits, inputs).item()
                answers[rows] = logits.float().cpu().numpy()
            loss /= len(training.held_out)
            labels = training.labels[training.held_out]
            headline = task.headline_value(answers[training.held_out], labels)
            if isinstance(task, SingleLabel):
                point = Point(step, training_loss, loss, headline)
            else:
                value = headline if math.isfinite(headline) else None
                metric = task.headline.title_in_text
                point = Point(step, training_loss, loss, None, value, metric)
            self.course = replace(self.course, points=(*self.course.points, point))
            if self.course.best is point:
                self.best_state = {
                    name: parameter.detach().clone()
                    for name, parameter in student.named_parameters()
                    if parameter.requires_grad
                }
            watch(self.course)

    return Watcher()


def _model_inputs(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the student itself is given: neither labels nor answers."""
    return {name: one for name, one in inputs.items() if name not in ("labels", "answers")}


def _trainer(training: _Training, student: Any, watcher: Any, folder: str) -> Any:
    from transformers import PrinterCallback, Trainer, TrainingArguments

    class Distiller(Trainer):
        def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Tensor:
            return training.loss(model(**_model_inputs(inputs)).logits, inputs)

    settings = training.settings
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=training.steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(settings.warmup * training.steps),
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        data_seed=settings.seed,
        # Sentences of like length together: less padding, and the same sentences in an epoch.
        train_sampling_strategy="group_by_length",
        use_cpu=training.classifier.device.type == "cpu",
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    # The sampler reads lengths off `input_ids`; batches are made of the rows alone.
    examples = [
        {"row": row, "input_ids": training.encoded.input_ids(row)} for row in training.learnt
    ]
    trainer = Distiller(
        model=student,
        args=arguments,
        train_dataset=examples,
        data_collator=lambda some: training.batch(np.array([one["row"] for one in some])),
        callbacks=[watcher],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
