"""Config of a model: sizes, labels and limits by its files, read without torch, and checks."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bhpvas.errors import ModelError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model import files
from bhpvas.model.families import FAMILIES
from bhpvas.model.families.base import Family

# Far beyond any model; layers that share their weights are as many as a config says.
_MOST_LAYERS = 1000
# The way out where a model of these families is an unusual one.
_ORDINARY = f"choose an ordinary {', '.join(FAMILIES)} classifier"


@dataclass(frozen=True)
class Geometry:
    """The sizes of a classifier; ``parameters`` counts the model as its files hold it.

    ``pruned`` are heads that its files lack, as those of a model exported by bhpvas do. ``shared``:
    its layers use the same weights.
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
    shared: bool = False

    @property
    def head_parameters(self) -> int:
        """Parameters that leave with one head: rows and biases of q, k, v and columns of W_O.

        0 where layers share their weights, since the others go on using them.
        """
        if self.shared:
            return 0
        return 4 * self.hidden_size * self.head_size + 3 * self.head_size


@dataclass(frozen=True)
class Info:
    """What a model's files say of it, without loading its weights."""

    name: str
    geometry: Geometry
    label_names: tuple[str, ...]


def read_info(source: str | Path | None = None, *, revision: str | None = None) -> Info:
    """Read a model's sizes and labels from its configs and the headers of its weight files.

    Raises :class:`ModelError` as :func:`~bhpvas.model.classifier.load_classifier` does, as far as
    that shows without weights.
    """
    name, folder, _ = files.locate(source, revision)
    config = read_config(folder, name)
    if not _says_all(config, FAMILIES[config["model_type"]]):
        config = _filled_config(folder, name)
    check_sizes(config, folder, name)
    return info_of(
        config,
        name,
        allowed=_tokenizer_limit(folder),
        pruned=pruned_heads(config, name),
        numbers=files.number_of_weights(folder, name),
        # A layer without heads has one of zeros in its file, which is no part of the model.
        zeros=len(config.get("constant_attention") or ()),
    )


def info_of(
    config: Mapping[str, Any],
    name: str,
    *,
    allowed: Any,
    pruned: frozenset[HeadId],
    numbers: int,
    zeros: int,
) -> Info:
    """What a complete config says of a model.

    ``allowed`` is the longest input by the tokenizer, ``pruned`` are the heads that the files lack,
    ``numbers`` how many there are in all weights, ``zeros`` how many heads are but stand-ins.
    """
    family = FAMILIES[config["model_type"]]
    layers, heads, hidden_size, intermediate_size = family.sizes(config)
    label_names = names_of(config["id2label"], name)
    geometry = Geometry(
        layers=layers,
        heads=heads,
        hidden_size=hidden_size,
        head_size=hidden_size // heads,
        intermediate_size=intermediate_size,
        labels=len(label_names),
        parameters=numbers,
        max_length=longest_input(config, allowed, name),
        pruned=pruned,
        shared=family.shared,
    )
    geometry = replace(geometry, parameters=numbers - zeros * geometry.head_parameters)
    return Info(name, geometry, label_names)


def _says_all(config: Mapping[str, Any], family: Family) -> bool:
    """Whether a config.json states itself what transformers would otherwise fill in."""
    sizes = [*family.size_keys, "vocab_size", "max_position_embeddings"]
    sizes += ["embedding_size"] if "embedding_size" in config else []
    sizes += ["pad_token_id"] if family.after_padding else []
    labels = config.get("id2label")
    return (
        all(type(config.get(size)) is int for size in sizes)
        and isinstance(labels, dict)
        and sorted(labels) == sorted(map(str, range(len(labels))))
        and config.get("num_labels", len(labels)) == len(labels)
    )


def _filled_config(folder: Path, name: str) -> dict[str, Any]:
    """The config with the defaults of its family, which only transformers knows."""
    from transformers import AutoConfig

    try:
        found = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # a setting of a wrong kind surfaces as many unrelated types
        raise ModelError(
            f"The config.json of {name!r} cannot be used: {files.reason(error)}."
        ) from error
    return found.to_dict()


def _tokenizer_limit(folder: Path) -> Any:
    """The longest input that the tokenizer's own config allows, as it stands there, or None."""
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        return settings["model_max_length"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # no limit, as the tokenizer itself, which is not read here, takes it


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """The settings in ``config.json``; raises :class:`ModelError` for a model we cannot use."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"The model {name!r} has no config.json, so it cannot be read: give a folder or a hub "
            "id that save_pretrained wrote."
        ) from None
    except OSError as error:
        raise ModelError(
            f"The config.json of {name!r} cannot be read ({error.strerror}): give a folder that "
            "save_pretrained wrote."
        ) from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"The config.json of {name!r} is not valid JSON: {error}.") from error
    if not isinstance(config, dict):
        raise ModelError(f"The config.json of {name!r} holds no settings.")
    if "auto_map" in config and config.get("model_type") not in FAMILIES:
        raise ModelError(
            f"The model {name!r} needs code of its own, which bhpvas does not run: {_ORDINARY}."
        )
    files.check_weight_files(folder, name)
    _check_supported(config, name)
    files.check_shards(config, folder, name)
    return config


def _check_supported(config: Mapping[str, Any], name: str) -> None:
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise ModelError(
            f"The model {name!r} is of type {kind!r}; supported are {', '.join(FAMILIES)}."
        )
    heads = config.get("architectures") or []
    if not isinstance(heads, list):
        heads = [heads]
    if not any(str(head).endswith("ForSequenceClassification") for head in heads):
        found = ", ".join(map(str, heads)) or "nothing that its config names"
        raise ModelError(
            f"The model {name!r} is no sequence classifier (it is {found}): fine-tune it first, or "
            f"choose a model ending in ForSequenceClassification."
        )
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise ModelError(
            f"The model {name!r} uses relative positions, which are not supported: {_ORDINARY}."
        )
    if config.get("problem_type") in ("regression", "multi_label_classification"):
        raise ModelError(
            f"The model {name!r} does {config['problem_type'].replace('_', ' ')}; bhpvas needs one "
            f"label out of two or more for each sentence."
        )
    if what := FAMILIES[kind].unsupported(config):
        raise ModelError(f"The model {name!r} {what}, which is not supported: {_ORDINARY}.")
    if config.get("is_decoder"):
        raise ModelError(f"The model {name!r} is a decoder, not an encoder: {_ORDINARY}.")


def check_sizes(config: Mapping[str, Any], folder: Path, name: str) -> None:
    """Refuse a config that asks for more than the files hold, before memory is taken for it.

    Raises :class:`ModelError` for that, and for a model without layers or heads.
    """
    family = FAMILIES[config["model_type"]]
    layers, heads, hidden, intermediate = family.sizes(config)
    if min(layers, heads) < 1:
        raise ModelError(
            f"The config.json of {name!r} states {layers} layers of {heads} heads: bhpvas needs at "
            "least one of each."
        )
    embedding = config.get("embedding_size", hidden)
    if type(embedding) is not int:
        raise ModelError(
            f"The config.json of {name!r} states the embedding_size {reprlib.repr(embedding)}, "
            f"which is no whole number: {files.SAVE_AGAIN}."
        )
    held = sum(path.stat().st_size for path in files.weight_files(folder))
    tokens = config["vocab_size"] + config["max_position_embeddings"]
    # The feed-forward part, which no pruning of heads makes smaller.
    inner = (1 if family.shared else layers) * hidden * intermediate * 2
    asked = embedding * tokens + inner
    if asked > held or layers > _MOST_LAYERS:
        raise ModelError(
            f"The config.json of {name!r} asks for {asked:,} numbers or more, and its weights have "
            f"{held:,} bytes: they do not belong together."
        )


def pruned_heads(config: Mapping[str, Any], name: str) -> frozenset[HeadId]:
    """The heads that the files lack, by ``pruned_heads`` and ``constant_attention``."""
    layers, heads, _, _ = FAMILIES[config["model_type"]].sizes(config)
    constant = config.get("constant_attention") or ()
    try:
        if not isinstance(constant, list | tuple):
            raise TypeError(f"its constant_attention is {reprlib.repr(constant)} and no list")
        pruned = frozenset(
            HeadId(int(number), int(head))
            for number, removed in (config.get("pruned_heads") or {}).items()
            for head in (range(heads) if int(number) in constant else removed)
        )
        return HeadMask(layers, heads, pruned).removed
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"The pruned_heads of {name!r} cannot be used: {error}") from None


def longest_input(config: Mapping[str, Any], allowed: Any, name: str) -> int:
    """The longest input that positions and tokenizer allow, in tokens.

    ``allowed`` is what the tokenizer says, or None where it says nothing. Raises
    :class:`ModelError` where one of them says nothing that can be.
    """
    after_padding = FAMILIES[config["model_type"]].after_padding
    padding: Any = config.get("pad_token_id")
    if after_padding and type(padding) is not int:
        raise ModelError(
            f"The config.json of {name!r} has the pad_token_id {reprlib.repr(padding)}, and its "
            f"positions are counted from that: {files.SAVE_AGAIN}."
        )
    longest = config["max_position_embeddings"] - (padding + 1 if after_padding else 0)
    limit = longest if allowed is None else allowed
    if type(limit) not in (int, float) or limit != limit // 1 or min(limit, longest) < 1:
        raise ModelError(
            f"The model {name!r} reads {longest} tokens by its config.json and "
            f"{reprlib.repr(allowed)} by the model_max_length of its tokenizer, and both must be "
            f"whole numbers from 1 on: {files.SAVE_AGAIN}."
        )
    return int(min(limit, longest))


def names_of(labels: Mapping[Any, Any], name: str) -> tuple[str, ...]:
    """The labels in a config's ``id2label`` by their numbers.

    Raises :class:`ModelError` where they are not numbered from 0, or one is no text.
    """
    numbered = {int(number): label for number, label in labels.items()}
    found: list[str] = []
    for number in range(len(numbered)):
        label = numbered.get(number)
        if not isinstance(label, str):
            raise ModelError(
                f"The id2label of {name!r} gives label {number} the name {reprlib.repr(label)}: "
                "its labels must be numbered from 0 on, and each name must be text."
            )
        found.append(label)
    return tuple(found)
