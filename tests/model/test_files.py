"""Which files of a folder are the model: the same for everything that asks."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification

from bhpvas.errors import ModelError
from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_files, read_info
from bhpvas.model.engine import predict
from bhpvas.model.families import FAMILIES
from tests.model.folders import (
    WEIGHTS,
    Tensors,
    change_config,
    change_json,
    change_weights,
    model_folder,
    weights_of,
)
from tests.project.nasty import refused

INDEX = f"{WEIGHTS}.index.json"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


@cache
def marked(mark: float) -> dict[str, bytes]:
    """Weights in one file and in parts, all with one number to tell them by, built once."""

    def change(found: Tensors) -> Tensors:
        return found | {"classifier.bias": torch.full((2,), mark)}

    with tempfile.TemporaryDirectory() as place:
        folder, parts = model_folder(Path(place) / "whole"), Path(place) / "parts"
        change_weights(folder, change)
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        model.save_pretrained(parts, max_shard_size="20KB")
        files = {path.name: path.read_bytes() for path in parts.glob("model*")}
        return {WEIGHTS: (folder / WEIGHTS).read_bytes()} | files


@given(
    whole=st.booleans(),
    parts=st.booleans(),
    other=st.booleans(),
    named=st.sampled_from([None, "other.safetensors", INDEX]),
)
@settings(max_examples=24)
def test_the_weights_are_those_that_transformers_reads(
    whole: bool, parts: bool, other: bool, named: str | None
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = model_folder(Path(place) / "sets")
        sets = {mark: marked(mark) for mark in (1.0, 2.0, 3.0)}
        (folder / WEIGHTS).unlink()
        if whole:
            (folder / WEIGHTS).write_bytes(sets[1.0][WEIGHTS])
        if parts:
            for name in sets[2.0].keys() - {WEIGHTS}:
                (folder / name).write_bytes(sets[2.0][name])
        if other:
            (folder / "other.safetensors").write_bytes(sets[3.0][WEIGHTS])
        change_config(folder, transformers_weights=named)
        try:
            theirs = AutoModelForSequenceClassification.from_pretrained(folder)
        except (OSError, ValueError):
            said = refused(lambda: load_classifier(folder))
            assert refused(lambda: read_info(folder)) == said
            return
        found = load_classifier(folder)
        assert torch.equal(found.model.classifier.bias, theirs.classifier.bias)
        files = read_files(folder, "sets").weights
        assert found.geometry == read_info(folder).geometry
        others = {path.name for path in folder.glob("*.safetensors")} - {one.name for one in files}
        assert len(found.notes) == bool(others)
        if others:
            assert min(others) in found.notes[0]
        digest = hashlib.sha256()
        for path in (folder / "config.json", *sorted(files)):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        assert found.fingerprint == digest.hexdigest()[:16]
        for name in others:  # what is not read changes nothing
            (folder / name).write_bytes(b"nothing")
        again = load_classifier(folder)
        assert again.fingerprint == found.fingerprint and again.geometry == found.geometry


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "last.ckpt"])
@pytest.mark.parametrize("later", [-10, 10])
def test_pickled_weights_are_named_where_they_are_newer(
    tmp_path: Path, name: str, later: int
) -> None:
    folder = model_folder(tmp_path / "two")
    (folder / name).write_bytes(b"")
    time = (folder / WEIGHTS).stat().st_mtime + later
    os.utime(folder / name, (time, time))
    for other in ("training_args.bin", "optimizer.pt", "rng_state.pth"):
        (folder / other).write_bytes(b"")
        os.utime(folder / other, (time, time))
    notes = read_info(folder).notes
    assert notes == load_classifier(folder).notes
    assert [f"{name}, which is newer," in note for note in notes] == [True] * (later > 0)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "best.pt", "weights.pth", "last.ckpt"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_two_lines_convert_pickled_weights(tmp_path: Path, name: str, prefix: str) -> None:
    folder = model_folder(tmp_path / "it's old")
    plain = load_classifier(folder)
    held: dict[str, Any] = {prefix + key: one for key, one in weights_of(folder).items()}
    if name == "last.ckpt":  # as Lightning saves it
        held = {"epoch": 3, "state_dict": held}
    elif name == "best.pt":  # as many training loops do
        held = {"epoch": 3, "model_state_dict": held}
    torch.save(held, folder / name)
    (folder / WEIGHTS).unlink()
    said = refused(lambda: load_classifier(folder))
    assert refused(lambda: read_info(folder)) == said
    code = "\n".join(re.findall("`(.*?)`", said))
    assert code.count("\n") == 1
    with chdir(folder.parent):
        folder.rename("FOLDER")
        exec(code, {})
        Path("FOLDER").rename(folder)
    found = load_classifier(folder)
    assert bool(found.notes) == bool(prefix)
    for key, tensor in plain.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[key], tensor)


@pytest.mark.parametrize(
    "file", ["config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json"]
)
def test_a_pointer_in_place_of_any_file_is_said(tmp_path: Path, file: str) -> None:
    folder = model_folder(tmp_path / "cloned")
    (folder / file).write_text(POINTER)
    said = refused(lambda: load_classifier(folder))
    assert f"The {file} of 'cloned' is only a pointer" in said and "`git lfs pull`" in said
    assert refused(lambda: read_info(folder)) == said


@pytest.mark.parametrize("file", [INDEX, "model-00002-of-00007.safetensors"])
def test_a_pointer_in_place_of_a_part_is_said(tmp_path: Path, file: str) -> None:
    folder = model_folder(tmp_path / "cloned")
    for name, content in marked(1.0).items():
        (folder / name).write_bytes(content)
    (folder / WEIGHTS).unlink()
    shards = sorted(folder.glob("model-*"))
    path = folder / file if file == INDEX else shards[1]
    path.write_text(POINTER)
    assert f"The {path.name} of" in refused(lambda: read_info(folder))


@pytest.mark.parametrize("numbers", [[5], [5, 10, 9], [99, 100, 1000, 20]])
def test_the_last_checkpoint_is_that_of_the_largest_number(
    tmp_path: Path, numbers: list[int]
) -> None:
    for number in numbers:
        model_folder(tmp_path / "runs" / f"checkpoint-{number}")
    said = refused(lambda: load_classifier(tmp_path / "runs"))
    assert said.endswith(f"the last being {tmp_path / 'runs' / f'checkpoint-{max(numbers)}'}.")
    assert f"but {len(numbers)} checkpoint" in said


def test_other_folders_that_are_models_are_named(tmp_path: Path) -> None:
    model_folder(tmp_path / "mine" / "best")
    model_folder(tmp_path / "mine" / "last")
    assert "(best, last): give the one" in refused(lambda: read_info(tmp_path / "mine"))


@pytest.mark.parametrize("written", [".", "..", "inner/.."])
def test_a_folder_has_the_name_that_it_has_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    folder = model_folder(tmp_path / "named")
    (folder / "inner").mkdir()
    monkeypatch.chdir(folder / "inner" if written == ".." else folder)
    assert read_info(written).name == load_classifier(written).name == "named"


def test_a_mark_of_byte_order_is_no_part_of_a_config(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "marked")
    plain = load_classifier(folder)
    path = folder / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_classifier(folder).geometry == read_info(folder).geometry == plain.geometry


def test_labels_are_read_by_place_and_without_space(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "labels")
    for labels in (["a\n", " b "], {"0": "a\r\n", "1": "\tb"}, {"1": "b", "0": "a"}):
        change_config(folder, id2label=labels, label2id={"x": 0})
        found = load_classifier(folder)
        assert found.label_names == read_info(folder).label_names == ("a", "b")
        assert found.model.config.id2label == {0: "a", 1: "b"}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"id2label": None, "label2id": {"b": 1, "a": 0}}, ("a", "b")),
        ({"id2label": None, "label2id": {"b": 2, "a": 0}}, ("LABEL_0", "LABEL_1")),
        ({"id2label": None, "label2id": {"b": "1", "a": "0"}}, ("LABEL_0", "LABEL_1")),
        ({"id2label": ["a", "b"], "num_labels": 2}, ("a", "b")),
        ({"id2label": {"0": "LABEL_0"}, "num_labels": 2}, ("LABEL_0", "LABEL_1")),
        ({"num_labels": 3}, "names 2 labels in its id2label and counts 3 in num_labels"),
        ({"id2label": None, "label2id": {"a": 0, "b": 1}, "num_labels": 3}, "counts 3 in num"),
        ({"id2label": {"LABEL_0": "a", "LABEL_1": "b"}}, "must be numbered from 0 on"),
        ({"id2label": {"1" * 5000: "a"}}, "must be numbered from 0 on"),
        ({"id2label": {"-1": "a", "0": "b"}}, "must be numbered from 0 on"),
        ({"id2label": "a, b"}, "must be numbered from 0 on"),
        ({"id2label": {"1": "a", "2": "b"}}, "must be numbered from 0 on"),
    ],
    ids=lambda one: str(one)[:60],
)
def test_labels_are_those_of_the_config_or_a_sentence(
    tmp_path: Path, settings: dict, names: tuple | str
) -> None:
    folder = model_folder(tmp_path / "labels")
    change_config(folder, **settings)
    if isinstance(names, tuple):
        assert load_classifier(folder).label_names == read_info(folder).label_names == names
    else:
        said = refused(lambda: load_classifier(folder))
        assert names in said and said == refused(lambda: read_info(folder))


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"negative": 0, "positive": 1}, 0),
        ({"LABEL_0": 0, "LABEL_1": 1}, 0),
        ({"negative": 0}, 0),
        ({"negative": 1, "positive": 0}, 1),
        ({"positive": 0}, 1),
    ],
)
def test_labels_that_are_numbered_in_two_ways_are_said(
    tmp_path: Path, numbers: dict, said: int
) -> None:
    folder = model_folder(tmp_path / "labels")
    change_config(folder, label2id=numbers)
    found = load_classifier(folder)
    assert found.label_names == ("negative", "positive")
    assert found.notes == read_info(folder).notes and len(found.notes) == said


@pytest.mark.parametrize("family", FAMILIES)
def test_a_config_without_its_type_is_read_once_the_line_is_there(
    tmp_path: Path, family: str
) -> None:
    folder = model_folder(tmp_path / "old", family)
    change_config(folder, model_type=None)
    said = refused(lambda: load_classifier(folder))
    assert said == refused(lambda: read_info(folder))
    [(key, value)] = re.findall('line "(.*?)": "(.*?)"', said)
    change_config(folder, **{key: value})
    assert load_classifier(folder).family is FAMILIES[family]


def test_the_cache_of_the_hub_names_the_folder_inside(tmp_path: Path) -> None:
    cache = tmp_path / "models--owner--tiny"
    folder = model_folder(cache / "snapshots" / "0a1b")
    said = refused(lambda: load_classifier(cache))
    assert said == refused(lambda: read_info(cache))
    assert load_classifier(re.findall("give (.*?),", said)[0]).name == folder.name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tensor_in_two_parts_is_refused(tmp_path: Path, family: str) -> None:
    folder = model_folder(tmp_path / "twice", family)
    held = weights_of(folder)
    key = sorted(held)[0]
    parts = {
        "model-00001-of-00002.safetensors": held,
        "model-00002-of-00002.safetensors": {key: held[key] + 1},
    }
    for file, tensors in parts.items():
        save_file(tensors, folder / file, {"format": "pt"})
    (folder / WEIGHTS).unlink()
    named = dict.fromkeys(held, "model-00001-of-00002.safetensors") | {
        key: "model-00002-of-00002.safetensors"
    }
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": named}))
    said = refused(lambda: load_classifier(folder))
    assert said == refused(lambda: read_info(folder)) and f"hold {key} twice" in said


@pytest.mark.parametrize("file", [WEIGHTS, "config.json"])
def test_a_link_to_a_file_that_is_not_there_is_said(tmp_path: Path, file: str) -> None:
    folder = model_folder(tmp_path / "hub")
    (folder / file).unlink()
    (folder / file).symlink_to(tmp_path / "blobs" / "0")
    said = refused(lambda: load_classifier(folder))
    assert said == refused(lambda: read_info(folder))
    assert f"The {file} of 'hub' is a link to a file that is not there: download" in said


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ({"AutoModelForSequenceClassification": "modeling_pruned.PrunedBertForSequence"}, False),
        ({"AutoModelForSequenceClassification": "own.BertForSequenceClassification"}, False),
        ({"AutoModel": "own.BertModel"}, False),
        ({"AutoConfig": "own.OwnConfig"}, False),
        ("own.BertModel", False),
        ({"AutoTokenizer": ["own.Tokenizer", None]}, True),
        ({}, True),
        (
            {
                "AutoModelForSequenceClassification": (
                    "modeling_pruned.PrunedBertForSequenceClassification"
                )
            },
            True,
        ),
    ],
)
def test_code_of_its_own_is_refused_but_ours(tmp_path: Path, code: object, allowed: bool) -> None:
    folder = model_folder(tmp_path / "code")
    change_config(folder, auto_map=code)
    if allowed:
        assert load_classifier(folder).geometry == read_info(folder).geometry
    else:
        for read in (read_info, load_classifier):
            with pytest.raises(ModelError, match="'code' needs code of its own"):
                read(folder)


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta"])
def test_families_that_run_alike_stand_in_for_each_other(tmp_path: Path, family: str) -> None:
    folder = model_folder(tmp_path / "alike", family)
    classes = ["RobertaForSequenceClassification", "XLMRobertaForSequenceClassification"]
    for one in classes:
        change_config(folder, architectures=[one])
        assert load_classifier(folder).geometry == read_info(folder).geometry
    change_config(folder, architectures=["BertForSequenceClassification"])
    assert "is a BertForSequenceClassification, which is not" in refused(lambda: read_info(folder))


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_act": "nosuch"},
        {"hidden_dropout_prob": "much"},
        {"layer_norm_eps": "1e-12"},
        {"initializer_range": []},
        {"num_attention_heads": 3},
        {"add_cross_attention": True},
        {"pruned_heads": {"0": [7]}},
        {"num_labels": 7},
        {"num_labels": 10**12, "id2label": None},
        {"num_labels": "2"},
        {"num_labels": 2, "id2label": None},
        {"num_labels": 3, "id2label": None},
        {"dtype": "nosuch"},
        {"torch_dtype": 3},
        {"layer_norm_eps": float("nan")},
        {"layer_norm_eps": -1.0},
        {"initializer_range": float("inf")},
        {"use_return_dict": True},
    ],
    ids=str,
)
def test_info_refuses_settings_that_loading_refuses(tmp_path: Path, settings: dict) -> None:
    folder = model_folder(tmp_path / "odd")
    change_config(folder, **settings)
    try:
        found = load_classifier(folder)
    except ModelError as error:
        assert refused(lambda: read_info(folder)) == str(error)
    else:
        assert read_info(folder).geometry == found.geometry


ODD = [None, "x", "", -1, 0, 1, 2, 3.5, True, [], {}, [1], {"a": 1}, 10**9]


@given(st.sampled_from([*FAMILIES]), st.data())
@settings(max_examples=60)
def test_whatever_a_setting_is_info_reads_what_loading_reads(
    family: str, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = model_folder(Path(place) / "odd", family)
        path = folder / "config.json"
        config = json.loads(path.read_text())
        keys = [*sorted(config), "auto_map", "pruned_heads", "num_labels"]
        key = data.draw(st.sampled_from(keys))
        path.write_text(json.dumps(config | {key: data.draw(st.sampled_from(ODD))}))
        try:
            found = load_classifier(folder)
        except ModelError as error:
            assert refused(lambda: read_info(folder)) == str(error)
        else:
            assert read_info(folder).geometry == found.geometry
            assert np.isfinite(predict(found, found.encode_texts(["good film"]))).all()


def test_an_adapter_whose_settings_cannot_be_read_is_one_all_the_same(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "adapted")
    for name, content in {
        "adapter_config.json": "{",
        "adapter_model.safetensors": "",
        "adapter_model.bin": json.dumps([1]),
    }.items():
        (folder / name).write_text(content)
        assert f"lies an adapter ({name})" in refused(lambda: read_info(folder))
        (folder / name).unlink()
    change_json(folder, "config.json", adapters={})
    assert read_info(folder).notes == ()
