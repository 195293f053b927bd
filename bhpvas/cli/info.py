"""`bhpvas info`: geometry and labels of a model."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bhpvas.cli.options import ModelOptions
from bhpvas.cli.output import answer

if TYPE_CHECKING:
    from bhpvas.model.config import Info
    from bhpvas.tasks.base import Task


Options = ModelOptions


def run(options: Options) -> None:
    """Say how large a model is and which labels it knows, without loading its weights."""
    from bhpvas.model.config import read_info

    info = read_info(options.model)
    found = document(info)
    notes = found["notes"]
    said = found | {"task": info.task.name + _score(info.task)}
    lines = [f"{name:16} {_plain(said[name])}" for name in found if name != "notes"]
    answer(options.json, found, [*lines, *(f"{'note':16} {note}" for note in notes)])


def document(info: Info) -> dict[str, Any]:
    geometry, gone = asdict(info.geometry), info.geometry.pruned_neurons
    return {
        "model": info.name,
        **{name: geometry[name] for name in ("layers", "heads", "hidden_size", "head_size")},
        "parameters": info.geometry.parameters,
        "head_parameters": info.geometry.head_parameters,
        **({} if gone is None else {"neurons_kept": [gone.width - one for one in gone.counts]}),
        "max_length": info.geometry.max_length,
        "labels": list(info.label_names),
        "task": info.task.name,
        "notes": list(info.notes),
    }


def _score(task: Task) -> str:
    """What is done to the only output, which decides the loss and which labels can be read."""
    from bhpvas.tasks.score import Score

    if not isinstance(task, Score):
        return ""
    how = {"identity": "the output as it is", "sigmoid": "the sigmoid of the output"}
    return f", the score is {how[task.activation]}"


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
