"""Measure what a million sentences cost: ``python -m benchmarks.scaling [--data FILE]``.

For each geometry a model with random weights is made, since rates do not depend on their values;
the words are cut by the sample model's tokenizer. Printed are sentences a second of each command,
the hours that a million sentences take at that rate, and the memory that the geometry asks for.
"""

from __future__ import annotations

import argparse
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification
from transformers.utils import logging

from bhpvas.criteria import score
from bhpvas.criteria.base import MOST_KEPT
from bhpvas.criteria.similarity import OutputProducts
from bhpvas.data.dataset import Dataset
from bhpvas.data.reading import read_dataset, sample_splits
from bhpvas.data.sampling import Sample
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.classifier import Classifier, load_classifier

# Layers, heads, hidden size; sentences measured, and those that every head is ablated on: about a
# minute each.
GEOMETRIES = ((6, 12, 384, 512, 32), (12, 12, 768, 192, 8), (24, 16, 1024, 64, 2))


def random_classifier(
    tokenizer: object, layers: int, heads: int, hidden: int, **where: Any
) -> Classifier:
    """A classifier of a geometry with random weights."""
    config = BertConfig(
        vocab_size=len(tokenizer),  # type: ignore[arg-type]
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        id2label={0: "negative", 1: "positive"},
        label2id={"negative": 0, "positive": 1},
    )
    with tempfile.TemporaryDirectory() as folder:
        BertForSequenceClassification(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
        return load_classifier(Path(folder), **where)


def rate(job: Callable[[Dataset], object], dataset: Dataset) -> float:
    """Sentences a second, after a few that are not counted: similarity needs four."""
    job(dataset.take(range(min(4, len(dataset)))))
    begun = time.perf_counter()
    job(dataset)
    return len(dataset) / (time.perf_counter() - begun)


def memory_so_far() -> float:
    """Highest resident memory of this process, in GB."""
    unit = 1e9 if sys.platform == "darwin" else 1e9 / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", help="file (default: the 480 sample evaluation sentences)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    given = parser.parse_args()
    logging.disable_progress_bar()
    sample = load_classifier()
    whole = read_dataset(given.data) if given.data else sample_splits().evaluation
    order = np.random.default_rng(0).permutation(len(whole))
    lengths = sample.encode(whole).lengths
    tokenised = rate(sample.encode, whole)
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, device {given.device}; {whole.name}, "
        f"{lengths.mean():.1f} tokens a sentence; {tokenised:,.0f} sentences a second tokenised.\n"
    )
    print("| heads | command | sentences measured | a second | hours for a million |")
    print("|---|---|---|---|---|")
    memory = []
    for layers, heads, hidden, count, ablated in GEOMETRIES:
        torch.manual_seed(0)
        where = {"device": given.device, "dtype": given.dtype}
        classifier = random_classifier(sample.tokenizer, layers, heads, hidden, **where)
        some = whole.take(order[:count])
        for command, job, part in (
            ("evaluate", evaluate, some),
            ("score", score, some),
            ("ablate", ablate, some.take(np.arange(ablated))),
        ):
            found = rate(partial(job, classifier), part)
            print(
                f"| {layers} × {heads} | `{command}` | {len(part)} | {found:.2f} | "
                f"{1e6 / found / 3600:,.1f} |",
                flush=True,
            )
        unit = OutputProducts(classifier, Sample.of(1, 1)).unit
        width = layers * hidden
        samples = 8 * width**2 / 2 if unit == "token" else 4 * 2 * 2048 * width
        memory.append(
            f"| {layers} × {heads} | {unit} | {(layers * heads) ** 2:,} | {samples / 1e6:,.0f} | "
            f"{4 * MOST_KEPT * layers * heads / 1e6:.1f} | {memory_so_far():.1f} |"
        )
    print(
        "\n| heads | one sample of similarity is a | entries of its matrix | sums for it, MB | a "
        "sample of one criterion, MB | resident so far, GB |\n|---|---|---|---|---|---|"
    )
    print("\n".join(memory))


if __name__ == "__main__":
    main()
