"""Config of a model: sizes, labels and limits by its files, read without torch, and checks."""

from __future__ import annotations

import json
import os
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, prod
from pathlib import Path
from types import NoneType
from typing import Any

from bhpvas.errors import ModelError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model import files, tensors
from bhpvas.model.families import FAMILIES, ORDINARY, REFUSED
from bhpvas.model.families.base import ROWS, Family, What
from bhpvas.model.label_names import label_notes, names_of, with_plain_labels
from bhpvas.model.lacking import PRUNING, pruned_heads, pruned_neurons
from bhpvas.model.tokenizer import check_tokenizer, tokenizer_notes
from bhpvas.neurons import NeuronSet
from bhpvas.tasks.base import Task
from bhpvas.tasks.choosing import task_of

# Far beyond any model; of layers that share their weights a config may state any number.
_MOST_LAYERS = 1000
_MOST_LABELS = 100_000
# In which number type the weights lie is read from themselves.
_UNUSED = {"dtype", "torch_dtype"}
# Settings that say nothing where they are null, as if they were not there.
_NOTHING = {"quantization_config", "id2label"} | set(PRUNING)
# What a training calls the folders that it saves along the way.
_CHECKPOINT = r"checkpoint-\d+"
#: The class that a smaller model exported by bhpvas is run by, for that of its family.
EXPORTED_CLASS = "modeling_pruned.Pruned{}"
# The kinds of settings that transformers takes as they are; of any other value it is asked.
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("use_cache", "is_decoder", "add_cross_attention"), (bool,)),
    **dict.fromkeys(("is_encoder_decoder", "tie_word_embeddings"), (bool,)),
    **dict.fromkeys(("summary_use_proj", "sinusoidal_pos_embds"), (bool,)),
    **dict.fromkeys(("output_hidden_states", "return_dict"), (bool, NoneType)),
    **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), (int, float)),
    **dict.fromkeys(("dropout", "attention_dropout", "qa_dropout"), (int, float)),
    **dict.fromkeys(("seq_classif_dropout", "summary_last_dropout"), (int, float)),
    **dict.fromkeys(("classifier_dropout_prob",), (int, float)),
    **dict.fromkeys(("classifier_dropout",), (int, float, NoneType)),
    **dict.fromkeys(("layer_norm_eps", "initializer_range"), (float,)),
    **dict.fromkeys(("summary_type", "summary_activation"), (str,)),
    **dict.fromkeys(("chunk_size_feed_forward", "inner_group_num"), (int,)),
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), (int, NoneType)),
    **dict.fromkeys(("transformers_version", "problem_type"), (str, NoneType)),
    **dict.fromkeys(("_name_or_path", "model_type"), (str,)),
    "use_return_dict": (),
}
# The commonest activations; the others are known to transformers alone.
_ACTIVATIONS = ("gelu", "gelu_new", "relu")


@dataclass(frozen=True)
class Geometry:
    """The sizes of a classifier; ``parameters`` counts the model as its files hold it.

    ``pruned`` are heads that its files lack, as those of a model exported by bhpvas do, and
    ``pruned_neurons`` feed-forward neurons, None where there are none. ``groups``: layers that use
    the same weights, lowest first; empty where each has its own. ``gated``: its feed-forward parts
    are gated. ``head_rows`` are the rows of weights that belong to a unit of a head,
    ``head_biases`` its biases, ``neuron_biases`` those of a neuron. ``distance_scores`` says how
    many kinds of scores heads have beside those of content, of ``distances`` that are told apart.
    """

    layers: int
    heads: int
    hidden_size: int
    head_size: int
    intermediate_size: int
    labels: int
    parameters: int
    max_length: int
    pruned: frozenset[HeadId] = frozenset()
    pruned_neurons: NeuronSet | None = None
    groups: tuple[tuple[int, ...], ...] = ()
    gated: bool = False
    head_rows: int = field(default=3, repr=False)
    head_biases: int = 3
    neuron_biases: int = 1
    distance_scores: int = field(default=0, repr=False)
    distances: int = field(default=0, repr=False)

    @property
    def head_parameters(self) -> int:
        """Parameters that leave with one head: rows and biases of q, k, v, where distances have
        projections of their own those of them, and columns of W_O.
        """
        return ((self.head_rows + 1) * self.hidden_size + self.head_biases) * self.head_size

    @property
    def neuron_parameters(self) -> int:
        """Parameters that leave with one neuron: row and bias of the up projection and of the gate,
        column of the down projection.
        """
        return (2 + self.gated) * self.hidden_size + self.neuron_biases

    @property
    def firsts(self) -> tuple[int, ...]:
        """The layers of which each weight is counted once: of a group the first."""
        return tuple(group[0] for group in self.groups) or tuple(range(self.layers))

    def group_of(self, layer: int) -> tuple[int, ...]:
        """The layers that use a layer's weights, itself among them."""
        return next((group for group in self.groups if layer in group), (layer,))

    def removable(self, mask: HeadMask) -> HeadMask:
        """What of a mask can leave the weights: of layers that share them, what all lose."""
        return mask.common(self.groups) if self.groups else mask


@dataclass(frozen=True)
class Info:
    """What a model's files say of it, without loading its weights.

    ``task`` is what its outputs answer. ``notes`` are one sentence each: what was guessed, or left
    out of what the folder holds.
    """

    name: str
    geometry: Geometry
    task: Task
    notes: tuple[str, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """What the outputs are called."""
        return self.task.label_names


@dataclass(frozen=True)
class ModelFiles:
    """What a model's folder holds, checked without reading weights.

    ``config`` states all that its family asks for. ``weights`` are the files to read, ``contents``
    what these hold, ``numbers`` how many numbers of the model. ``pruned`` and ``pruned_neurons`` as
    in :class:`Geometry`, ``task`` and ``notes`` as in :class:`Info`.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    weights: tuple[Path, ...]
    contents: tensors.Contents
    numbers: int
    pruned: frozenset[HeadId]
    pruned_neurons: NeuronSet | None
    task: Task
    notes: tuple[str, ...]

    @property
    def family(self) -> Family:
        """The family of the model."""
        return FAMILIES[self.config["model_type"]]


def read_info(source: str | Path | None = None, *, revision: str | None = None) -> Info:
    """Read a model's sizes and labels from its configs and the headers of its weight files.

    Raises :class:`ModelError` as :func:`~bhpvas.model.classifier.load_classifier` does, as far as
    that shows without weights.
    """
    name, folder, _ = files.locate(source, revision)
    found = read_files(folder, name)
    check_tokenizer(folder, name, found.config)
    return info_of(found, allowed=_tokenizer_limit(folder))


def read_files(folder: Path, name: str) -> ModelFiles:
    """Read and check a model's config and the headers of its weights.

    Raises :class:`ModelError` where they are missing or damaged, are no supported classifier, or do
    not belong together.
    """
    config = read_config(folder, name)
    weights = files.weight_files(folder, name, config)
    stored = files.headers(weights, name)
    family = FAMILIES[config["model_type"]]
    _check_class(config, family, tensors.is_classifier(stored), name)
    config.pop("auto_map", None)  # which is that of a model of ours, and not run
    _check_settings(config, family, name)
    if not _says_all(config, family):
        config = filled_config(config, name).to_dict()
    check_sizes(config, name)
    label_names = names_of(config["id2label"], name)
    task = task_of(_with_activation(config, folder), label_names, name)
    pruned, neurons = pruned_heads(config, name), pruned_neurons(config, name)
    contents = tensors.compared(stored, config, name, pruned, neurons)
    return ModelFiles(
        name=name,
        folder=folder,
        config=config,
        weights=weights,
        contents=contents,
        numbers=sum(prod(stored[file].shape) for file in contents.names.values()),
        pruned=pruned,
        pruned_neurons=neurons,
        task=task,
        notes=(
            *files.other_weights(folder, weights),
            *contents.notes,
            *label_notes(config, label_names),
            *tokenizer_notes(folder, config),
        ),
    )


def _with_activation(config: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """A config with what sentence-transformers, from version 5.4 on, writes beside it of a
    cross-encoder.
    """
    try:
        text = (folder / "config_sentence_transformers.json").read_text(encoding="utf-8")
        activation = json.loads(text)["activation_fn"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return config
    return {"sentence_transformers": {"activation_fn": activation}, **config}


def info_of(found: ModelFiles, *, allowed: Any) -> Info:
    """What a model's files say of it; ``allowed`` is the longest input by the tokenizer."""
    layers, heads, hidden_size, intermediate_size = found.family.sizes(found.config)
    groups = found.family.groups(found.config)
    distance_scores, distances = found.family.distances(found.config)
    geometry = Geometry(
        layers=layers,
        heads=heads,
        hidden_size=hidden_size,
        head_size=hidden_size // heads,
        intermediate_size=intermediate_size,
        labels=len(found.task.label_names),
        parameters=found.numbers,
        max_length=longest_input(found.config, allowed, found.name),
        pruned=found.pruned,
        pruned_neurons=found.pruned_neurons,
        groups=groups if len(groups) < layers else (),
        gated=found.family.gated,
        head_rows=_tensors_of(found, "heads", "weight"),
        head_biases=_tensors_of(found, "heads", "bias"),
        neuron_biases=_tensors_of(found, "neurons", "bias"),
        distance_scores=distance_scores,
        distances=distances,
    )
    # A layer without heads has one of zeros in its file, which is no part of the model.
    zeros = len(found.config.get("constant_attention") or ()) * geometry.head_parameters
    geometry = replace(geometry, parameters=found.numbers - zeros)
    return Info(found.name, geometry, found.task, found.notes)


def _tensors_of(found: ModelFiles, what: What, kind: str) -> int:
    """How many weights or biases have a row for a unit of a head, or for a neuron."""
    family, without = found.family, found.family.without(found.config, 0)
    return sum(
        f"{family.parts[part]}.{kind}" not in without for part in ROWS[what] if part in family.parts
    )


def _says_all(config: Mapping[str, Any], family: Family) -> bool:
    """Whether a config.json states itself what transformers would otherwise fill in or refuse."""
    labels = config.get("id2label")
    return (
        not family.asked
        and all(type(config.get(key)) is int for key in family.number_keys)
        and isinstance(labels, dict)
        and sorted(labels) == sorted(map(str, range(len(labels))))
        and config.get("num_labels", len(labels)) == len(labels)
        and config.get(family.activation_key) in _ACTIVATIONS
        and all(type(config[key]) in kinds for key, kinds in _KINDS.items() if key in config)
    )


def filled_config(config: Mapping[str, Any], name: str) -> Any:
    """The config as transformers has it, with the defaults of its family.

    Raises :class:`ModelError` for a setting of a wrong kind.
    """
    from transformers import AutoConfig
    from transformers.activations import ACT2FN

    family = FAMILIES[config["model_type"]]
    try:
        found = AutoConfig.for_model(**config)
    except Exception as error:  # a setting of a wrong kind surfaces as many unrelated types
        raise ModelError(
            f"The config.json of {name!r} cannot be used: {files.reason(error)}."
        ) from error
    for key in (family.activation_key, *family.further_activations):
        if (activation := getattr(found, key)) not in ACT2FN:
            raise ModelError(
                f"The config.json of {name!r} cannot be used: transformers knows no activation "
                f"{reprlib.repr(activation)}, its {key}."
            )
    return found


def _tokenizer_limit(folder: Path) -> Any:
    """The longest input that the tokenizer's own config allows, as it stands there, or None."""
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        return settings["model_max_length" if "model_max_length" in settings else "max_len"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # no limit, as the tokenizer itself, which is not read here, takes it


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """The settings in ``config.json``; raises :class:`ModelError` for a model we cannot use."""
    path = folder / "config.json"
    for adapter in sorted(folder.glob("adapter_*")):
        if adapter.name.startswith(("adapter_config.", "adapter_model.")):
            raise ModelError(_adapter(adapter, name, alone=not path.is_file()))
    files.check_pointer(path, name)
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        files.check_link(path, name)
        raise ModelError(_without_config(folder, name)) from None
    except OSError as error:
        raise ModelError(
            f"The config.json of {name!r} cannot be read ({error.strerror}): give a folder that "
            "save_pretrained wrote."
        ) from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"The config.json of {name!r} is not valid JSON: {error}.") from error
    if not isinstance(config, dict):
        raise ModelError(f"The config.json of {name!r} holds no settings.")
    config = {
        key: of
        for key, of in config.items()
        if key not in _UNUSED and (of is not None or key not in _NOTHING)
    }
    _check_supported(config, name)
    count = config.get("num_labels", 2)
    if type(count) is not int or not 0 < count < _MOST_LABELS:
        raise ModelError(
            f"The config.json of {name!r} cannot be used: its num_labels is "
            f"{reprlib.repr(count)}, and must be how many labels there are."
        )
    return with_plain_labels(config, name)


def _adapter(path: Path, name: str, *, alone: bool) -> str:
    """What to do about an adapter, which changes a model without being in its weights."""
    try:
        base = json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        base = None
    of = f" for {base!r:.80}" if base else ""
    merge = "merge_and_unload() of peft, save that with its tokenizer, and choose it"
    if alone:
        return (
            f"The folder {name!r} holds an adapter{of} ({path.name}) and no model: merge it into "
            f"its model with {merge}."
        )
    return (
        f"Beside the weights of {name!r} lies an adapter{of} ({path.name}), without which they "
        f"would be measured: merge it into them with {merge}, or move it elsewhere if it is merged "
        "already."
    )


def _without_config(folder: Path, name: str) -> str:
    """What to do about a folder that is no model."""
    inner = [path.parent.name for path in folder.glob("*/config.json")]
    if fetched := sorted(folder.glob("snapshots/*/config.json"), key=os.path.getmtime):
        return (
            f"The folder {name!r} is the hub's cache of a model, which lies further inside: give "
            f"{fetched[-1].parent}, or its hub id."
        )
    numbered = sorted((int(one[11:]), one) for one in inner if re.fullmatch(_CHECKPOINT, one))
    if numbered:
        return (
            f"The folder {name!r} holds no model itself but {len(numbered)} checkpoints of a "
            f"training ({', '.join(one for _, one in numbered[-3:])}): give one of them, the last "
            f"being {folder / numbered[-1][1]}."
        )
    if inner:
        return (
            f"The folder {name!r} has no config.json, and folders in it have one "
            f"({', '.join(sorted(inner)[:3])}): give the one that is the model."
        )
    return (
        f"The model {name!r} has no config.json, so it cannot be read: give a folder or a hub id "
        "that save_pretrained wrote."
    )


def _check_supported(config: Mapping[str, Any], name: str) -> None:
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        if "auto_map" in config:
            raise ModelError(_own_code(name))
        if kind is None:
            raise ModelError(_without_type(config, name))
        if isinstance(kind, str) and kind in REFUSED:
            raise ModelError(f"The model {name!r} is of type {kind!r}, which {REFUSED[kind]}.")
        raise ModelError(
            f"The model {name!r} is of type {kind!r}; supported are {', '.join(FAMILIES)}."
        )
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise ModelError(
            f"The model {name!r} uses relative positions (position_embedding_type), whose "
            "embeddings transformers 5 leaves out without a word, so that its answers would be "
            f"wrong: open it with transformers 4, or {ORDINARY}."
        )
    if what := FAMILIES[kind].unsupported(config):
        raise ModelError(f"The model {name!r} {what}, which is not supported: {ORDINARY}.")
    if config.get("is_decoder") or config.get("add_cross_attention"):
        raise ModelError(f"The model {name!r} is a decoder, not an encoder: {ORDINARY}.")


def _without_type(config: Mapping[str, Any], name: str) -> str:
    """What to do about a config without a model_type, as those before transformers 3."""
    classes = str(config.get("architectures"))
    named = [f'"{kind}"' for kind, one in FAMILIES.items() if f"'{one.model_class}'" in classes]
    which = named[0] if named else f"… (one of {', '.join(FAMILIES)})"
    return (
        f"The config.json of {name!r} does not say of which type the model is: add the line "
        f'"model_type": {which} to it.'
    )


def _own_code(name: str) -> str:
    return f"The model {name!r} needs code of its own, which bhpvas does not run: {ORDINARY}."


def _check_class(config: Mapping[str, Any], family: Family, classifier: bool, name: str) -> None:
    """Refuse a model that is not run by the class of its family; ``classifier``: by its weights."""
    classes = config.get("architectures") or []
    classes = list(map(str, classes)) if isinstance(classes, list) else [str(classes)]
    # Families that run alike, as RoBERTa and XLM-RoBERTa, can stand in for each other.
    own = {one.model_class for one in FAMILIES.values() if one.classify is family.classify}
    if not any(one.endswith("ForSequenceClassification") for one in classes):
        if not classes and classifier:
            raise ModelError(
                f"The config.json of {name!r} does not say that it is a classifier, whose weights "
                f'are there: add the line "architectures": ["{family.model_class}"] to it.'
            )
        found = ", ".join(classes) or "nothing that its config names"
        raise ModelError(
            f"The model {name!r} is no sequence classifier (it is {found}): fine-tune it first, or "
            f"choose a model ending in ForSequenceClassification."
        )
    if own.isdisjoint(classes):
        raise ModelError(
            f"The model {name!r} is a {classes[0]}, which is not the {family.model_class} that "
            f"{family.title} has in transformers and would be measured as that: save it as one "
            f"if it answers the same, or {ORDINARY}."
        )
    code = config.get("auto_map") or {}
    code = code if isinstance(code, dict) else {"AutoModel": code}
    ours = {"AutoModelForSequenceClassification": EXPORTED_CLASS.format(family.model_class)}
    if any(
        key.startswith(("AutoModel", "AutoConfig")) and value != ours.get(key)
        for key, value in code.items()
    ):
        raise ModelError(_own_code(name))


def _check_settings(config: Mapping[str, Any], family: Family, name: str) -> None:
    """Refuse numbers of a config that are none; what it does not state is filled in later."""
    for key in (*family.number_keys, "embedding_size"):
        least = 0 if key in ("pad_token_id", *family.zero_keys) else 1
        if key in config and not (type(config[key]) is int and config[key] >= least):
            raise ModelError(
                f"The config.json of {name!r} cannot be used: its {key} is "
                f"{reprlib.repr(config[key])}, and must be a whole number from {least} on."
            )

    for key, value in config.items():
        if "dropout" in key and type(value) in (int, float) and not 0 <= value <= 1:
            raise ModelError(
                f"The config.json of {name!r} cannot be used: its {key} is {value!r:.20}, and must "
                "be from 0 to 1."
            )
        if type(value) is float and not (
            isfinite(value) and (key != "layer_norm_eps" or value >= 0)
        ):
            raise ModelError(
                f"The config.json of {name!r} cannot be used: its {key} is {value!r:.20}: "
                f"{files.SAVE_AGAIN}."
            )


def check_sizes(config: Mapping[str, Any], name: str) -> None:
    """Refuse a config whose own numbers do not fit each other, or with more layers than can be."""
    layers, heads, hidden, _ = FAMILIES[config["model_type"]].sizes(config)
    padding, tokens = config.get("pad_token_id") or 0, config["vocab_size"]
    if not -tokens <= padding < tokens:
        raise ModelError(
            f"The config.json of {name!r} states the pad_token_id {padding:,} and a vocab_size of "
            f"{tokens:,}, counted from 0: {files.SAVE_AGAIN}."
        )
    if hidden % heads:
        raise ModelError(
            f"The config.json of {name!r} states {heads} heads in {hidden} hidden numbers, which "
            f"is no whole number for each: {files.SAVE_AGAIN}."
        )
    if layers > _MOST_LAYERS:
        raise ModelError(
            f"The config.json of {name!r} states {layers:,} layers, and its weights do not have as "
            f"many: {files.SAVE_AGAIN}."
        )


def longest_input(config: Mapping[str, Any], allowed: Any, name: str) -> int:
    """The longest input that positions and tokenizer allow, in tokens.

    ``allowed`` is what the tokenizer says, or None where it says nothing. Raises
    :class:`ModelError` where one of them says nothing that can be.
    """
    family = FAMILIES[config["model_type"]]
    padding: Any = family.padding_index
    if padding is None:
        padding = config.get("pad_token_id")
    if family.after_padding and type(padding) is not int:
        raise ModelError(
            f"The config.json of {name!r} has the pad_token_id {reprlib.repr(padding)}, and its "
            f"positions are counted from that: {files.SAVE_AGAIN}."
        )
    longest = config["max_position_embeddings"] - (padding + 1 if family.after_padding else 0)
    limit = longest if allowed is None else allowed
    if type(limit) not in (int, float) or limit != limit // 1 or min(limit, longest) < 1:
        raise ModelError(
            f"The model {name!r} reads {longest} tokens by its config.json and "
            f"{reprlib.repr(allowed)} by the model_max_length of its tokenizer, and both must be "
            "whole numbers from 1 on: write what it was trained with into its config.json and "
            "tokenizer_config.json."
        )
    return int(min(limit, longest))
