"""`bhpvas info`: geometry and labels of a model."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bhpvas.cli.options import ModelOptions
from bhpvas.cli.output import answer

if TYPE_CHECKING:
    from bhpvas.model.config import Info


Options = ModelOptions


def run(options: Options) -> None:
    """Say how large a model is and which labels it knows, without loading its weights."""
    from bhpvas.model.config import read_info

    found = document(read_info(options.model))
    notes = found["notes"]
    lines = [f"{name:16} {_plain(found[name])}" for name in found if name != "notes"]
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


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
