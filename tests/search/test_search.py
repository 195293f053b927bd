"""Searches where the right answer is known, and under constraints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bhpvas.criteria import CRITERIA, combined, removal_order, score
from bhpvas.errors import BhpvasError, ModelError
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.engine import predict
from bhpvas.model.weights import Weights
from bhpvas.progress import Cancelled
from bhpvas.recovery import recover
from bhpvas.recovery.layerwise import parts_of
from bhpvas.search import METHODS, Constraints, propose
from bhpvas.search.layer_statistics import LayerStatistics, measure_layers
from bhpvas.search.mask_search import rearranged
from bhpvas.search.reconstruction import LayerError
from tests.conftest import TEXTS
from tests.recovery.test_recovery import many_sentences, slow_moments, with_copied_head, with_heads
from tests.tiny import SEPARATE, save_tiny

SENTENCES = many_sentences(40)


def with_dead_head(classifier: Classifier, layer: int, head: int) -> Classifier:
    """A classifier in which nothing of a head's output is written on."""
    size = classifier.geometry.head_size

    def change(layers):
        layers[layer].output.weight.data[:, head * size : (head + 1) * size] = 0

    return with_heads(classifier, change)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_whose_answers_are_no_numbers_is_refused(classifier, method):
    """Weights may be finite and too large to multiply."""

    def change(layers):
        layers[0].output.weight.data.fill_(3e38)

    # Random order does not look at the model; how far it may go does.
    most = {"max_drop": 0.1} if method == "random" else {}
    with pytest.raises(ModelError, match=r"sentences .*that are not finite: load it as float32"):
        propose(with_heads(classifier, change), SENTENCES, method, heads=1, **most)


# Whether heads are alike, or how steadily they look, says nothing of what is written on.
BY_WHAT_IS_WRITTEN = ["importance", "fisher", "iterative", "mask-search", "reconstruction"]


@pytest.mark.parametrize("place", [(0, 2), (1, 1)])
@pytest.mark.parametrize("method", BY_WHAT_IS_WRITTEN)
def test_a_dead_head_goes_first(classifier, method, place):
    dead = with_dead_head(classifier, *place)
    assert propose(dead, SENTENCES, method, heads=1).heads == (HeadId(*place),)


@pytest.mark.parametrize("place", [(0, 2), (1, 1)])
def test_by_exact_greed_a_dead_head_goes_before_every_head_that_is_of_use(classifier, place):
    """Only heads whose removal lowers the loss may go before it."""
    dead = with_dead_head(classifier, *place)
    order = propose(dead, SENTENCES, "greedy", heads=8, options={"shortlist": 8}).heads
    before = order[: order.index(HeadId(*place)) + 1]
    masks = [HeadMask(2, 4).without(before[:count]) for count in range(len(before))]
    losses = [evaluate(dead, SENTENCES, mask).loss for mask in masks]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("family", SEPARATE)
def test_a_dead_head_goes_first_from_its_layer_by_shares(tmp_path, family):
    dead = with_dead_head(load_classifier(save_tiny(tmp_path, family)), 0, 2)
    found = propose(dead, SENTENCES, "shares", heads=1, options={"share": 0.0})
    assert found.heads == (HeadId(0, 2),)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("method", ["redundancy", "similarity", "reconstruction", "shares"])
def test_of_two_copies_one_goes_before_a_unique_head_and_the_other_stays(classifier, method, layer):
    copied = with_copied_head(classifier, layer, 1, 3)
    options = {"share": 0.0} if method == "shares" else {}
    found = propose(copied, many_sentences(200), method, heads=4, options=options)
    pair = {HeadId(layer, 1), HeadId(layer, 3)}
    assert found.heads[0] in pair
    if method == "redundancy":
        assert "1.000 alike" in found.removals[0].reason
        scores = score(copied, many_sentences(200), ["importance"]).values["importance"]
        assert found.heads[0] == min(pair, key=lambda one: scores[one.layer, one.head])


def test_one_shot_methods_follow_their_criterion(classifier):
    names = ["importance", "fisher", "entropy", "stability", "similarity"]
    scores = score(classifier, SENTENCES, names)
    for name in ("importance", "fisher", "entropy"):
        expected = removal_order(scores.values[name], CRITERIA[name].higher_means)
        assert list(propose(classifier, SENTENCES, name, heads=8).heads) == expected
    assert list(propose(classifier, SENTENCES, "combined", heads=8).heads) == removal_order(
        combined(scores)
    )
    only = propose(
        classifier, SENTENCES, "combined", heads=8, options={"weights": {"importance": 1.0}}
    )
    assert only.heads == propose(classifier, SENTENCES, "importance", heads=8).heads


def test_which_way_stability_counts_is_an_option_of_the_priority(classifier):
    values = score(classifier, SENTENCES, ["stability"]).values["stability"]
    for way in ("keep", "remove"):
        options = {"weights": {"stability": 1.0}, "directions": {"stability": way}}
        found = propose(classifier, SENTENCES, "combined", heads=8, options=options)
        assert list(found.heads) == removal_order(values, way)
        assert found.removals[0].reason.endswith("place 8 by stability of 8")


def test_random_orders_follow_the_seed_and_are_even(classifier):
    one, same, other = (
        propose(classifier, SENTENCES, "random", heads=8, seed=seed).heads for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other
    first = [
        propose(classifier, SENTENCES, "random", heads=1, seed=seed).heads[0] for seed in range(400)
    ]
    counts = [first.count(head) for head in classifier.full_mask()]
    assert min(counts) > 25


def test_iterative_scores_what_is_left(classifier):
    found = propose(classifier, SENTENCES, "iterative", heads=6, options={"share": 0.25})
    mask = HeadMask(2, 4)
    for first in (0, 2, 4):
        values = score(classifier, SENTENCES, ["importance"], mask=mask).values["importance"]
        pair = removal_order(values)[:2]
        assert list(found.heads[first : first + 2]) == pair
        mask = mask.without(pair)


def test_greedy_takes_the_cheapest_of_its_shortlist(classifier):
    found = propose(classifier, SENTENCES, "greedy", heads=3, options={"shortlist": 8})
    mask = HeadMask(2, 4)
    for head in found.heads:
        losses = {one: evaluate(classifier, SENTENCES, mask.without([one])).loss for one in mask}
        assert losses[head] == pytest.approx(min(losses.values()), abs=1e-5)
        mask = mask.without([head])


def test_layers_empties_the_layer_that_the_loss_misses_least(classifier):
    whole = [HeadMask.parse(",".join(f"L{la}H{he}" for he in range(4)), 2, 4) for la in (0, 1)]
    cheapest = int(np.argmin([evaluate(classifier, SENTENCES, one).loss for one in whole]))
    found = propose(classifier, SENTENCES, "layers", heads=5)
    assert [head.layer for head in found.heads] == [cheapest] * 4 + [1 - cheapest]


def test_exchanges_find_the_best_pair_and_never_a_worse_one():
    rng = np.random.default_rng(0)
    for _ in range(20):
        gradients = rng.standard_normal((30, 6))
        block = gradients.T @ gradients
        start = [int(one) for one in rng.permutation(6)[:2]]
        found = rearranged(block, start, list(range(6)))
        pairs = {
            (one, two): block[np.ix_([one, two], [one, two])].sum()
            for one in range(6)
            for two in range(6)
            if one != two
        }
        cost = pairs[found[0], found[1]]
        assert cost <= pairs[start[0], start[1]]
        better = [pair for pair in pairs if pairs[pair] < cost - 1e-9]
        assert not any(set(pair) & set(found) for pair in better)


def test_mask_search_keeps_one_of_two_that_stand_in_for_each_other(classifier):
    """As many heads a layer as by Fisher alone, and a lower sum over each layer's block."""
    fisher, searched = (
        propose(classifier, SENTENCES, name, heads=4).mask for name in ("fisher", "mask-search")
    )
    assert fisher.kept_per_layer == searched.kept_per_layer
    gradients = score(classifier, SENTENCES, ["fisher"]).gate_gradients
    assert gradients is not None

    def cost(mask: HeadMask) -> float:
        return sum(
            float(np.square(gradients[:, layer] @ (1 - mask.array[layer])).mean())
            for layer in range(2)
        )

    assert cost(searched) <= cost(fisher) + 1e-12


@pytest.mark.parametrize("layer", [0, 1])
def test_reconstruction_error_is_that_of_the_best_refit(classifier, monkeypatch, layer):
    """In the plain metric: what least squares on stacked activations leaves, removal by removal."""
    monkeypatch.setattr("bhpvas.search.reconstruction._DAMPING", 1e-9)
    sentences = many_sentences(150)
    batches = [part.batch for part in parts_of(classifier, classifier.encode(sentences))]
    covariance = measure_layers(classifier, batches)[layer].covariance
    plain = LayerStatistics(covariance, torch.eye(32, dtype=torch.float64))
    error = LayerError(plain, classifier.layers[layer].output.weight, 8)
    mask, total = HeadMask(2, 4), 0.0
    for head in (2, 0, 3, 1):
        total += error.added()[head]
        error.remove(head)
        mask = mask.without([HeadId(layer, head)])
        inputs, aims = slow_moments(classifier, sentences.texts, mask, layer)
        stacked = np.hstack([inputs, np.ones((len(inputs), 1))]).astype(np.float64)
        solution = np.linalg.lstsq(stacked, aims, rcond=None)[0]
        left = np.square(aims - stacked @ solution).sum() / len(aims)
        assert total == pytest.approx(left, rel=1e-3, abs=1e-5)
    assert total == pytest.approx(error.whole, rel=1e-3)


def test_the_metric_says_how_far_the_logits_move(classifier):
    """With two labels: the mean squared slope of the logits along a direction, first token only."""
    sentences = many_sentences(300)
    encoded = classifier.encode(sentences)
    batches = [part.batch for part in parts_of(classifier, encoded)]
    metric = measure_layers(classifier, batches)[1].metric.numpy()
    direction, step = np.random.default_rng(0).standard_normal(32), 1e-3
    bias = classifier.layers[1].output.bias
    moved = Weights({classifier.name_of(bias): bias + torch.from_numpy(step * direction).float()})
    after = predict(classifier.with_weights(moved), encoded)
    slope = (after - predict(classifier, encoded)) / step  # [N, 2]
    expected = np.square(slope[:, 0] - slope[:, 1]).mean() / 2
    assert direction @ metric @ direction == pytest.approx(expected, rel=0.25)


# --- constraints ----------------------------------------------------------------------------------

heads_of_tiny = st.builds(HeadId, st.integers(0, 1), st.integers(0, 3))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=12)
@given(
    count=st.integers(0, 8),
    protected=st.frozensets(heads_of_tiny, max_size=3),
    least=st.integers(0, 2),
    gone=st.frozensets(heads_of_tiny, max_size=2),
)
def test_constraints_hold(classifier, method, count, protected, least, gone):
    start = HeadMask(2, 4, gone)
    constraints = Constraints(protected, least)
    arguments = {"heads": count, "mask": start, "constraints": constraints}
    sentences = many_sentences(12)
    if count > constraints.most(start):
        with pytest.raises(BhpvasError, match=f"{count} heads cannot be removed"):
            propose(classifier, sentences, method, **arguments)
        return
    found = propose(classifier, sentences, method, **arguments)
    assert len(set(found.heads)) == len(found.heads) == count
    assert not set(found.heads) & (protected | gone)
    kept_before, kept = start.kept_per_layer, found.mask.kept_per_layer
    assert all(now >= min(least, was) for was, now in zip(kept_before, kept, strict=True))
    assert all(removal.reason for removal in found.removals)


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].nested])
def test_shorter_proposals_begin_longer_ones_where_a_method_says_so(classifier, method):
    options = {"share": 0.4} if method in ("shares", "iterative") else {}
    whole = propose(classifier, SENTENCES, method, heads=8, options=options).heads
    for count in (1, 3, 4, 6):
        found = propose(classifier, SENTENCES, method, heads=count, options=options).heads
        assert found == whole[:count]


@pytest.mark.parametrize("method", ["importance", "mask-search", "reconstruction"])
@pytest.mark.parametrize("max_drop", [0.0, 0.1, 1.0])
def test_the_largest_drop_holds_on_the_calibration_sentences(classifier, method, max_drop):
    encoded = classifier.encode(SENTENCES)
    own = predict(classifier, encoded).argmax(1)
    # Labels as the model gives them, a few of them turned: accuracy then falls as heads leave.
    labelled = replace(SENTENCES, labels=np.where(np.arange(40) < 36, own, 1 - own))
    found = propose(classifier, labelled, method, heads=6, max_drop=max_drop)
    changed = classifier
    if METHODS[method].for_compensation and found.heads:
        recovered = recover(classifier, labelled, found.mask)
        changed = classifier.with_weights(recovered.weights)
    before = evaluate(classifier, labelled).accuracy
    assert before - evaluate(changed, labelled, found.mask).accuracy <= max_drop + 1e-9
    assert found.settings["max_drop"] == max_drop
    if max_drop == 1.0:
        assert len(found.heads) == 6


@pytest.mark.parametrize(("max_drop", "searched"), [(-1.0, [4]), (1.0, [4, 8])])
def test_all_heads_are_searched_for_only_where_half_of_them_may_go(
    classifier, monkeypatch, max_drop, searched
):
    counts = []

    def search(task):
        counts.append(task.count)
        return METHODS["importance"].search(task)

    monkeypatch.setitem(METHODS, "counted", replace(METHODS["importance"], search=search))
    found = propose(classifier, SENTENCES, "counted", heads=8, max_drop=max_drop)
    assert counts == searched
    if max_drop > 0:
        assert found.heads == propose(classifier, SENTENCES, "importance", heads=8).heads
    else:
        assert not found.heads


# --- the interface --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_proposal_and_leaves_the_model_alone(classifier, method):
    before = predict(classifier, classifier.encode_texts(TEXTS))
    one, two = (propose(classifier, SENTENCES, method, heads=4, seed=3) for _ in range(2))
    assert one.removals == two.removals
    assert (one.method, one.seed, one.calibration, one.sentences) == (method, 3, "many", 40)
    assert one.settings["heads"] == 4
    np.testing.assert_array_equal(predict(classifier, classifier.encode_texts(TEXTS)), before)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "random"])
def test_progress_is_told_and_stops_the_work(classifier, method):
    calls: list[tuple[int, int]] = []
    propose(
        classifier, SENTENCES, method, heads=4,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert calls[-1][0] == calls[-1][1]
    assert all(0 <= done <= total for done, total in calls)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        propose(classifier, SENTENCES, method, heads=4, progress=stop)


def test_unknown_names_are_refused(classifier):
    with pytest.raises(BhpvasError, match="'magic' is no method; choose from random, importance"):
        propose(classifier, SENTENCES, "magic", heads=1)
    with pytest.raises(BhpvasError, match="'depth' is no option of greedy: it has sentences"):
        propose(classifier, SENTENCES, "greedy", heads=1, options={"depth": 3})
