"""Tensors of a model's files, by their headers, against those of the stock model of its family.

What the files hold beyond it would be left out without a word, and what they lack be filled with
random numbers, so both are refused here, before any weights are read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from bhpvas.errors import ModelError
from bhpvas.heads import HeadId
from bhpvas.model.families import FAMILIES, ORDINARY
from bhpvas.model.families.base import Family, Shapes, linear
from bhpvas.model.files import Stored

# What torch.compile, DataParallel and Lightning put before the names of a model.
_WRAPPERS = re.compile(r"(?:(?:_orig_mod|module|model)\.)+")
# Counters of older versions, and heads for other tasks, of which a classifier uses nothing.
_HEADS = "|".join(chain(["qa_outputs"], *(one.pretraining for one in FAMILIES.values())))
_HARMLESS = re.compile(rf"(?:.*\.)?(?:position_ids|token_type_ids)|(?:{_HEADS})\..*")
_ADAPTERS = re.compile(r"adapter|lora_|\.ia3|prefix_encoder|prompt_e|base_model\.model\.")
_FLOATS = {"F16", "BF16", "F32", "F64"}
_NUMBERS = {"I": "int", "U": "uint", "F": "float"}
# The size of a tensor of which nothing is read.
_ANY = (-1,)
_ROWS = {"query": "queries", "key": "keys", "value": "values"}
_TABLES = {
    "word_embeddings": "vocab_size",
    "position_embeddings": "max_position_embeddings",
    "token_type_embeddings": "type_vocab_size",
}


@dataclass(frozen=True)
class Contents:
    """What a model's files hold of its stock model.

    ``names`` says by which name a file knows each tensor of the model. ``prefixes`` are those that
    its names begin with and the model's do not, ``unused`` tensors that no classifier of its family
    uses.
    """

    names: Mapping[str, str]
    prefixes: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not taken as it stands there, one sentence each."""
        said = []
        if self.prefixes:
            taken = ", ".join(f"“{prefix}”" for prefix in self.prefixes)
            said.append(f"The names of the weights are read without the {taken} they begin with.")
        if self.unused:
            said.append(
                f"{self.unused[0]} is left out: classifiers of this family do not use its module."
            )
        return tuple(said)


def compared(
    stored: Mapping[str, Stored], config: Mapping[str, Any], name: str, pruned: Collection[HeadId]
) -> Contents:
    """What the files hold of the model that a complete config states, without ``pruned`` heads.

    Raises :class:`ModelError` for anything beyond it, for what they lack, and for the first tensor
    of another size.
    """
    family = FAMILIES[config["model_type"]]
    shapes = family.tensors(config)
    _check_quantised(config, name)
    names, others, prefixes = _own_names(stored, shapes, family, name)
    unused = tuple(key for key in family.unused if key in others)
    beyond = {
        key: file
        for key, file in others.items()
        if key not in unused and not _HARMLESS.fullmatch(key)
    }
    _check_number_types(stored, [*names.values(), *beyond.values()], name)
    if beyond:
        raise ModelError(_beyond(sorted(beyond), not names, family, config, name))
    if missing := [key for key in shapes if key not in names]:
        raise ModelError(_missing(missing, family, name))
    attention = _attention(family, config, pruned)
    for key, shape in (shapes | attention).items():
        found = stored[names[key]].shape
        if found != shape and shape != _ANY:
            raise ModelError(
                _narrower(key, found, shape, family, config, name)
                if key in attention
                else _mismatch(key, found, shape, family, config, name)
            )
    return Contents(names, tuple(sorted(prefixes)), unused)


def is_classifier(stored: Mapping[str, Stored]) -> bool:
    """Whether weight files hold the weights of a classifier."""
    return any(_plain(key).startswith("classifier.") for key in stored)


def _plain(file: str) -> str:
    """The name of a tensor without what wrappers put before it."""
    wrapper = _WRAPPERS.match(file)
    return file[wrapper.end() :] if wrapper else file


def _own_names(
    stored: Mapping[str, Stored], shapes: Shapes, family: Family, name: str
) -> tuple[dict[str, str], dict[str, str], set[str]]:
    """Names in the files by the model's, those of no tensor of it, and prefixes taken off."""
    names: dict[str, str] = {}
    others: dict[str, str] = {}
    prefixes = set()
    for file in stored:
        own = next((one for one in _readings(file, family) if one in shapes), None)
        if own is None:
            others[_plain(file)] = file
        elif own in names:
            raise ModelError(
                f"The weights of {name!r} hold {own} twice, as {names[own]} and as {file}: save "
                "the one that is meant alone."
            )
        else:
            names[own] = file
            prefixes.add(file.removesuffix(_plain(file)))
    return names, others, prefixes - {""}


def _readings(file: str, family: Family) -> Iterator[str]:
    """What a tensor in a file may be called in the model, the likeliest first.

    transformers itself reads the old names of a norm's weights, and adds or takes off the name of
    the base model.
    """
    plain = _plain(file).replace("LayerNorm.gamma", "LayerNorm.weight")
    plain = plain.replace("LayerNorm.beta", "LayerNorm.bias")
    yield from (plain, f"{family.base}.{plain}", plain.removeprefix(f"{family.base}."))


def _check_quantised(config: Mapping[str, Any], name: str) -> None:
    if settings := config.get("quantization_config"):
        method = settings.get("quant_method") if isinstance(settings, Mapping) else None
        raise ModelError(
            f"The weights of {name!r} are quantised by its config.json ({method or 'it says not'}"
            "): open it with transformers, save what its dequantize() gives, and choose that, or "
            "choose the model that it was made of."
        )


def _check_number_types(stored: Mapping[str, Stored], used: Collection[str], name: str) -> None:
    for file in used:
        kind = stored[file].dtype
        if kind not in _FLOATS:
            said = re.sub(r"^([IUF])(\d+).*", lambda m: f"{_NUMBERS[m[1]]}{m[2]}", kind)
            raise ModelError(
                f"The weights of {name!r} hold {said} numbers, {file} first, and its config.json "
                "has no quantization_config that says what they stand for: dequantise them with "
                "the tool that wrote them, and save the model in floating point."
            )


def _beyond(
    keys: list[str], alone: bool, family: Family, config: Mapping[str, Any], name: str
) -> str:
    """What to do about tensors that the stock model does not have."""
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    if adapters := [key for key in keys if _ADAPTERS.search(key)]:
        return (
            f"The weights of {name!r} hold an adapter ({adapters[0]}{more}), which "
            f"{family.model_class} does not have: merge it into them first (merge_and_unload() of "
            "peft) and save that; one with layers of its own cannot be merged and is not supported."
        )
    for other in FAMILIES.values():
        theirs = [key for key in keys if key.startswith(f"{other.base}.")]
        if theirs and other.base != family.base:
            return (
                f"The weights of {name!r} are called as those of {other.title} are ({theirs[0]}), "
                f"and its config.json says {family.name!r}: write the model_type and the "
                "architectures that it was trained as."
            )
    if alone:
        return (
            f"Nothing in the weights of {name!r} is called as in {family.model_class}, such as "
            f"{keys[0]}{more}: save the model as that class of transformers, or {ORDINARY}."
        )
    deeper = re.compile(rf"{family.base}\.{re.escape(family.modules)}\.(\d+)\..*")
    depths = [int(found[1]) for key in keys if (found := deeper.fullmatch(key))]
    layers = len(family.layer_modules(config))
    if len(depths) == len(keys) and min(depths) >= layers:
        return (
            f"The weights of {name!r} hold {max(depths) + 1} layers ({keys[0]}{more}) and its "
            f"config.json states {layers}: write {family.size_keys[0]} as it was trained."
        )
    return (
        f"The weights of {name!r} hold {keys[0]}{more}, which {family.model_class} does not have, "
        "so the model would be measured without: save it as that class of transformers if it does "
        f"not need them, or {ORDINARY}."
    )


def _missing(keys: list[str], family: Family, name: str) -> str:
    head = keys[0].startswith("classifier.")
    way = "fine-tune it as a classifier first" if head else "save or download the model again"
    return (
        f"The model {name!r} lacks {len(keys)} weights that its config asks for, {keys[0]} first, "
        f"which would be filled with random numbers: {way}."
    )


def _attention(family: Family, config: Mapping[str, Any], pruned: Collection[HeadId]) -> Shapes:
    """The shapes of all tensors whose size depends on how many heads a layer has."""
    _, heads, hidden, _ = family.sizes(config)
    found: Shapes = {}
    for number, module in enumerate(family.layer_modules(config)):
        kept = heads - sum(head.layer == number for head in pruned)
        width = kept * (hidden // heads)
        for part in _ROWS:
            shapes = linear(f"{module}.{family.parts[part]}", width, hidden)
            found |= shapes if kept else dict.fromkeys(shapes, _ANY)
        output = f"{module}.{family.parts['output']}.weight"
        found |= {output: (hidden, width) if kept else _ANY}
    return found


def _narrower(
    key: str,
    found: tuple[int, ...],
    stated: tuple[int, ...],
    family: Family,
    config: Mapping[str, Any],
    name: str,
) -> str:
    """What to do about an attention of another size, which pruning by other tools leaves."""
    _, heads, hidden, _ = family.sizes(config)
    module, part = next(
        (number, part)
        for number, module in enumerate(family.layer_modules(config))
        for part in _ROWS | {"output": ""}
        if key.startswith(f"{module}.{family.parts[part]}.")
    )
    if part not in _ROWS or found[1:] != stated[1:] or not 0 < found[0] < hidden:
        return _mismatch(key, found, stated, family, config, name)
    rows, size = found[0], hidden // heads
    way = (
        f"write the numbers of the {heads - rows // size} heads that it lacks there, as "
        f'"pruned_heads": {{"{module}": […]}}'
        if rows % size == 0
        else f"a head has {size} rows, so it is not whole heads that were removed: {ORDINARY}"
    )
    return (
        f"The weights of {name!r} were pruned by another tool: its layer {module} has {rows} rows "
        f"of {_ROWS[part]} ({key}) where its config.json says {stated[0]}; {way}."
    )


def _mismatch(
    key: str,
    found: tuple[int, ...],
    stated: tuple[int, ...],
    family: Family,
    config: Mapping[str, Any],
    name: str,
) -> str:
    """What to do about a tensor of another size than a config states."""
    last = list(family.others(config))[-2:]
    if key in last and found[1:] == stated[1:] and found:
        labels = list(config["id2label"].values())
        return (
            f"The model {name!r} has {found[0]} outputs ({key}) and its config.json names "
            f"{len(labels)} labels ({', '.join(map(str, labels[:3]))}{', …' * (len(labels) > 3)}): "
            "list as many in its id2label, in the order of its training."
        )
    table = next((one for part, one in _TABLES.items() if part in key), None)
    why = f" by {table}" if table and found[1:] == stated[1:] else ""
    return (
        f"The tensor {key} of {name!r} has {_size(found)} numbers, where its config.json states "
        f"{_size(stated)}{why}: they are of two models, or of two times of one, so take both files "
        "from the same save."
    )


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{one:,}" for one in shape) or "1"
