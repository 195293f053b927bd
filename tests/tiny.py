"""Tiny random classifiers of every family, two layers, four heads, and sentences for them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from bhpvas.data.dataset import Dataset
from bhpvas.heads import HeadId
from bhpvas.model.classifier import Classifier
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = (
    "a the this that film book meal hotel phone is was not never very good bad fine dull great "
    "awful and but , . ! ? ' - it they we you i like love hate ##s ##ed ##ing long short"
).split()

_SIZES = {
    "vocab_size": len(SPECIAL) + len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    # Far from zero, so that heads differ and attention is not uniform.
    "initializer_range": 0.4,
}

CONFIGS = {
    "bert": lambda labels: BertConfig(**_SIZES, num_labels=labels),
    "roberta": lambda labels: RobertaConfig(**_SIZES, num_labels=labels),
    "electra": lambda labels: ElectraConfig(**_SIZES, embedding_size=16, num_labels=labels),
    "distilbert": lambda labels: DistilBertConfig(
        vocab_size=_SIZES["vocab_size"],
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=64,
        max_position_embeddings=40,
        pad_token_id=0,
        initializer_range=0.4,
        num_labels=labels,
    ),
    "albert": lambda labels: AlbertConfig(**_SIZES, embedding_size=16, num_labels=labels),
    "mpnet": lambda labels: MPNetConfig(**_SIZES, num_labels=labels),
    # Its second layer looks at most four tokens far.
    "modernbert": lambda labels: ModernBertConfig(
        **_SIZES,
        local_attention=8,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
        num_labels=labels,
    ),
    # As v3 is, but for its types; distances of more than two tokens lie in buckets together. With
    # three kinds of scores and no tanh over the pooler its numbers are larger than the others'.
    "deberta-v2": lambda labels: DebertaV2Config(
        **_SIZES | {"initializer_range": 0.25},
        relative_attention=True,
        position_buckets=4,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type="p2c|c2p",
        position_biased_input=False,
        type_vocab_size=2,
        num_labels=labels,
    ),
}
#: Families whose layers have weights of their own, so that heads can be removed.
SEPARATE = [family for family in CONFIGS if family != "albert"]


def tiny_tokenizer(family: str = "bert") -> PreTrainedTokenizerFast:
    """A lower-casing word-piece tokenizer over a few dozen words."""
    vocabulary = {token: index for index, token in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=40,
        model_input_names=["input_ids", "attention_mask"]
        + (["token_type_ids"] if family in ("bert", "electra", "albert", "deberta-v2") else []),
        **{f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")},
    )


#: What configs of a family may state that makes its models run otherwise.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{family: (family, {}) for family in CONFIGS},
    "modernbert, mean": ("modernbert", {"classifier_pooling": "mean"}),
    "modernbert, biases": (
        "modernbert",
        dict.fromkeys(("attention_bias", "mlp_bias", "norm_bias", "classifier_bias"), True),
    ),
    "modernbert, windows below": (
        "modernbert",
        {"layer_types": ["sliding_attention", "full_attention"], "classifier_pooling": "mean"},
    ),
    "deberta-v2, no types": ("deberta-v2", {"type_vocab_size": 0}),
    "deberta-v2, own projections": ("deberta-v2", {"share_att_key": False}),
    "deberta-v2, of distances to keys": (
        "deberta-v2",
        {"share_att_key": False, "pos_att_type": ["p2c"], "position_buckets": 7},
    ),
    "deberta-v2, every distance apart": (
        "deberta-v2",
        {"pos_att_type": ["c2p"], "position_buckets": -1, "max_relative_positions": 9}
        | {"norm_rel_ebd": "none", "embedding_size": 16, "position_biased_input": True},
    ),
    # Of which transformers numbers some of the farther ones lower.
    "deberta-v2, fewer distances than buckets": ("deberta-v2", {"max_relative_positions": 2}),
    "deberta-v2, of content alone": (
        "deberta-v2",
        {"relative_attention": False, "position_biased_input": True},
    ),
}


def save_tiny(
    folder: Path,
    family: str = "bert",
    *,
    labels: int = 2,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Save a random classifier of a family with its tokenizer; returns the folder.

    ``settings`` are those of its config that differ.
    """
    torch.manual_seed(seed)
    config = CONFIGS[family](labels)
    config.update(dict(settings or {}))
    if labels == 2:
        config.id2label = {0: "negative", 1: "positive"}
        config.label2id = {"negative": 0, "positive": 1}
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():  # biases and norms start at fixed values, which would hide mistakes
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    tiny_tokenizer(family).save_pretrained(folder)
    return folder


#: What the models of other tasks than one label out of several are saved with.
TASKS: dict[str, dict[str, Any]] = {
    "score": {"labels": 1, "settings": {"id2label": {0: "warmth"}, "label2id": {"warmth": 0}}},
    "sets": {
        "labels": 3,
        "settings": {
            "problem_type": "multi_label_classification",
            "id2label": {0: "rude", 1: "funny", 2: "long"},
            "label2id": {"rude": 0, "funny": 1, "long": 2},
        },
    },
}


def sentences_for(task: Task, count: int = 60, seed: int = 0) -> Dataset:
    """Random sentences with labels of a task: scores in halves from 1 to 5, or sets."""
    whole, rng = many_sentences(count, seed), np.random.default_rng(seed)
    labels = rng.random((count, len(task.label_names))) < 0.4
    if isinstance(task, Score):
        labels = rng.integers(2, 11, count) / 2.0
    return replace(whole, labels=labels, label_names=task.label_names, numbered=True)


def many_sentences(count: int = 120, seed: int = 0) -> Dataset:
    """Random sentences in the tiny vocabulary, enough for the last layer's one token each."""
    rng = np.random.default_rng(seed)
    texts = tuple(" ".join(rng.choice(WORDS[:20], rng.integers(2, 12))) for _ in range(count))
    return Dataset("many", texts, None, rng.integers(0, 2, count), ("negative", "positive"))


def with_heads(classifier: Classifier, change: Callable[[Any], None]) -> Classifier:
    """A classifier whose model was changed by ``change(parts of every layer)``."""
    model = copy.deepcopy(classifier.model)
    layers = classifier.family.layers(model)
    change(layers)
    return replace(classifier, model=model, layers=layers)


def tensors_of(part: Any) -> list[Any]:
    """The weight of a linear map, and its bias where it has one, to be written to."""
    return [one.data for one in (part.weight, part.bias) if one is not None]


#: Ways in which nothing of a head reaches its layer, whatever it attends to.
DEATHS = ("projection", "values", "nothing in common")


def with_dead_heads(classifier: Classifier, heads: Iterable[HeadId], death: str) -> Classifier:
    """A classifier in which nothing of some heads' outputs is written on."""

    def change(layers: Any) -> None:
        size = classifier.geometry.head_size
        for head in heads:
            layer, first = layers[head.layer], head.head * size
            # What is written on, and what is read: all, none, or a half each.
            written = {"projection": size, "values": 0}.get(death, size // 2)
            layer.output.weight.data[:, first : first + written] = 0
            for tensor in tensors_of(layer.value):
                tensor[first + written : first + size] = 0

    return with_heads(classifier, change)


def without_answers(classifier: Classifier) -> Classifier:
    """A classifier that gives every sentence the same answer: no head has any effect on it."""
    model = copy.deepcopy(classifier.model)
    model.classifier.weight.data.zero_()
    return replace(classifier, model=model, layers=classifier.family.layers(model))


def with_copied_head(classifier: Classifier, layer: int, source: int, target: int) -> Classifier:
    """A classifier in which a head attends and reads as another does, but writes its own."""
    model = copy.deepcopy(classifier.model)
    biases = getattr(getattr(model.base_model, "encoder", None), "relative_attention_bias", None)
    if biases is not None:
        biases.weight.data[:, target] = biases.weight.data[:, source]
    classifier = replace(classifier, model=model)

    def change(layers: Any) -> None:
        size = classifier.geometry.head_size
        here, there = (slice(head * size, (head + 1) * size) for head in (target, source))
        for name in ("query", "key", "value"):
            for tensor in tensors_of(getattr(layers[layer], name)):
                tensor[here] = tensor[there]

    return with_heads(classifier, change)
