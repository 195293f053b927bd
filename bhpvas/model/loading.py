"""Loading: a model and its tokenizer from the files of a folder, whole and checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bhpvas.errors import ModelError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.config import check_sizes, pruned_heads
from bhpvas.model.families.base import Family
from bhpvas.model.files import SMALLER, check_memory, reason, weight_files
from bhpvas.model.memory import exhausted
from bhpvas.model.weights import unusable

_TOKENIZER_FILES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model"
)  # fmt: skip


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without the bars and remarks of transformers."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_weights(
    folder: Path, name: str, family: Family, dtype: torch.dtype
) -> tuple[Any, frozenset[HeadId]]:
    """The model with all its heads, and those of them that its files lack.

    Raises :class:`ModelError` where it is larger than the memory, broken, or no classifier.
    """
    try:
        with quiet_transformers():
            model, report, pruned = _read_model(folder, name, family, dtype)
    except ModelError:
        raise
    except Exception as error:  # a broken file surfaces as many unrelated types
        if exhausted(error):
            raise ModelError(
                f"The model {name!r} does not fit into the memory that is free here: {SMALLER}."
            ) from None
        raise ModelError(f"The weights of {name!r} could not be read: {reason(error)}.") from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelError(
            f"The model {name!r} lacks {len(missing)} weights that its config asks for, "
            f"{missing[0]} first, which would be filled with random numbers: save or download "
            "the model again."
        )
    if report["mismatched_keys"]:
        raise ModelError(
            f"The weights of {name!r} do not have the sizes that its config states: save or "
            "download the model again."
        )
    if model.config.num_labels < 2:
        raise ModelError(
            f"The model {name!r} has a single output; bhpvas needs two labels or more."
        )
    for key, value in model.named_parameters():
        if fault := unusable(value):
            raise ModelError(
                f"The weights of {name!r} hold numbers that are {fault}, in {key}: save or "
                "download the model again."
            )
    return model, pruned


def _read_model(
    folder: Path, name: str, family: Family, dtype: torch.dtype
) -> tuple[Any, dict[str, Any], frozenset[HeadId]]:
    """The model as transformers reads it, what it says of that, and the heads that it lacks."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    check_sizes(config.to_dict(), folder, name)
    check_memory(folder, name, dtype.itemsize)
    pruned = pruned_heads(config.to_dict(), name)
    made: Any = AutoModelForSequenceClassification
    filled = None
    if pruned:
        made, filled = _filled_weights(folder, config, family, pruned)
    model, report = made.from_pretrained(
        None if pruned else folder,
        config=config,
        state_dict=filled,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        attn_implementation="sdpa",
        output_loading_info=True,
    )
    return model, report, pruned


def _filled_weights(
    folder: Path, config: Any, family: Family, pruned: frozenset[HeadId]
) -> tuple[Any, dict[str, Tensor]]:
    """A model's class and weights, with zeros where heads are missing; cleans the config of them.

    A layer without heads may hold one of zeros in their place, for transformers 4 to run it.
    """
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification

    for key in ("pruned_heads", "constant_attention", "auto_map"):
        if hasattr(config, key):
            delattr(config, key)
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    names = {id(module): name for name, module in model.named_modules()}
    weights: dict[str, Tensor] = {}
    for path in weight_files(folder):
        weights |= load_file(path)
    mask = HeadMask(config.num_hidden_layers, config.num_attention_heads, pruned)
    for number, layer in enumerate(family.layers(model)):
        kept = torch.tensor(mask.kept[number])
        rows = kept.repeat_interleave(config.hidden_size // len(kept))  # [D]
        for part in (layer.query, layer.key, layer.value):
            for kind in ("weight", "bias"):
                key = f"{names[id(part)]}.{kind}"
                whole = torch.zeros(getattr(part, kind).shape)
                whole[rows] = weights[key].float() if kept.any() else 0
                weights[key] = whole
        key = f"{names[id(layer.output)]}.weight"
        whole = torch.zeros(layer.output.weight.shape)
        whole[:, rows] = weights[key].float() if kept.any() else 0
        weights[key] = whole
    return type(model), weights


def load_tokenizer(folder: Path, name: str) -> Any:
    """The tokenizer; raises :class:`ModelError` where it is missing, broken or no fast one."""
    from transformers import AutoTokenizer

    # Without any of these files transformers makes up an empty tokenizer and says nothing.
    if not any((folder / file).is_file() for file in _TOKENIZER_FILES):
        raise ModelError(
            f"The tokenizer of {name!r} is missing: add its tokenizer.json to the model."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, use_fast=True, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # a missing or broken file surfaces as many unrelated types
        raise ModelError(
            f"The tokenizer of {name!r} could not be read: {reason(error)}."
        ) from error
    if not tokenizer.is_fast or tokenizer.pad_token_id is None or tokenizer.cls_token_id is None:
        raise ModelError(
            f"The tokenizer of {name!r} is no fast tokenizer with [CLS] and padding tokens; add a "
            f"tokenizer.json to the model."
        )
    return tokenizer
