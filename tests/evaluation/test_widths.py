"""Widths against one evaluation of each narrower mask."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.criteria import NEURON_CRITERIA, score
from bhpvas.errors import BhpvasError, HeadError
from bhpvas.evaluation.ablation import TOKENS_AT_ONCE
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.evaluation.widths import ablate_widths
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.neurons import NeuronSet
from tests.tiny import SEPARATE, save_tiny

WIDTH = 64
SOME = NeuronSet.of_layers(2, WIDTH, {0: range(40), 1: range(5, 64, 3)})
MASKS = {
    "whole": HeadMask(2, 4),
    "without heads": HeadMask(2, 4).without(parse_heads("L0H2,L1H0,L1H1,L1H2,L1H3")),
    "without neurons": HeadMask(2, 4).without(parse_heads("L0H2")).without_neurons(SOME),
    "without any of one layer": HeadMask(2, 4).without_neurons(
        NeuronSet.of_layers(2, WIDTH, {1: range(WIDTH)})
    ),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("family", SEPARATE)
def test_each_point_equals_an_evaluation_without_these_neurons(tmp_path, dataset, family, mask):
    classifier = load_classifier(save_tiny(tmp_path, family))
    curves = ablate_widths(classifier, dataset, mask)
    baseline = evaluate(classifier, dataset, mask)
    np.testing.assert_allclose(curves.baseline.logits, baseline.logits, atol=1e-5)
    removed = np.zeros((2, WIDTH), bool) if mask.neurons is None else mask.neurons.array
    for layer in range(2):
        kept = curves.kept[layer].tolist()
        assert kept[0] == WIDTH - removed[layer].sum() and kept[-1] == 0
        assert kept == sorted(set(kept), reverse=True)
        assert set(kept[1:]) <= {56, 48, 40, 32, 24, 16, 8, 0}
        assert sorted(curves.order[layer]) == np.flatnonzero(~removed[layer]).tolist()
        assert curves.loss_change[layer][0] == curves.headline_change[layer][0] == 0
        for place, count in enumerate(kept):
            gone = mask.without_neurons(curves.at_width(layer, count))
            assert gone.neurons is None or WIDTH - gone.neurons.counts[layer] == count
            alone = evaluate(classifier, dataset, gone)
            loss, accuracy = alone.loss - baseline.loss, alone.accuracy - baseline.accuracy
            assert curves.loss_change[layer][place] == pytest.approx(loss, abs=1e-5)
            assert curves.headline_change[layer][place] == pytest.approx(accuracy, abs=1e-12)


def test_widths_are_the_same_in_small_pieces(classifier, dataset, monkeypatch):
    whole = ablate_widths(classifier, dataset, MASKS["without neurons"])
    monkeypatch.setitem(TOKENS_AT_ONCE, "cpu", 1)
    pieces = ablate_widths(classifier, dataset, MASKS["without neurons"])
    for one, other in zip(whole.loss_change, pieces.loss_change, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("by", NEURON_CRITERIA)
def test_neurons_leave_from_the_least_by_the_criterion(classifier, dataset, by):
    mask = MASKS["without neurons"]
    curves = ablate_widths(classifier, dataset, mask, points=[0.5], by=by)
    values = score(classifier, dataset, (), neurons=[by], mask=mask).neurons[by]
    for row, order in zip(values, curves.order, strict=True):
        assert (np.diff(row[order]) >= 0).all()
        assert np.isfinite(row[order]).all()


def test_a_layer_that_is_narrower_than_every_point_has_one(classifier, dataset):
    curves = ablate_widths(classifier, dataset, MASKS["without neurons"], points=[0.5, 1])
    assert [one.tolist() for one in curves.kept] == [[24], [44, 32]]
    assert curves.loss_change[0].tolist() == [0.0]
    assert not curves.at_width(0, 24)


def test_what_is_not_there_is_refused(classifier, dataset):
    curves = ablate_widths(classifier, dataset, MASKS["without neurons"], points=[0.5])
    with pytest.raises(HeadError, match="Layer 0 keeps 24 neurons: 25 cannot stay"):
        curves.at_width(0, 25)
    with pytest.raises(HeadError, match="There is no layer 2"):
        curves.at_width(2, 0)
    with pytest.raises(BhpvasError, match="'loudness' is no criterion of neurons; choose from"):
        ablate_widths(classifier, dataset, by="loudness")
    with pytest.raises(BhpvasError, match=r"cannot keep 1.5 of its neurons"):
        ablate_widths(classifier, dataset, points=[1.5])


def test_a_layer_is_narrowed_alone_where_others_share_its_weights(tmp_path, dataset):
    albert = load_classifier(save_tiny(tmp_path, "albert"))
    curves = ablate_widths(albert, dataset, points=[0.25])
    for layer in range(2):
        mask = albert.full_mask().without_neurons(curves.at_width(layer, 16))
        change = evaluate(albert, dataset, mask).loss - curves.baseline.loss
        assert curves.loss_change[layer][-1] == pytest.approx(change, abs=1e-5)
