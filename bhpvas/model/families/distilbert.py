"""DistilBERT (Sanh et al. 2019), with names of its own and no second part of a pair."""

from __future__ import annotations

from dataclasses import replace

from bhpvas.model.families.base import Family, linear
from bhpvas.model.families.bert import WORD_PIECES

DISTILBERT = Family(
    name="distilbert",
    title="DistilBERT",
    model_class="DistilBertForSequenceClassification",
    size_keys=("n_layers", "n_heads", "dim", "hidden_dim"),
    parts={
        "query": "attention.q_lin",
        "key": "attention.k_lin",
        "value": "attention.v_lin",
        "output": "attention.out_lin",
        "attention_norm": "sa_layer_norm",
        "up": "ffn.lin1",
        "activation": "ffn.activation",
        "down": "ffn.lin2",
        "feed_forward_norm": "output_layer_norm",
    },
    modules="transformer.layer",
    typed=False,
    base="distilbert",
    pretraining=("vocab_transform", "vocab_layer_norm", "vocab_projector"),
    tokenizer=replace(WORD_PIECES, name="DistilBertTokenizer"),
    others=lambda config: (
        linear("pre_classifier", config["dim"], config["dim"])
        | linear("classifier", len(config["id2label"]), config["dim"])
    ),
    activation_key="activation",
    classify=lambda model, first: model.classifier(model.pre_classifier(first).relu()),
)
