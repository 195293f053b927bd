"""ALBERT (Lan et al. 2020), whose layers share their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bhpvas.model.families.base import Family, Shapes, TokenizerClass, linear


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
        "query": "albert_layers.0.attention.query",
        "key": "albert_layers.0.attention.key",
        "value": "albert_layers.0.attention.value",
        "output": "albert_layers.0.attention.dense",
        "attention_norm": "albert_layers.0.attention.LayerNorm",
        "up": "albert_layers.0.ffn",
        "activation": "albert_layers.0.activation",
        "down": "albert_layers.0.ffn_output",
        "feed_forward_norm": "albert_layers.0.full_layer_layer_norm",
    },
    modules="encoder.albert_layer_groups",
    order=lambda config: (
        depth * config["num_hidden_groups"] // config["num_hidden_layers"]
        for depth in range(config["num_hidden_layers"])
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
    unsupported=lambda config: (
        "has groups of several layers" if config.get("inner_group_num", 1) != 1 else ""
    ),
)
