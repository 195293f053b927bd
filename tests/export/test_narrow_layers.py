"""Exports without some feed-forward neurons: narrower matrices, zeros, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from bhpvas.errors import BhpvasError, ModelError, SchemeError
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.export import FORMATS, Exported, export_model, onnx_graph
from bhpvas.export.base import logits_of
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.config import read_info
from bhpvas.model.cost import flops_per_sentence, parameters
from bhpvas.model.engine import predict
from bhpvas.neurons import NeuronSet
from bhpvas.progress import silent
from bhpvas.recovery import recover
from bhpvas.scheme.scheme import Scheme
from tests.cli.conftest import run
from tests.conftest import tiny_dataset
from tests.tiny import SEPARATE, save_tiny, tensors_of

WIDTH = 64
UNEVEN = NeuronSet.of_layers(2, WIDTH, {0: range(0, 64, 3), 1: [5]})
EMPTY = NeuronSet.of_layers(2, WIDTH, {0: range(64), 1: range(1, 64)})
#: Heads and neurons that are removed.
CASES = {
    "neurons alone": ("", UNEVEN),
    "one layer alone": ("", NeuronSet.of_layers(2, WIDTH, {1: range(40)})),
    "heads and neurons": ("L0H1,L0H2,L1H0", UNEVEN),
    "layers without any": ("L1H0,L1H1,L1H2,L1H3", EMPTY),
}
FORMATS_HERE = [
    pytest.param("onnx", marks=pytest.mark.slow) if name == "onnx" else name for name in FORMATS
]


def scheme_of(classifier: Classifier, case: str) -> Scheme:
    heads, neurons = CASES[case]
    return Scheme.of(classifier).removing(parse_heads(heads), neurons=neurons)


def exported(classifier: Classifier, case: str, folder: Path, format: str) -> Exported:
    scheme = scheme_of(classifier, case)
    return export_model(classifier, scheme, folder, format, dataset=tiny_dataset())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", SEPARATE)
def test_a_smaller_model_holds_what_is_counted(tmp_path, family, case):
    classifier = load_classifier(save_tiny(tmp_path / "model", family))
    found = exported(classifier, case, tmp_path / "out", "transformers")
    mask = scheme_of(classifier, case).mask
    expected = evaluate(classifier, tiny_dataset(), mask)
    np.testing.assert_allclose(found.after.logits, expected.logits, atol=1e-4)
    assert found.parameters == parameters(classifier.geometry, mask)
    stored = load_file(tmp_path / "out" / "model.safetensors")
    zeros = mask.kept_per_layer.count(0) * classifier.geometry.head_parameters
    assert sum(one.numel() for one in stored.values()) == found.parameters + zeros
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    widths = [WIDTH - gone for gone in mask.neurons.counts]
    assert config["feed_forward_sizes"] == widths == found.record()["neurons_kept"]
    again = [config["pruned_neurons"].get(str(layer), "") for layer in range(2)]
    assert NeuronSet(WIDTH, tuple(again)) == mask.neurons
    parts = classifier.family.parts
    names = classifier.family.layer_modules(config)
    rows = [*parts.values()].count(parts["up"])  # with those of a gate
    for name, width in zip(names, widths, strict=True):
        assert stored[f"{name}.{parts['up']}.weight"].shape == (rows * width, 32)
        assert stored[f"{name}.{parts['down']}.weight"].shape == (32, width)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", SEPARATE)
def test_a_dense_model_has_zeros_in_their_places(tmp_path, family, case):
    classifier = load_classifier(save_tiny(tmp_path / "model", family))
    before = [one.clone() for one in classifier.model.state_dict().values()]
    found = exported(classifier, case, tmp_path / "out", "dense")
    for one, other in zip(before, classifier.model.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    mask = scheme_of(classifier, case).mask
    again = load_classifier(tmp_path / "out")
    np.testing.assert_allclose(
        predict(again, again.encode(tiny_dataset())),
        predict(classifier, classifier.encode(tiny_dataset()), mask),
        atol=1e-5,
    )
    assert found.parameters == found.parameters_before == again.geometry.parameters
    removed = torch.tensor(mask.neurons.array)
    for layer, own, gone in zip(again.layers, classifier.layers, removed, strict=True):
        for part in (layer.up, layer.gate):
            assert part is None or not any(one[gone].any() for one in tensors_of(part))
        assert not layer.down.weight[:, gone].any()
        assert torch.equal(layer.up.weight[~gone], own.up.weight[~gone])
        assert torch.equal(layer.down.weight[:, ~gone], own.down.weight[:, ~gone])


def test_neurons_of_a_dense_model_stay_zero_when_it_is_trained(tmp_path, classifier):
    exported(classifier, "neurons alone", tmp_path / "out", "dense")
    model = load_classifier(tmp_path / "out").model.requires_grad_(True)
    inputs = classifier.tokenizer(
        ["the film is good .", "awful"], padding=True, return_tensors="pt"
    )
    model(**inputs, labels=torch.tensor([1, 0])).loss.backward()
    layer, gone = model.bert.encoder.layer[0], torch.tensor(UNEVEN.array[0])
    assert not layer.intermediate.dense.weight.grad[gone].any()
    assert not layer.output.dense.weight.grad[:, gone].any()
    assert layer.intermediate.dense.weight.grad[~gone].any()


@pytest.mark.slow
@pytest.mark.parametrize("case", ["heads and neurons", "layers without any"])
@pytest.mark.parametrize("family", SEPARATE)
def test_a_graph_answers_any_batch_and_length(tmp_path, family, case):
    classifier = load_classifier(save_tiny(tmp_path / "model", family))
    exported(classifier, case, tmp_path / "out", "onnx")
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    mask = scheme_of(classifier, case).mask
    expected = predict(classifier, classifier.encode(tiny_dataset()), mask)
    texts = list(tiny_dataset().texts)
    for start, count in ((0, 1), (3, 2), (0, 12)):
        some = texts[start : start + count]
        inputs = dict(classifier.tokenizer(some, padding=True, return_tensors="np"))
        [logits] = session.run(["logits"], inputs)
        np.testing.assert_allclose(logits, expected[start : start + count], atol=1e-4)


@pytest.mark.slow
def test_an_int8_graph_rounds_a_layer_without_neurons_as_any_other(tmp_path, classifier):
    """ONNX Runtime gives every sentence one answer where it quantised an empty matrix."""
    mask = scheme_of(classifier, "layers without any").mask
    (tmp_path / "out").mkdir()
    onnx_graph.FORMAT.write(classifier, mask, tmp_path / "out")
    onnx_graph.quantise(tmp_path / "out")
    encoded = classifier.encode(tiny_dataset())
    expected = predict(classifier, encoded, mask)
    forward = onnx_graph.read_graph(tmp_path / "out" / onnx_graph.INT8)
    logits = logits_of(forward, classifier, encoded, silent)
    assert np.abs(logits - expected).max() < 0.2 * np.abs(expected).max()


@pytest.mark.parametrize("case", ["heads and neurons", "layers without any"])
@pytest.mark.parametrize("format", FORMATS_HERE)
def test_recovered_weights_are_folded_in(tmp_path, classifier, format, case):
    scheme = scheme_of(classifier, case)
    weights = recover(classifier, tiny_dataset(), scheme.mask).weights
    weights.save(tmp_path)
    scheme = scheme.recovered(weights.fingerprint, "compensate")
    found = export_model(
        classifier, scheme, tmp_path / "out", format, dataset=tiny_dataset(), weights=tmp_path
    )
    changed = evaluate(classifier.with_weights(weights), tiny_dataset(), scheme.mask)
    np.testing.assert_allclose(found.after.logits, changed.logits, atol=1e-4)
    plain = evaluate(classifier, tiny_dataset(), scheme.mask)
    assert np.abs(found.after.logits - plain.logits).max() > 0.01


@pytest.mark.parametrize("format", ["transformers", "dense"])
@pytest.mark.parametrize("case", CASES)
def test_a_size_is_told_before_the_file_is_made(tmp_path, classifier, format, case):
    said = FORMATS[format].weight_bytes(classifier, scheme_of(classifier, case).mask)
    exported(classifier, case, tmp_path / "out", format)
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert said == sum(one.nbytes for one in stored.values())


def test_the_card_says_how_many_neurons_each_layer_keeps(tmp_path, classifier):
    exported(classifier, "layers without any", tmp_path / "out", "transformers")
    card = (tmp_path / "out" / "README.md").read_text()
    for said in (
        " without 4 heads and 127 feed-forward neurons\n",
        "with 4 heads of 8 and 127 feed-forward neurons of 128 removed",
        "| layer | kept | removed | feed-forward neurons kept |",
        "| 0 | H0, H1, H2, H3 | – | 0 of 64 |",
        "| 1 | – | H0, H1, H2, H3 | 1 of 64 |",
        "Layer 1: no head is left",
        "Layer 0: no feed-forward neuron is left, and that part adds a constant vector.",
        "1. Removed L1H0,L1H1,L1H2,L1H3 and of the feed-forward neurons L0F 64/64,L1F 63/64 (by",
        "# transformers needs trust_remote_code to run modeling_pruned.py",
    ):
        assert said in card, said
    assert "4.57 needs no" not in card


def test_a_card_of_heads_alone_does_not_speak_of_neurons(tmp_path, classifier):
    scheme = Scheme.of(classifier).removing(parse_heads("L0H1"))
    export_model(classifier, scheme, tmp_path / "out", dataset=tiny_dataset())
    card = (tmp_path / "out" / "README.md").read_text()
    assert "neuron" not in card and "4.57 needs no trust_remote_code" in card
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert not {"feed_forward_sizes", "pruned_neurons"} & config.keys()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", SEPARATE)
def test_a_smaller_model_is_loaded_again_without_code_of_its_own(tmp_path, family, case):
    classifier = load_classifier(save_tiny(tmp_path / "model", family))
    found = exported(classifier, case, tmp_path / "out", "transformers")
    again, mask = load_classifier(tmp_path / "out"), scheme_of(classifier, case).mask
    encoded = again.encode(tiny_dataset())
    expected = predict(classifier, classifier.encode(tiny_dataset()), mask)
    for full in (None, again.full_mask(), HeadMask(2, 4)):
        np.testing.assert_allclose(predict(again, encoded, full), expected, atol=1e-5)
    full, geometry = again.full_mask(), again.geometry
    assert full == mask and not full.changes and full.masked_neurons is None
    assert geometry == read_info(tmp_path / "out").geometry
    # What is not there cannot be counted twice.
    for one in (full, HeadMask(2, 4), HeadMask(2, 4, neurons=mask.neurons)):
        assert parameters(geometry, one) == geometry.parameters == found.parameters
        flops = flops_per_sentence(geometry, one, encoded.lengths)
        assert flops == pytest.approx(found.flops_per_sentence, rel=1e-12)


def test_an_export_can_be_pruned_and_exported_again(tmp_path, classifier):
    exported(classifier, "heads and neurons", tmp_path / "once", "transformers")
    once = load_classifier(tmp_path / "once")
    more = NeuronSet.of_layers(2, WIDTH, {0: range(32), 1: range(64)})
    scheme = Scheme.of(once).removing(parse_heads("L0H0,L1H0"), neurons=more)
    expected = scheme_of(classifier, "heads and neurons").mask.without(parse_heads("L0H0"))
    expected = expected.without_neurons(more)
    assert scheme.mask == expected and scheme.mask.masked_neurons == more - UNEVEN
    found = export_model(once, scheme, tmp_path / "twice", dataset=tiny_dataset())
    twice = load_classifier(tmp_path / "twice")
    assert twice.full_mask() == expected and twice.geometry.parameters == found.parameters
    np.testing.assert_allclose(
        predict(twice, twice.encode(tiny_dataset())),
        predict(classifier, classifier.encode(tiny_dataset()), expected),
        atol=1e-5,
    )
    assert found.parameters == parameters(classifier.geometry, expected)
    export_model(once, scheme, tmp_path / "dense", "dense", dataset=tiny_dataset())
    config = json.loads((tmp_path / "dense" / "config.json").read_text())
    assert not {"feed_forward_sizes", "pruned_neurons"} & config.keys()


def test_a_scheme_of_an_export_cannot_give_back_what_it_lacks(tmp_path, classifier):
    exported(classifier, "neurons alone", tmp_path / "out", "transformers")
    smaller = load_classifier(tmp_path / "out")
    scheme = Scheme.of(smaller)
    assert scheme.mask == smaller.full_mask() and scheme.mask.pruned_neurons == UNEVEN
    with pytest.raises(SchemeError, match="nothing to restore"):
        scheme.restoring((), neurons=UNEVEN)
    with pytest.raises(SchemeError, match="nothing to remove"):
        scheme.removing((), neurons=UNEVEN)
    more = NeuronSet.of_layers(2, WIDTH, {0: range(8)})
    pruned = scheme.removing((), neurons=more)
    back = pruned.restoring((), neurons=more | UNEVEN)
    assert back.steps[-1].neurons == more - UNEVEN and back.mask == scheme.mask
    assert Scheme.from_json(back.to_json()) == back and back.matches(smaller) is back
    document = json.loads(back.to_json())
    document["steps"][2]["neurons"] = {"width": WIDTH, "bits": UNEVEN.bits}
    with pytest.raises(SchemeError, match="cannot restore the neurons"):
        Scheme.from_json(json.dumps(document))
    whole = Scheme.started(scheme.model, 2, 4)
    with pytest.raises(SchemeError, match=r"lacks L0F 22/64,L1F 1/64\): start a new one"):
        whole.matches(smaller)


def test_there_is_nothing_to_make_up_for_until_a_neuron_is_removed(tmp_path, classifier):
    exported(classifier, "neurons alone", tmp_path / "out", "transformers")
    smaller = load_classifier(tmp_path / "out")
    with pytest.raises(BhpvasError, match="nothing to recover"):
        recover(smaller, tiny_dataset(), smaller.full_mask())
    mask = smaller.full_mask().without_neurons(NeuronSet.of_layers(2, WIDTH, {1: range(20)}))
    found = recover(smaller, tiny_dataset(), mask)
    assert [one.layer for one in found.feed_forward] == [1]


def test_info_says_how_many_neurons_each_layer_has(tmp_path, classifier, capsys):
    exported(classifier, "neurons alone", tmp_path / "out", "transformers")
    assert run(capsys, "info", "--model", str(tmp_path / "out"))["neurons_kept"] == [42, 63]


@pytest.mark.parametrize(
    "change",
    [
        {"feed_forward_sizes": [42, 64]},
        {"feed_forward_sizes": None},
        {"feed_forward_sizes": "all"},
        {"pruned_neurons": None},
        {"pruned_neurons": {}},
        {"pruned_neurons": {"0": "zz" * 8}},
        {"pruned_neurons": {"0": [1, 2]}},
        {"pruned_neurons": {"2": UNEVEN.bits[0]}},
        {"pruned_neurons": UNEVEN.bits},
        {"intermediate_size": 63},
        {"intermediate_size": 2**60},
    ],
)
def test_neurons_that_cannot_be_lacking_are_refused(tmp_path, classifier, change):
    exported(classifier, "neurons alone", tmp_path / "out", "transformers")
    path = tmp_path / "out" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match="The pruned_neurons of") as refused:
        load_classifier(tmp_path / "out")
    assert "\n" not in str(refused.value)


def test_a_width_alone_takes_no_memory(tmp_path, classifier):
    exported(classifier, "neurons alone", tmp_path / "out", "transformers")
    path, width = tmp_path / "out" / "config.json", 2**50
    named = {"intermediate_size": width, "feed_forward_sizes": [width] * 2, "pruned_neurons": {}}
    path.write_text(json.dumps(json.loads(path.read_text()) | named))
    with pytest.raises(ModelError, match=r"has 42 × 32 numbers, where its config.json states 1,12"):
        load_classifier(tmp_path / "out")


def test_the_file_has_to_lack_what_the_config_says(tmp_path, classifier):
    exported(classifier, "neurons alone", tmp_path / "out", "transformers")
    path = tmp_path / "out" / "config.json"
    other = NeuronSet.of_layers(2, WIDTH, {0: [1]})
    named = {"feed_forward_sizes": [63, 64], "pruned_neurons": {"0": other.bits[0]}}
    path.write_text(json.dumps(json.loads(path.read_text()) | named))
    with pytest.raises(ModelError, match=r"has 42 × 32 numbers, where its config.json states 63"):
        load_classifier(tmp_path / "out")


def test_layers_that_share_their_weights_have_one_width(tmp_path):
    path = save_tiny(tmp_path, "albert") / "config.json"
    named = {"feed_forward_sizes": [42, 63], "pruned_neurons": {}}
    path.write_text(json.dumps(json.loads(path.read_text()) | named))
    with pytest.raises(ModelError, match="The pruned_neurons of"):
        load_classifier(tmp_path)
