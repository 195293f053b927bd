"""Classifier: a BERT-like sequence classifier and its tokenizer, the same for every family."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.model.config import Geometry, info_of, read_files
from bhpvas.model.dead_heads import dead_heads
from bhpvas.model.encoding import (
    MAX_UNKNOWN,
    Encoded,
    Tables,
    check_known,
    encode_texts,
    punctuation_tokens,
    token_counts,
)
from bhpvas.model.families.base import Family, Layer
from bhpvas.model.files import fingerprint, locate, tokenizer_fingerprint
from bhpvas.model.loading import load_weights
from bhpvas.model.tokenizer import load_tokenizer
from bhpvas.model.weights import Weights
from bhpvas.tasks.base import Task
from bhpvas.text import listed

if TYPE_CHECKING:
    from bhpvas.data.dataset import Dataset

#: Number types by name. ``mixed``: weights in float32, products of matrices in bfloat16.
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "mixed": torch.float32}


@dataclass(frozen=True, eq=False)
class Classifier:
    """A loaded classifier. Its weights are frozen and never written to, so threads can share it.

    ``source`` is what it was loaded from, ``revision`` that of a hub id, ``fingerprint`` a hash of
    its config and weights, ``tokenizer_fingerprint`` one of its other files; ``task`` is what its
    outputs answer, ``geometry`` has its sizes. ``weights`` are those that a recovery put in place
    of the model's own, and ``loaded`` is the classifier without them. ``model`` is a module of
    transformers, and ``layers`` are its parts by ``family``. ``notes`` say in a sentence each what
    was guessed or left out of its files, ``max_unknown`` how large a share of a dataset's tokens
    may be unknown.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> classifier.label_names, classifier.geometry.layers, classifier.geometry.heads
    (('negative', 'positive'), 6, 12)
    >>> classifier.full_mask().kept_count
    72
    """

    name: str
    source: str
    revision: str | None
    fingerprint: str
    tokenizer_fingerprint: str
    task: Task
    geometry: Geometry
    model: Any
    tokenizer: Any
    family: Family
    layers: tuple[Layer, ...]
    device: torch.device
    dtype: torch.dtype
    mixed: bool = False
    weights: Weights | None = None
    loaded: Classifier | None = None
    notes: tuple[str, ...] = ()
    max_unknown: float = MAX_UNKNOWN

    @property
    def label_names(self) -> tuple[str, ...]:
        """What the outputs are called."""
        return self.task.label_names

    @property
    def identity(self) -> str:
        """What decides the answers of the model as it was loaded: equal for equal numbers."""
        dtype = "mixed" if self.mixed else str(self.dtype)
        said = f"{self.fingerprint} {self.tokenizer_fingerprint} {dtype} {self.device}"
        return f"{said} {self.task.setting}".rstrip()

    def with_weights(self, weights: Weights | None) -> Classifier:
        """This classifier with other weights in place of some; None = those it was loaded with.

        The model it was loaded as stays as it is, and everything that does not change is shared
        with it. Raises :class:`ModelError` where the weights do not fit.
        """
        base = self.loaded or self
        if weights is None:
            return base
        own = dict(base.model.named_parameters())
        for name, tensor in weights.tensors.items():
            if name not in own or own[name].shape != tensor.shape:
                raise ModelError(
                    f"The changed weights {name} {tuple(tensor.shape)} do not fit the model "
                    f"{self.name!r}: they were made for another one."
                )
        # What is in a deep copy's memo is taken from there instead of being copied.
        memo: dict[int, Any] = {id(buffer): buffer for buffer in base.model.buffers()}
        for name, parameter in own.items():
            memo[id(parameter)] = parameter
            if name in weights.tensors:
                tensor = weights.tensors[name].to(self.device, self.dtype)
                memo[id(parameter)] = nn.Parameter(tensor, requires_grad=False)
        model = copy.deepcopy(base.model, memo)
        layers = self.family.layers(model)
        return replace(base, model=model, layers=layers, weights=weights, loaded=base)

    def name_of(self, parameter: Tensor) -> str:
        """What the model calls one of its parameters."""
        return next(name for name, one in self.model.named_parameters() if one is parameter)

    def changed_below(self, layer: int) -> tuple[tuple[str, str], ...]:
        """Names and hashes of the changed weights below a layer; those of no layer count, too."""
        hashes = self.weights.hashes if self.weights else {}
        return tuple(one for one in hashes.items() if self._layer_of.get(one[0], -1) < layer)

    @cached_property
    def _layer_of(self) -> dict[str, int]:
        """In which layer the parameters of layers stand, by their names; the lowest of several."""
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        return {
            names[id(parameter)]: number
            for number, layer in reversed([*enumerate(self.family.encoder_layers(self.model))])
            for parameter in layer.parameters()
        }

    def check_removal(self, mask: HeadMask) -> None:
        """Raise :class:`ModelError` where a mask removes from a layer what others go on using."""
        can = self.geometry.removable(mask)
        if can == mask:
            return
        if heads := sorted(mask.removed - can.removed):
            group = self.geometry.group_of(heads[0].layer)
            what = str(heads[0])
            way = f"L{group[0]}-{group[-1]}H{heads[0].head}, which is the head in all of them"
        else:
            assert mask.neurons is not None
            lost = mask.neurons if can.neurons is None else mask.neurons - can.neurons
            layer = next(layer for layer, count in enumerate(lost.counts) if count)
            group = self.geometry.group_of(layer)
            what, way = f"a neuron of layer {layer}", "the same neurons from all of them"
        raise ModelError(
            f"Layers {group[0]} to {group[-1]} of {self.name!r} use the same weights, and {what} "
            "is removed from some of them alone, so it can be masked there but not leave the "
            f"weights: remove {way}, or keep it."
        )

    def check_apart(self, what: str) -> None:
        """Raise :class:`ModelError`, which says ``what`` is refused, where layers share weights."""
        if self.geometry.groups:
            raise ModelError(f"The layers of {self.name!r} share their weights, and {what}.")

    def full_mask(self) -> HeadMask:
        """The mask that keeps every head and neuron that the model's files hold."""
        of = self.geometry
        return HeadMask(of.layers, of.heads, pruned=of.pruned, pruned_neurons=of.pruned_neurons)

    @cached_property
    def dead_heads(self) -> np.ndarray:
        """Which heads put out nothing, whatever they attend to: bool ``[L, H]``, read-only."""
        found = dead_heads(self.layers, self.geometry.head_size)
        found.setflags(write=False)
        return found

    def embed(self, input_ids: Tensor, token_type_ids: Tensor, at: Tensor | None = None) -> Tensor:
        """Embeddings of tokens ``[B, T]``: ``[B, T, D]``; at the places that tokens ``at`` have."""
        return self.family.embed(self.model, input_ids, token_type_ids, at)

    def first_only(self, number: int) -> bool:
        """Whether of what a layer leaves the first token alone is read: in the last, mostly."""
        return number == len(self.layers) - 1 and self._reads_first

    @cached_property
    def _reads_first(self) -> bool:
        return not self.family.mean(self.model.config)

    def classify(self, states: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Logits ``[B, C]`` from the last hidden states, ``[B, T, D]`` or of the first token alone.

        ``attention_mask`` is ``[B, 1, 1, T]``, None where nothing is padded.
        """
        return self.family.logits(self.model, states, attention_mask)

    def pool(self, states: Tensor, attention_mask: Tensor | None) -> Tensor:
        """What stands for each sentence in hidden states ``[B, T, D]``: ``[B, D]``."""
        return self.family.pool(self.model, states, attention_mask)

    def arithmetic(self) -> torch.autocast:
        """The context in which a pass over sentences multiplies matrices."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed)

    def encode(self, dataset: Dataset) -> Encoded:
        """Tokens of every sentence, cut at the model's longest input.

        Raises :class:`ModelError` where more than ``max_unknown`` of them are unknown, or of the
        sentences empty, to the tokenizer: it is not the model's, or does not know the language.
        """
        encoded = self.encode_texts(dataset.texts, dataset.pairs)
        check_known(encoded, self.max_unknown, self.name, dataset.name)
        return encoded

    def encode_texts(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Encoded:
        """As :meth:`encode`, from texts and optional second sentences, however many are unknown.

        Raises :class:`ModelError` for a token or type that the model has no embedding for.
        """
        return encode_texts(self.tokenizer, texts, pairs, self._tables)

    @cached_property
    def _tables(self) -> Tables:
        config = self.model.config
        return Tables(
            self.name,
            self.geometry.max_length,
            config.vocab_size,
            config.type_vocab_size or None if self.family.typed else None,
        )

    def lengths(self, dataset: Dataset, most: int | None = None) -> np.ndarray:
        """Tokens in each sentence as :meth:`encode` cuts it: int64 ``[N]``.

        Where they are more than ``most`` together, the first sentences that are more are enough.
        """
        longest = self.geometry.max_length
        return token_counts(self.tokenizer, dataset.texts, dataset.pairs, longest, most)

    @cached_property
    def punctuation(self) -> np.ndarray:
        """Which tokens of the vocabulary are punctuation or symbols only: bool ``[V]``."""
        return punctuation_tokens(self.tokenizer)


def load_classifier(
    source: str | Path | None = None,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    max_unknown: float = MAX_UNKNOWN,
    threshold: float | None = None,
) -> Classifier:
    """Load a sequence classifier from a folder or a hub id (``name`` or ``name@revision``).

    Without a source it is the sample model. Only safetensors are read, and no code of the model
    runs. Heads and feed-forward neurons that the files lack (``pruned_heads`` and
    ``pruned_neurons`` in the config) are filled with zeros, so every layer has as many;
    :attr:`Geometry.pruned` and :attr:`Geometry.pruned_neurons` name them, and
    :meth:`Classifier.full_mask` is without them. ``device`` is ``cpu``, ``cuda``, ``mps``, or
    ``auto``: ``cuda`` where there is one, else ``cpu``. ``dtype`` is ``float32``, ``bfloat16``,
    ``mixed`` (float32 weights, while passes over sentences multiply matrices in bfloat16), or
    ``auto``: ``mixed`` on ``cuda``, else ``float32``. Sentences of which more than ``max_unknown``
    of the tokens are unknown to its tokenizer are refused later, when they are encoded.
    ``threshold`` is the probability from which a model of several labels answers one (default:
    0.5).

    Raises :class:`ModelError` with one sentence where the model is missing, unsupported or broken,
    or larger than the memory that is free, and :class:`~bhpvas.errors.BhpvasError` for a threshold
    that is none or that the model has no use for.

    >>> import bhpvas
    >>> classifier = bhpvas.load_classifier()
    >>> f"{classifier.name}: {classifier.geometry.parameters:,} parameters"
    'sample: 22,713,986 parameters'
    """
    place = _device(device)
    if dtype == "auto":
        dtype = "mixed" if place.type == "cuda" else "float32"
    if dtype not in DTYPES:
        raise ModelError(f"{dtype!r} is no supported number type: choose {listed(DTYPES)} or auto.")
    name, folder, revision = locate(source, revision)
    found = read_files(folder, name)
    model = load_weights(found, DTYPES[dtype])
    model.to(place).eval().requires_grad_(False)
    tokenizer = load_tokenizer(folder, name, found.config)
    info = info_of(found, allowed=tokenizer.model_max_length)
    return Classifier(
        name=name,
        source=str(source) if source is not None else "sample",
        revision=revision,
        fingerprint=fingerprint(folder, found.weights),
        tokenizer_fingerprint=tokenizer_fingerprint(folder),
        task=info.task if threshold is None else info.task.with_threshold(threshold),
        geometry=info.geometry,
        model=model,
        tokenizer=tokenizer,
        family=found.family,
        layers=found.family.layers(model),
        device=place,
        dtype=DTYPES[dtype],
        mixed=dtype == "mixed",
        notes=info.notes,
        max_unknown=max_unknown,
    )


def _device(device: str) -> torch.device:
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    available = {"cpu": True, "cuda": cuda, "mps": mps}
    if device == "auto":
        device = "cuda" if cuda else "cpu"
    kind = device.partition(":")[0]
    if not available.get(kind, False):
        usable = ", ".join(name for name, here in available.items() if here)
        raise ModelError(f"The device {device!r} is not available here; available: {usable}.")
    return torch.device(device)
