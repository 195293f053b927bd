"""Loading: the weights of a model from the checked files of a folder."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.model.config import ModelFiles, filled_config
from bhpvas.model.families.base import COLUMNS, ROWS, What, module_at
from bhpvas.model.files import SMALLER, check_memory, reason
from bhpvas.model.lacking import PRUNING
from bhpvas.model.memory import exhausted
from bhpvas.model.weights import unusable


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without the bars and remarks of transformers."""
    from transformers.utils import logging as remarks

    verbosity, bars = remarks.get_verbosity(), remarks.is_progress_bar_enabled()
    remarks.set_verbosity_error()
    remarks.disable_progress_bar()
    try:
        yield
    finally:
        remarks.set_verbosity(verbosity)
        if bars:
            remarks.enable_progress_bar()


@contextmanager
def quiet() -> Iterator[None]:
    """Without the bars and remarks of the libraries that write and read models."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with quiet_transformers(), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def load_weights(found: ModelFiles, dtype: torch.dtype) -> Any:
    """The model with all heads and neurons, those that its files lack with weights of zero.

    Raises :class:`ModelError` where it is larger than the memory, or holds numbers that are none.
    """
    name = found.name
    try:
        with quiet_transformers():
            model, report = _read_model(found, dtype)
    except ModelError:
        raise
    except Exception as error:  # a broken file surfaces as many unrelated types
        if exhausted(error):
            raise ModelError(
                f"The model {name!r} does not fit into the memory that is free here: {SMALLER}."
            ) from None
        raise ModelError(f"The weights of {name!r} could not be read: {reason(error)}.") from error
    if wrong := [*report["missing_keys"], *report["mismatched_keys"]]:
        raise ModelError(
            f"transformers does not find {wrong[0]} in the weights of {name!r}: save or download "
            "the model again."
        )
    for key, value in model.named_parameters():
        if fault := unusable(value):
            raise ModelError(
                f"The weights of {name!r} hold numbers that are {fault}, in {key}: save or "
                "download the model again."
            )
    return model


def _read_model(found: ModelFiles, dtype: torch.dtype) -> tuple[Any, dict[str, Any]]:
    """The model as transformers reads it, and what that says of it."""
    from transformers import AutoModelForSequenceClassification

    config = filled_config(found.config, found.name)
    check_memory(found.numbers, found.name, dtype.itemsize)
    made: Any = AutoModelForSequenceClassification
    given = None
    if found.pruned or found.pruned_neurons or found.contents.prefixes:
        made, given = _own_weights(found, config)
    return made.from_pretrained(
        None if given else found.folder,
        config=config,
        state_dict=given,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        attn_implementation=found.family.attention,
        output_loading_info=True,
    )


def _own_weights(found: ModelFiles, config: Any) -> tuple[Any, dict[str, Tensor]]:
    """A model's class, and its weights by its own names, with zeros where some are missing.

    Cleans the config of what it lacks. A layer without heads may hold one of zeros in their place,
    for transformers 4 to run it. The tensors are not copied, but those that are filled.
    """
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification

    for key in PRUNING:
        if hasattr(config, key):
            delattr(config, key)
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    stored: dict[str, Tensor] = {}
    for path in found.weights:
        stored |= load_file(path)
    weights = {own: stored[file] for own, file in found.contents.names.items()}
    _fill(weights, found, model)
    return type(model), weights


def _fill(weights: dict[str, Tensor], found: ModelFiles, model: Any) -> None:
    """Put zeros where heads or neurons are missing; ``model`` has the shapes of the whole one."""
    names = {id(module): name for name, module in model.named_modules()}

    def grow(part: Any, kind: str, *places: Any) -> None:
        key = f"{names[id(part)]}.{kind}"
        whole = torch.zeros(getattr(part, kind).shape)
        if whole[places].numel():
            whole[places] = weights[key].float()
        weights[key] = whole

    config, neurons = model.config, found.pruned_neurons
    mask = HeadMask(config.num_hidden_layers, config.num_attention_heads, found.pruned)
    modules = [*found.family.encoder_layers(model)]
    for number in (group[0] for group in found.family.groups(found.config)):
        kept = torch.tensor(mask.kept[number]).repeat_interleave(config.hidden_size // mask.heads)
        places: dict[What, Tensor] = {"heads": kept}  # [D]
        if neurons is not None:
            places["neurons"] = torch.tensor(~neurons.array[number])  # [F]
        for what, there in places.items():
            if there.all():
                continue
            for name, parts in found.family.modules_of_parts.items():
                part = module_at(modules[number], name)
                if part is None:
                    continue
                if parts[0] in ROWS[what]:
                    for kind, _ in part.named_parameters():
                        grow(part, kind, there.repeat(len(parts)))
                elif parts[0] == COLUMNS[what]:
                    grow(part, "weight", slice(None), there)
