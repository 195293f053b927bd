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
class Family:
    """All that is known of one family of post-norm encoders.

    ``name`` is the ``model_type`` of its configs, ``title`` what people call it, ``model_class``
    what transformers calls its classifiers. ``modules`` says where a base model lists its encoder
    layers, ``parts`` where each of them keeps the parts of a :class:`Layer`, as dotted names;
    ``in_order(config, modules)`` gives the layers that run, lowest first. ``size_keys`` are what a
    config calls layers, heads, hidden and intermediate size. ``unsupported(config)`` says what of a
    config cannot be run, or nothing.

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
    size_keys: tuple[str, str, str, str] = (
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_size",
        "intermediate_size",
    )
    unsupported: Callable[[Mapping[str, Any]], str] = lambda config: ""
    modules: str = "encoder.layer"
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
