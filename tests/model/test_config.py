"""Config of a model: what it says without weights is what loading finds."""

from __future__ import annotations

import json

import pytest
import torch

from bhpvas.errors import ModelError
from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_info
from tests.tiny import CONFIGS, save_tiny


@pytest.mark.parametrize("family", CONFIGS)
def test_info_is_read_without_weights(tmp_path, family, monkeypatch):
    folder = save_tiny(tmp_path, family, labels=3)
    classifier = load_classifier(folder)
    monkeypatch.setattr(torch, "load", None)
    monkeypatch.setattr("bhpvas.model.classifier.load_weights", None)
    info = read_info(folder)
    assert info.geometry == classifier.geometry
    assert info.label_names == classifier.label_names


@pytest.mark.parametrize("family", CONFIGS)
def test_what_a_config_leaves_out_is_filled_in_as_loading_does(tmp_path, family):
    file = save_tiny(tmp_path, family) / "config.json"
    config = json.loads(file.read_text())
    del config["id2label"], config["label2id"]
    file.write_text(json.dumps(config))
    classifier = load_classifier(tmp_path)
    assert read_info(tmp_path).geometry == classifier.geometry
    assert read_info(tmp_path).label_names == classifier.label_names == ("LABEL_0", "LABEL_1")


def test_a_config_that_cannot_be_used_is_one_sentence(tmp_path):
    file = save_tiny(tmp_path) / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"hidden_size": "many"}))
    with pytest.raises(ModelError, match=r"config\.json of .* cannot be used"):
        read_info(tmp_path)


@pytest.mark.parametrize("limit", [20, 1e30])
def test_the_longest_input_is_that_of_tokenizer_and_positions(tmp_path, limit):
    file = save_tiny(tmp_path) / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": limit}))
    found = read_info(tmp_path).geometry.max_length
    assert found == load_classifier(tmp_path).geometry.max_length == min(limit, 40)
