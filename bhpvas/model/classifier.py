"""A BERT sequence classifier and its tokenizer behind one architecture-neutral face.

BERT, RoBERTa, ELECTRA, DistilBERT and ALBERT are the same post-norm encoder under different names.
A row of :data:`ARCHITECTURES` says where a family keeps its parts; nothing else in the project
knows those names.
"""

from __future__ import annotations

import copy
import hashlib
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from bhpvas.data.tables import listed
from bhpvas.data.text_store import Numbers
from bhpvas.errors import ModelError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.files import (
    FAMILIES,
    SMALLER,
    Geometry,
    check_memory,
    check_sizes,
    fingerprint,
    locate,
    longest_input,
    names_of,
    pruned_heads,
    read_config,
    reason,
    tokenizer_fingerprint,
    weight_files,
)
from bhpvas.model.memory import exhausted
from bhpvas.model.weights import Weights, unusable

if TYPE_CHECKING:
    from bhpvas.data.dataset import Dataset

#: Number types by name. ``mixed``: weights in float32, products of matrices in bfloat16.
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "mixed": torch.float32}
_TOKENIZER_FILES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model"
)  # fmt: skip
# The tokenizer's own record of a text takes some 200 bytes a token, which may be one character.
_TEXTS_AT_ONCE, _CHARACTERS_AT_ONCE = 1024, 2**17
_TOKENS_AT_ONCE = 2**18


@dataclass(frozen=True)
class Layer:
    """The parts of one encoder layer: attention, add & norm, feed-forward, add & norm."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear
    attention_norm: nn.LayerNorm
    up: nn.Linear
    activation: Callable[[Tensor], Tensor]
    down: nn.Linear
    output_norm: nn.LayerNorm


@dataclass(frozen=True)
class Architecture:
    """Where one family of models keeps its parts.

    ``embed(model, input_ids, token_type_ids)`` gives ``[B, T, D]``; ``read(model, first)`` gives
    logits ``[B, C]`` from the last hidden state of the first token ``[B, D]``. ``embed_at`` is as
    ``embed``, at the places that other tokens ``[B, T]`` would have; None where places do not
    depend on tokens.
    """

    layers: Callable[[Any], Iterable[nn.Module]]
    parts: Callable[[Any], Layer]
    embed: Callable[[Any, Tensor, Tensor], Tensor]
    read: Callable[[Any, Tensor], Tensor]
    embed_at: Callable[[Any, Tensor, Tensor, Tensor], Tensor] | None = None


def _bert_parts(layer: Any) -> Layer:
    attention = layer.attention
    return Layer(
        query=attention.self.query,
        key=attention.self.key,
        value=attention.self.value,
        output=attention.output.dense,
        attention_norm=attention.output.LayerNorm,
        up=layer.intermediate.dense,
        activation=layer.intermediate.intermediate_act_fn,
        down=layer.output.dense,
        output_norm=layer.output.LayerNorm,
    )


def _distilbert_parts(layer: Any) -> Layer:
    return Layer(
        query=layer.attention.q_lin,
        key=layer.attention.k_lin,
        value=layer.attention.v_lin,
        output=layer.attention.out_lin,
        attention_norm=layer.sa_layer_norm,
        up=layer.ffn.lin1,
        activation=layer.ffn.activation,
        down=layer.ffn.lin2,
        output_norm=layer.output_layer_norm,
    )


def _albert_layers(model: Any) -> Iterable[nn.Module]:
    """The group that runs at each depth; ALBERT has one for all of them."""
    encoder = model.albert.encoder
    depth, groups = model.config.num_hidden_layers, model.config.num_hidden_groups
    for number in range(depth):
        yield from encoder.albert_layer_groups[number * groups // depth].albert_layers


def _albert_parts(layer: Any) -> Layer:
    return Layer(
        query=layer.attention.query,
        key=layer.attention.key,
        value=layer.attention.value,
        output=layer.attention.dense,
        attention_norm=layer.attention.LayerNorm,
        up=layer.ffn,
        activation=layer.activation,
        down=layer.ffn_output,
        output_norm=layer.full_layer_layer_norm,
    )


def _albert_embed(model: Any, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
    embedded = model.albert.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
    return model.albert.encoder.embedding_hidden_mapping_in(embedded)


def _electra_embed(model: Any, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
    embedded = model.electra.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
    if hasattr(model.electra, "embeddings_project"):
        embedded = model.electra.embeddings_project(embedded)
    return embedded


def _roberta_embed_at(model: Any, input_ids: Tensor, token_type_ids: Tensor, at: Tensor) -> Tensor:
    embeddings = model.roberta.embeddings
    real = at.ne(embeddings.padding_idx).long()  # places are counted without padding
    places = real.cumsum(1) * real + embeddings.padding_idx
    return embeddings(input_ids=input_ids, token_type_ids=token_type_ids, position_ids=places)


_ROBERTA = Architecture(
    layers=lambda model: model.roberta.encoder.layer,
    parts=_bert_parts,
    embed=lambda model, ids, types: model.roberta.embeddings(input_ids=ids, token_type_ids=types),
    read=lambda model, first: model.classifier(first[:, None]),
    embed_at=_roberta_embed_at,
)

#: ``config.model_type`` → where that family keeps its parts; its config: :data:`FAMILIES`.
ARCHITECTURES: dict[str, Architecture] = {
    "bert": Architecture(
        layers=lambda model: model.bert.encoder.layer,
        parts=_bert_parts,
        embed=lambda model, ids, types: model.bert.embeddings(input_ids=ids, token_type_ids=types),
        read=lambda model, first: model.classifier(model.bert.pooler(first[:, None])),
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "electra": Architecture(
        layers=lambda model: model.electra.encoder.layer,
        parts=_bert_parts,
        embed=_electra_embed,
        read=lambda model, first: model.classifier(first[:, None]),
    ),
    "distilbert": Architecture(
        layers=lambda model: model.distilbert.transformer.layer,
        parts=_distilbert_parts,
        embed=lambda model, ids, types: model.distilbert.embeddings(ids),
        read=lambda model, first: model.classifier(torch.relu(model.pre_classifier(first))),
    ),
    "albert": Architecture(
        layers=_albert_layers,
        parts=_albert_parts,
        embed=_albert_embed,
        read=lambda model, first: model.classifier(torch.tanh(model.albert.pooler(first))),
    ),
}


@dataclass(frozen=True, eq=False)
class Encoded:
    """Tokenised sentences without padding, one after the other: what the network reads.

    ``tokens`` int32 and ``types`` uint8, both ``[ΣT]``, lie on disk where they are many.
    """

    tokens: Numbers
    types: Numbers
    lengths: np.ndarray  # int64 [N], tokens in each sentence, [CLS] and [SEP] included
    truncated: int

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each sentence begins in ``tokens``: int64 ``[N]``."""
        return np.cumsum(self.lengths) - self.lengths

    def input_ids(self, row: int) -> np.ndarray:
        """The tokens of one sentence: int64 ``[T]``."""
        return self._of(self.tokens, row)

    def token_type_ids(self, row: int) -> np.ndarray:
        """To which part of a pair each token of one sentence belongs: int64 ``[T]``."""
        return self._of(self.types, row)

    def _of(self, numbers: Numbers, row: int) -> np.ndarray:
        start = int(self.starts[row])
        return numbers[start : start + int(self.lengths[row])].astype(np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the tokens: equal for equal input."""
        digest = hashlib.sha256(self.lengths.tobytes())
        for numbers in (self.tokens, self.types):
            for start in range(0, len(numbers), _TOKENS_AT_ONCE):
                digest.update(numbers[start : start + _TOKENS_AT_ONCE].tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A loaded classifier. Its weights are frozen and never written to, so threads can share it.

    ``source`` is what it was loaded from, ``revision`` that of a hub id, ``fingerprint`` a hash of
    its config and weights, ``tokenizer_fingerprint`` one of its other files; ``geometry`` has its
    sizes. ``weights`` are those that a recovery put in place of the model's own, and ``loaded`` is
    the classifier without them. ``architecture`` and ``layers`` say where ``model``, a module of
    transformers, keeps its parts.

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
    label_names: tuple[str, ...]
    geometry: Geometry
    model: Any
    tokenizer: Any
    architecture: Architecture
    layers: tuple[Layer, ...]
    device: torch.device
    dtype: torch.dtype
    mixed: bool = False
    weights: Weights | None = None
    loaded: Classifier | None = None

    @property
    def identity(self) -> str:
        """What decides the answers of the model as it was loaded: equal for equal numbers."""
        dtype = "mixed" if self.mixed else str(self.dtype)
        return f"{self.fingerprint} {self.tokenizer_fingerprint} {dtype} {self.device}"

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
        layers = tuple(self.architecture.parts(one) for one in self.architecture.layers(model))
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
        """In which layer the parameters of layers stand, by their names."""
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        return {
            names[id(parameter)]: number
            for number, layer in enumerate(self.architecture.layers(self.model))
            for parameter in layer.parameters()
        }

    def check_removal(self) -> None:
        """Raise :class:`ModelError` where a layer's weights cannot be changed by themselves."""
        if self.geometry.shared:
            raise ModelError(
                f"The layers of {self.name!r} use the same weights, as all of ALBERT do: its heads "
                "can be scored and masked, but not removed from the weights, nor compensated."
            )

    def full_mask(self) -> HeadMask:
        """The mask that keeps every head that the model's files hold."""
        return HeadMask(self.geometry.layers, self.geometry.heads, pruned=self.geometry.pruned)

    def embed(self, input_ids: Tensor, token_type_ids: Tensor, at: Tensor | None = None) -> Tensor:
        """Embeddings of tokens ``[B, T]``: ``[B, T, D]``; at the places that tokens ``at`` have."""
        if at is not None and self.architecture.embed_at is not None:
            return self.architecture.embed_at(self.model, input_ids, token_type_ids, at)
        return self.architecture.embed(self.model, input_ids, token_type_ids)

    def read(self, first: Tensor) -> Tensor:
        """Logits ``[B, C]`` from the last hidden state of the first token ``[B, D]``."""
        return self.architecture.read(self.model, first)

    def arithmetic(self) -> torch.autocast:
        """The context in which a pass over sentences multiplies matrices."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed)

    def encode(self, dataset: Dataset) -> Encoded:
        """Tokens of every sentence, cut at the model's longest input."""
        return self.encode_texts(dataset.texts, dataset.pairs)

    def encode_texts(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Encoded:
        """As :meth:`encode`, from texts and optional second sentences."""
        tokens, types, lengths, truncated = Numbers(np.int32), Numbers(np.uint8), array("q"), 0
        for found in self.tokenised(texts, pairs):
            sentences = found["input_ids"]
            # Families without sentence types (RoBERTa) have tokenizers that do not return them.
            kinds = found.get("token_type_ids") or [[0] * len(one) for one in sentences]
            for row, encoding in enumerate(found.encodings):
                stay = self.places_that_stay(encoding)
                if len(stay) < len(encoding):
                    sentences[row] = [sentences[row][place] for place in stay]
                    kinds[row] = [kinds[row][place] for place in stay]
                    truncated += 1
            lengths.extend(map(len, sentences))
            tokens.append(np.fromiter(chain.from_iterable(sentences), np.int32))
            types.append(np.fromiter(chain.from_iterable(kinds), np.uint8))
        return Encoded(tokens, types, np.array(lengths), truncated)

    def lengths(self, dataset: Dataset, most: int | None = None) -> np.ndarray:
        """Tokens in each sentence as :meth:`encode` cuts it: int64 ``[N]``.

        Where they are more than ``most`` together, the first sentences that are more are enough.
        """
        lengths, total = array("q"), 0
        for found in self.tokenised(dataset.texts, dataset.pairs):
            some = [min(len(one), self.geometry.max_length) for one in found.encodings]
            lengths.extend(some)
            total += sum(some)
            if most is not None and total > most:
                break
        return np.array(lengths)

    def tokenised(self, texts: Sequence[str], pairs: Sequence[str] | None) -> Iterator[Any]:
        """What the tokenizer makes of the sentences, some of them at once; nothing is cut.

        Its own truncation keeps what it cuts off, and of a pair in every combination of pieces:
        gigabytes for a few long ones.
        """
        for some, others in _in_parts(texts, pairs):
            yield self.tokenizer(
                some,
                others,
                return_attention_mask=False,
                return_length=False,
                verbose=False,  # of a text that is too long
            )

    def places_that_stay(self, encoding: Any) -> Sequence[int]:
        """Which tokens of a text that was not cut the model reads: all, or the special ones and as
        many as there is room for. Of a pair the longer text is cut first, as tokenizers do.
        """
        if len(encoding) <= self.geometry.max_length:
            return range(len(encoding))
        owners = encoding.sequence_ids
        special, *texts = (
            [place for place, owner in enumerate(owners) if owner == one] for one in (None, 0, 1)
        )
        room = self.geometry.max_length - len(special)
        shorter, longer = sorted(texts, key=len)
        few = min(len(shorter), room // 2)
        if self.tokenizer.truncation_side == "left":
            shorter, longer = shorter[len(shorter) - few :], longer[len(longer) - (room - few) :]
        return sorted(special + shorter[:few] + longer[: room - few])

    @cached_property
    def punctuation(self) -> np.ndarray:
        """Which tokens of the vocabulary are punctuation or symbols only: bool ``[V]``."""
        size = len(self.tokenizer)
        special = set(self.tokenizer.all_special_ids)
        tokens = self.tokenizer.convert_ids_to_tokens(list(range(size)))
        return np.array(
            [
                # The pieces of a byte-level tokenizer stand for bytes: "âĢĶ" is a dash.
                index not in special
                and _is_punctuation(self.tokenizer.convert_tokens_to_string([token]))
                for index, token in enumerate(tokens)
            ]
        )


def _in_parts(
    texts: Sequence[str], pairs: Sequence[str] | None
) -> Iterator[tuple[list[str], list[str] | None]]:
    """Sentences, each once, in parts that are tokenised at once."""
    some: list[str] = []
    others: list[str] = []
    size = 0
    for text, other in zip(texts, repeat("") if pairs is None else pairs, strict=pairs is not None):
        size += len(text) + len(other)
        if some and (len(some) == _TEXTS_AT_ONCE or size > _CHARACTERS_AT_ONCE):
            yield some, None if pairs is None else others
            some, others, size = [], [], len(text) + len(other)
        some.append(text)
        others.append(other)
    if some:
        yield some, None if pairs is None else others


def _is_punctuation(text: str) -> bool:
    text = text.strip().removeprefix("##").lstrip("Ġ▁")
    # U+FFFD stands for a part of a character, which is nothing yet.
    return bool(text) and all(
        unicodedata.category(letter)[0] in "PS" and letter != "\ufffd" for letter in text
    )


def load_classifier(
    source: str | Path | None = None,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> Classifier:
    """Load a sequence classifier from a folder or a hub id (``name`` or ``name@revision``).

    Without a source it is the sample model. Only safetensors are read, and no code of the model
    runs. Heads that the files lack (``pruned_heads`` in the config) are filled with zeros, so every
    layer has as many; :attr:`Geometry.pruned` names them, and :meth:`Classifier.full_mask` is
    without them. ``device`` is ``cpu``, ``cuda``, ``mps``, or ``auto``: ``cuda`` where there is
    one, else ``cpu``. ``dtype`` is ``float32``, ``bfloat16``, ``mixed`` (float32 weights, while
    passes over sentences multiply matrices in bfloat16), or ``auto``: ``mixed`` on ``cuda``, else
    ``float32``.

    Raises :class:`ModelError` with one sentence where the model is missing, unsupported or broken,
    or larger than the memory that is free.

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
    architecture = ARCHITECTURES[read_config(folder, name)["model_type"]]
    model, pruned = _load_weights(folder, name, architecture, DTYPES[dtype])
    model.to(place).eval().requires_grad_(False)
    layers = tuple(architecture.parts(layer) for layer in architecture.layers(model))
    tokenizer = _load_tokenizer(folder, name)
    vocabulary = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > vocabulary:
        raise ModelError(
            f"The tokenizer of {name!r} has {len(tokenizer):,} tokens and the model knows "
            f"{vocabulary:,}: they do not belong together."
        )
    return Classifier(
        name=name,
        source=str(source) if source is not None else "sample",
        revision=revision,
        fingerprint=fingerprint(folder),
        tokenizer_fingerprint=tokenizer_fingerprint(folder),
        label_names=names_of(model.config.id2label, name),
        geometry=_geometry(model, layers, tokenizer, pruned, name),
        model=model,
        tokenizer=tokenizer,
        architecture=architecture,
        layers=layers,
        device=place,
        dtype=DTYPES[dtype],
        mixed=dtype == "mixed",
    )


def _load_weights(
    folder: Path, name: str, architecture: Architecture, dtype: torch.dtype
) -> tuple[Any, frozenset[HeadId]]:
    """The model with all its heads, and those of them that its files lack."""
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        check_sizes(config.to_dict(), folder, name)
        check_memory(folder, name, dtype.itemsize)
        sizes = config.num_hidden_layers, config.num_attention_heads
        pruned = pruned_heads(config.to_dict(), *sizes, name)
        family: Any = AutoModelForSequenceClassification
        filled = None
        if pruned:
            family, filled = _filled_weights(folder, config, architecture, pruned)
        model, report = family.from_pretrained(
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
    except ModelError:
        raise
    except Exception as error:  # a broken file surfaces as many unrelated types
        if exhausted(error):
            raise ModelError(
                f"The model {name!r} does not fit into the memory that is free here: {SMALLER}."
            ) from None
        raise ModelError(f"The weights of {name!r} could not be read: {reason(error)}.") from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
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


def _filled_weights(
    folder: Path, config: Any, architecture: Architecture, pruned: frozenset[HeadId]
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
    for number, layer in enumerate(architecture.layers(model)):
        kept = torch.tensor(mask.kept[number])
        rows = kept.repeat_interleave(config.hidden_size // len(kept))  # [D]
        parts = architecture.parts(layer)
        for part in (parts.query, parts.key, parts.value):
            for kind in ("weight", "bias"):
                key = f"{names[id(part)]}.{kind}"
                whole = torch.zeros(getattr(part, kind).shape)
                whole[rows] = weights[key].float() if kept.any() else 0
                weights[key] = whole
        key = f"{names[id(parts.output)]}.weight"
        whole = torch.zeros(parts.output.weight.shape)
        whole[:, rows] = weights[key].float() if kept.any() else 0
        weights[key] = whole
    return type(model), weights


def _load_tokenizer(folder: Path, name: str) -> Any:
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


def _device(device: str) -> torch.device:
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if device == "auto":
        device = "cuda" if available["cuda"] else "cpu"
    kind = device.partition(":")[0]
    if not available.get(kind, False):
        usable = ", ".join(name for name, here in available.items() if here)
        raise ModelError(f"The device {device!r} is not available here; available: {usable}.")
    return torch.device(device)


def _geometry(
    model: Any, layers: tuple[Layer, ...], tokenizer: Any, pruned: frozenset[HeadId], name: str
) -> Geometry:
    config = model.config
    filled = Geometry(
        layers=len(layers),
        heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        head_size=config.hidden_size // config.num_attention_heads,
        intermediate_size=layers[0].up.out_features,
        labels=config.num_labels,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        max_length=longest_input(config.to_dict(), tokenizer.model_max_length, name),
        pruned=pruned,
        shared=FAMILIES[config.model_type].shared,
    )
    return replace(filled, parameters=filled.parameters - len(pruned) * filled.head_parameters)
