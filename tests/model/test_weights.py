"""Weights as values, on a classifier that shares the rest of its model, and as files."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import save

from bhpvas.criteria import score
from bhpvas.errors import ModelError
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.model.engine import predict
from bhpvas.model.states import StateCache
from bhpvas.model.weights import Weights, load_weights
from tests import reference
from tests.conftest import TEXTS
from tests.tiny import SEPARATE, save_tiny


def random_projections(
    classifier: Classifier, layers: tuple[int, ...] = (0, 1), seed: int = 0
) -> Weights:
    """Output projections of the tiny geometry that are nothing like the model's own."""
    made = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in layers:
        output = classifier.layers[layer].output
        tensors[classifier.name_of(output.weight)] = torch.randn(32, 32, generator=made) * 0.4
        if output.bias is not None:
            tensors[classifier.name_of(output.bias)] = torch.randn(32, generator=made)
    return Weights(tensors)


def random_weights(classifier: Classifier, seed: int = 0) -> Weights:
    """Every tensor of a model a little different."""
    made = torch.Generator().manual_seed(seed)
    return Weights(
        {
            name: one.detach() + 0.1 * torch.randn(one.shape, generator=made)
            for name, one in classifier.model.named_parameters()
        }
    )


@pytest.mark.parametrize("family", SEPARATE)
@pytest.mark.parametrize("removed", ["", "L0H1,L1H0,L1H3"])
def test_weights_equal_those_written_into_a_copy(tmp_path, family, removed):
    classifier = load_classifier(save_tiny(tmp_path, family))
    mask, weights = HeadMask.parse(removed, 2, 4), random_weights(classifier)
    changed = classifier.with_weights(weights)
    written = copy.deepcopy(classifier)
    with torch.no_grad():
        for name, parameter in written.model.named_parameters():
            parameter.copy_(weights.tensors[name])
    model = reference.zeroed(written, mask)
    with torch.no_grad():
        expected = np.concatenate(
            [model(**reference.inputs_of(classifier, text)).logits.numpy() for text in TEXTS]
        )
    encoded = changed.encode_texts(TEXTS)
    np.testing.assert_allclose(predict(changed, encoded, mask), expected, atol=1e-5)
    np.testing.assert_allclose(
        reference.plain_logits(changed, TEXTS), predict(changed, encoded), atol=1e-5
    )


def test_nothing_is_written_into_the_shared_model(classifier, dataset):
    before = copy.deepcopy(classifier.model.state_dict())
    changed = classifier.with_weights(random_projections(classifier))
    score(changed, dataset)
    ablate(changed, dataset)
    own, other = (dict(one.model.named_parameters()) for one in (classifier, changed))
    assert {name for name in own if own[name] is not other[name]} == set(changed.weights.tensors)
    for name, value in classifier.model.state_dict().items():
        assert torch.equal(before[name], value), name
    assert not any(one.requires_grad for one in other.values())
    again = changed.with_weights(None)
    assert again is classifier
    encoded = classifier.encode(dataset)
    np.testing.assert_array_equal(predict(again, encoded), predict(classifier, encoded))


def test_a_classifier_with_weights_has_its_own_ablation(classifier, dataset):
    changed = classifier.with_weights(random_projections(classifier))
    found = ablate(changed, dataset)
    for head in (0, 3):
        alone = evaluate(changed, dataset, HeadMask.parse(f"L0H{head}", 2, 4))
        change = alone.loss - found.baseline.loss
        assert found.loss_change[0, head] == pytest.approx(change, abs=1e-5)
    plain = ablate(classifier, dataset)
    assert np.abs(found.loss_change - plain.loss_change).max() > 1e-3


def test_one_cache_and_many_threads_keep_weights_apart(classifier):
    encoded = classifier.encode_texts(TEXTS)
    embeddings = dict(random_weights(classifier).tensors)
    embeddings = {name: one for name, one in embeddings.items() if ".embeddings." in name}
    variants = [
        classifier.with_weights(weights)
        for weights in (
            None,
            *(random_projections(classifier, (0,), seed) for seed in range(3)),
            random_projections(classifier, (1,)),
            random_weights(classifier),
            Weights(embeddings),
        )
    ]
    expected = [predict(variant, encoded) for variant in variants]
    cache = StateCache()
    with ThreadPoolExecutor(5) as pool:
        for _ in range(4):
            found = pool.map(lambda variant: predict(variant, encoded, cache=cache), variants)
            for got, wanted in zip(found, expected, strict=True):
                np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_states_below_a_change_are_shared(classifier):
    upper = classifier.with_weights(random_projections(classifier, (1,)))
    assert upper.changed_below(1) == classifier.changed_below(1) == ()
    assert upper.changed_below(2) != ()
    bias = classifier.name_of(classifier.layers[0].up.bias)
    lower = classifier.with_weights(Weights({bias: torch.zeros(64)}))
    assert lower.changed_below(0) == ()
    assert [name for name, _ in lower.changed_below(1)] == [bias]


def test_half_precision_classifiers_take_weights(tmp_path):
    half = load_classifier(save_tiny(tmp_path), dtype="bfloat16")
    changed = half.with_weights(random_projections(half))
    assert changed.layers[0].output.weight.dtype == torch.bfloat16
    assert np.isfinite(predict(changed, changed.encode_texts(TEXTS))).all()


def test_equality_and_names_follow_the_content(classifier):
    one, same = random_projections(classifier), random_projections(classifier)
    other = random_projections(classifier, seed=1)
    assert (one, hash(one)) == (same, hash(same))
    assert one != other
    assert random_projections(classifier, (0,)) != random_projections(classifier, (1,))
    (name, tensor), *_ = one.tensors.items()
    assert Weights({name: tensor}) != Weights({name: tensor.flatten()})
    assert Weights({name: tensor}) != Weights({"elsewhere": tensor})


def test_files_come_back_and_are_named_by_their_content(classifier, tmp_path):
    weights = random_weights(classifier)
    path = weights.save(tmp_path)
    assert path.name == f"{weights.fingerprint}.safetensors"
    found = load_weights(path)
    assert found == weights
    for name, tensor in weights.tensors.items():
        assert torch.equal(found.tensors[name], tensor)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_damaged_files_get_one_sentence(classifier, tmp_path):
    weights = random_projections(classifier)
    path = weights.save(tmp_path)
    with pytest.raises(ModelError, match="stand beside the scheme file"):
        load_weights(tmp_path / "nowhere.safetensors")
    renamed = path.rename(tmp_path / "0123456789abcdef.safetensors")
    with pytest.raises(ModelError, match="the content does not match the name"):
        load_weights(renamed)
    renamed.write_bytes(renamed.read_bytes()[:500])
    with pytest.raises(ModelError, match="not those that a scheme refers to"):
        load_weights(renamed)
    half = {name: tensor.half() for name, tensor in weights.tensors.items()}
    for foreign in (save(half, {"format": "bhpvas-weights"}), save(dict(weights.tensors))):
        renamed.write_bytes(foreign)
        with pytest.raises(ModelError, match="not those that a scheme refers to"):
            load_weights(renamed)
    broken = Weights({"classifier.bias": torch.tensor([0.0, float("nan")])}).save(tmp_path)
    with pytest.raises(ModelError, match="not finite"):
        load_weights(broken)
    with pytest.raises(ModelError, match="choose a folder that exists"):
        weights.save(tmp_path / "nowhere")


def test_weights_of_another_geometry_are_refused(classifier):
    name = classifier.name_of(classifier.layers[0].output.weight)
    wrong = {name: torch.zeros(16, 16)}, {name.replace("layer.0", "layer.7"): torch.zeros(32, 32)}
    for tensors in wrong:
        with pytest.raises(ModelError, match=r"attention.output.dense.weight \(.*made for another"):
            classifier.with_weights(Weights(tensors))
