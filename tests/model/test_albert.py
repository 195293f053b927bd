"""ALBERT, whose layers share their weights: what leaves all of them, and what is masked in one."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AlbertForSequenceClassification

from bhpvas.criteria import CRITERIA, score
from bhpvas.errors import BhpvasError, HeadError, ModelError
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.comparison import compare, random_mask
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.export import FORMATS, export_model
from bhpvas.heads import HeadId, HeadMask, parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_info
from bhpvas.model.cost import flops_per_sentence, parameters, speed_bound
from bhpvas.model.engine import predict
from bhpvas.model.layers import attend
from bhpvas.model.pruning import remove_heads
from bhpvas.model.states import StateCache
from bhpvas.model.weights import Weights
from bhpvas.neurons import NeuronSet
from bhpvas.progress import silent
from bhpvas.recovery import RECOVERIES, recover
from bhpvas.recovery.compensation import compensate
from bhpvas.recovery.finetuning import TuningSettings, finetune
from bhpvas.recovery.layerwise import Originals, calibration_parts
from bhpvas.recovery.ridge import CrossMoments
from bhpvas.recovery.shared_layers import shared_fits
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import METHODS, Constraints, propose
from bhpvas.search.curves import measure_curve
from tests import reference
from tests.conftest import TEXTS, tiny_dataset
from tests.tiny import CONFIGS, many_sentences, save_tiny, with_heads

MASK = HeadMask.parse("L0H2,L1H0,L1H3", 2, 4)


@pytest.fixture(scope="module")
def albert(tmp_path_factory):
    return load_classifier(save_tiny(tmp_path_factory.mktemp("tiny-albert"), "albert"))


def test_a_mask_is_the_zeroed_weights_of_a_model_whose_layers_are_apart(albert):
    config = CONFIGS["albert"](2)
    config.num_hidden_groups = 2
    apart = AlbertForSequenceClassification(config).eval()
    weights = albert.model.state_dict()
    apart.load_state_dict(
        {name: weights[name.replace("groups.1.", "groups.0.")] for name in apart.state_dict()}
    )
    size = albert.geometry.head_size
    for number, group in enumerate(apart.albert.encoder.albert_layer_groups):
        removed = torch.from_numpy(np.repeat(~MASK.kept[number], size))
        group.albert_layers[0].attention.dense.weight.data[:, removed] = 0
    for text in TEXTS:
        with torch.no_grad():
            expected = apart(**reference.inputs_of(albert, text)).logits.numpy()
        found = predict(albert, albert.encode_texts([text]), MASK)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_every_criterion_tells_its_layers_apart(albert):
    found = score(albert, tiny_dataset(), tuple(CRITERIA), mask=MASK)
    for name, values in found.values.items():
        assert (np.isfinite(values) == MASK.kept).all(), name
        assert values[0, 1] != values[1, 1], name


def test_what_only_one_layer_loses_saves_nothing(albert):
    """Heads that cannot leave the weights are computed and multiplied by zero."""
    whole, lengths, geometry = albert.full_mask(), [9, 30], albert.geometry
    assert parameters(geometry, MASK) == geometry.parameters
    assert geometry.parameters == sum(one.numel() for one in albert.model.parameters())
    assert flops_per_sentence(geometry, MASK, lengths) == flops_per_sentence(
        geometry, whole, lengths
    )
    apart = replace(geometry, groups=())
    assert flops_per_sentence(geometry, whole, lengths) == flops_per_sentence(apart, whole, lengths)
    assert speed_bound(geometry, MASK, lengths) == 1


ONE_BY_ONE = [
    *(name for name, one in METHODS.items() if not one.for_compensation),
    "similarity",
    "confidence",
]


@pytest.mark.parametrize("method", ONE_BY_ONE)
def test_what_is_proposed_can_leave_the_weights(deep, method):
    data, size = many_sentences(24), len(deep.geometry.groups[0])
    found = propose(deep, data, method, heads=3 * size + 1, seed=1)
    assert len(found.heads) == 3 * size
    deep.check_removal(found.mask)
    for start in range(0, 3 * size, size):  # each head after the other, everywhere
        assert len({head.head for head in found.heads[start : start + size]}) == 1
    if METHODS.get(method, METHODS["random"]).nested:
        fewer = propose(deep, data, method, heads=2 * size, seed=1)
        assert fewer.heads == found.heads[: 2 * size]


@pytest.mark.parametrize("method", ONE_BY_ONE)
def test_what_is_proposed_respects_what_must_stay(deep, method):
    data = many_sentences(24)
    limits = Constraints(frozenset(parse_heads("L2H1,L4H3")), min_per_layer=2)
    begun = deep.full_mask().without(parse_heads("L0H0,L5H2"))  # of one layer alone
    found = propose(deep, data, method, heads=9, mask=begun, constraints=limits)
    assert found.heads and min(found.mask.kept_per_layer) >= 2
    assert (
        not {head for head in found.heads if head.head in (1, 3)} or len(deep.geometry.groups) > 1
    )
    assert not found.mask.removed & limits.protected
    once = [head for head in found.mask.removed if head not in begun.removed]
    for head in once:
        group = deep.geometry.group_of(head.layer)
        assert all(HeadId(layer, head.head) in found.mask.removed for layer in group)


def test_the_sum_over_its_layers_is_what_a_criterion_says_of_a_head(deep):
    data = many_sentences(24)
    mask = deep.full_mask().without(parse_heads("L0H0"))
    values = score(deep, data, ["importance"], mask=mask).values["importance"]
    sums = {
        (group[0], head): np.nansum([values[layer, head] for layer in group])
        for group in deep.geometry.groups
        for head in range(4)
    }
    found = propose(deep, data, "importance", heads=6, mask=mask)
    (first, head) = min(sums, key=sums.__getitem__)
    assert {one.head for one in found.heads[:2]} == {head} and found.heads[-1].layer >= first
    reason = found.removals[0].reason
    count = 4 * len(deep.geometry.groups)
    assert reason == f"importance {sums[first, head]:z.4g}, place {count} of {count}"


def test_a_head_is_removed_from_all_layers_of_its_group_and_measured(deep):
    data, mask = many_sentences(24), deep.full_mask().without(parse_heads("L0H0,L4H1"))
    found = ablate(deep, data, mask)
    groups = deep.geometry.groups
    assert found.loss_change.shape == (6, 4)
    assert found.group_loss_change.shape == found.group_headline_change.shape == (len(groups), 4)
    for number, group in enumerate(groups):
        for head in range(4):
            after = evaluate(deep, data, mask.without(HeadId(layer, head) for layer in group))
            change = after.loss - found.baseline.loss, after.accuracy - found.baseline.accuracy
            assert found.group_loss_change[number, head] == pytest.approx(change[0], abs=1e-5)
            assert found.group_headline_change[number, head] == pytest.approx(change[1], abs=1e-9)
    gone = mask.without(parse_heads("L0-5H0"))
    assert np.isnan(ablate(deep, data, gone).group_loss_change[:, 0]).all()


def test_fewer_heads_than_leave_at_once_are_refused(deep):
    size = len(deep.geometry.groups[0])
    with pytest.raises(BhpvasError, match=f"leaves the {size} layers that use its weights at once"):
        propose(deep, many_sentences(8), "importance", heads=size - 1)
    assert propose(deep, many_sentences(8), "importance", heads=0).heads == ()


def test_a_drop_of_accuracy_is_kept_within_by_heads_in_all_their_layers(deep):
    data = many_sentences(40)
    found = propose(deep, data, "importance", heads=18, max_drop=0.1)
    deep.check_removal(found.mask)
    lost = evaluate(deep, data).accuracy - evaluate(deep, data, found.mask).accuracy
    assert lost <= 0.1


REFUSED = {
    "surgery": lambda albert, data, out: remove_heads(albert, MASK),
    "compensation": lambda albert, data, out: recover(albert, data, MASK),
    "fine-tuning": lambda albert, data, out: finetune(albert, data, MASK, TuningSettings()),
    **{
        f"export as {format}": lambda albert, data, out, format=format: export_model(
            albert,
            Scheme.of(albert).removing(MASK.removed, "importance"),
            out,
            format,
            dataset=data,
        )
        for format in FORMATS
    },
}


def test_with_all_its_heads_it_is_exported(albert, tmp_path):
    found = export_model(albert, Scheme.of(albert), tmp_path / "out", dataset=tiny_dataset())
    assert load_classifier(found.folder).geometry == albert.geometry


@pytest.mark.parametrize("what", REFUSED)
def test_what_only_one_layer_loses_cannot_leave_the_weights(albert, tmp_path, what):
    data = tiny_dataset()
    data = data.take(np.arange(2 * len(data)) % len(data))
    with pytest.raises(ModelError, match=r"^Layers 0 to 1 of 'tiny-albert\d+' use") as refused:
        REFUSED[what](albert, data, tmp_path / "out")
    assert "L0H2 is removed from some of them alone" in str(refused.value)
    (way,) = re.findall(r": remove (\S+), which", str(refused.value))
    albert.check_removal(MASK.without(parse_heads(f"{way},L0H0,L0H3")))
    assert not (tmp_path / "out").exists()


def test_neurons_that_only_one_layer_loses_cannot_leave_the_weights(albert):
    some = NeuronSet.of_layers(2, 64, {0: [1, 2], 1: [2]})
    mask = albert.full_mask().without_neurons(some)
    with pytest.raises(ModelError, match="a neuron of layer 0 is removed from some of them alone"):
        remove_heads(albert, mask)
    assert parameters(albert.geometry, mask) == albert.geometry.parameters - (2 * 32 + 1)


@pytest.mark.parametrize("method", [name for name, one in METHODS.items() if one.for_compensation])
def test_methods_that_refit_layer_by_layer_are_refused(albert, method):
    with pytest.raises(ModelError, match=f"share their weights, and the method {method} refits"):
        propose(albert, tiny_dataset(), method, heads=2)
    assert propose(albert, tiny_dataset(), heads=2).method == "importance"


# --- in all layers of a group ---------------------------------------------------------------------

EVERYWHERE = {
    "heads": ("L0-2H1,L3-5H0", {}),
    "all heads of a group": ("L0-2H0,L0-2H1,L0-2H2,L0-2H3,L3-5H2", {}),
    "neurons": ("", {0: range(5, 30), 1: [63]}),
    "heads and neurons": ("L0-2H1,L3-5H0,L3-5H1", {0: range(9), 1: range(64)}),
}


@pytest.fixture(scope="module", params=[1, 2], ids=["one group", "two groups"])
def deep(request, tmp_path_factory):
    """Six layers, of one or two groups."""
    folder = tmp_path_factory.mktemp("deep-albert")
    more = {"num_hidden_layers": 6, "num_hidden_groups": request.param}
    return load_classifier(save_tiny(folder, "albert", settings=more))


def mask_of(classifier, case: str) -> HeadMask:
    """The mask of a case; of one group with what both of two have."""
    heads, neurons = EVERYWHERE[case]
    groups = classifier.geometry.groups
    columns = [(head.layer // 3, head.head) for head in parse_heads(heads)]
    if len(groups) == 1:
        columns = [(0, head) for _, head in columns]
        neurons = {0: [one for some in neurons.values() for one in some]}
    removed = {HeadId(layer, head) for group, head in columns for layer in groups[group]}
    by_layer = {layer: some for group, some in neurons.items() for layer in groups[group]}
    return (
        classifier.full_mask()
        .without(removed)
        .without_neurons(NeuronSet.of_layers(6, 64, by_layer))
    )


def scheme_of(classifier, mask: HeadMask) -> Scheme:
    return Scheme.of(classifier).removing(mask.masked, "by hand", neurons=mask.masked_neurons)


@pytest.mark.parametrize("case", EVERYWHERE)
def test_masked_is_removed(deep, case):
    mask = mask_of(deep, case)
    before = [one.clone() for one in deep.model.state_dict().values()]
    smaller = remove_heads(deep, mask)
    assert sum(one.numel() for one in smaller.parameters()) == parameters(deep.geometry, mask)
    assert parameters(deep.geometry, mask) < deep.geometry.parameters
    assert speed_bound(deep.geometry, mask, [20]) > 1
    for text in TEXTS:
        with torch.no_grad():
            found = smaller(**reference.inputs_of(deep, text)).logits.numpy()
        expected = predict(deep, deep.encode_texts([text]), mask)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert all(map(torch.equal, before, deep.model.state_dict().values()))


def test_arithmetic_is_that_of_layers_apart(deep):
    mask, lengths = mask_of(deep, "heads and neurons"), [9, 30]
    apart = replace(deep.geometry, groups=())
    assert flops_per_sentence(deep.geometry, mask, lengths) == flops_per_sentence(
        apart, mask, lengths
    )


@pytest.mark.parametrize(
    ("format", "case"),
    [
        *((format, case) for format in FORMATS for case in EVERYWHERE if format != "onnx"),
        ("onnx", "heads and neurons"),
    ],
)
def test_masked_is_exported_and_opened_again(deep, tmp_path, format, case):
    mask, data = mask_of(deep, case), tiny_dataset()
    encoded = deep.encode(data)
    expected = predict(deep, encoded, mask)
    found = export_model(deep, scheme_of(deep, mask), tmp_path / "out", format, dataset=data)
    np.testing.assert_allclose(found.after.logits, expected, atol=1e-5)
    if format == "onnx":
        return
    again = load_classifier(found.folder)
    np.testing.assert_allclose(predict(again, encoded), expected, atol=1e-5)
    assert again.geometry == read_info(found.folder).geometry
    if format == "transformers":
        assert again.full_mask() == mask
        assert again.geometry.parameters == found.parameters == parameters(deep.geometry, mask)
        # What is left can be made smaller still.
        head = next(iter(again.full_mask()), None)
        if head is not None:
            column = {HeadId(one, head.head) for one in again.geometry.group_of(head.layer)}
            less = again.full_mask().without(column)
            count = sum(one.numel() for one in remove_heads(again, less).parameters())
            assert count == parameters(again.geometry, less)


def test_heads_of_layers_that_have_no_weights_of_their_own_are_not_named(deep, tmp_path):
    groups = len(deep.geometry.groups)
    mask = mask_of(deep, "heads")
    found = export_model(deep, scheme_of(deep, mask), tmp_path / "out", dataset=tiny_dataset())
    path = found.folder / "config.json"
    config = json.loads(path.read_text())
    assert set(config["pruned_heads"]) == set(map(str, range(groups)))
    path.write_text(json.dumps(config | {"pruned_heads": {str(groups): [1]}}))
    with pytest.raises(ModelError, match=f"they name layer {groups}, and its weights are those of"):
        load_classifier(found.folder)


def test_what_is_trained_further_is_one_set_of_weights(deep):
    mask, data = mask_of(deep, "heads and neurons"), many_sentences(40)
    tuned = finetune(deep, data, mask, TuningSettings(epochs=1))
    changed = deep.with_weights(tuned.weights)
    encoded = deep.encode(data)
    smaller = remove_heads(changed, mask)
    text = data.texts[0]
    with torch.no_grad():
        found = smaller(**reference.inputs_of(deep, text)).logits.numpy()
    np.testing.assert_allclose(found, predict(changed, encoded, mask)[:1], atol=1e-5)
    assert abs(predict(deep, encoded, mask)[:1] - found).max() > 1e-3


def test_states_above_a_change_of_shared_weights_are_not_taken_for_those_before(deep):
    """A change is in all layers of a group, the lowest included."""
    encoded, cache = deep.encode(tiny_dataset()), StateCache()
    predict(deep, encoded, cache=cache)
    name = "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.bias"
    other = deep.with_weights(Weights({name: torch.ones(64)}))
    found = predict(other, encoded, cache=cache)
    np.testing.assert_allclose(found, predict(other, encoded), atol=1e-6)


def test_a_curve_that_recovers_has_points_where_heads_left_the_weights(deep):
    data, size = many_sentences(24), len(deep.geometry.groups[0])
    counts = range(0, 19, 3)
    plain, recovered = (
        measure_curve(deep, data, data, "importance", counts, recovery=recovery)
        for recovery in (None, "compensate")
    )
    assert plain.removed == tuple(counts)
    assert recovered.removed == tuple(range(0, 19, size))


# --- compensation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", RECOVERIES)
def test_a_copied_head_and_a_copied_neuron_are_made_up_for(deep, method):
    """Of two that say the same, either can go everywhere, and the other says its part."""

    def copied(layers) -> None:
        for layer in {id(one.query): one for one in layers}.values():
            for part in (layer.query, layer.key, layer.value):
                for one in part.parameters():
                    one.data[8:16] = one.data[:8]
            for one in layer.up.parameters():
                one.data[1] = one.data[0]
            if method == "rescale":  # which has one factor for what is left
                layer.output.weight.data[:, 8:16] = layer.output.weight.data[:, :8]
                layer.down.weight.data[:, 1] = layer.down.weight.data[:, 0]

    twins, data = with_heads(deep, copied), many_sentences(80)
    heads = {HeadId(layer, 1) for layer in range(6)}
    neurons = NeuronSet.of_layers(6, 64, {layer: [1] for layer in range(6)})
    mask = twins.full_mask().without(heads).without_neurons(neurons)
    encoded = twins.encode(data)
    whole = predict(twins, encoded)
    assert abs(predict(twins, encoded, mask) - whole).max() > 0.05
    recovered = recover(twins, data, mask, method)
    np.testing.assert_allclose(
        predict(twins.with_weights(recovered.weights), encoded, mask), whole, atol=2e-3
    )
    assert [one.layer for one in recovered.layers] == list(twins.geometry.firsts)
    assert [one.layer for one in recovered.feed_forward] == list(twins.geometry.firsts)


def test_the_fit_is_least_squares_over_all_layers_of_a_group(deep):
    """Against a solver that is given every sample of every layer at once."""
    data = many_sentences(60)
    mask = mask_of(deep, "heads")
    parts = calibration_parts(deep, deep.encode(data))
    seen: list[tuple[Tensor, Tensor, float, CrossMoments, CrossMoments]] = []

    def fitter(weight, bias, unit, fitted, held_out):
        seen.append((weight, bias, unit, fitted, held_out))
        return compensate(weight, bias, unit, fitted, held_out)

    with torch.inference_mode():
        fits, _ = shared_fits(
            deep, parts, mask, fitter, begin=0, feed_forward=False, progress=silent
        )
    for (first, fit), (weight, *_, fitted, held_out) in zip(fits.items(), seen, strict=True):
        inputs, targets = [], []
        with torch.inference_mode():
            originals = Originals(deep, parts)
            for number in deep.geometry.group_of(first):
                entering, layer = originals.entering(number), deep.layers[number]
                kept = torch.from_numpy(mask.kept[number])
                for part, states in zip(parts, entering, strict=True):
                    only = deep.first_only(number)
                    z, _ = attend(deep, layer, states, part.batch.attention_mask, first_only=only)
                    said = layer.output(z.flatten(2))
                    inputs.append(part.samples(z[:, :, kept].flatten(2)))
                    targets.append(part.samples(said))
        x, y = torch.cat(inputs).double(), torch.cat(targets).double()
        assert len(x) == fitted.count + held_out.count
        x, y = x - x.mean(0), y - y.mean(0)
        pull = fit.ridge * len(x) * x.square().mean() * torch.eye(x.shape[1])
        solved = weight.T + torch.linalg.solve(x.T @ x + pull, x.T @ (y - x @ weight.T))
        torch.testing.assert_close(x @ fit.weight.T, x @ solved, atol=2e-3, rtol=0)


def test_random_masks_beside_a_scheme_lose_heads_as_it_does(albert):
    """In all layers at once where its own do, and in each layer by itself where one is masked."""
    data, full = tiny_dataset(), albert.full_mask()
    everywhere, one = parse_heads("L0-1H2"), parse_heads("L0H1,L1H3")
    table = compare(
        albert,
        data,
        {"all": (albert, full.without(everywhere)), "one": (albert, full.without(one))},
        random=6,
    ).set_index("scheme")
    for name, groups in (("all", albert.geometry.groups), ("one", ())):
        masks = [random_mask(full, 2, seed, groups) for seed in range(6)]
        assert all((albert.geometry.removable(mask) == mask) or not groups for mask in masks)
        values = [evaluate(albert, data, mask).accuracy for mask in masks]
        band = table.loc[name, ["random_low", "random_median", "random_high"]]
        np.testing.assert_allclose(list(band), np.quantile(values, [0.05, 0.5, 0.95]))
    assert len({random_mask(full, 2, seed, albert.geometry.groups) for seed in range(20)}) == 4
    # Of groups of two and three layers, six heads are three of the one or two of the other.
    uneven = [(0, 1), (2, 3, 4)]
    for seed in range(20):
        mask = random_mask(HeadMask(5, 4), 6, seed, uneven)
        assert len(mask.removed) == 6 and mask.common(uneven) == mask
    with pytest.raises(HeadError, match="No heads of all layers of their groups are 1 together"):
        random_mask(full, 1, 0, albert.geometry.groups)
