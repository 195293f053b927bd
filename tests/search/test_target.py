"""Searches to a share of the cost: within the budget, equal to recovery, and told in full."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import load_classifier
from bhpvas.model.cost import flops_per_sentence, parameters
from bhpvas.model.engine import predict
from bhpvas.neurons import NeuronSet
from bhpvas.recovery import recover
from bhpvas.recovery.closed_form import as_weights
from bhpvas.recovery.layerwise import Originals, calibration_parts
from bhpvas.scheme.scheme import Scheme, load_scheme
from bhpvas.search.base import Constraints
from bhpvas.search.budget import Costs, Target
from bhpvas.search.narrowing import narrow
from bhpvas.search.sensitivity import Sublayer, sensitivities
from bhpvas.search.shares import divergence
from bhpvas.search.target import narrow_to
from tests.tiny import SEPARATE, many_sentences, save_tiny, with_heads

DATA = many_sentences(60)
WIDTH = 64
TARGETS = [Target("flops", 0.7), Target("flops", 0.4), Target("parameters", 0.9)]


def cost_of(classifier, target: Target, mask: HeadMask, data: Dataset = DATA) -> float:
    geometry = classifier.geometry
    lengths = classifier.encode(data).lengths
    if target.measure == "parameters":
        return parameters(geometry, mask) / geometry.parameters
    whole = flops_per_sentence(geometry, classifier.full_mask(), lengths)
    return flops_per_sentence(geometry, mask, lengths) / whole


@pytest.mark.parametrize("family", SEPARATE)
def test_a_target_is_kept_and_its_weights_are_those_of_a_recovery(tmp_path, family):
    classifier = load_classifier(save_tiny(tmp_path, family))
    encoded = classifier.encode(DATA)
    for target, found in zip(TARGETS, narrow_to(classifier, DATA, TARGETS), strict=True):
        assert found.target == target
        assert found.cost <= target.share
        assert found.cost == pytest.approx(cost_of(classifier, target, found.mask))
        again = recover(classifier, DATA, found.mask)
        assert found.recovered.weights.tensors.keys() == again.weights.tensors.keys()
        for name, tensor in again.weights.tensors.items():
            np.testing.assert_allclose(found.recovered.weights.tensors[name], tensor, atol=2e-3)
        changed = classifier.with_weights(found.recovered.weights)
        before, after = (evaluate(one, DATA, mask) for one, mask in (
            (classifier, None), (changed, found.mask)
        ))  # fmt: skip
        moved = divergence(classifier.task, *map(_tensor, (before.logits, after.logits)))
        assert found.divergence == pytest.approx(moved, rel=0.02, abs=1e-5)
        assert len(found.learnt_from) == len(set(encoded.fingerprints.tolist()))


def _tensor(logits: np.ndarray):
    return torch.from_numpy(logits)


def test_smaller_targets_move_the_answers_further(classifier):
    shares = [0.9, 0.6, 0.3]
    found = narrow_to(classifier, DATA, [Target("flops", share) for share in shares])
    assert np.all(np.diff([one.divergence for one in found]) > 0)
    assert np.all(np.diff([one.cost for one in found]) < 0)


def test_progress_counts_the_measuring_for_more_than_a_target(classifier):
    told = []
    narrow_to(
        classifier,
        DATA,
        [Target("flops", 0.5), Target("flops", 0.3)],
        progress=lambda done, total: told.append(done / total),
    )
    layers = classifier.geometry.layers
    # Each layer's beginning and the end: of the measuring, and of both targets.
    measuring, first, second = (
        told[at * (layers + 1) : (at + 1) * (layers + 1)] for at in range(3)
    )
    assert told == [*measuring, *first, *second] and told == sorted(told)
    assert (measuring[0], measuring[-1]) == (0, first[0])
    assert (first[-1], second[-1]) == (second[0], 1)
    assert measuring[-1] > 2 * (first[-1] - first[0]) == pytest.approx(2 * (1 - second[0]))


def test_labels_are_never_read(classifier):
    other = replace(DATA, labels=1 - DATA.labels)
    target = [Target("flops", 0.5)]
    (one,), (two,) = narrow_to(classifier, DATA, target), narrow_to(classifier, other, target)
    assert one.mask == two.mask
    assert one.recovered.weights == two.recovered.weights


def test_constraints_hold(classifier):
    protected = frozenset({HeadId(0, 2), HeadId(1, 0)})
    constraints = Constraints(protected, min_per_layer=2)
    (found,) = narrow_to(
        classifier, DATA, [Target("flops", 0.3)], constraints=constraints, multiple_of=16
    )
    assert not protected & found.mask.removed
    assert min(found.mask.kept_per_layer) >= 2
    assert found.mask.neurons is not None
    assert all((WIDTH - count) % 16 == 0 for count in found.mask.neurons.counts)


def test_all_units_together_are_all_that_each_lets_go(classifier):
    """Whole parts are among what heads and neurons let go, so naming them takes nothing away."""
    both, every = (
        narrow_to(classifier, DATA, [Target("flops", 0.6)], units=units)[0]
        for units in (("heads", "neurons"), ("heads", "neurons", "sublayers"))
    )
    assert both.mask == every.mask
    assert any(0 < count < 4 for count in both.mask.kept_per_layer)
    (mixed,) = narrow_to(classifier, DATA, [Target("flops", 0.2)], units=("heads", "sublayers"))
    assert mixed.mask.neurons is not None
    assert set(mixed.mask.neurons.counts) <= {0, WIDTH}


def test_the_target_that_is_said_to_be_the_least_can_be_reached(classifier):
    for units in (("heads",), ("neurons",), ("sublayers",)):
        with pytest.raises(BhpvasError) as said:
            narrow_to(classifier, DATA, [Target("flops", 0.001)], "magnitude", units=units)
        least = re.search(r"(flops=[\d.]+) stays", str(said.value))
        assert least is not None
        (found,) = narrow_to(classifier, DATA, [Target.parse(least[1])], "magnitude", units=units)
        assert found.cost <= Target.parse(least[1]).share + 1e-12


@pytest.mark.parametrize("units", [("heads",), ("neurons",), ("sublayers",)])
def test_only_the_units_that_may_go_do(classifier, units):
    (found,) = narrow_to(classifier, DATA, [Target("flops", 0.8)], units=units)
    counts = (0, 0) if found.mask.neurons is None else found.mask.neurons.counts
    if units == ("heads",):
        assert found.mask.removed
        assert counts == (0, 0)
    elif units == ("neurons",):
        assert not found.mask.removed
        assert any(counts)
    else:
        assert set(found.mask.kept_per_layer) <= {0, 4}
        assert set(counts) <= {0, WIDTH}


@pytest.mark.parametrize(
    ("target", "more", "said"),
    [
        ("flops=0.001", {}, "cannot be reached: when all goes that may go, flops=0"),
        ("flops=0.1", {"units": ("heads",)}, "other units, fewer heads that must stay"),
        ("flops=0.9", {"multiple_of": 8, "units": ("heads",)}, "none of these may go"),
        ("flops=0.9", {"multiple_of": 65}, "cannot be multiples of 65"),
    ],
)
def test_what_cannot_be_reached_is_said(classifier, target, more, said):
    with pytest.raises(BhpvasError, match=said):
        narrow_to(classifier, DATA, [Target.parse(target)], **more)


@pytest.mark.parametrize("text", ["flops", "flops=0", "flops=1.5", "time=0.5", "flops=x", "=0.5"])
def test_what_is_no_target_is_said(text):
    with pytest.raises(BhpvasError, match=r"such as flops=0\.33, parameters=0\.5 or latency="):
        Target.parse(text)


def test_a_budget_is_spent_as_well_as_by_trying_everything(classifier):
    rng = np.random.default_rng(0)
    choices = {"heads": [0, 2, 4], "neurons": [0, 32, 64]}
    lengths = classifier.encode(DATA).lengths
    for share in (0.3, 0.5, 0.8, 1.0):
        costs = Costs.of(classifier, Target("flops", share), lengths)
        moves = {
            Sublayer(layer, what): np.sort(rng.random(3))[::-1]
            for layer in range(2)
            for what in choices
        }
        plan = costs.allotted(choices, moves)
        assert costs.share_of(plan) <= share
        best = min(
            sum(moves[one][place] for one, place in zip(moves, places, strict=True))
            for places in product(range(3), repeat=len(moves))
            if costs.share_of(
                {one: choices[one.what][p] for one, p in zip(moves, places, strict=True)}
            )
            <= share * 0.999
        )
        spent = sum(moves[one][choices[one.what].index(count)] for one, count in plan.items())
        assert spent <= best + 1e-9


def test_sensitivity_is_what_a_narrowed_part_alone_does(classifier):
    """Against the mask of that part, refitted by the recovery on the same sentences."""
    data = many_sentences(300)
    encoded = classifier.encode(data)
    parts = calibration_parts(classifier, encoded)
    found = sensitivities(classifier, parts, parts, {"heads": [], "neurons": [0, 32]})
    assert found.keys() == {Sublayer(0, "neurons"), Sublayer(1, "neurons")}
    nothing = NeuronSet.of_layers(2, WIDTH, {0: range(WIDTH)})
    mask = HeadMask(2, 4).without_neurons(nothing)
    changed = classifier.with_weights(recover(classifier, data, mask).weights)
    before, after = evaluate(classifier, data), evaluate(changed, data, mask)
    moved = divergence(classifier.task, _tensor(before.logits), _tensor(after.logits))
    assert found[Sublayer(0, "neurons")][0] == pytest.approx(moved, rel=0.05)
    assert found[Sublayer(0, "neurons")][1] < found[Sublayer(0, "neurons")][0]


@pytest.mark.parametrize("layer", [0, 1])
def test_of_neurons_that_are_active_alike_one_is_enough(classifier, layer):
    """Nine that are active alike and write their own: eight of them go, and no answer moves."""
    alike = [2, *range(20, 28)]

    def copy(layers):
        up, down = layers[layer].up, layers[layer].down
        up.bias.data += 2  # so that none is hardly ever active
        up.weight.data[alike], up.bias.data[alike] = up.weight.data[2].clone(), 2.0
        down.weight.data *= 2 / down.weight.data.norm(dim=0)

    copied, data = with_heads(classifier, copy), many_sentences(800)
    parts = calibration_parts(copied, copied.encode(data))
    plan = {Sublayer(number, "heads"): 4 for number in range(2)}
    plan |= {Sublayer(number, "neurons"): WIDTH - 8 * (number == layer) for number in range(2)}
    with torch.inference_mode():
        mask, fits = narrow(Originals(copied, parts), plan)
    assert mask.neurons is not None
    assert len(set(np.flatnonzero(mask.neurons.array[layer])) & set(alike)) == 8
    changed = copied.with_weights(as_weights(copied, mask, fits.fits, fits.feed_forward_fits))
    encoded = copied.encode(many_sentences(50, seed=9))
    whole = predict(copied, encoded)
    np.testing.assert_allclose(predict(changed, encoded, mask), whole, atol=1e-4)
    assert np.abs(predict(copied, encoded, mask) - whole).max() > 0.05


def test_a_scheme_holds_all_of_it(classifier, tmp_path):
    (found,) = narrow_to(classifier, DATA, [Target("flops", 0.5)])
    scheme = found.on(Scheme.of(classifier))
    found.recovered.weights.save(tmp_path)
    scheme.save(tmp_path / "s.json")
    again = load_scheme(tmp_path / "s.json")
    assert again.mask == found.mask
    assert [step.what for step in again.steps] == ["start", "remove", "recover"]
    assert again.steps[1].settings["target"] == "flops=0.5"
    assert len(again.steps[1].settings["reasons"]) == 2
    changed = again.on(classifier, tmp_path)
    expected = evaluate(classifier.with_weights(found.recovered.weights), DATA, found.mask)
    np.testing.assert_allclose(evaluate(changed, DATA, again.mask).logits, expected.logits)
    (whole,) = narrow_to(classifier, DATA, [Target("flops", 1.0)])
    assert whole.on(scheme) is scheme


def test_a_model_that_shares_its_layers_is_refused(tmp_path):
    classifier = load_classifier(save_tiny(tmp_path, "albert"))
    with pytest.raises(BhpvasError, match="share their weights, and a target"):
        narrow_to(classifier, DATA, [Target("flops", 0.5)])
