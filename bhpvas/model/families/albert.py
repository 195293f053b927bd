"""ALBERT (Lan et al. 2020), whose layers share their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bhpvas.model.families.base import Family

if TYPE_CHECKING:
    from torch import nn


def _modules(model: Any) -> Iterable[nn.Module]:
    """The group that runs at each depth; usually one for all of them."""
    groups, config = model.albert.encoder.albert_layer_groups, model.config
    for number in range(config.num_hidden_layers):
        group = groups[number * config.num_hidden_groups // config.num_hidden_layers]
        yield from group.albert_layers


def _unsupported(config: Mapping[str, Any]) -> str:
    return "has groups of several layers" if config.get("inner_group_num", 1) != 1 else ""


ALBERT = Family(
    name="albert",
    title="ALBERT",
    parts={
        "query": "attention.query",
        "key": "attention.key",
        "value": "attention.value",
        "output": "attention.dense",
        "attention_norm": "attention.LayerNorm",
        "up": "ffn",
        "activation": "activation",
        "down": "ffn_output",
        "output_norm": "full_layer_layer_norm",
    },
    modules=_modules,
    project=lambda model, embedded: model.albert.encoder.embedding_hidden_mapping_in(embedded),
    classify=lambda model, first: model.classifier(model.albert.pooler(first).tanh()),
    shared=True,
    unsupported=_unsupported,
)
