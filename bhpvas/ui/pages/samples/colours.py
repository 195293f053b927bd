"""Colours of the map of sentences: what each is called, and what it shows, by the model's task."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bhpvas.charts import style
from bhpvas.charts.sentence_map import Amounts, Groups
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.evaluation.slices import Grouping
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.ui.pages.samples.tasks import MeasuredStates

_RIGHT = ("wrong", "right")
_RIGHT_MARKS = ((style.LOST, "x"), (style.MARK, "circle"))
_OUTCOME_SYMBOLS = {"lost": "triangle-down", "gained": "triangle-up", "other": "diamond"}
# What is answered of one of several labels; the name of the label follows.
_ANSWERED = "answered "


def names(task: Task, groupings: Mapping[str, Grouping], *, pruned: bool) -> dict[str, str]:
    """What each colour is called, by its name; the first is that at first."""
    found = {"change": "change under the scheme"} if pruned else {}
    if isinstance(task, Score):
        found |= {"moved": "how far the score moved"} if pruned else {}
        found |= {"error": "score less label", "prediction": "score", "label": "label"}
    elif isinstance(task, SeveralLabels):
        found |= {"right": "whole set right or wrong", "wrong": "how many labels are wrong"}
        found |= {f"{_ANSWERED}{name}": f"answered: {name}" for name in task.label_names}
    else:
        found |= {"right": "right or wrong", "label": "label", "prediction": "prediction"}
        found["confidence"] = "probability of the answer"
    named = {name: one.title.lower() for name, one in groupings.items()}
    return found | {name: one for name, one in named.items() if name not in ("class", "length")}


def colouring(found: MeasuredStates, colour: str, *, after: bool) -> Groups | Amounts:
    """What colours the sentences of one model."""
    model = found.after if after else found.before
    if colour == "change":
        outcome = found.table["outcome"].to_numpy()
        symbols = np.array([_OUTCOME_SYMBOLS.get(what, "circle") for what in outcome])
        title, values = _change(found)
        return Amounts(title, values, True, symbols)
    if colour == "moved":
        return Amounts("score moved by", found.after.predictions - found.before.predictions, True)
    if colour == "error":
        return Amounts("score less label", model.predictions - model.labels, True)
    if colour == "wrong":
        return Amounts("labels wrong", (model.predictions != model.labels).sum(1))
    if colour == "confidence":
        return Amounts("probability of the answer", model.probabilities.max(1))
    if colour == "right":
        return Groups("Right or wrong", _RIGHT, model.right.astype(int), _RIGHT_MARKS)
    if colour in ("label", "prediction"):
        return _answers(model, colour)
    if colour.startswith(_ANSWERED):
        name = colour.removeprefix(_ANSWERED)
        given = model.predictions[:, model.label_names.index(name)]
        return Groups(f"Answered: {name}", (f"without {name}", f"with {name}"), given.astype(int))
    grouping = found.groupings[colour]
    return Groups(grouping.title, grouping.names, grouping.codes)


def reading(task: Task) -> str:
    """How to read the colour "change"."""
    if isinstance(task, Score):
        return " Red: the score is farther from its label. ▼ farther, ▲ nearer."
    if isinstance(task, SeveralLabels):
        return " Red: what is right became less probable. ▼ lost, ▲ gained."
    return " Red: the label's probability fell. ▼ lost, ▲ gained."


def _change(found: MeasuredStates) -> tuple[str, np.ndarray]:
    """What is better or worse of each answer, above 0 = better, and what it is called."""
    if isinstance(found.after.task, Score):
        was, is_ = (np.abs(one.predictions - one.labels) for one in (found.before, found.after))
        return "nearer to the label by", was - is_
    values = found.table["change"].to_numpy()
    if isinstance(found.after.task, SeveralLabels):
        return "change of the probability of what is right", values
    return "change of the label's probability", values


def _answers(model: Evaluation, colour: str) -> Groups | Amounts:
    values = model.labels if colour == "label" else model.predictions
    if isinstance(model.task, Score):
        return Amounts("label" if colour == "label" else "score", values)
    return Groups(colour.capitalize(), model.label_names, values)
