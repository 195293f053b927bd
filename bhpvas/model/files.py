"""Files of a model: where they lie, what the headers of its weights say, and their hashes."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import re
import reprlib
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

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
# The file of all weights, and which file holds which where they are in several.
_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
_PICKLED = {".bin", ".pt", ".pth", ".ckpt"}
# Pickled files that transformers and accelerate keep beside weights while they train.
_OF_TRAINING = re.compile(r"training_args|optimizer|scheduler|scaler|rng_state|random_states")
_OTHER_WEIGHTS = {
    "tf_model.h5": "TensorFlow",
    "flax_model.msgpack": "Flax",
    "model.onnx": "ONNX",
    "model.gguf": "GGUF",
}
# How a file begins that Git LFS has not fetched.
_POINTER = b"version https://git-lfs"
# Small files that a tokenizer may be made of.
_TOKENIZER_PARTS = ("*.json", "*.txt", "*.model")


def locate(source: str | Path | None, revision: str | None) -> tuple[str, Path, str | None]:
    """Name, local folder and revision of a model; fetches a hub id's plain files."""
    if source is None or str(source) == "sample":
        return "sample", sample_data_folder() / "model", None
    folder = Path(os.path.expanduser(source))  # a user that is not there stays as it is written
    if os.path.isdir(folder):  # no for a name too long for any folder
        own = folder.resolve().name if folder.name in ("", "..") else folder.name
        return own, folder, revision
    if os.path.isfile(folder):
        raise ModelError(
            f"{str(source)!r} is a file: give the folder that it lies in, with its config.json, "
            "weights and tokenizer."
        )
    name, _, after_at = str(source).partition("@")
    revision = revision or after_at or None
    if not _HUB_ID.fullmatch(name):
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


def weight_files(folder: Path, name: str, config: Mapping[str, Any]) -> tuple[Path, ...]:
    """The files that a model's weights are read from, in alphabetical order.

    They are those that transformers reads: what ``transformers_weights`` of the config names, else
    model.safetensors, else the files that its index names. Raises :class:`ModelError` where there
    are none.
    """
    named = config.get("transformers_weights")
    whole = _WHOLE if named is None else named
    beside = {path.name: path for path in sorted(folder.glob("*.safetensors")) if path.is_file()}
    if isinstance(whole, str) and whole in beside:
        found = [beside[whole]]
    elif named in (None, _INDEX) and os.path.lexists(folder / _INDEX):
        found = [beside[shard] for shard in _shards(folder, name, beside)]
    elif named is not None:
        raise ModelError(
            f"The config.json of {name!r} names the weights {reprlib.repr(named)}, which are no "
            f".safetensors file beside it: {SAVE_AGAIN}."
        )
    else:
        raise ModelError(_without_weights(folder, name, list(beside)))
    for path in found:
        check_pointer(path, name)
    return tuple(found)


def _shards(folder: Path, name: str, beside: Collection[str]) -> list[str]:
    """The names of the files that the index of a model's weights names."""
    check_pointer(folder / _INDEX, name)
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        shards = list(index["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"The {_INDEX} of {name!r}, which says where its weights are, cannot be read "
            f"({reason(error)}): {SAVE_AGAIN}."
        ) from None
    for shard in shards:
        if not isinstance(shard, str) or shard not in beside:
            raise ModelError(
                f"The {_INDEX} of {name!r} names {shard!r:.80}, which is no .safetensors "
                f"file beside it: download what is missing, or {SAVE_AGAIN}."
            )
    return sorted(set(shards))


def _without_weights(folder: Path, name: str, beside: Sequence[str]) -> str:
    """What to do about a model without the files that weights are read from."""
    check_link(folder / _WHOLE, name)
    if any(_SHARD.fullmatch(one) for one in beside):
        return (
            f"The weights of {name!r} are in parts ({beside[0]}) without the {_INDEX} that says "
            f"which is where: download it, too, or {SAVE_AGAIN}."
        )
    if beside:
        return (
            f"The weights of {name!r} must be called {_WHOLE}, and beside its config.json is "
            f"{beside[0]}: rename it if it is the one to read."
        )
    if pickled := _pickled(folder):
        file, held = pickled[0].name, "held"
        if file != "pytorch_model.bin":  # as Lightning and training loops call a part of theirs
            held = "(held.get('state_dict') or held.get('model_state_dict') or held)"
        lines = (
            f"`import torch, safetensors.torch as st; held = torch.load('FOLDER/{file}', "
            f"weights_only=True)` and `st.save_file({{k: v.contiguous().clone() for k, v in {held}"
            ".items()}, 'FOLDER/model.safetensors')`"
        )
        if (folder / "pytorch_model.bin.index.json").exists():
            lines = (
                "`from transformers import AutoModelForSequenceClassification as Model` and "
                "`Model.from_pretrained('FOLDER').save_pretrained('FOLDER')`"
            )
        return (
            f"The weights of {name!r} are pickled ({pickled[0].name}), which can run code and is "
            f"refused: if you trust them, convert them with the two lines {lines}."
        )
    for other, maker in _OTHER_WEIGHTS.items():
        if (folder / other).is_file():
            return (
                f"The model {name!r} has weights of {maker} alone ({other}), and no .safetensors "
                f"file: {SAVE_AGAIN} and of torch."
            )
    return f"The model {name!r} has no .safetensors file, so no weights to load: {SAVE_AGAIN}."


def _pickled(folder: Path) -> list[Path]:
    """Pickled weights of a folder; what a training keeps beside them is none."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in _PICKLED and not _OF_TRAINING.match(path.name) and path.is_file()
    ]


def other_weights(folder: Path, read: Sequence[Path]) -> tuple[str, ...]:
    """Which of several sets of weights in a folder is read, one sentence where there are such."""
    newest = max(path.stat().st_mtime for path in read)
    others = {path.name: "" for path in sorted(folder.glob("*.safetensors")) if path.is_file()}
    for path in read:
        del others[path.name]
    for path in _pickled(folder):
        if path.stat().st_mtime > newest:
            others[path.name] = ", which is newer,"
    if not others:
        return ()
    name, newer = next(iter(others.items()))
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    verb = "are" if more else "is"
    first = read[0].name + (f" to {read[-1].name}" if len(read) > 1 else "")
    return (f"The weights are read from {first}; {name}{newer}{more} beside it {verb} not read.",)


def check_link(path: Path, name: str) -> None:
    """Refuse a link to a file that is not there, as a download that stopped leaves it."""
    if path.is_symlink() and not path.exists():
        raise ModelError(
            f"The {path.name} of {name!r} is a link to a file that is not there: download the "
            "model again."
        )


def check_mark(path: Path, name: str) -> None:
    """Refuse a text that begins with a mark of byte order, which libraries take for content."""
    try:
        with path.open("rb") as file:
            start = file.read(len(codecs.BOM_UTF8))
    except OSError:
        return  # who reads it says so
    if start == codecs.BOM_UTF8:
        raise ModelError(
            f"The {path.name} of {name!r} begins with a byte order mark, as some editors write "
            "it: save the file as UTF-8 without one."
        )


def check_pointer(path: Path, name: str) -> None:
    """Refuse a file that Git LFS left a pointer to in place of its content."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_POINTER))
    except OSError:
        return  # who reads it says so
    if start == _POINTER:
        raise ModelError(
            f"The {path.name} of {name!r} is only a pointer of Git LFS to the file: fetch it with "
            "`git lfs pull` in that folder."
        )


class Stored(NamedTuple):
    """A tensor in a weight file, by its header: its number type as safetensors writes it."""

    dtype: str
    shape: tuple[int, ...]


def headers(weights: Sequence[Path], name: str) -> dict[str, Stored]:
    """Every tensor in the weight files of a model, without its numbers."""
    from safetensors import SafetensorError, safe_open

    found: dict[str, Stored] = {}
    for path in weights:
        try:
            with safe_open(path, framework="numpy") as file:
                for key in file.keys():  # noqa: SIM118
                    if key in found:
                        raise ModelError(
                            f"The weights of {name!r} hold {key} twice, once in {path.name} and "
                            "once in another file that their index names: save or download the "
                            "model again."
                        )
                    tensor = file.get_slice(key)
                    found[key] = Stored(tensor.get_dtype(), tuple(tensor.get_shape()))
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"The weights of {name!r} could not be read, since {path.name} is damaged or no "
                f".safetensors file ({reason(error)}): save or download the model again."
            ) from error
    return found


def check_memory(numbers: int, name: str, bytes_each: int) -> None:
    """Refuse a model whose weights alone take more memory than is free, before any is taken.

    Raises :class:`ModelError` for that. ``bytes_each`` is the size of a number once loaded.
    """
    needed, free = numbers * bytes_each, available()
    if free is not None and needed > free:
        raise ModelError(
            f"The weights of {name!r} take {needed / 1e6:,.0f} MB of memory, and "
            f"{free / 1e6:,.0f} MB are free here: {SMALLER}."
        )


def fingerprint(folder: Path, weights: Sequence[Path]) -> str:
    """Hash of the config and the weight files: the same wherever the model lies."""
    return _hash_of(folder / "config.json", *weights)


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
