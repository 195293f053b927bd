"""What a model's files say of it, read without torch: sizes and labels are there at once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

from bhpvas.errors import ModelError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.memory import available
from bhpvas.storage.files import files_of
from bhpvas.storage.paths import sample_data_folder

# Far beyond any model; layers that share their weights are as many as a config says.
_MOST_LAYERS = 1000
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
#: The way out where a model does not fit into memory.
SMALLER = "choose a smaller model, or close other programs"
# What a model folder may contain for us; pickled weights and code are never fetched.
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
# Which file holds which weights, where they are in several.
_INDEX = "model.safetensors.index.json"
# Small files that a tokenizer may be made of.
_TOKENIZER_PARTS = ("*.json", "*.txt", "*.model")


@dataclass(frozen=True)
class Family:
    """How the config of one family of models calls its sizes.

    ``after_padding``: positions are counted from the padding index + 1, so that many are never
    used. ``shared``: layers use the same weights, so that a head can be masked in one of them, but
    not removed from it.
    """

    layers: str = "num_hidden_layers"
    heads: str = "num_attention_heads"
    hidden_size: str = "hidden_size"
    intermediate_size: str = "intermediate_size"
    after_padding: bool = False
    shared: bool = False


_ROBERTA = Family(after_padding=True)

#: ``model_type`` in a config → how that family's config is read.
FAMILIES: dict[str, Family] = {
    "bert": Family(),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "electra": Family(),
    "distilbert": Family("n_layers", "n_heads", "dim", "hidden_dim"),
    "albert": Family(shared=True),
}
#: The way out where a model of these families is an unusual one.
_ORDINARY = f"choose an ordinary {', '.join(FAMILIES)} classifier"
# The way out where its files do not fit each other.
_SAVE_AGAIN = "save the model again with save_pretrained of transformers"


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
    name, folder, _ = locate(source, revision)
    config = read_config(folder, name)
    family = FAMILIES[config["model_type"]]
    if not _says_all(config, family):
        config = _filled_config(folder, name)
    check_sizes(config, folder, name)
    layers, heads, hidden_size = (
        config[family.layers],
        config[family.heads],
        config[family.hidden_size],
    )
    label_names = names_of(config["id2label"], name)
    geometry = Geometry(
        layers=layers,
        heads=heads,
        hidden_size=hidden_size,
        head_size=hidden_size // heads,
        intermediate_size=config[family.intermediate_size],
        labels=len(label_names),
        parameters=_numbers(folder, name),
        max_length=longest_input(config, _tokenizer_limit(folder), name),
        pruned=pruned_heads(config, layers, heads, name),
        shared=family.shared,
    )
    # A layer without heads has one of zeros in its file, which is no part of the model.
    stand_ins = len(config.get("constant_attention") or ()) * geometry.head_parameters
    geometry = replace(geometry, parameters=geometry.parameters - stand_ins)
    return Info(name, geometry, label_names)


def _says_all(config: Mapping[str, Any], family: Family) -> bool:
    """Whether a config.json states itself what transformers would otherwise fill in."""
    sizes = [family.layers, family.heads, family.hidden_size, family.intermediate_size]
    sizes += ["vocab_size", *(["embedding_size"] if "embedding_size" in config else [])]
    sizes += ["max_position_embeddings", *(["pad_token_id"] if family.after_padding else [])]
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
        raise ModelError(f"The config.json of {name!r} cannot be used: {reason(error)}.") from error
    return found.to_dict()


def _tokenizer_limit(folder: Path) -> Any:
    """The longest input that the tokenizer's own config allows, as it stands there, or None."""
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        return settings["model_max_length"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # no limit, as the tokenizer itself, which is not read here, takes it


def _numbers(folder: Path, name: str) -> int:
    """How many numbers the weight files of a model hold, by their headers."""
    return sum(
        prod(shape)
        for path in weight_files(folder)
        for key, shape in _shapes(path, name).items()
        if not key.endswith("position_ids")
    )


def _shapes(path: Path, name: str) -> dict[str, list[int]]:
    """The shape of every tensor in a weight file, by its header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as weights:
            return {key: weights.get_slice(key).get_shape() for key in weights.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"The weights of {name!r} could not be read: {reason(error)}.") from error


def locate(source: str | Path | None, revision: str | None) -> tuple[str, Path, str | None]:
    """Name, local folder and revision of a model; fetches a hub id's plain files."""
    if source is None or str(source) == "sample":
        return "sample", sample_data_folder() / "model", None
    folder = Path(os.path.expanduser(source))  # a user that is not there stays as it is written
    if os.path.isdir(folder):  # no for a name too long for any folder
        return folder.name, folder, revision
    name, _, after_at = str(source).partition("@")
    revision = revision or after_at or None
    if not _HUB_ID.fullmatch(name) or os.path.isfile(folder):
        raise ModelError(f"{str(source)!r} is neither a folder nor a hub id such as 'owner/model'.")
    from huggingface_hub import snapshot_download

    try:
        fetched = Path(
            snapshot_download(
                name, revision=revision, allow_patterns=_HUB_FILES, ignore_patterns=["*/*"]
            )
        )
    except Exception as error:  # the hub client raises many unrelated types
        raise ModelError(
            f"The model {name!r} could not be fetched from the hub "
            f"({reason(error)}): check the id and the network, or give a folder."
        ) from error
    return name, fetched, revision or fetched.name


def reason(error: Exception) -> str:
    """The first sentence of a library's error, without addresses."""
    first = str(error).strip().split("\n")[0] or type(error).__name__
    first = re.sub(r"^Got: \w+: (\[Errno -?\d+\] )?", "", first)
    return re.sub(r"\S*://\S+", "…", first).rstrip(".")[:160]


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
    if not weight_files(folder):
        pickled = [path.name for path in sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt"))]
        if pickled:
            raise ModelError(
                f"The weights of {name!r} are pickled ({pickled[0]}), which can run code and is "
                f"refused: save them as safetensors with save_pretrained of transformers."
            )
        raise ModelError(
            f"The model {name!r} has no .safetensors file, so no weights to load: save it with "
            "save_pretrained of transformers."
        )
    _check(config, name)
    _check_shards(config, folder, name)
    return config


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a model; a folder or a link to nothing of such a name is none."""
    return [path for path in sorted(folder.glob("*.safetensors")) if path.is_file()]


def _check_shards(config: Mapping[str, Any], folder: Path, name: str) -> None:
    """Refuse weights that transformers would read from other files than those safetensors."""
    beside = [path.name for path in weight_files(folder)]
    named = config.get("transformers_weights")
    whole = "model.safetensors" if named is None else named
    if whole in beside:
        return
    if named not in (None, _INDEX):
        raise ModelError(
            f"The config.json of {name!r} names the weights {reprlib.repr(named)}, which are no "
            f".safetensors file beside it: {_SAVE_AGAIN}."
        )
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        shards = list(index["weight_map"].values())
    except FileNotFoundError:
        return  # transformers says so itself
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"The {_INDEX} of {name!r}, which says where its weights are, cannot be read "
            f"({reason(error)}): {_SAVE_AGAIN}."
        ) from None
    for shard in shards:
        if shard not in beside:
            raise ModelError(
                f"The {_INDEX} of {name!r} names {shard!r:.80}, which is no .safetensors "
                f"file beside it: {_SAVE_AGAIN}."
            )


def _check(config: dict[str, Any], name: str) -> None:
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
    if config.get("inner_group_num", 1) != 1:
        raise ModelError(
            f"The model {name!r} has groups of several layers, which is not supported: {_ORDINARY}."
        )
    if config.get("is_decoder"):
        raise ModelError(f"The model {name!r} is a decoder, not an encoder: {_ORDINARY}.")


def check_sizes(config: Mapping[str, Any], folder: Path, name: str) -> None:
    """Refuse a config that asks for more than the files hold, before memory is taken for it.

    Raises :class:`ModelError` for that, and for a model without layers or heads.
    """
    family = FAMILIES[config["model_type"]]
    layers, heads, hidden = (
        config[family.layers],
        config[family.heads],
        config[family.hidden_size],
    )
    if min(layers, heads) < 1:
        raise ModelError(
            f"The config.json of {name!r} states {layers} layers of {heads} heads: bhpvas needs at "
            "least one of each."
        )
    embedding = config.get("embedding_size", hidden)
    if type(embedding) is not int:
        raise ModelError(
            f"The config.json of {name!r} states the embedding_size {reprlib.repr(embedding)}, "
            f"which is no whole number: {_SAVE_AGAIN}."
        )
    held = sum(path.stat().st_size for path in weight_files(folder))
    tokens = config["vocab_size"] + config["max_position_embeddings"]
    # The feed-forward part, which no pruning of heads makes smaller.
    inner = (1 if family.shared else layers) * hidden * config[family.intermediate_size] * 2
    asked = embedding * tokens + inner
    if asked > held or layers > _MOST_LAYERS:
        raise ModelError(
            f"The config.json of {name!r} asks for {asked:,} numbers or more, and its weights have "
            f"{held:,} bytes: they do not belong together."
        )


def check_memory(folder: Path, name: str, bytes_each: int) -> None:
    """Refuse a model whose weights alone take more memory than is free, before any is taken.

    Raises :class:`ModelError` for that. ``bytes_each`` is the size of a number once loaded.
    """
    needed, free = _numbers(folder, name) * bytes_each, available()
    if free is not None and needed > free:
        raise ModelError(
            f"The weights of {name!r} take {needed / 1e6:,.0f} MB of memory, and "
            f"{free / 1e6:,.0f} MB are free here: {SMALLER}."
        )


def pruned_heads(
    config: Mapping[str, Any], layers: int, heads: int, name: str
) -> frozenset[HeadId]:
    """The heads that the files lack, by ``pruned_heads`` and ``constant_attention``."""
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
            f"positions are counted from that: {_SAVE_AGAIN}."
        )
    longest = config["max_position_embeddings"] - (padding + 1 if after_padding else 0)
    limit = longest if allowed is None else allowed
    if type(limit) not in (int, float) or limit != limit // 1 or min(limit, longest) < 1:
        raise ModelError(
            f"The model {name!r} reads {longest} tokens by its config.json and "
            f"{reprlib.repr(allowed)} by the model_max_length of its tokenizer, and both must be "
            f"whole numbers from 1 on: {_SAVE_AGAIN}."
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


def fingerprint(folder: Path) -> str:
    """Hash of the config and the weight files: the same wherever the model lies."""
    return _hash_of(folder / "config.json", *weight_files(folder))


def tokenizer_fingerprint(folder: Path) -> str:
    """Hash of all small files that a tokenizer may be made of."""
    parts = sorted(chain.from_iterable(map(folder.glob, _TOKENIZER_PARTS)))
    return _hash_of(*(path for path in parts if path.is_file()))


def stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of a model's files: equal as long as nobody writes to them."""
    found = chain.from_iterable(files_of(folder, one).items() for one in _HUB_FILES)
    return tuple(sorted((path.name, about.st_size, about.st_mtime_ns) for path, about in found))


def _hash_of(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
