"""Files of a model: where they lie, what the headers of its weights say, and their hashes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import reprlib
from collections.abc import Mapping
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

from bhpvas.errors import ModelError
from bhpvas.model.memory import available
from bhpvas.storage.files import files_of
from bhpvas.storage.paths import sample_data_folder

_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
#: The way out where a model does not fit into memory.
SMALLER = "choose a smaller model, or close other programs"
#: The way out where its files do not fit each other.
SAVE_AGAIN = "save the model again with save_pretrained of transformers"
# What a model folder may contain for us; pickled weights and code are never fetched.
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
# Which file holds which weights, where they are in several.
_INDEX = "model.safetensors.index.json"
# Small files that a tokenizer may be made of.
_TOKENIZER_PARTS = ("*.json", "*.txt", "*.model")


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
        fetched = snapshot_download(
            name, revision=revision, allow_patterns=_HUB_FILES, ignore_patterns=["*/*"]
        )
    except Exception as error:  # the hub client raises many unrelated types
        raise ModelError(
            f"The model {name!r} could not be fetched from the hub "
            f"({reason(error)}): check the id and the network, or give a folder."
        ) from error
    return name, Path(fetched), revision or Path(fetched).name


def reason(error: Exception) -> str:
    """The first sentence of a library's error, without addresses."""
    first = str(error).strip().split("\n")[0] or type(error).__name__
    first = re.sub(r"^Got: \w+: (\[Errno -?\d+\] )?", "", first)
    return re.sub(r"\S*://\S+", "…", first).rstrip(".")[:160]


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a model; a folder or a link to nothing of such a name is none."""
    return [path for path in sorted(folder.glob("*.safetensors")) if path.is_file()]


def check_weight_files(folder: Path, name: str) -> None:
    """Refuse a model without safetensors."""
    if weight_files(folder):
        return
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


def check_shards(config: Mapping[str, Any], folder: Path, name: str) -> None:
    """Refuse weights that transformers would read from other files than those safetensors."""
    beside = [path.name for path in weight_files(folder)]
    named = config.get("transformers_weights")
    whole = "model.safetensors" if named is None else named
    if whole in beside:
        return
    if named not in (None, _INDEX):
        raise ModelError(
            f"The config.json of {name!r} names the weights {reprlib.repr(named)}, which are no "
            f".safetensors file beside it: {SAVE_AGAIN}."
        )
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        shards = list(index["weight_map"].values())
    except FileNotFoundError:
        return  # transformers says so itself
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"The {_INDEX} of {name!r}, which says where its weights are, cannot be read "
            f"({reason(error)}): {SAVE_AGAIN}."
        ) from None
    for shard in shards:
        if shard not in beside:
            raise ModelError(
                f"The {_INDEX} of {name!r} names {shard!r:.80}, which is no .safetensors "
                f"file beside it: {SAVE_AGAIN}."
            )


def number_of_weights(folder: Path, name: str) -> int:
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


def check_memory(folder: Path, name: str, bytes_each: int) -> None:
    """Refuse a model whose weights alone take more memory than is free, before any is taken.

    Raises :class:`ModelError` for that. ``bytes_each`` is the size of a number once loaded.
    """
    needed, free = number_of_weights(folder, name) * bytes_each, available()
    if free is not None and needed > free:
        raise ModelError(
            f"The weights of {name!r} take {needed / 1e6:,.0f} MB of memory, and "
            f"{free / 1e6:,.0f} MB are free here: {SMALLER}."
        )


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
