"""Family of models: how its config calls its sizes, and where its models keep their parts.

Nothing here or in a family's own file imports torch: a config is read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Shapes of tensors by their names.
Shapes = dict[str, tuple[int, ...]]


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
class TokenizerClass:
    """A class of tokenizers of transformers: its ``name``, and the ``files`` that it is made of
    where there is no tokenizer.json. ``kind`` is what a tokenizer.json calls its way to cut words;
    ``padding``, ``first``, ``last``, ``unknown`` and ``mask`` are the tokens that it pads with,
    begins and ends with, gives for what it does not know and hides words by, where nothing else is
    said.
    """

    name: str
    files: tuple[str, ...]
    kind: str
    padding: str
    first: str
    last: str
    unknown: str
    mask: str


@dataclass(frozen=True)
class Family:
    """All that is known of one family of post-norm encoders.

    ``name`` is the ``model_type`` of its configs, ``title`` what people call it, ``model_class``
    what transformers calls its classifiers. ``modules`` says where a base model lists its encoder
    layers, ``parts`` where each of them keeps the parts of a :class:`Layer`, as dotted names;
    ``in_order(config, modules)`` gives the layers that run, lowest first. ``size_keys`` are what a
    config calls layers, heads, hidden and intermediate size. ``unsupported(config)`` says what of a
    config cannot be run, or nothing. ``base`` is what a classifier calls its base model, ``others``
    the shapes of all its tensors that are in no embedding and no layer. ``embedding_size``: token
    embeddings have a size of their own; ``more_keys`` are further numbers of a config that shapes
    depend on. ``unused`` are tensors of the base model that classifiers do without,
    ``pretraining`` the modules of its models for pretraining. ``tokenizer`` is the class of its
    tokenizers.

    ``classify(model, first)`` gives logits ``[B, C]`` from the last hidden state of the first token
    ``[B, D]``; ``project(model, embedded)`` makes embeddings as wide as the hidden states.
    ``places(model, tokens)`` numbers the places of tokens ``[B, T]``, where those depend on them.
    ``typed``: embeddings tell the two texts of a pair apart. ``after_padding``: positions are
    counted from the padding index + 1, so that many are never used. ``shared``: layers use the same
    weights, so that a head can be masked in one of them, but not removed from it.
    """

    name: str
    title: str
    model_class: str
    parts: Mapping[str, str]
    classify: Callable[[Any, Tensor], Tensor]
    base: str
    others: Callable[[Mapping[str, Any]], Shapes]
    pretraining: tuple[str, ...]
    tokenizer: TokenizerClass
    size_keys: tuple[str, str, str, str] = (
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_size",
        "intermediate_size",
    )
    unsupported: Callable[[Mapping[str, Any]], str] = lambda config: ""
    activation_key: str = "hidden_act"
    embedding_size: bool = False
    more_keys: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    modules: str = "encoder.layer"
    layer_names: Callable[[Mapping[str, Any]], Iterable[str]] | None = None
    in_order: Callable[[Any, Sequence[Any]], Iterable[nn.Module]] = lambda config, modules: modules
    project: Callable[[Any, Tensor], Tensor] = lambda model, embedded: embedded
    places: Callable[[Any, Tensor], Tensor] | None = None
    typed: bool = True
    after_padding: bool = False
    shared: bool = False

    def encoder_layers(self, model: Any) -> Iterable[nn.Module]:
        """The encoder layers of a model, lowest first."""
        return self.in_order(model.config, model.base_model.get_submodule(self.modules))

    def layers(self, model: Any) -> tuple[Layer, ...]:
        """The parts of a model's encoder layers, lowest first."""
        return tuple(
            Layer(**{part: attrgetter(name)(module) for part, name in self.parts.items()})
            for module in self.encoder_layers(model)
        )

    def embed(
        self, model: Any, input_ids: Tensor, token_type_ids: Tensor, at: Tensor | None = None
    ) -> Tensor:
        """Embeddings of tokens ``[B, T]``: ``[B, T, D]``; at the places that tokens ``at`` have."""
        inputs = {"token_type_ids": token_type_ids} if self.typed else {}
        if at is not None and self.places is not None:
            inputs["position_ids"] = self.places(model, at)
        return self.project(model, model.base_model.embeddings(input_ids, **inputs))

    def sizes(self, config: Mapping[str, Any]) -> tuple[int, ...]:
        """Layers, heads in each, hidden and intermediate size by a config."""
        return tuple(config[key] for key in self.size_keys)

    @property
    def number_keys(self) -> tuple[str, ...]:
        """Numbers of a config that decide the shapes of a classifier's tensors."""
        return (
            *self.size_keys,
            "vocab_size",
            "max_position_embeddings",
            *(("type_vocab_size",) if self.typed else ()),
            *(("embedding_size",) if self.embedding_size else ()),
            *self.more_keys,
        )

    def layer_modules(self, config: Mapping[str, Any]) -> list[str]:
        """Names of the modules that hold a layer's weights; layers that share them have one."""
        if self.layer_names is not None:
            names = self.layer_names(config)
        else:
            names = map(str, range(self.sizes(config)[0]))
        return [f"{self.base}.{self.modules}.{name}" for name in names]

    def tensors(self, config: Mapping[str, Any]) -> Shapes:
        """The shape of every tensor of a classifier with all its heads, by a config that states all
        :attr:`number_keys` and an ``id2label``.
        """
        _, _, hidden, inner = self.sizes(config)
        wide = config["embedding_size"] if self.embedding_size else hidden
        rows = {"word": config["vocab_size"], "position": config["max_position_embeddings"]}
        if self.typed:
            rows["token_type"] = config["type_vocab_size"]
        place = f"{self.base}.embeddings"
        found: Shapes = {
            f"{place}.{table}_embeddings.weight": (many, wide) for table, many in rows.items()
        }
        found |= norm(f"{place}.LayerNorm", wide)
        shapes = {"up": (inner, hidden), "down": (hidden, inner)}
        for module in self.layer_modules(config):
            for part, name in self.parts.items():
                if part.endswith("norm"):
                    found |= norm(f"{module}.{name}", hidden)
                elif part != "activation":
                    found |= linear(f"{module}.{name}", *shapes.get(part, (hidden, hidden)))
        return found | self.others(config)


def linear(name: str, rows: int, columns: int) -> Shapes:
    """The tensors of a linear layer."""
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def norm(name: str, size: int) -> Shapes:
    """The tensors of a layer norm."""
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}
