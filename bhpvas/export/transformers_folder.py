"""Format transformers: a folder for it whose weights are really smaller."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from bhpvas.export import modeling_pruned
from bhpvas.export.base import Format, Forward, module_forward, save_model, weight_bytes
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.cost import neurons_kept
from bhpvas.model.families import FAMILIES
from bhpvas.model.families.base import COLUMNS, ROWS, Family, What
from bhpvas.model.linear import linear
from bhpvas.model.pruning import pruned_layers, with_layers

CODE = Path(modeling_pruned.__file__)


def _with_stand_ins(classifier: Classifier, mask: HeadMask) -> Any:
    """The smaller model, with one head of zeros where a layer has none left; what stays is the
    classifier's own.
    """
    layers = pruned_layers(classifier, mask)
    size, head_size = classifier.geometry.hidden_size, classifier.geometry.head_size
    for number, layer in enumerate(layers):
        if mask.kept_per_layer[number]:
            continue
        parts = {COLUMNS["heads"]: _zeros(layer.output, size, head_size, layer.output.bias)}
        for name in ROWS["heads"]:
            if (part := getattr(layer, name)) is not None:
                parts[name] = _zeros(part, head_size, size, part.weight.new_zeros(head_size))
        layers[number] = replace(layer, **parts)
    return with_layers(classifier, layers, shared=True)


def _zeros(part: Any, rows: int, columns: int, bias: Tensor) -> Any:
    """A linear map of zeros; with a bias where ``part`` has one."""
    weight = part.weight.new_zeros(rows, columns)
    return linear(weight, None if part.bias is None else bias)


def _class(classifier: Classifier) -> str:
    """What the modelling file calls the class of a classifier's family."""
    return f"Pruned{classifier.family.model_class}"


def _class_names(family: Family) -> dict[str, Any]:
    """Where a family's class finds layers and their parts: the attributes of ``Pruned``."""

    def rows(what: What) -> dict[str, int]:
        return {
            name: len(parts)
            for name, parts in family.modules_of_parts.items()
            if parts[0] in ROWS[what]
        }

    return {
        "HEADS": family.pruned_key,
        "LAYERS": family.modules,
        "PROJECTIONS": rows("heads"),
        "OUTPUT": family.parts["output"],
        "NORM": family.parts["attention_norm"],
        "NEURONS": rows("neurons"),
        "DOWN": family.parts["down"],
    }


def _code() -> str:
    """The modelling file of every export: what all families share, and a class for each.

    It is the same for all: transformers takes two of the same name and size, read in one second,
    for one. Of a family that a version of transformers does not know there is none.
    """
    code = CODE.read_text(encoding="utf-8")
    for family in FAMILIES.values():
        name = family.model_class
        if family.keeping:
            code += "\n\n" + family.keeping_code()
        lines = [
            f"class Pruned{name}(Pruned, transformers.{name}):",
            f'    """{family.title} without its pruned heads and neurons."""\n',
            *(f"    {key} = {value!r}" for key, value in _class_names(family).items()),
            *["    keep_heads = staticmethod(keep_heads)"] * bool(family.keeping),
        ]
        code += f'\n\nif hasattr(transformers, "{name}"):\n\n'
        code += textwrap.indent("\n".join(lines), "    ") + "\n"
    return code


def _write(classifier: Classifier, mask: HeadMask, folder: Path) -> None:
    model = _with_stand_ins(classifier, mask)
    # Layers are numbered by their weights, of which some may have the same.
    firsts = dict(enumerate(classifier.geometry.firsts))
    removed = {
        number: np.flatnonzero(~mask.kept[layer]).tolist()
        for number, layer in firsts.items()
        if not mask.kept[layer].all()
    }
    constant = [number for number, layer in firsts.items() if not mask.kept[layer].any()]
    for number in constant:
        removed[number].pop(0)  # the stand-in's place
    settings: dict[str, Any] = {
        classifier.family.pruned_key: removed,
        "constant_attention": constant,
        "auto_map": {"AutoModelForSequenceClassification": f"{CODE.stem}.{_class(classifier)}"},
    }
    if mask.neurons is not None:
        kept = neurons_kept(classifier.geometry, mask)
        bits = {number: mask.neurons.bits[layer] for number, layer in firsts.items()}
        settings |= {
            "feed_forward_sizes": [kept[layer] for layer in firsts.values()],
            "pruned_neurons": {number: digits for number, digits in bits.items() if digits},
        }
    save_model(classifier, model, folder, settings)
    (folder / CODE.name).write_text(_code(), encoding="utf-8")


def _usage(family: Family, mask: HeadMask) -> str:
    """How to load it; of narrower feed-forward parts no version of transformers knows by itself."""
    if mask.neurons is None and family.pruned_key == "pruned_heads":
        who, what = "transformers 4.57 needs no trust_remote_code; 5.x needs it", "attention"
    else:
        who, what = "transformers needs trust_remote_code", "layers"
    return f"""\
from transformers import AutoModelForSequenceClassification, AutoTokenizer

# {who} to run modeling_pruned.py in this
# folder. Never add ignore_mismatched_sizes=True: it would fill the {what} with random numbers.
model = AutoModelForSequenceClassification.from_pretrained("FOLDER", trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained("FOLDER")
"""


def _read(classifier: Classifier, folder: Path) -> Forward:
    family = classifier.family
    names = _class_names(family) | {"__module__": modeling_pruned.__name__}
    if family.keeping:
        names["keep_heads"] = staticmethod(family.keep_heads)
    made: Any = type(_class(classifier), (modeling_pruned.Pruned, type(classifier.model)), names)
    return module_forward(made, classifier, folder)


FORMAT = Format(
    name="transformers",
    title="Transformers",
    summary="What was removed is really gone: the file is smaller and the model faster. Loads with "
    "transformers by trust_remote_code=True, which runs the small modelling file in the folder "
    "(4.57 does without where heads alone were removed, of most families), and with "
    "bhpvas.load_classifier.",
    usage=_usage,
    smaller=True,
    packages=("transformers", "torch"),
    write=_write,
    read=_read,
    weight_bytes=lambda classifier, mask: weight_bytes(_with_stand_ins(classifier, mask)),
)
