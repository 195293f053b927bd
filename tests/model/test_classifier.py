"""What can and cannot be loaded, and the sentence that says so."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from bhpvas.errors import ModelError
from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_info
from tests.tiny import save_tiny


def change_config(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def pickle_weights(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def drop_weight(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def poison_weights(folder):
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"][0, 0] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def enlarge_tokenizer(folder):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["onemore"] = len(content["model"]["vocab"])
    path.write_text(json.dumps(content))


def truncate_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


BROKEN = {
    "pickled weights": (pickle_weights, "pickled .*refused"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no .safetensors file"),
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "config that is no JSON": (lambda f: (f / "config.json").write_text("{"), "not valid JSON"),
    "config that is a list": (lambda f: (f / "config.json").write_text("[]"), "holds no settings"),
    "config that is binary": (lambda f: (f / "config.json").write_bytes(b"\xff\x00"), "not valid"),
    "another family": (lambda f: change_config(f, model_type="gpt2"), "of type 'gpt2'; supported"),
    "no classifier": (
        lambda f: change_config(f, architectures=["BertForMaskedLM"]),
        "no sequence classifier",
    ),
    "several scores": (
        lambda f: change_config(f, problem_type="regression"),
        "gives 2 scores at once",
    ),
    "relative positions": (
        lambda f: change_config(f, position_embedding_type="relative_key"),
        "relative positions .*, whose embeddings transformers 5 leaves out",
    ),
    "a decoder": (lambda f: change_config(f, is_decoder=True), "is a decoder"),
    "missing weight": (drop_weight, "lacks 1 weight that .*classifier.weight"),
    "NaN weights": (poison_weights, "not finite, in classifier.weight"),
    "truncated weights": (truncate_weights, "could not be read"),
    "wrong geometry": (
        lambda f: change_config(f, hidden_size=64),
        r"has (\d+) × 32 numbers, where its config.json states \1 × 64",
    ),
    "a broken tokenizer": (
        lambda f: (f / "tokenizer.json").write_text("{"),
        "tokenizer of .* could not be read",
    ),
    "another model's tokenizer": (enlarge_tokenizer, "do not belong together"),
    "no tokenizer": (
        lambda f: [path.unlink() for path in f.glob("tokenizer*")],
        "tokenizer of .* is missing",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_model_gets_one_sentence(tmp_path, case):
    damage, message = BROKEN[case]
    folder = save_tiny(tmp_path / "broken")
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load_classifier(folder)
    assert "broken" in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("source", ["no/such/folder/here", "https://example.org/model", "a b"])
def test_what_is_neither_folder_nor_hub_id(source):
    with pytest.raises(ModelError, match="neither a folder nor a hub id"):
        load_classifier(source)


def test_an_unknown_hub_id_without_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="'nobody/nothing' could not be fetched") as caught:
        load_classifier("nobody/nothing")
    assert "://" not in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_device_and_dtype_are_named(tmp_path):
    folder = save_tiny(tmp_path)
    with pytest.raises(ModelError, match="'tpu' is not available here; available: cpu"):
        load_classifier(folder, device="tpu")
    with pytest.raises(ModelError, match="'int3' is no supported number type"):
        load_classifier(folder, dtype="int3")


def test_the_fingerprint_follows_the_weights(tmp_path):
    one, same = save_tiny(tmp_path / "a", seed=1), save_tiny(tmp_path / "b", seed=1)
    other = save_tiny(tmp_path / "c", seed=2)
    prints = [load_classifier(folder).fingerprint for folder in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]


def test_weights_in_several_files_are_those_in_one(tmp_path):
    whole = load_classifier(save_tiny(tmp_path / "whole", seed=1))
    parts = tmp_path / "parts"
    whole.model.save_pretrained(parts, max_shard_size="20KB")
    whole.tokenizer.save_pretrained(parts)
    assert len(list(parts.glob("*.safetensors"))) > 1
    found = load_classifier(parts)
    assert read_info(parts).geometry == found.geometry == whole.geometry
    for name, value in whole.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], value)
