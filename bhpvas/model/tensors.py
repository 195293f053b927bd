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
from bhpvas.model.families.base import COLUMNS, ROWS, Family, Shapes, What, linear
from bhpvas.model.files import Stored
from bhpvas.neurons import NeuronSet
from bhpvas.text import plural

# What torch.compile, DataParallel and Lightning put before the names of a model.
_WRAPPERS = re.compile(r"(?:(?:_orig_mod|module|model)\.)+")
# Counters of older versions, and heads for other tasks, of which a classifier uses nothing.
_HEADS = "|".join(chain(["qa_outputs"], *(one.pretraining for one in FAMILIES.values())))
_HARMLESS = re.compile(rf"(?:.*\.)?(?:position_ids|token_type_ids)|(?:{_HEADS})\..*")
_ADAPTERS = re.compile(
    r"adapter|lora_|\.ia3|modules_to_save|prefix_encoder|prompt_e|base_model\.model\."
)
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
    stored: Mapping[str, Stored],
    config: Mapping[str, Any],
    name: str,
    pruned: Collection[HeadId],
    neurons: NeuronSet | None = None,
) -> Contents:
    """What the files hold of the model that a complete config states, without ``pruned`` heads and
    feed-forward ``neurons``.

    Raises :class:`ModelError` for anything beyond it, for what they lack, and for the first tensor
    of another size.
    """
    stock = _Stock(name, FAMILIES[config["model_type"]], config)
    stock.check_quantised()
    shapes = stock.family.tensors(config)
    names, others, prefixes = stock.own_names(stored, shapes)
    unused = tuple(key for key in stock.family.unused if key in others)
    beyond = {
        key: file
        for key, file in others.items()
        if key not in unused and not _HARMLESS.fullmatch(key)
    }
    for file in (*names.values(), *beyond.values()):
        stock.check_number_type(file, stored[file].dtype)
    missing = [key for key in shapes if key not in names]
    if beyond:
        raise ModelError(stock.beyond(beyond, missing, alone=not names))
    if missing:
        raise ModelError(stock.missing(missing))
    attention = stock.attention(pruned)
    for key, shape in (shapes | attention | stock.feed_forward(neurons)).items():
        found = stored[names[key]].shape
        if found != shape and shape != _ANY:
            say = stock.narrower if key in attention else stock.mismatch
            raise ModelError(say(key, found, shape))
    return Contents(names, tuple(sorted(prefixes)), unused)


def is_classifier(stored: Mapping[str, Stored]) -> bool:
    """Whether weight files hold the weights of a classifier."""
    return any(_plain(key).startswith("classifier.") for key in stored)


def _plain(file: str) -> str:
    """The name of a tensor without what wrappers put before it."""
    wrapper = _WRAPPERS.match(file)
    return file[wrapper.end() :] if wrapper else file


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{one:,}" for one in shape) or "1"


@dataclass(frozen=True)
class _Stock:
    """The stock model that the config of a model called ``name`` states, and what is said where the
    files hold another.
    """

    name: str
    family: Family
    config: Mapping[str, Any]

    def own_names(
        self, stored: Mapping[str, Stored], shapes: Shapes
    ) -> tuple[dict[str, str], dict[str, str], set[str]]:
        """Names in the files by the model's, those of no tensor of it, and prefixes taken off."""
        names: dict[str, str] = {}
        others: dict[str, str] = {}
        prefixes = set()
        for file in stored:
            own = next((one for one in self._readings(file) if one in shapes), None)
            if own is None:
                others[self._named(file)] = file
            elif own in names:
                raise ModelError(
                    f"The weights of {self.name!r} hold {own} twice, as {names[own]} and as "
                    f"{file}: save the one that is meant alone."
                )
            else:
                names[own] = file
                if file != own:
                    prefixes.add(file.removesuffix(_plain(file)))
        return names, others, prefixes - {""}

    def _named(self, file: str) -> str:
        """The name of a tensor without what wrappers put before it, where that is not the base."""
        plain, base = _plain(file), f"{self.family.base}."
        return base + plain if file.removesuffix(plain).endswith(base) else plain

    def _readings(self, file: str) -> Iterator[str]:
        """What a tensor in a file may be called in the model, the likeliest first.

        transformers itself reads the old names of a norm's weights, and adds or takes off the name
        of the base model.
        """
        plain = _plain(file).replace("LayerNorm.gamma", "LayerNorm.weight")
        plain = plain.replace("LayerNorm.beta", "LayerNorm.bias")
        base = f"{self.family.base}."
        yield from (plain, base + plain, plain.removeprefix(base))

    def check_quantised(self) -> None:
        """Refuse weights that the config says are quantised."""
        if (settings := self.config.get("quantization_config")) is not None:
            method = settings.get("quant_method") if isinstance(settings, Mapping) else None
            raise ModelError(
                f"The weights of {self.name!r} are quantised{f' by {method}' if method else ''}, "
                "by the quantization_config in its config.json: open it with transformers, save "
                "what its dequantize() gives, and choose that, or the model that it was made of."
            )

    def check_number_type(self, file: str, kind: str) -> None:
        """Refuse numbers that stand for others."""
        if kind not in _FLOATS:
            said = re.sub(r"^([IUF])(\d+).*", lambda m: f"{_NUMBERS[m[1]]}{m[2]}", kind)
            raise ModelError(
                f"The weights of {self.name!r} hold {said} numbers, {file} first, and its "
                "config.json has no quantization_config that says what they stand for: dequantise "
                "them with the tool that wrote them, and save the model in floating point."
            )

    def beyond(self, files: Mapping[str, str], missing: list[str], *, alone: bool) -> str:
        """What to do about tensors that the stock model does not have; ``alone``: all of them.

        ``files`` has their names in the files by those without what wrappers put before them;
        ``missing`` are those that only the stock model has.
        """
        keys = sorted(files)
        model_class = self.family.model_class
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        if adapters := [key for key in keys if _ADAPTERS.search(key)]:
            return (
                f"The weights of {self.name!r} hold an adapter ({adapters[0]}{more}), which "
                f"{model_class} does not have: merge it into them first (merge_and_unload() of "
                "peft) and save that; one with layers of its own cannot be merged and is not "
                "supported."
            )
        if masked := [key for key in keys if key.endswith("_mask") and f"{key[:-5]}_orig" in keys]:
            return (
                f"The weights of {self.name!r} hold masks of torch.nn.utils.prune ({masked[0]}"
                f"{more}), which {model_class} would leave out: call prune.remove(module, "
                f"{masked[0][:-5].rpartition('.')[2]!r}) on each module that has one, and save the "
                "model again."
            )
        for other in FAMILIES.values():
            places = (f"{other.base}.{other.modules}.", f"{other.base}.embeddings.")
            theirs = [key for key in keys if files[key].startswith(places)]
            if theirs and other.base != self.family.base:
                return (
                    f"The weights of {self.name!r} are called as those of {other.title} are "
                    f"({theirs[0]}), and its config.json says {self.family.name!r}: write the "
                    "model_type and the architectures that it was trained as."
                )
        if alone:
            return (
                f"Nothing in the weights of {self.name!r} is called as in {model_class}, such as "
                f"{keys[0]}{more}: save them by the names of that class, or {ORDINARY}."
            )
        deeper = re.compile(rf"{self.family.base}\.{re.escape(self.family.modules)}\.(\d+)\..*")
        depths = [int(found[1]) for key in keys if (found := deeper.fullmatch(key))]
        layers = len(self.family.layer_modules(self.config))
        if len(depths) == len(keys) and min(depths) >= layers:
            return (
                f"The weights of {self.name!r} hold {max(depths) + 1} layers ({keys[0]}{more}) and "
                f"its config.json states {layers}: write {self.family.size_keys[0]} as it was "
                "trained."
            )
        if missing:
            return (
                f"The weights of {self.name!r} hold {keys[0]}{more}, which {model_class} does not "
                f"have, and lack its {missing[0]}, which would be random: save them by its names, "
                f"or {ORDINARY}."
            )
        return (
            f"The weights of {self.name!r} hold {keys[0]}{more}, which {model_class} does not "
            "have, so the model would be measured without: save it as that class of transformers "
            f"if it does not need them, or {ORDINARY}."
        )

    def missing(self, keys: list[str]) -> str:
        """What to do about tensors that the files lack."""
        head = keys[0].startswith("classifier.")
        way = "fine-tune it as a classifier first" if head else "save or download the model again"
        return (
            f"The model {self.name!r} lacks {plural(len(keys), 'weight')} that its config asks "
            f"for, {keys[0]} first, which would be filled with random numbers: {way}."
        )

    def attention(self, pruned: Collection[HeadId]) -> Shapes:
        """The shapes of all tensors whose size depends on how many heads a layer has."""
        _, heads, hidden, _ = self.family.sizes(self.config)
        found: Shapes = {}
        groups = self.family.groups(self.config)
        for number, module in enumerate(self.family.layer_modules(self.config)):
            kept = heads - sum(head.layer == groups[number][0] for head in pruned)
            width = kept * (hidden // heads)
            shapes = self._of_units("heads", number, module, width)
            found |= shapes if kept else dict.fromkeys(shapes, _ANY)
        return found

    def _of_units(self, what: What, number: int, module: str, width: int) -> Shapes:
        """The shapes of all tensors of a layer whose size depends on how many ``what`` it has,
        with rows or columns for ``width``.
        """
        hidden, without = (
            self.family.sizes(self.config)[2],
            self.family.without(self.config, number),
        )
        found: Shapes = {}
        for name, parts in self.family.modules_of_parts.items():
            if parts[0] in ROWS[what]:
                found |= linear(name, len(parts) * width, hidden)
            elif parts[0] == COLUMNS[what]:
                found[f"{name}.weight"] = (hidden, width)
        return {f"{module}.{key}": shape for key, shape in found.items() if key not in without}

    def feed_forward(self, pruned: NeuronSet | None) -> Shapes:
        """The shapes of all tensors whose size depends on how many neurons a layer has."""
        width = self.family.sizes(self.config)[3]
        found: Shapes = {}
        if pruned is None:
            return found
        both = zip(
            self.family.layer_modules(self.config), self.family.groups(self.config), strict=True
        )
        for number, (module, group) in enumerate(both):
            found |= self._of_units("neurons", number, module, width - pruned.counts[group[0]])
        return found

    def narrower(self, key: str, found: tuple[int, ...], stated: tuple[int, ...]) -> str:
        """What to do about an attention of another size, which pruning by other tools leaves."""
        _, heads, hidden, _ = self.family.sizes(self.config)
        layer, part, parts = next(
            (number, parts[0], len(parts))
            for number, module in enumerate(self.family.layer_modules(self.config))
            for name, parts in self.family.modules_of_parts.items()
            if key.startswith(f"{module}.{name}.")
        )
        if part in _ROWS and found == (parts * hidden, *stated[1:]):
            return (
                f"The weights of {self.name!r} have all heads of layer {layer} ({key}), of which "
                f"its config.json names some as {self.family.pruned_key}: take that layer out of "
                "them if the heads are meant to be there."
            )
        rows, size = found[0] // parts, hidden // heads
        if part not in _ROWS or found[1:] != stated[1:] or not 0 < rows < hidden:
            return self.mismatch(key, found, stated)
        way = (
            f"write the numbers of the {plural(heads - rows // size, 'head')} that it lacks there, "
            f'as "{self.family.pruned_key}": {{"{layer}": […]}}'
            if rows % size == 0
            else f"a head has {size} rows, so it is not whole heads that were removed: {ORDINARY}"
        )
        return (
            f"The weights of {self.name!r} were pruned by another tool: its layer {layer} has "
            f"{rows} rows of {_ROWS[part]} ({key}) where its config.json says "
            f"{stated[0] // parts}; {way}."
        )

    def mismatch(self, key: str, found: tuple[int, ...], stated: tuple[int, ...]) -> str:
        """What to do about a tensor of another size than the config states."""
        last = list(self.family.others(self.config))[-2:]
        if key in last and found[1:] == stated[1:] and found:
            if found[0] == 1:
                return (
                    f"The model {self.name!r} has a single output ({key}); bhpvas needs two labels "
                    "or more."
                )
            labels = list(map(str, self.config["id2label"].values()))
            named = ", ".join(labels[:3]) + (", …" if len(labels) > 3 else "")
            return (
                f"The model {self.name!r} has {found[0]} outputs ({key}) and its config.json names "
                f"{len(labels)} labels ({named}): list as many in its id2label, in the order of "
                "its training."
            )
        table = next((one for part, one in _TABLES.items() if part in key), None)
        why = f" by {table}" if table and found[1:] == stated[1:] else ""
        return (
            f"The tensor {key} of {self.name!r} has {_size(found)} numbers, where its config.json "
            f"states {_size(stated)}{why}: they are of two models, or of two times of one, so take "
            "both files from the same save."
        )
