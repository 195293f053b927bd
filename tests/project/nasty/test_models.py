"""Nasty models: damaged weights, poisoned numbers, configs of wrong sizes, files that are none."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load, save

from bhpvas.data.reading import read_splits
from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_info
from tests.project.nasty import refused
from tests.tiny import save_tiny


@cache
def tiny_files() -> dict[str, bytes]:
    """The files of a tiny model, built once."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        place = save_tiny(Path(folder) / "tiny")
        return {path.name: path.read_bytes() for path in place.iterdir()}


def reheaded(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The weights under a header that was changed."""
    content = tiny_files()["model.safetensors"]
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    text = json.dumps(change(header) or header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def of_first(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(header: dict[str, Any]) -> None:
        first = next(name for name in sorted(header) if name != "__metadata__")
        header[first] |= changes

    return change


def weights_with(name: str, value: float) -> bytes:
    tensors = load(tiny_files()["model.safetensors"])
    tensors[name].view(-1)[0] = value
    return save(tensors, {"format": "pt"})


HEADERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another type": of_first(dtype="F16"),
    "no type": of_first(dtype="X9"),
    "a type that is a number": of_first(dtype=3),
    "offsets beyond the file": of_first(data_offsets=[0, 2**40]),
    "offsets backwards": of_first(data_offsets=[64, 0]),
    "negative offsets": of_first(data_offsets=[-8, 0]),
    "no offsets": of_first(data_offsets=[]),
    "a shape of another size": of_first(shape=[1]),
    "a negative shape": of_first(shape=[-1, 2]),
    "a shape without end": of_first(shape=[2**62, 2**62]),
    "a shape that is text": of_first(shape="all"),
    "a list": lambda header: [header],
    "no tensors": lambda header: {"__metadata__": {"format": "pt"}},
    "a name of another model": lambda header: {f"x.{name}": of for name, of in header.items()},
    "metadata that is a list": lambda header: header | {"__metadata__": []},
}
RAW: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda content: b"",
    "a length alone": lambda content: content[:8],
    "half a header": lambda content: content[:100],
    "half its data": lambda content: content[: len(content) // 2],
    "a byte too few": lambda content: content[:-1],
    "a byte too many": lambda content: content + b"\x00",
    "a length beyond the file": lambda content: struct.pack("<Q", 2**63) + content[8:],
    "a length of zero": lambda content: struct.pack("<Q", 0) + content[8:],
    "a header that is no JSON": lambda content: content[:8] + b"\x00" + content[9:],
    "a header of another encoding": lambda content: content[:9] + b"\xff" + content[10:],
    "a pickle's bytes": lambda content: b"\x80\x04\x95" + content[3:],
    "a zip's bytes": lambda content: b"PK\x03\x04" + content[4:],
    "text": lambda content: b"version https://git-lfs.example/spec/v1\noid sha256:0\nsize 9\n",
}
POISON = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "huge": 3e38}
POISONED = [
    "bert.embeddings.word_embeddings.weight",
    "bert.encoder.layer.0.attention.self.query.weight",
    "bert.encoder.layer.1.attention.output.dense.bias",
    "bert.encoder.layer.1.output.LayerNorm.weight",
    "bert.pooler.dense.weight",
    "classifier.bias",
]
SIZES = [
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
    "max_position_embeddings",
]  # fmt: skip
WRONG_SIZES: list[Any] = [0, -1, 3, 7, 10**9, 1.5, "12", None, [], True]


def config_with(**settings: Any) -> bytes:
    return json.dumps(json.loads(tiny_files()["config.json"]) | settings).encode()


def model_cases() -> Iterator[tuple[str, dict[str, bytes | None]]]:
    """Name of the case, and the files that replace those of a good model (None: is gone)."""
    weights = "model.safetensors"
    for name, change in HEADERS.items():
        yield f"a header with {name}", {weights: reheaded(change)}
    for name, damage in RAW.items():
        yield f"weights of {name}", {weights: damage(tiny_files()[weights])}
    for tensor in POISONED:
        for name, value in POISON.items():
            yield f"{name} in {tensor}", {weights: weights_with(tensor, value)}
    for size in SIZES:
        for value in WRONG_SIZES:
            yield f"{size} of {value!r}", {"config.json": config_with(**{size: value})}
    for name, settings in {
        "labels of another number": {"id2label": {str(n): f"l{n}" for n in range(5)}},
        "labels that are a list of another number": {"id2label": ["a", "b", "c"]},
        "one label": {"id2label": {"0": "a"}, "label2id": {"a": 0}},
        "heads that are not there": {"pruned_heads": {"9": [0]}},
        "heads that are text": {"pruned_heads": {"0": "all"}},
        "a type that is a list": {"model_type": ["bert"]},
        "no type": {"model_type": None},
        "code of its own": {"model_type": "own", "auto_map": {"AutoModel": "evil.Model"}},
        "another task": {"architectures": ["BertForQuestionAnswering"]},
        "no task": {"architectures": []},
        "many scores at once": {"problem_type": "regression"},
        "a problem that is none": {"problem_type": "ranking"},
        "another activation": {"hidden_act": "nosuch"},
        "labels from one on": {"id2label": {"1": "a", "2": "b"}},
        "labels below zero": {"id2label": {"-1": "a", "0": "b"}},
        "labels that are numbers": {"id2label": {"0": 1, "1": 2}},
        "labels that are missing": {"id2label": {"0": None, "1": "b"}},
        "labels that are lists": {"id2label": {"0": ["a"], "1": "b"}},
        "a task that is a number": {"architectures": 5},
        "constant layers that are a number": {"constant_attention": 5},
        "an embedding size that is text": {"embedding_size": "x"},
        "weights elsewhere": {"transformers_weights": "../tiny/model.safetensors"},
        "weights that are pickled": {"transformers_weights": "evil.bin"},
        "weights that are a list": {"transformers_weights": []},
    }.items():
        yield f"a config with {name}", {"config.json": config_with(**settings)}
    no_padding = {"model_type": "roberta", "pad_token_id": None}
    no_padding["architectures"] = ["RobertaForSequenceClassification"]
    renamed = {
        f"roberta.{key.removeprefix('bert.')}": of
        for key, of in load(tiny_files()[weights]).items()
    }
    yield (
        "positions after no padding",
        {"config.json": config_with(**no_padding), weights: save(renamed, {"format": "pt"})},
    )
    for limit in ("x", [1], 0, -5, 1.5, True, {}):
        settings = json.loads(tiny_files()["tokenizer_config.json"]) | {"model_max_length": limit}
        yield (
            f"a tokenizer that reads {limit!r} tokens",
            {"tokenizer_config.json": json.dumps(settings).encode()},
        )
    names = list(load(tiny_files()[weights]))
    for name, index in {
        "a pickled shard": {"weight_map": dict.fromkeys(names, "evil.bin")},
        "a shard elsewhere": {"weight_map": dict.fromkeys(names, "../tiny/model.safetensors")},
        "an absolute shard": {"weight_map": dict.fromkeys(names, "/tmp/model.safetensors")},
        "a shard that is missing": {"weight_map": dict.fromkeys(names, "other.safetensors")},
        "a shard that is a list": {"weight_map": {key: ["decoy.safetensors"] for key in names}},
        "no map": {},
        "a map that is a list": {"weight_map": names},
        "a list": [],
        "deep nesting": None,
    }.items():
        content = b"[" * 50_000 if index is None else json.dumps(index).encode()
        yield (
            f"an index with {name}",
            {
                weights: None,
                "decoy.safetensors": tiny_files()[weights],
                "evil.bin": b"\x80\x04",
                "model.safetensors.index.json": content,
            },
        )
    for name, content in {
        "nothing": b"",
        "NUL": b"\x00" * 100,
        "text": b"hello",
        "a list": b"[1]",
        "a number": b"3",
        "deep nesting": b'{"a":' * 50_000,
        "another encoding": '{"a": "é"}'.encode("latin-1"),
    }.items():
        yield f"a config of {name}", {"config.json": content}
        yield f"a tokenizer of {name}", {"tokenizer.json": content}


MODELS = list(model_cases())


@pytest.mark.parametrize("files", [case[1] for case in MODELS], ids=[case[0] for case in MODELS])
def test_a_nasty_model_is_one_sentence(tmp_path: Path, files: dict[str, bytes | None]) -> None:
    folder = tmp_path / "nasty"
    folder.mkdir()
    for name, content in (tiny_files() | files).items():
        if content is not None:
            (folder / name).write_bytes(content)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    said = refused(lambda: load_classifier(folder))
    assert "nasty" in said
    if "hold numbers that are" in said:  # which only weights show
        read_info(folder)
    else:
        assert refused(lambda: read_info(folder)) == said
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("gone", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("instead", ["a folder", "a link to nothing"])
def test_what_is_no_file_is_one_sentence(tmp_path: Path, gone: str, instead: str) -> None:
    folder = save_tiny(tmp_path / "nasty")
    path = folder / gone
    path.unlink()
    path.mkdir() if instead == "a folder" else path.symlink_to("/nowhere")
    for read in (read_info, load_classifier):
        assert "nasty" in refused(lambda read=read: read(folder))


@pytest.mark.parametrize("name", ["x.json", "x.txt", "x.safetensors", "tokenizer_config.json"])
def test_what_is_no_file_beside_a_model_is_no_part_of_it(tmp_path: Path, name: str) -> None:
    folder = save_tiny(tmp_path / "model")
    (folder / name).unlink(missing_ok=True)
    before = load_classifier(folder)
    for other in ("folder", "link"):
        (folder / name).mkdir() if other == "folder" else (folder / name).symlink_to("/nowhere")
        after = load_classifier(folder)
        assert after.fingerprint == before.fingerprint
        assert after.tokenizer_fingerprint == before.tokenizer_fingerprint
        assert read_info(folder).geometry == before.geometry
        (folder / name).rmdir() if other == "folder" else (folder / name).unlink()


@pytest.mark.parametrize("name", ["a" * 256, "~nosuchuser/m"])
def test_a_name_that_no_file_can_have_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for read in (read_info, load_classifier, read_splits, lambda name: read_splits(f"{name}.csv")):
        refused(lambda read=read: read(name))
