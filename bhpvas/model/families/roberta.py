"""RoBERTa (Liu et al. 2019), XLM-RoBERTa (Conneau et al. 2020), CamemBERT (Martin et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bhpvas.model.families.base import Family, Shapes, TokenizerClass, linear
from bhpvas.model.families.bert import PARTS

if TYPE_CHECKING:
    from torch import Tensor


def places_after_padding(model: Any, tokens: Tensor) -> Tensor:
    """Places are counted without padding, which all has one place of its own."""
    padding = model.base_model.embeddings.padding_idx
    real = tokens.ne(padding).long()
    return real.cumsum(1) * real + padding


def two_layer_head(config: Mapping[str, Any]) -> Shapes:
    """A classifier of a dense layer and an output layer."""
    hidden = config["hidden_size"]
    return linear("classifier.dense", hidden, hidden) | linear(
        "classifier.out_proj", len(config["id2label"]), hidden
    )


ROBERTA = Family(
    name="roberta",
    title="RoBERTa",
    model_class="RobertaForSequenceClassification",
    parts=PARTS,
    classify=lambda model, first: model.classifier(first[:, None]),
    base="roberta",
    others=two_layer_head,
    pretraining=("lm_head",),
    tokenizer=TokenizerClass(
        "RobertaTokenizer",
        ("vocab.json", "merges.txt"),
        "BPE",
        "<pad>",
        "<s>",
        "</s>",
        "<unk>",
        "<mask>",
    ),
    more_keys=("pad_token_id",),
    unused=("roberta.pooler.dense.weight", "roberta.pooler.dense.bias"),
    places=places_after_padding,
    after_padding=True,
)
XLM_ROBERTA = replace(
    ROBERTA,
    name="xlm-roberta",
    title="XLM-RoBERTa",
    model_class="XLMRobertaForSequenceClassification",
    tokenizer=TokenizerClass(
        "XLMRobertaTokenizer",
        ("sentencepiece.bpe.model",),
        "Unigram",
        "<pad>",
        "<s>",
        "</s>",
        "<unk>",
        "<mask>",
    ),
)
CAMEMBERT = replace(
    XLM_ROBERTA,
    name="camembert",
    title="CamemBERT",
    model_class="CamembertForSequenceClassification",
    tokenizer=replace(XLM_ROBERTA.tokenizer, name="CamembertTokenizer"),
)
