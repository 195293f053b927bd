"""ALBERT (Lan et al. 2020), whose layers share their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bhpvas.model.families.base import Family, Shapes, TokenizerClass, linear

if TYPE_CHECKING:
    from torch import nn


def _in_order(config: Any, groups: Sequence[Any]) -> Iterable[nn.Module]:
    """The group that runs at each depth; usually one for all of them."""
    for number in range(config.num_hidden_layers):
        yield from groups[number * len(groups) // config.num_hidden_layers].albert_layers


def _others(config: Mapping[str, Any]) -> Shapes:
    wide, hidden = config["embedding_size"], config["hidden_size"]
    return (
        linear("albert.encoder.embedding_hidden_mapping_in", hidden, wide)
        | linear("albert.pooler", hidden, hidden)
        | linear("classifier", len(config["id2label"]), hidden)
    )


ALBERT = Family(
    name="albert",
    title="ALBERT",
    model_class="AlbertForSequenceClassification",
    parts={
        "query": "attention.query",
        "key": "attention.key",
        "value": "attention.value",
        "output": "attention.dense",
        "attention_norm": "attention.LayerNorm",
        "up": "ffn",
        "activation": "activation",
        "down": "ffn_output",
        "feed_forward_norm": "full_layer_layer_norm",
    },
    modules="encoder.albert_layer_groups",
    in_order=_in_order,
    layer_names=lambda config: (
        f"{group}.albert_layers.0"
        for group in range(min(config["num_hidden_groups"], config["num_hidden_layers"]))
    ),
    base="albert",
    others=_others,
    pretraining=("predictions", "sop_classifier"),
    tokenizer=TokenizerClass(
        "AlbertTokenizer",
        ("spiece.model",),
        "Unigram",
        "<pad>",
        "[CLS]",
        "[SEP]",
        "<unk>",
        "[MASK]",
    ),
    embedding_size=True,
    more_keys=("num_hidden_groups",),
    project=lambda model, embedded: model.albert.encoder.embedding_hidden_mapping_in(embedded),
    classify=lambda model, first: model.classifier(model.albert.pooler(first).tanh()),
    shared=True,
    unsupported=lambda config: (
        "has groups of several layers" if config.get("inner_group_num", 1) != 1 else ""
    ),
)
