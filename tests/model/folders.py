"""Folders of tiny models of every family, and what may be wrong with them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from bhpvas.model.families import FAMILIES
from tests.tiny import save_tiny

WEIGHTS = "model.safetensors"
Tensors = dict[str, Tensor]


@cache
def files_of(family: str) -> dict[str, bytes]:
    """The files of a tiny model, built once."""
    with tempfile.TemporaryDirectory() as folder:
        alike = family in ("xlm-roberta", "camembert")
        place = save_tiny(Path(folder) / "tiny", "roberta" if alike else family)
        if alike:  # the same but for its names
            own = {"model_type": family, "architectures": [FAMILIES[family].model_class]}
            change_config(place, **own)
        return {path.name: path.read_bytes() for path in place.iterdir()}


def model_folder(folder: Path, family: str = "bert") -> Path:
    """A folder with the files of a tiny model."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files_of(family).items():
        (folder / name).write_bytes(content)
    return folder


def change_config(folder: Path, **settings: Any) -> None:
    """Change settings of a config.json; None takes one out."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | settings
    path.write_text(json.dumps({key: of for key, of in config.items() if of is not None}))


def change_json(folder: Path, file: str, **settings: Any) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def weights_of(folder: Path) -> Tensors:
    return dict(load((folder / WEIGHTS).read_bytes()))


def change_weights(folder: Path, change: Callable[[Tensors], Tensors | None]) -> None:
    """Write what ``change`` makes of the weights, or has made of them."""
    tensors = weights_of(folder)
    tensors = change(tensors) or tensors
    content = {key: tensor.contiguous().clone() for key, tensor in tensors.items()}
    (folder / WEIGHTS).write_bytes(save(content, {"format": "pt"}))


def layer_parts(family: str, layer: int) -> dict[str, str]:
    """The names of query, key, value and output in a layer of a family."""
    known = FAMILIES[family]
    module = known.layer_modules(json.loads(files_of(family)["config.json"]))[layer]
    return {part: f"{module}.{known.parts[part]}" for part in ("query", "key", "value", "output")}


def remove_heads(family: str, layer: int, rows: Tensor, tensors: Tensors) -> None:
    """Cut an attention to some of its rows, as tools do that prune."""
    names = [*layer_parts(family, layer).values()]
    output = names.pop()
    tensors[f"{output}.weight"] = tensors[f"{output}.weight"][:, rows]
    whole = tensors[f"{output}.weight"].shape[0]
    for name in dict.fromkeys(names):
        # Several parts may lie in one tensor, one after the other.
        held = names.count(name)
        of_all = torch.cat([rows + place * whole for place in range(held)])
        for key in {f"{name}.weight", f"{name}.bias"} & tensors.keys():
            tensors[key] = tensors[key][of_all]


def head_rows(*heads: int, size: int = 8) -> Tensor:
    """The rows of some heads of a tiny model."""
    return torch.cat([torch.arange(head * size, (head + 1) * size) for head in heads])
