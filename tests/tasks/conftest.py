"""Tiny models that give a score, a probability and several labels, with data for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from bhpvas.model.classifier import Classifier, load_classifier
from tests.tiny import CONFIGS, WORDS, tiny_tokenizer

NAMES = ("rude", "funny", "sad")
SIGMOID = {"activation_fn": "torch.nn.modules.activation.Sigmoid"}
SETTINGS = {
    "score": (1, {}),
    "probability": (1, {"sentence_transformers": SIGMOID}),
    "labels": (
        3,
        {
            "problem_type": "multi_label_classification",
            "id2label": dict(enumerate(NAMES)),
            "label2id": {name: number for number, name in enumerate(NAMES)},
        },
    ),
}
KINDS = list(SETTINGS)


def save_task(folder: Path, kind: str, family: str = "bert") -> Path:
    """Save a random model of a kind of task with its tokenizer; returns the folder."""
    torch.manual_seed(0)
    labels, settings = SETTINGS[kind]
    config = CONFIGS[family](labels)
    for name, value in settings.items():
        setattr(config, name, value)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tiny_tokenizer(family).save_pretrained(folder)
    return folder


def sentence(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS[:20], rng.integers(3, 12)))


def write_data(folder: Path, kind: str, rows: int = 72) -> Path:
    """A file of sentences with scores, pairs with queries, or sets of labels."""
    rng, path = np.random.default_rng(3), folder / f"{kind}.tsv"
    if kind == "score":
        lines = ["text\tscore", *(f"{sentence(rng)}\t{score / 10}" for score in range(rows))]
    elif kind == "probability":
        texts = [sentence(rng) for _ in range(rows // 6)]
        lines = ["sentence1\tsentence2\tlabel"]
        lines += [
            f"{text}\t{sentence(rng)}\t{int(place < 2)}" for text in texts for place in range(6)
        ]
    else:
        sets = [[name for name in NAMES if rng.random() < 0.4] for _ in range(rows)]
        lines = ["text\tlabels", *(f"{sentence(rng)}\t{'; '.join(one) or '[]'}" for one in sets)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three models and the data of each."""
    home = tmp_path_factory.mktemp("tasks")
    for kind in KINDS:
        save_task(home / kind, kind)
        write_data(home, kind)
    return home


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def classifier(folder: Path, kind: str) -> Classifier:
    return load_classifier(folder / kind)
