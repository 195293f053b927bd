"""What the headers of weight files hold is the stock model, or refused with what to do."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.nn.utils import prune
from transformers import AutoConfig, AutoModelForSequenceClassification

from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_info
from bhpvas.model.engine import predict
from bhpvas.model.families import FAMILIES
from tests.model.folders import (
    WEIGHTS,
    Tensors,
    change_config,
    change_weights,
    files_of,
    head_rows,
    layer_parts,
    model_folder,
    remove_heads,
    weights_of,
)
from tests.project.nasty import refused
from tests.tiny import SEPARATE

TEXTS = ["the film is good", "a dull , long book !", "not good"]


def refused_by_both(folder: Path) -> str:
    """The sentence that loading and reading the headers alone refuse a folder with."""
    said = refused(lambda: load_classifier(folder))
    assert refused(lambda: read_info(folder)) == said
    return said


@st.composite
def configs(draw: st.DrawFn) -> Any:
    """A config of any family in sizes of any kind."""
    family = FAMILIES[draw(st.sampled_from([*FAMILIES]))]
    layers, heads, head, inner = (draw(st.integers(1, 3)) for _ in range(4))
    numbers = dict(zip(family.size_keys, (layers, heads, heads * head * 4, inner * 8), strict=True))
    numbers["vocab_size"] = draw(st.integers(5, 20))
    numbers["max_position_embeddings"] = draw(st.integers(5, 20))
    numbers["num_labels"] = draw(st.integers(1, 4))
    if family.typed:
        numbers["type_vocab_size"] = draw(st.integers(1, 3))
    if family.embedding_size:
        numbers["embedding_size"] = draw(st.sampled_from([4, 8, heads * head * 4]))
    if "num_hidden_groups" in family.more_keys:
        numbers["num_hidden_groups"] = draw(st.integers(1, layers))
    return AutoConfig.for_model(family.name, pad_token_id=0, **numbers)


@given(configs())
@settings(max_examples=60)
def test_a_family_states_the_tensors_of_its_models(config: Any) -> None:
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    family = FAMILIES[config.model_type]
    assert type(model).__name__ == family.model_class
    whole = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    assert family.tensors(config.to_dict()) == whole
    stated = config.to_dict()
    assert all(type(stated[key]) is int for key in family.number_keys)


def one_more(tensors: Tensors, key: str) -> None:
    tensors[f"{key.rpartition('.')[0]}.more"] = torch.ones(3)


def one_less(tensors: Tensors, key: str) -> None:
    del tensors[key]


def longer(tensors: Tensors, key: str) -> None:
    tensors[key] = torch.cat([tensors[key], tensors[key][:1]])


def shorter(tensors: Tensors, key: str) -> None:
    tensors[key] = tensors[key][:-1]


def deeper(tensors: Tensors, key: str) -> None:
    tensors[key] = tensors[key][None]


def whole_numbers(tensors: Tensors, key: str) -> None:
    tensors[key] = tensors[key].to(torch.int8)


@given(st.sampled_from([*FAMILIES]), st.data())
@settings(max_examples=60)
def test_any_change_of_any_tensor_is_refused_by_loading_and_by_info_alike(
    family: str, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = model_folder(Path(place) / "odd", family)
        key = data.draw(st.sampled_from(sorted(weights_of(folder))))
        change = data.draw(
            st.sampled_from([one_more, one_less, longer, shorter, deeper, whole_numbers])
        )
        change_weights(folder, lambda tensors: change(tensors, key))
        said = refused_by_both(folder)
    assert (f"{key.rpartition('.')[0]}.more" if change is one_more else key) in said
    assert "'odd'" in said and "ignore_mismatched" not in said


BEYOND = {
    "lora": "{layer}.lora_A.default.weight",
    "a bottleneck adapter": "{layer}.adapters.task.adapter_down.0.weight",
    "a saved module": "classifier.modules_to_save.default.weight",
    "a prefix": "{base}.prefix_encoder.embedding.weight",
    "a gate in a layer": "{layer}.gate",
    "another embedding": "{base}.embeddings.speaker_embeddings.weight",
    "a second classifier": "classifier.2.weight",
    "a head of its own": "attention_pool.weight",
}


MERGED = ("lora", "a bottleneck adapter", "a saved module", "a prefix")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("what", BEYOND)
def test_what_is_beyond_the_stock_model_is_refused(tmp_path: Path, family: str, what: str) -> None:
    layer = layer_parts(family, 0)["query"]
    key = BEYOND[what].format(layer=layer, base=FAMILIES[family].base)
    folder = model_folder(tmp_path / "more", family)
    change_weights(folder, lambda tensors: tensors | {key: torch.ones(2, 2)})
    said = refused_by_both(folder)
    assert key in said and FAMILIES[family].model_class in said
    assert ("merge_and_unload()" in said) == (what in MERGED)


@pytest.mark.parametrize("family", FAMILIES)
def test_masks_of_torch_are_read_once_they_are_removed(tmp_path: Path, family: str) -> None:
    folder = model_folder(tmp_path / "sparse", family)
    model = load_classifier(folder).model
    parts = [model.get_submodule(layer_parts(family, 0)[part]) for part in ("query", "output")]
    for part in parts:
        prune.l1_unstructured(part, "weight", 0.3)
    save_file(model.state_dict(), folder / WEIGHTS, {"format": "pt"})
    said = refused_by_both(folder)
    assert "weight_mask" in said and "prune.remove(module, 'weight')" in said
    for part in parts:
        prune.remove(part, "weight")
    save_file(model.state_dict(), folder / WEIGHTS, {"format": "pt"})
    found = load_classifier(folder).model.state_dict()
    for key, tensor in model.state_dict().items():
        assert torch.equal(found[key], tensor)


@pytest.mark.parametrize("family", FAMILIES)
def test_tensors_by_other_names_are_not_said_to_be_needless(tmp_path: Path, family: str) -> None:
    folder = model_folder(tmp_path / "renamed", family)
    key = f"{layer_parts(family, 0)['query']}.weight"
    change_weights(folder, lambda held: held | {f"{key}_g": held.pop(key)})
    said = refused_by_both(folder)
    assert f"{key}_g" in said and f"lack its {key}" in said and "does not need" not in said


@pytest.mark.parametrize("family", FAMILIES)
def test_heads_of_pretraining_and_counters_are_allowed(tmp_path: Path, family: str) -> None:
    known = FAMILIES[family]
    plain = load_classifier(model_folder(tmp_path / "plain", family))
    more = {f"{head}.dense.weight": torch.ones(2, 2) for head in known.pretraining}
    more |= {f"{known.base}.embeddings.position_ids": torch.arange(40)[None]}
    more |= {key: torch.ones(32) for key in known.unused}
    folder = model_folder(tmp_path / "more", family)
    change_weights(folder, lambda tensors: tensors | more)
    found = load_classifier(folder)
    assert_same(found, plain)
    assert found.geometry == plain.geometry == read_info(folder).geometry
    assert [key for key in known.unused if key in " ".join(found.notes)] == [*known.unused[:1]]


def assert_same(found: Any, plain: Any) -> None:
    """Every weight of two classifiers is the same."""
    expected = plain.model.state_dict()
    weights = found.model.state_dict()
    assert weights.keys() == expected.keys()
    for key, tensor in weights.items():
        assert torch.equal(tensor, expected[key]), key


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model.", "module._orig_mod."])
def test_what_wrappers_put_before_names_comes_off(tmp_path: Path, family: str, prefix: str) -> None:
    plain = load_classifier(model_folder(tmp_path / "plain", family))
    folder = model_folder(tmp_path / "wrapped", family)
    change_weights(folder, lambda tensors: {prefix + key: of for key, of in tensors.items()})
    found = load_classifier(folder)
    assert_same(found, plain)
    assert found.notes == read_info(folder).notes
    assert prefix in found.notes[0] and len(found.notes) == 1
    assert plain.notes == ()


def test_a_tensor_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "twice")
    key = "bert.pooler.dense.bias"
    change_weights(folder, lambda tensors: tensors | {f"module.{key}": torch.zeros(32)})
    assert f"{key} twice" in refused_by_both(folder)


NORMS = {"weight": "gamma", "bias": "beta"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "rename",
    [
        lambda key, base: re.sub(
            "Norm.(weight|bias)", lambda found: f"Norm.{NORMS[found[1]]}", key
        ),
        lambda key, base: key.removeprefix(f"{base}."),
    ],
    ids=["old names of norms", "no name of the base model"],
)
def test_names_that_transformers_reads_are_read(tmp_path: Path, family: str, rename: Any) -> None:
    plain = load_classifier(model_folder(tmp_path / "plain", family))
    base = FAMILIES[family].base
    folder = model_folder(tmp_path / "renamed", family)
    # Only norms that are called LayerNorm had other names.
    change_weights(
        folder,
        lambda tensors: {
            rename(key, base) if "LayerNorm." in key or "Norm" not in key else key: of
            for key, of in tensors.items()
        },
    )
    assert_same(load_classifier(folder), plain)
    assert read_info(folder).geometry == plain.geometry


@pytest.mark.parametrize("family", [*SEPARATE, "xlm-roberta"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_heads_that_another_tool_removed_are_read_once_the_config_names_them(
    tmp_path: Path, family: str, prefix: str
) -> None:
    whole = load_classifier(model_folder(tmp_path / "whole", family))
    folder = model_folder(tmp_path / "pruned", family)

    def prune(tensors: Tensors) -> Tensors:
        remove_heads(family, 1, head_rows(0, 3), tensors)
        return {prefix + key: of for key, of in tensors.items()}

    change_weights(folder, prune)
    said = refused_by_both(folder)
    query = layer_parts(family, 1)["query"]
    assert f"its layer 1 has 16 rows of queries ({query}.weight) where its config.json" in said
    key = FAMILIES[family].pruned_key
    assert "the 2 heads that it lacks" in said and f'"{key}": {{"1": […]}}' in said
    change_config(folder, **{key: {"1": [1, 2]}})
    found = load_classifier(folder)
    assert found.geometry.pruned == set(parse_heads("L1H1,L1H2"))
    assert found.geometry == read_info(folder).geometry
    mask = HeadMask(2, 4).without(parse_heads("L1H1,L1H2"))
    expected = predict(whole, whole.encode_texts(TEXTS), mask)
    np.testing.assert_allclose(predict(found, found.encode_texts(TEXTS)), expected, atol=1e-5)


@pytest.mark.parametrize("family", SEPARATE)
def test_heads_that_are_there_but_named_as_pruned_are_said(tmp_path: Path, family: str) -> None:
    folder = model_folder(tmp_path / "whole", family)
    plain = load_classifier(folder).geometry
    key = FAMILIES[family].pruned_key
    change_config(folder, **{key: {"1": [0]}})
    said = refused_by_both(folder)
    assert "have all heads of layer 1" in said and f"names some as {key}" in said
    change_config(folder, **{key: {}})
    assert load_classifier(folder).geometry == plain


def test_parts_of_heads_that_another_tool_removed_are_not_supported(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "cut")
    rows = torch.arange(30)
    change_weights(folder, lambda tensors: remove_heads("bert", 0, rows, tensors))
    assert "a head has 8 rows, so it is not whole heads" in refused_by_both(folder)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("labels", [["a"], ["a", "b", "c"], ["a", "b", "c", "d", "e"]])
def test_outputs_are_compared_with_names(tmp_path: Path, family: str, labels: list[str]) -> None:
    folder = model_folder(tmp_path / "labels", family)
    change_config(folder, id2label=dict(enumerate(labels)), label2id=None)
    said = refused_by_both(folder)
    assert "has 2 outputs (classifier." in said and f"names {len(labels)} labels (a" in said


@pytest.mark.parametrize("family", FAMILIES)
def test_each_size_that_a_config_states_wrongly_is_compared(tmp_path: Path, family: str) -> None:
    known = FAMILIES[family]
    folder = model_folder(tmp_path / "sizes", family)
    stated = AutoConfig.from_pretrained(folder).to_dict()
    for key in known.number_keys:
        if known.tensors(stated) == known.tensors(stated | {key: 2 * stated[key]}):
            continue
        for value in (stated[key] + 4, stated[key] * 2):
            change_config(folder, **{key: value})
            assert re.search(
                r"has \d|lacks \d+ weights|embeddings_project|has layers of the types",
                refused_by_both(folder),
            ), (key, value)
        change_config(folder, **{key: stated[key]})
    load_classifier(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_that_a_config_does_not_count_are_said(tmp_path: Path, family: str) -> None:
    known = FAMILIES[family]
    folder = model_folder(tmp_path / "deep", family)
    module = known.layer_modules({**AutoConfig.from_pretrained(folder).to_dict()})[-1]
    before = re.escape(module)
    more = "albert_layer_groups.1" if known.order else f"{known.modules}.5"
    old = "albert_layer_groups.0" if known.order else f"{known.modules}.1"
    change_weights(
        folder,
        lambda tensors: (
            tensors
            | {key.replace(old, more): of for key, of in tensors.items() if re.match(before, key)}
        ),
    )
    layers = (2, 1) if known.order else (6, 2)
    said = refused_by_both(folder)
    assert f"hold {layers[0]} layers" in said and f"config.json states {layers[1]}" in said


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn, torch.int32])
@pytest.mark.parametrize("family", FAMILIES)
def test_numbers_that_stand_for_others_are_refused(
    tmp_path: Path, family: str, dtype: torch.dtype
) -> None:
    folder = model_folder(tmp_path / "small", family)
    key = f"{layer_parts(family, 0)['value']}.weight"

    def shrink(tensors: Tensors) -> None:
        tensors[key] = tensors[key].to(dtype)

    change_weights(folder, shrink)
    said = refused_by_both(folder)
    assert key in said and "no quantization_config" in said
    assert str(dtype).removeprefix("torch.").partition("_")[0] in said
    change_config(folder, quantization_config={"quant_method": "bitsandbytes"})
    assert "quantised by bitsandbytes, by the quant" in refused_by_both(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_another_family_are_said(tmp_path: Path, family: str) -> None:
    for other in FAMILIES.values():
        folder = model_folder(tmp_path / other.name, family)
        sizes = dict(zip(other.size_keys, (2, 4, 32, 64), strict=True))
        change_config(
            folder, model_type=other.name, architectures=[other.model_class], num_labels=2, **sizes
        )
        if other.base != FAMILIES[family].base:
            said = refused_by_both(folder)
            assert "called as those of" in said and FAMILIES[family].base in said
            assert f"says {other.name!r}" in said


def test_the_files_of_a_family_are_built_once() -> None:
    assert files_of("bert") is files_of("bert")
