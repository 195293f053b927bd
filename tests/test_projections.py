"""Projections as values, on a classifier that shares its model, and as files."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from bhpvas.ablation import ablate
from bhpvas.classifier import load_classifier
from bhpvas.criteria import score
from bhpvas.engine import StateCache, predict
from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.projections import Projection, Projections, load_projections
from tests import reference
from tests.conftest import TEXTS
from tests.tiny import CONFIGS, save_tiny


def random_projections(layers: tuple[int, ...] = (0, 1), seed: int = 0) -> Projections:
    """Projections of the tiny geometry that are nothing like the model's own."""
    made = torch.Generator().manual_seed(seed)
    return Projections(
        {
            layer: Projection(
                torch.randn(32, 32, generator=made) * 0.4, torch.randn(32, generator=made)
            )
            for layer in layers
        }
    )


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("removed", ["", "L0H1,L1H0,L1H3"])
def test_projections_equal_weights_written_into_a_copy(tmp_path, family, removed):
    classifier = load_classifier(save_tiny(tmp_path, family))
    mask, projections = HeadMask.parse(removed, 2, 4), random_projections((1,))
    model = reference.zeroed(classifier, mask)
    size = classifier.geometry.head_size
    output = reference.output_layers(classifier, model)[1]
    output.weight.data = projections.layers[1].weight * torch.from_numpy(
        mask.array[1].repeat(size).copy()
    )
    output.bias.data = projections.layers[1].bias
    with torch.no_grad():
        expected = np.concatenate(
            [model(**reference.inputs_of(classifier, text)).logits.numpy() for text in TEXTS]
        )
    changed = classifier.with_projections(projections)
    encoded = changed.encode_texts(TEXTS)
    np.testing.assert_allclose(predict(changed, encoded, mask), expected, atol=1e-5)


def test_nothing_is_written_into_the_shared_model(classifier, dataset):
    before = copy.deepcopy(classifier.model.state_dict())
    changed = classifier.with_projections(random_projections())
    score(changed, dataset)
    ablate(changed, dataset)
    assert changed.model is classifier.model
    for name, value in classifier.model.state_dict().items():
        assert torch.equal(before[name], value), name
    assert not any(layer.output.weight.requires_grad for layer in changed.layers)
    again = changed.with_projections(None)
    encoded = classifier.encode(dataset)
    np.testing.assert_array_equal(predict(again, encoded), predict(classifier, encoded))


def test_a_classifier_with_projections_has_its_own_ablation(classifier, dataset):
    changed = classifier.with_projections(random_projections())
    found = ablate(changed, dataset)
    encoded = changed.encode(dataset)
    for head in (0, 3):
        alone = predict(changed, encoded, HeadMask.parse(f"L0H{head}", 2, 4))
        np.testing.assert_allclose(found.logits[0, head], alone, atol=1e-5)


def test_one_cache_and_many_threads_keep_projections_apart(classifier):
    encoded = classifier.encode_texts(TEXTS)
    variants = [
        classifier.with_projections(projections)
        for projections in (None, *(random_projections((0,), seed) for seed in range(3)))
    ]
    variants.append(classifier.with_projections(random_projections((1,))))
    expected = [predict(variant, encoded) for variant in variants]
    cache = StateCache()
    with ThreadPoolExecutor(5) as pool:
        for _ in range(4):
            found = pool.map(lambda variant: predict(variant, encoded, cache=cache), variants)
            for got, wanted in zip(found, expected, strict=True):
                np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_half_precision_classifiers_take_projections(tmp_path):
    half = load_classifier(save_tiny(tmp_path), dtype="bfloat16")
    changed = half.with_projections(random_projections())
    assert changed.layers[0].output.weight.dtype == torch.bfloat16
    assert np.isfinite(predict(changed, changed.encode_texts(TEXTS))).all()


def test_equality_and_names_follow_the_content():
    one, same, other = random_projections(), random_projections(), random_projections(seed=1)
    assert (one, hash(one)) == (same, hash(same))
    assert one != other
    assert random_projections((0,)) != random_projections((1,))
    assert one.below(1) == same.below(1) != other.below(1)
    assert one.below(0) == other.below(0) == ()


def test_files_come_back_and_are_named_by_their_content(tmp_path):
    projections = random_projections()
    path = projections.save(tmp_path)
    assert path.name == f"{projections.fingerprint}.safetensors"
    assert load_projections(path) == projections
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_damaged_files_get_one_sentence(tmp_path):
    path = random_projections().save(tmp_path)
    with pytest.raises(ModelError, match="stand beside the scheme file"):
        load_projections(tmp_path / "nowhere.safetensors")
    renamed = path.rename(tmp_path / "0123456789abcdef.safetensors")
    with pytest.raises(ModelError, match="the content does not match the name"):
        load_projections(renamed)
    renamed.write_bytes(renamed.read_bytes()[:500])
    with pytest.raises(ModelError, match="not those that a scheme refers to"):
        load_projections(renamed)
    with pytest.raises(ModelError, match="choose a folder that exists"):
        random_projections().save(tmp_path / "nowhere")


def test_projections_of_another_geometry_are_refused(classifier):
    wrong = Projections({0: Projection(torch.zeros(16, 16), torch.zeros(16))})
    with pytest.raises(ModelError, match="layer 0 do not fit the model"):
        classifier.with_projections(wrong)
    with pytest.raises(ModelError, match="layer 7 do not fit the model"):
        classifier.with_projections(random_projections((7,)))
