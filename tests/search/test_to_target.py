"""Every method to a target: constraints, reasons, seeds, and what is read of the sentences."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bhpvas.data.reading import read_splits
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.cost import flops_per_sentence, neurons_kept, parameters
from bhpvas.model.engine import predict
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.scheme import Scheme
from bhpvas.search.base import Constraints
from bhpvas.search.budget import Target
from bhpvas.search.registry import DEFAULT_METHOD, METHODS, TO_TARGET, method_named, to_target_named
from bhpvas.search.target import Narrowed, narrow_to
from tests.tiny import many_sentences, save_tiny, with_heads

DATA = many_sentences(24)
HEADS, WIDTH = 4, 64
EVERY_HEAD = [HeadId(layer, head) for layer in range(2) for head in range(HEADS)]
REASON = re.compile(r"layer (\d+) keeps (\d+) of 4 heads and (\d+) of 64 neurons: .")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Classifier:
    return load_classifier(save_tiny(tmp_path_factory.mktemp("tiny")))


def cost_of(classifier: Classifier, target: Target, mask: HeadMask) -> float:
    """The share of the cost that a mask leaves, of the whole model's."""
    geometry, full = classifier.geometry, classifier.full_mask()
    if target.measure == "parameters":
        return parameters(geometry, mask) / parameters(geometry, full)
    lengths = classifier.encode(DATA).lengths
    whole = flops_per_sentence(geometry, full, lengths)
    return flops_per_sentence(geometry, mask, lengths) / whole


def widths(units: tuple[str, ...], multiple_of: int) -> tuple[set[int], set[int]]:
    """How many heads and neurons a layer may keep, heads that must stay apart."""
    none = {0} if "sublayers" in units else set()
    heads = set(range(HEADS)) if "heads" in units else none
    neurons = set(range(0, WIDTH, multiple_of)) if "neurons" in units else none
    return heads | {HEADS}, neurons | {WIDTH}


def smallest(units, multiple_of, constraints: Constraints) -> HeadMask:
    """The mask of the fewest heads and neurons that may stay."""
    heads, neurons = widths(units, multiple_of)
    gone = []
    for layer in range(2):
        stay = [one.head for one in constraints.protected if one.layer == layer]
        least = max(len(stay), constraints.min_per_layer)
        count = min(one for one in heads | {HEADS} if one >= min(least, HEADS))
        free = [one for one in range(HEADS) if one not in stay]
        gone += [HeadId(layer, one) for one in free[: HEADS - count]]
    narrow = np.arange(WIDTH) >= min(neurons)
    return HeadMask(2, HEADS).without(gone).without_neurons(NeuronSet.of(np.stack([narrow] * 2)))


@pytest.mark.parametrize("method", TO_TARGET)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    share=st.floats(0.02, 1.0),
    measure=st.sampled_from(["flops", "parameters"]),
    units=st.sampled_from(
        [
            ("heads",),
            ("neurons",),
            ("heads", "neurons"),
            ("sublayers",),
            ("heads", "sublayers"),
            ("neurons", "sublayers"),
        ]
    ),
    multiple_of=st.sampled_from([1, 5, 8, 64]),
    protected=st.frozensets(st.sampled_from(EVERY_HEAD), max_size=5),
    min_per_layer=st.integers(0, 5),
    at_the_least=st.booleans(),
    seed=st.integers(0, 3),
)
def test_constraints_hold_and_reasons_say_what_the_mask_does(
    tiny, method, share, measure, units, multiple_of, protected, min_per_layer, at_the_least, seed
):
    constraints = Constraints(protected, min_per_layer)
    target, least = Target(measure, share), smallest(units, multiple_of, constraints)
    if at_the_least:  # where nothing but that is left to choose
        target = Target(measure, cost_of(tiny, target, least) + 1e-9)

    def search() -> Narrowed:
        (found,) = narrow_to(
            tiny, DATA, [target], method,
            units=units, constraints=constraints, seed=seed,
            multiple_of=multiple_of if "neurons" in units else None,
        )  # fmt: skip
        return found

    if cost_of(tiny, target, least) > target.share:
        with pytest.raises(BhpvasError, match="cannot be reached"):
            search()
        return
    found, (heads, neurons) = search(), widths(units, multiple_of)
    mask = found.mask
    assert found.cost == pytest.approx(cost_of(tiny, target, mask))
    assert found.cost <= target.share + 1e-12
    assert not protected & mask.removed
    assert min(mask.kept_per_layer) >= min(min_per_layer, HEADS)
    assert set(mask.kept_per_layer) <= heads | {HEADS}
    assert set(neurons_kept(tiny.geometry, mask)) <= neurons
    said = [REASON.match(one) for one in found.reasons]
    assert [tuple(map(int, one.groups())) for one in said if one] == [
        (layer, heads, neurons)
        for layer, (heads, neurons) in enumerate(
            zip(mask.kept_per_layer, neurons_kept(tiny.geometry, mask), strict=True)
        )
    ]
    again = search()
    assert (again.mask, again.weights, again.reasons) == (mask, found.weights, found.reasons)


@pytest.mark.parametrize("method", TO_TARGET)
def test_what_a_method_does_after_stands_in_its_record_and_scheme(tiny, method):
    data = many_sentences(60)
    (found,) = narrow_to(tiny, data, [Target("flops", 0.5)], method)
    assert (found.method, found.record()["recovery"]) == (method, TO_TARGET[method].recovery)
    scheme = found.on(Scheme.of(tiny))
    steps = ["start", "remove"] + ["recover"] * (found.weights is not None)
    assert [step.what for step in scheme.steps] == steps
    assert scheme.steps[1].method == method
    assert scheme.mask == found.mask
    encoded = tiny.encode(data)
    learnt = encoded.fingerprints if TO_TARGET[method].learns else []
    assert len(found.learnt_from) == len(set(learnt))
    before = _probabilities(predict(tiny, encoded))
    after = _probabilities(predict(tiny.with_weights(found.weights), encoded, found.mask))
    moved = (before * np.log(before / after)).sum(1).mean()
    assert found.divergence == pytest.approx(moved, rel=0.02, abs=1e-5)


def _probabilities(logits: np.ndarray) -> np.ndarray:
    whole = np.exp(logits.astype(np.float64))
    return whole / whole.sum(1, keepdims=True)


@pytest.mark.parametrize("method", TO_TARGET)
def test_labels_are_read_by_methods_that_say_so_alone(tiny, method):
    target, rng = [Target("flops", 0.5)], np.random.default_rng(0)
    other = replace(DATA, labels=rng.permutation(DATA.labels))
    (one,), (two,) = (narrow_to(tiny, data, target, method) for data in (DATA, other))
    same = (one.mask, one.weights) == (two.mask, two.weights)
    assert same != TO_TARGET[method].reads_labels
    strange = replace(DATA, label_names=("no", "label of it"))
    if TO_TARGET[method].reads_labels:
        with pytest.raises(BhpvasError):
            narrow_to(tiny, strange, target, method)
    else:
        assert narrow_to(tiny, strange, target, method)[0].mask == one.mask


@pytest.mark.parametrize("method", TO_TARGET)
def test_the_evaluation_split_is_never_read(tiny, tmp_path, method):
    """Of a file with both, other sentences for evaluation change nothing that is found."""
    found = []
    for seed in (1, 2):
        held = many_sentences(30, seed=seed)
        path = tmp_path / f"{seed}.tsv"
        rows = [
            f"{text}\t{label}\t{part}"
            for data, part in ((DATA, "train"), (held, "validation"))
            for text, label in zip(data.texts, data.labels, strict=True)
        ]
        path.write_text("\n".join(["sentence\tlabel\tsplit", *rows]) + "\n", encoding="utf-8")
        calibration = read_splits(path).calibration.aligned(tiny.label_names)
        assert calibration.texts == DATA.texts
        found += narrow_to(tiny, calibration, [Target("flops", 0.4)], method)
    assert found[0].mask == found[1].mask
    assert found[0].weights == found[1].weights
    assert found[0].divergence == found[1].divergence


def test_another_seed_draws_other_units_by_chance(tiny):
    masks = {
        narrow_to(tiny, DATA, [Target("flops", 0.5)], "random", seed=seed)[0].mask
        for seed in range(4)
    }
    assert len(masks) == 4


def test_every_unit_is_as_likely_to_go_by_chance(tiny):
    """Of 200 draws to the half: heads and neurons go about as often as each other."""
    heads, neurons = np.zeros((2, HEADS)), np.zeros((2, WIDTH))
    for seed in range(200):
        (found,) = narrow_to(
            tiny, DATA.take(range(2)), [Target("flops", 0.5)], "random", multiple_of=1, seed=seed
        )
        heads += 1 - found.mask.array
        neurons += found.mask.neurons.array if found.mask.neurons else 0
    # The last to go is more often a head, which costs more.
    assert heads.mean() / 200 == pytest.approx(neurons.mean() / 200, abs=0.08)
    for gone in (heads / 200, neurons / 200):
        # Four standard deviations of 200 draws each.
        assert np.abs(gone - gone.mean()).max() < 4 * np.sqrt(0.25 / 200)


DEAD = {(0, 3), (0, 40), (0, 41), (1, 0), (1, 7), (1, 63)}


@pytest.mark.parametrize("method", [one for one in TO_TARGET if one != "random"])
def test_dead_neurons_go_first(tiny, method):
    def kill(layers):
        for layer, neuron in DEAD:
            layers[layer].up.weight.data[neuron] = 0
            layers[layer].up.bias.data[neuron] = 0
            layers[layer].down.weight.data[:, neuron] = 0

    classifier = with_heads(tiny, kill)
    share = cost_of(tiny, Target("parameters", 1), _without_neurons(12)) + 1e-6
    (found,) = narrow_to(
        classifier, DATA, [Target("parameters", share)], method, units=("neurons",), multiple_of=1
    )
    assert found.mask.neurons is not None
    for layer, row in enumerate(found.mask.neurons.array):
        gone, dead = set(np.flatnonzero(row)), {one for place, one in DEAD if place == layer}
        assert gone <= dead or dead <= gone


def _without_neurons(count: int) -> HeadMask:
    return HeadMask(2, HEADS).without_neurons(NeuronSet.of_layers(2, WIDTH, {0: range(count)}))


def test_names_are_those_of_the_other_registry_or_new():
    assert DEFAULT_METHOD in TO_TARGET
    assert TO_TARGET.keys() - METHODS.keys() == {"magnitude"}
    for name, said in (
        ("greedy", "a method for a number of heads alone"),
        ("entropy", "a method for a number of heads alone"),
        ("magic", "no method"),
    ):
        with pytest.raises(BhpvasError, match=f"'{name}' is {said}; to a target, choose from ran"):
            to_target_named(name)
    with pytest.raises(BhpvasError, match="'magnitude' is a method to a target alone; choose from"):
        method_named("magnitude")


def test_more_heads_than_there_are_cannot_be_asked_for_a_layer(tiny):
    constraints = Constraints(min_per_layer=9)
    (found,) = narrow_to(tiny, DATA, [Target("flops", 0.6)], constraints=constraints)
    assert found.mask.kept_per_layer == (HEADS, HEADS)
