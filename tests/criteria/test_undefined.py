"""What is undefined and what is a true 0: dead heads, single sentences, nothing to compare."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bhpvas.criteria import CRITERIA, combined, places, ranks, score
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import load_classifier
from tests.conftest import tiny_dataset
from tests.tiny import DEATHS, SEPARATE, save_tiny, with_dead_heads, with_heads, without_answers

#: Statistics of the gradient: of a gate that changes nothing it is 0.
TRULY_ZERO = {"importance", "importance-normalised", "fisher", "first-order"}
DEAD = {HeadId(0, 3), HeadId(1, 0), HeadId(1, 2)}


def grid(heads) -> np.ndarray:
    return HeadMask(2, 4, frozenset(heads)).kept == 0


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("family", SEPARATE)
def test_dead_heads_are_found_by_their_weights(tmp_path, family, death):
    living = load_classifier(save_tiny(tmp_path, family))
    assert not living.dead_heads.any()
    np.testing.assert_array_equal(with_dead_heads(living, DEAD, death).dead_heads, grid(DEAD))


def test_what_adds_the_same_to_every_token_or_only_a_little_is_not_dead(classifier):
    size = classifier.geometry.head_size

    def change(layers):
        layers[0].value.weight.data[:size] = 0  # its bias remains
        layers[1].output.weight.data[:, :size] *= 1e-4

    assert not with_heads(classifier, change).dead_heads.any()


@pytest.mark.parametrize("death", DEATHS)
def test_of_a_dead_head_importance_is_zero_and_what_it_looks_at_is_undefined(
    classifier, dataset, death
):
    found = score(with_dead_heads(classifier, DEAD, death), dataset, list(CRITERIA))
    dead = grid(DEAD)
    np.testing.assert_array_equal(found.dead, dead)
    for name, values in found.values.items():
        assert np.isfinite(values[~dead]).all(), name
        if name in TRULY_ZERO:
            assert (values[dead] == 0).all(), name
        else:
            assert np.isnan(values[dead]).all() and CRITERIA[name].undefined, name
        place = places(found, name)
        assert (place[dead] == 7).all(), name  # 6, 7 and 8 of 8
        assert sorted(place[~dead]) == sorted(ranks(values[~dead], CRITERIA[name].higher_means))
    for name, matrix in found.similarity_matrix.items():
        assert np.isnan(matrix[dead.ravel()]).all() and np.isnan(matrix[:, dead.ravel()]).all()
        assert np.isfinite(matrix[np.ix_(~dead.ravel(), ~dead.ravel())]).all(), name
    for name, per_class in ((one, found.by_class(one)) for one in found.per_example):
        assert np.isnan(per_class[:, np.isnan(found.values[name])]).all(), name


@pytest.mark.parametrize("weights", [{"stability": 1.0}, {"first-order": 0.3, "similarity": 0.7}])
def test_by_every_weighing_a_dead_head_has_the_least_priority(classifier, dataset, weights):
    found = score(with_dead_heads(classifier, DEAD, "values"), dataset, list(CRITERIA))
    for directions in ({}, dict.fromkeys(weights, "remove"), {"similarity": "keep"}):
        priority = combined(found, weights, directions)
        assert len(set(priority[grid(DEAD)])) == 1
        assert priority[grid(DEAD)].max() < priority[~grid(DEAD)].min()


def test_scores_of_dead_heads_change_nobody_else_s(classifier, dataset):
    """As if they were removed, whose similarity to others does not count either."""
    changed = with_dead_heads(classifier, DEAD, "projection")
    found = score(changed, dataset, list(CRITERIA))
    removed = score(changed, dataset, list(CRITERIA), mask=HeadMask(2, 4, frozenset(DEAD)))
    for name, values in removed.values.items():
        np.testing.assert_allclose(
            found.values[name][~grid(DEAD)], values[~grid(DEAD)], rtol=1e-5, atol=1e-6, err_msg=name
        )
    assert not removed.dead.any()


def test_how_sentences_differ_is_undefined_of_one(classifier, dataset):
    found = score(classifier, dataset.take([4]), list(CRITERIA))
    for name, values in found.values.items():
        assert np.isnan(values).all() == name.startswith("stability"), name
    several = score(classifier, dataset.take([4, 5]), list(CRITERIA))
    assert all(np.isfinite(values).all() for values in several.values.values())


def test_steadiness_is_undefined_where_nothing_has_an_effect(classifier, dataset):
    found = score(without_answers(classifier), dataset, ["importance", "stability-gradient"])
    assert (found.values["importance"] == 0).all()
    assert np.isnan(found.values["stability-gradient"]).all()


def test_maps_of_sentences_of_three_tokens_are_compared_with_nothing(classifier, dataset):
    short = replace(dataset.take(range(3)), texts=("film", "good", "awful"))
    found = score(classifier, short, list(CRITERIA))
    assert np.isnan(found.values["similarity-maps"]).all()
    assert "four tokens" in CRITERIA["similarity-maps"].undefined
    assert np.isfinite(found.values["similarity-js"]).all()
    longer = replace(short, texts=("film", "good film", "awful"))
    assert np.isfinite(
        score(classifier, longer, ["similarity-maps"]).values["similarity-maps"]
    ).all()


def test_what_does_not_vary_is_like_nothing_however_it_is_rounded(tmp_path):
    """Constant outputs and maps that look alike from every token, with the noise of float32."""
    classifier = load_classifier(save_tiny(tmp_path))
    size = classifier.geometry.head_size

    def change(layers):
        for head in (0, 2):  # values are a constant far from zero
            layers[0].value.weight.data[head * size : (head + 1) * size] = 0
            layers[0].value.bias.data[head * size : (head + 1) * size] += 37.7
        for part in (layers[1].query, layers[1].query):  # every token asks for the same
            part.weight.data[size : 2 * size] = 0

    found = score(with_heads(classifier, change), tiny_dataset(), ["similarity", "similarity-maps"])
    np.testing.assert_array_equal(
        np.isnan(found.values["similarity"]), grid([HeadId(0, 0), HeadId(0, 2)])
    )
    np.testing.assert_array_equal(np.isnan(found.values["similarity-maps"]), grid([HeadId(1, 1)]))
    assert not found.dead.any()


def test_the_last_head_is_compared_with_nothing(classifier, dataset):
    mask = HeadMask(2, 4).without(set(HeadMask(2, 4)) - {HeadId(1, 1)})
    names = ["similarity", "similarity-maps", "similarity-js"]
    found = score(classifier, dataset, names, mask=mask)
    assert all(np.isnan(values).all() for values in found.values.values())
