"""Fisher mask search and magnitude to a target, against the slow obvious way to each stage."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bhpvas.heads import HeadId
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.pruning import remove_heads
from bhpvas.neurons import NeuronSet
from bhpvas.recovery import recover, ridge
from bhpvas.search import target_fisher
from bhpvas.search.base import Constraints
from bhpvas.search.budget import Costs, Target
from bhpvas.search.fisher import fisher_information
from bhpvas.search.mask_search import rearranged
from bhpvas.search.sensitivity import Sublayer
from bhpvas.search.target import narrow_to
from bhpvas.search.target_base import TargetProblem
from bhpvas.search.target_values import going, lost, magnitudes, orders_of
from tests import reference
from tests.tiny import SEPARATE, many_sentences, save_tiny

DATA = many_sentences(40)
HEADS, WIDTH = 4, 64


def problem_of(classifier: Classifier, *targets: Target, constraints=None) -> TargetProblem:
    """The problem in which every number of heads and neurons may be kept."""
    encoded = classifier.encode(DATA)
    return TargetProblem(
        classifier=classifier,
        calibration=DATA,
        encoded=encoded,
        choices={"heads": [*range(HEADS + 1)], "neurons": [*range(WIDTH + 1)]},
        costs={target: Costs.of(classifier, target, encoded.lengths) for target in targets},
        constraints=constraints or Constraints(),
    )


def slow_gradients(classifier: Classifier) -> tuple[np.ndarray, np.ndarray]:
    """Gate gradients ``[n, L, H]`` and ``[n, L, F]``, by hooks on the model's own forward."""
    model, every = classifier.model, []
    for text, label in zip(DATA.texts, DATA.labels, strict=True):
        gates, hooks = [], []
        for layer in classifier.layers:
            for part, count in ((layer.output, HEADS), (layer.down, WIDTH)):
                gate = torch.ones(count, requires_grad=True)
                wide = gate.repeat_interleave(part.in_features // count)
                hooks.append(
                    part.register_forward_pre_hook(lambda _, given, wide=wide: (given[0] * wide,))
                )
                gates.append((gate, wide))
        logits = model(**reference.inputs_of(classifier, text)).logits
        loss = F.cross_entropy(logits, torch.tensor([label]))
        found = torch.autograd.grad(loss, [gate for gate, _ in gates])
        for hook in hooks:
            hook.remove()
        every.append((torch.stack(found[::2]).numpy(), torch.stack(found[1::2]).numpy()))
    heads, neurons = zip(*every, strict=True)
    return np.stack(heads), np.stack(neurons)


@pytest.mark.parametrize("family", SEPARATE)
def test_fisher_information_is_the_mean_of_products_of_each_sentences_gradients(tmp_path, family):
    classifier = load_classifier(save_tiny(tmp_path, family))
    found = fisher_information(classifier, classifier.encode(DATA), DATA.labels, [1])
    heads, neurons = slow_gradients(classifier)
    for layer in range(2):
        block = heads[:, layer].T @ heads[:, layer] / len(DATA)
        np.testing.assert_allclose(found.heads[layer], block, rtol=1e-3, atol=1e-6)
        own = np.square(neurons[:, layer]).mean(0)
        np.testing.assert_allclose(found.neurons[layer], own, rtol=1e-3, atol=1e-6)
    block = neurons[:, 1].T @ neurons[:, 1] / len(DATA)
    assert list(found.blocks) == [1]
    np.testing.assert_allclose(found.blocks[1], block, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("share", [0.25, 0.4, 0.6, 0.9])
@pytest.mark.parametrize("seed", range(2))
def test_the_search_keeps_as_much_as_the_best_of_all_thresholds(classifier, share, seed):
    """Kwon's algorithm 1: each number of heads, the most important ones, with what neurons then
    fit in; a budget spent in 4,000 steps falls short of it by as many roundings as there are parts.
    """
    rng, target = np.random.default_rng(seed), Target("flops", share)
    problem = problem_of(classifier, target)
    values = {
        one: rng.random(problem.units(one.what)) ** 3 * (30 if one.what == "heads" else 1)
        for one in problem.sublayers
    }
    heads, neurons = (
        np.sort(np.concatenate([one for part, one in values.items() if part.what == what]))[::-1]
        for what in ("heads", "neurons")
    )

    def best(share: float) -> float:
        costs = Costs.of(classifier, Target("flops", share), problem.encoded.lengths)
        head, neuron = (costs.price(Sublayer(0, what), [1])[0] for what in ("heads", "neurons"))
        kept = []
        for count in range(len(heads) + 1):
            room = costs.budget - costs.rest - count * head
            if room >= 0:
                fit = int(room / neuron)
                kept.append(heads[:count].sum() + neurons[:fit].sum())
        return max(kept)

    orders = orders_of(problem, values)
    plan = problem.plan(target, lost(problem, values, orders))
    gone = going(problem, plan, orders)
    kept = sum(one.sum() - one[gone[part]].sum() for part, one in values.items())
    assert problem.costs[target].share_of(plan) <= share
    assert best(share * 0.996) <= kept <= best(share) + 1e-9


def objective(block: np.ndarray, gone: list[int]) -> float:
    return float(block[np.ix_(gone, gone)].sum())


@pytest.mark.parametrize("seed", range(3))
def test_no_exchange_of_many_units_lowers_the_sum_any_further(seed):
    rng = np.random.default_rng(seed)
    gradients = rng.standard_normal((30, 24)) @ rng.standard_normal((24, 24))
    block = gradients.T @ gradients
    order = np.argsort(block.diagonal())
    first, free = order[:9], order[order != order[20]]  # one of them must stay
    found = rearranged(block, first, free).tolist()
    assert objective(block, found) < objective(block, first.tolist())
    assert len(set(found)) == 9
    assert order[20] not in found
    rest = set(free.tolist()) - set(found)
    exchanged = [[*(set(found) - {one}), other] for one, other in product(found, rest)]
    assert objective(block, found) <= min(objective(block, one) for one in exchanged) + 1e-9


def test_where_all_or_none_go_nothing_is_exchanged():
    block = np.diag([3.0, 1.0, 2.0])
    assert rearranged(block, [1, 2, 0], [1, 2, 0]).tolist() == [1, 2, 0]
    assert rearranged(block, [], [1, 2, 0]).tolist() == []


@pytest.mark.parametrize("room", [target_fisher._BLOCK_BYTES, 1])
def test_masks_are_rearranged_in_their_layers_however_many_fit_into_memory(
    classifier, monkeypatch, room
):
    monkeypatch.setattr(target_fisher, "_BLOCK_BYTES", room)
    (found,) = narrow_to(classifier, DATA, [Target("flops", 0.5)], "mask-search", multiple_of=1)
    heads, neurons = slow_gradients(classifier)
    assert found.mask.neurons is not None
    exchanged = []
    for layer in range(2):
        for gradients, removed in (
            (heads[:, layer], np.flatnonzero(~found.mask.kept[layer])),
            (neurons[:, layer], np.flatnonzero(found.mask.neurons.array[layer])),
        ):
            block = gradients.T.astype(float) @ gradients / len(DATA)
            least = np.argsort(block.diagonal())[: len(removed)].tolist()
            assert objective(block, removed.tolist()) <= objective(block, least) * (1 + 1e-4)
            exchanged.append(len(set(least) - set(removed.tolist())))
    said = " ".join(found.reasons)
    for layer in range(2):
        of_heads, of_neurons = exchanged[2 * layer : 2 * layer + 2]
        assert f"{of_heads} heads and {of_neurons} neurons were exchanged" in said
    assert sum(exchanged)


def test_tuning_is_least_squares_in_one_factor_for_each_unit(classifier, monkeypatch):
    """Of the lowest narrowed part, whose inputs are the unpruned model's, without a ridge."""
    monkeypatch.setattr("bhpvas.recovery.ridge.RIDGES", (1e-12,))
    assert ridge.RIDGES == (1e-12,)
    data = many_sentences(120)
    gone = list(range(0, WIDTH, 3))
    mask = classifier.full_mask().without_neurons(NeuronSet.of_layers(2, WIDTH, {0: gone}))
    recovered = recover(classifier, data, mask, "rescale")
    layer, inner, wanted = classifier.layers[0], [], []
    layer.down.register_forward_hook(lambda _, given, out: inner.append(given[0][0]))
    with torch.no_grad():
        for text in data.texts:
            classifier.model(**reference.inputs_of(classifier, text))
    layer.down._forward_hooks.clear()
    activations, columns = torch.cat(inner).double().numpy(), layer.down.weight.double().numpy()
    kept = [one for one in range(WIDTH) if one not in gone]
    each = activations[:, kept, None] * columns.T[kept]  # [n, k, D]: what each neuron adds
    wanted = activations @ columns.T
    design = each.transpose(0, 2, 1).reshape(-1, len(kept))
    factors = np.linalg.lstsq(design, wanted.reshape(-1), rcond=None)[0]
    weight = recovered.weights.tensors[classifier.name_of(layer.down.weight)].numpy()
    np.testing.assert_allclose(weight[:, kept], columns[:, kept] * factors, atol=2e-3)
    assert np.abs(factors - 1).max() > 0.05


@pytest.mark.parametrize("family", SEPARATE)
def test_the_magnitude_of_a_unit_is_what_the_model_loses_with_it(tmp_path, family):
    classifier = load_classifier(save_tiny(tmp_path, family))
    found, full = magnitudes(problem_of(classifier)), classifier.full_mask()

    def squares(mask) -> float:
        model = remove_heads(classifier, mask)
        return sum(float(one.double().square().sum()) for one in model.parameters())

    for layer in range(2):
        head = full.without([HeadId(layer, 2)])
        neuron = full.without_neurons(NeuronSet.of_layers(2, WIDTH, {layer: [9]}))
        for mask, what, unit in ((head, "heads", 2), (neuron, "neurons", 9)):
            value = found[Sublayer(layer, what)][unit]
            assert value == pytest.approx(squares(full) - squares(mask), rel=1e-6)
