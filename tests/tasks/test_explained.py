"""What heads and words speak for, estimates and curves of every task, by the slow obvious way."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from bhpvas.criteria import score
from bhpvas.data.dataset import Dataset
from bhpvas.data.reading import read_dataset
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.estimate import Estimate
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.interpret.saliency import saliency
from bhpvas.interpret.sentence import contributions
from bhpvas.model.classifier import Classifier

Pair = tuple[Evaluation, Evaluation]


@pytest.fixture(scope="module")
def data(folder: Path, kind: str, classifier: Classifier) -> Dataset:
    return read_dataset(str(folder / f"{kind}.tsv"), task=classifier.task)


@pytest.fixture(scope="module")
def both(classifier: Classifier, data: Dataset) -> Pair:
    mask = classifier.full_mask().without(parse_heads("L0H1,L1H2"))
    return evaluate(classifier, data), evaluate(classifier, data, mask)


def test_contributions_add_up_to_exact_removals_and_slopes(classifier, data):
    text, pair = data.texts[1], None if data.pairs is None else data.pairs[1]
    found = contributions(classifier, text, pair=pair)
    whole = classifier.task.explained(torch.from_numpy(found.logits).double(), found.label)
    one = data.take([1])
    gone = evaluate(classifier, one, classifier.full_mask().without(parse_heads("L1H2"))).logits
    without = classifier.task.explained(torch.from_numpy(gone[0]).double(), found.label)
    assert found.removal[1, 2] == pytest.approx(float(whole - without), abs=1e-5)

    def at(gate: float) -> float:
        with torch.no_grad():
            model = copy.deepcopy(classifier.model)
            layer = classifier.family.layers(model)[1]
            size = classifier.geometry.head_size
            layer.output.weight[:, 2 * size : 3 * size] *= gate
            encoded = classifier.encode(one)
            inputs = {
                "input_ids": torch.from_numpy(encoded.input_ids(0))[None].long(),
                "token_type_ids": torch.from_numpy(encoded.token_type_ids(0))[None].long(),
            }
            return float(classifier.task.explained(model(**inputs).logits[0], found.label))

    slope = (at(1.02) - at(0.98)) / 0.04
    assert found.slope[1, 2] == pytest.approx(slope, abs=2e-3, rel=2e-2)


def test_words_add_up_to_what_is_explained(classifier, data):
    text, pair = data.texts[1], None if data.pairs is None else data.pairs[1]
    found = saliency(classifier, text, pair=pair, label=0, steps=128)
    total = found.values["integrated-gradients"].sum()
    assert total == pytest.approx(found.explained - found.baseline, abs=0.05)
    with pytest.raises(BhpvasError, match="no class 7"):
        saliency(classifier, text, pair=pair, label=7)


def test_an_estimate_is_of_the_loss_alone(classifier, data, both):
    scores = score(classifier, data, ["importance"])
    estimate = Estimate.from_scores(scores)
    mean = scores.gate_gradients.reshape(len(data), -1).mean(0, dtype=np.float64)
    mask = HeadMask.parse("L0H1", 2, 4)
    assert estimate.loss_change([mask])[0] == pytest.approx(-mean[1])
    with pytest.raises(BhpvasError, match="one label out of several"):
        estimate.accuracy_change([mask])


def test_what_is_of_labels_alone_says_so(both):
    for name in ("accuracy", "f1", "confusion", "probabilities"):
        with pytest.raises(BhpvasError, match=r"There is no .* of a model that gives"):
            getattr(both[0], name)
