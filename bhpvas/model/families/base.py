"""Family of models: how its config calls its sizes, and where its models keep their parts.

Nothing here or in a family's own file imports torch: a config is read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ConfigKeys:
    """How a config.json calls the sizes of its model."""

    layers: str = "num_hidden_layers"
    heads: str = "num_attention_heads"
    hidden_size: str = "hidden_size"
    intermediate_size: str = "intermediate_size"


@dataclass(frozen=True)
class PartNames:
    """Where an encoder layer keeps the parts of a :class:`Layer`, as dotted names."""

    query: str
    key: str
    value: str
    output: str
    attention_norm: str
    up: str
    activation: str
    down: str
    output_norm: str


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


def embedded(model: Any, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
    """Embeddings ``[B, T, D]`` of tokens ``[B, T]`` and the part of a pair each belongs to."""
    return model.base_model.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)


def encoder_layers(model: Any) -> Iterable[nn.Module]:
    """The encoder layers of a model, lowest first."""
    return model.base_model.encoder.layer


@dataclass(frozen=True)
class Family:
    """All that is known of one family of post-norm encoders.

    ``name`` is the ``model_type`` of its configs, ``title`` what people call it.
    ``classify(model, first)`` gives logits ``[B, C]`` from the last hidden state of the first token
    ``[B, D]``; ``embed(model, input_ids, token_type_ids)`` gives ``[B, T, D]``, and ``embed_at``
    the same at the places that other tokens ``[B, T]`` would have, or is None where places do not
    depend on tokens. ``after_padding``: positions are counted from the padding index + 1, so that
    many are never used. ``shared``: layers use the same weights, so that a head can be masked in
    one of them, but not removed from it. ``unsupported(config)`` says what of a config cannot be
    run, or nothing.
    """

    name: str
    title: str
    parts: PartNames
    classify: Callable[[Any, Tensor], Tensor]
    keys: ConfigKeys = ConfigKeys()
    modules: Callable[[Any], Iterable[nn.Module]] = encoder_layers
    embed: Callable[[Any, Tensor, Tensor], Tensor] = embedded
    embed_at: Callable[[Any, Tensor, Tensor, Tensor], Tensor] | None = None
    after_padding: bool = False
    shared: bool = False
    unsupported: Callable[[Mapping[str, Any]], str] = lambda config: ""

    def layers(self, model: Any) -> tuple[Layer, ...]:
        """The parts of a model's encoder layers, lowest first."""
        places = {part: attrgetter(name) for part, name in vars(self.parts).items()}
        return tuple(
            Layer(**{part: place(module) for part, place in places.items()})
            for module in self.modules(model)
        )

    def sizes(self, config: Mapping[str, Any]) -> tuple[int, int, int, int]:
        """Layers, heads in each, hidden and intermediate size by a config."""
        keys = self.keys
        return (
            config[keys.layers],
            config[keys.heads],
            config[keys.hidden_size],
            config[keys.intermediate_size],
        )
