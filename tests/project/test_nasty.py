"""Nasty files: each is answered by one sentence, and leaves nothing behind.

Every case of the corpus is distinct in its bytes; the last test counts them. What is random, and
what is nasty only in one reader's own way, is tested beside that reader.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from safetensors.torch import load, save

from bhpvas.data import tables
from bhpvas.data.reading import read_splits
from bhpvas.errors import BhpvasError
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_info
from bhpvas.model.weights import Weights, load_weights
from bhpvas.scheme import schema
from bhpvas.scheme.bundle import read_scheme_file
from bhpvas.scheme.scheme import Scheme
from tests.tiny import CONFIGS, save_tiny

LONGEST = 700


def refused(read: Callable[[], Any]) -> str:
    """What is said of something that cannot be used: one plain sentence."""
    with pytest.raises(BhpvasError) as error:
        read()
    said = str(error.value)
    assert said.strip()
    assert "\n" not in said
    assert "Traceback" not in said
    assert len(said) < LONGEST, said
    return said


# --- tables ---------------------------------------------------------------------------------------

ROWS = "text,label\na good film,yes\na bad film,no\nfine,yes\ndull,no\n"
JSONL = "".join(f'{{"text": "film {n}", "label": {n % 2}}}\n' for n in range(6))
SPLIT = "text,label,split\n"
# Marks of formats that people upload under a wrong name.
MAGIC = {
    "zip": b"PK\x03\x04\x14\x00\x00\x00",
    "gzip": gzip.compress(ROWS.encode(), mtime=0),
    "xlsx": b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00",
    "xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 64,
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "sqlite": b"SQLite format 3\x00\x10\x00",
    "pickle": b"\x80\x04\x95\x0e\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
    "numpy": b"\x93NUMPY\x01\x00v\x00",
    "elf": b"\x7fELF\x02\x01\x01\x00",
    "hdf5": b"\x89HDF\r\n\x1a\n\x00",
    "zstd": b"\x28\xb5\x2f\xfd\x00",
    "bzip2": b"BZh91AY&SY\x00\xff",
    "xz": b"\xfd7zXZ\x00\x00",
    "feather": b"ARROW1\x00\x00\xff",
    "safetensors": struct.pack("<Q", 2) + b"{}\x00",
}
ENCODINGS = ["latin-1", "cp1252", "cp1251", "shift-jis", "euc-kr", "gb18030", "koi8-r", "mac-roman"]
FOREIGN = {
    "cp1251": "фильм",
    "koi8-r": "фильм",
    "shift-jis": "映画",
    "euc-kr": "영화",
    "gb18030": "电影",
}


def table_cases() -> Iterator[tuple[str, str, bytes]]:
    """Name of the case, of the file, and its bytes."""
    for ending in ("csv", "tsv", "jsonl", "parquet"):
        for name, content in MAGIC.items():
            yield f"{name} as {ending}", f"a.{ending}", content
    for encoding in ENCODINGS:
        word = FOREIGN.get(encoding, "café")
        for ending, text in (
            ("csv", f"text,label\n{word},0\nb,1\n"),
            ("tsv", f"text\tlabel\n{word}\t0\nb\t1\n"),
            ("jsonl", f'{{"text": "{word}", "label": 0}}\n'),
        ):
            yield f"{encoding} as {ending}", f"a.{ending}", text.encode(encoding)
    for encoding in ("utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        yield f"{encoding} without its mark", "a.csv", ROWS.encode(encoding)
    for name, text in {
        "odd bytes of UTF-16": b"\xff\xfe" + ROWS.encode("utf-16-le") + b"x",
        "half a surrogate pair in UTF-16": b"\xff\xfe"
        + "text,label\na".encode("utf-16-le")
        + b"\x00\xd8,\x00",
        "overlong UTF-8": b"text,label\n\xc0\xaf,0\nb,1\n",
        "a surrogate in UTF-8": b"text,label\n\xed\xa0\x80,0\nb,1\n",
        "cut within a character": b"text,label\na,0\nb\xe2\x82",
        "NUL in a cell": b"text,label\na\x00b,0\nb,1\n",
        "NUL alone": b"\x00",
        "a mark and no more": b"\xef\xbb\xbf",
        "two marks": b"\xef\xbb\xbf\xef\xbb\xbftext,label\na,0\nb,1\n",
    }.items():
        yield name, "a.csv", text
    for name, text in {
        "an open quote": 'text,label\n"a good film,0\nb,1\n',
        "a quote after a quote": 'text,label\n"a" good,0\nb,1\n',
        "a quote in the header": '"text,label\na,0\nb,1\n',
        "too few cells": "text,label\na\nb,1\n",
        "too many cells": "text,label\na,b,0\n",
        "a comma that nobody quoted": "text,label\nwell, no,0\nyes,1\n",
        "no label at all": "text,label\na,\nb,\n",
        "one label missing": "text,label\na,0\nb,\n",
        "no text": "text,label\n,0\nb,1\n",
        "blank text": "text,label\n \t,0\nb,1\n",
        "one label only": "text,label\na,1\nb,1\n",
        "labels that are withheld": "text,label\na,-1\nb,-1\n",
        "one sentence": "text,label\na,1\n",
        "a header alone": "text,label\n",
        "blank lines alone": "\n\n \n",
        "no header": "a good film,1\na bad film,0\n",
        "a header of numbers": "1,2\n3,4\n",
        "two columns of a name": "text,text,label\na,b,0\nc,d,1\n",
        "columns that differ by case": "Text,words\na,0\nb,1\n",
        "a huge cell": "text,label\n" + "a" * 20_001 + ",0\nb,1\n",
        "a huge cell of another script": "text,label\n" + "映" * 20_001 + ",0\nb,1\n",
        "markup and no label": "text,stars\n<script>alert(1)</script>,0\nb,1\n",
        "an empty split": SPLIT + "a,0,train\nb,1,\nc,0,test\nd,1,test\n",
        "splits of no kind": SPLIT + "a,0,x\nb,1,y\n",
        "a web page": "<!doctype html><html><body>404</body></html>",
        "a mail": "From: a@b\nTo: c@d\n\nhello\n",
        "JSON that is no lines": '{"text": ["a"], "label": [0]}',
        "a list of JSON": '[{"text": "a", "label": 0}]',
        "YAML": "- text: a\n  label: 0\n",
        "separators of another kind": "text|label\na|0\nb|1\n",
        "a pointer to a large file": "version https://git-lfs.example/v1\noid 0\nsize 9",
    }.items():
        yield name, "a.csv", text.encode()
    for name, text in {
        "an open object": '{"text": "a", "label": 0',
        "a list": '["a", 0]',
        "a number": "3",
        "NULL": "null",
        "a nested text": '{"text": {"a": 1}, "label": 0}\n{"text": "b", "label": 1}',
        "a text that is a list": '{"text": ["a"], "label": 0}\n{"text": "b", "label": 1}',
        "a text that is a number": '{"text": 3, "label": 0}\n{"text": "b", "label": 1}',
        "a text that is true": '{"text": true, "label": 0}\n{"text": "b", "label": 1}',
        "a label that is a list": '{"text": "a", "label": [0]}\n{"text": "b", "label": 1}',
        "a label that is an object": '{"text": "a", "label": {}}\n{"text": "b", "label": 1}',
        "a label between classes": '{"text": "a", "label": 0.5}\n{"text": "b", "label": 1}',
        "a label that is not finite": '{"text": "a", "label": NaN}\n{"text": "b", "label": 1}',
        "a label without end": '{"text": "a", "label": Infinity}\n{"text": "b", "label": 1}',
        "half a surrogate pair": '{"text": "\\ud800", "label": 0}\n{"text": "b", "label": 1}',
        "NUL by an escape": '{"text": "\\u0000", "label": 0}\n{"text": 3, "label": 1}',
        "deep nesting": '{"text": ' + "[" * 50_000,
        "keys without quotes": "{text: 'a', label: 0}",
        "two objects on a line": '{"text": "a", "label": 0} {"text": "b", "label": 1}',
        "a comma at the end": '{"text": "a", "label": 0},',
        "a number of many digits": '{"text": "a", "label": ' + "9" * 5000 + "}",
        "no label": '{"text": "a"}\n{"text": "b"}',
        "other keys on each line": "".join(f'{{"k{n}": 0}}\n' for n in range(4_000)),
    }.items():
        yield f"JSONL with {name}", "a.jsonl", text.encode()
    good = parquet(pd.DataFrame({"text": ["a", "b"] * 4, "label": [0, 1] * 4}))
    for place in range(0, len(good), max(len(good) // 12, 1)):
        yield f"Parquet cut at {place}", "a.parquet", good[:place]
    for name, frame in {
        "bytes": pd.DataFrame({"text": [b"\xff", b"b"], "label": [0, 1]}),
        "numbers": pd.DataFrame({"text": [1.5, 2.5], "label": [0, 1]}),
        "lists": pd.DataFrame({"text": [["a"], ["b"]], "label": [0, 1]}),
        "times": pd.DataFrame({"text": pd.to_datetime(["2020-01-01"] * 2), "label": [0, 1]}),
        "no rows": pd.DataFrame({"text": [], "label": []}),
        "labels between classes": pd.DataFrame({"text": ["a", "b"], "label": [0.5, 1.5]}),
        "labels missing": pd.DataFrame({"text": ["a", "b"], "label": [None, 1]}),
        "texts missing": pd.DataFrame({"text": [None, "b"], "label": [0, 1]}),
        "other columns": pd.DataFrame({"a": ["a", "b"], "b": [0, 1]}),
    }.items():
        yield f"Parquet with {name}", "a.parquet", parquet(frame)


def parquet(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), stream)
    return stream.getvalue()


TABLES = list(table_cases())


@pytest.mark.parametrize(
    ("name", "content"), [case[1:] for case in TABLES], ids=[c[0] for c in TABLES]
)
def test_a_nasty_table_is_one_sentence(name: str, content: bytes) -> None:
    said = refused(lambda: read_splits(io.BytesIO(content), name=name))
    assert name in said


def bombs() -> dict[str, bytes]:
    """Parquet files of some kilobytes that stand for more than a machine's memory."""
    nothing = pa.table({"text": pa.nulls(30_000_000), "label": pa.nulls(30_000_000)})
    word = pa.array(["a" * 300]).dictionary_encode()
    indices = pa.array(np.zeros(1_000_000, dtype=np.int32))
    same = pa.DictionaryArray.from_arrays(indices, word.dictionary)
    long = pa.array(["a" * 2_000_000]).dictionary_encode()
    few = pa.DictionaryArray.from_arrays(indices[:5_000], long.dictionary)
    found = {}
    for name, table in {
        "cells of nothing": nothing,
        "one text a million times": pa.table({"text": same, "label": indices}),
        "one long text": pa.table({"text": few, "label": indices[:5_000]}),
    }.items():
        stream = io.BytesIO()
        pyarrow.parquet.write_table(table, stream, compression="zstd", store_schema=False)
        found[name] = stream.getvalue()
    return found


@pytest.mark.parametrize(
    ("name", "uploaded", "on_disk"),
    [
        ("cells of nothing", "take a part of it", "Row 1 of a.parquet has no sentence"),
        ("one text a million times", "take a part of it", "take a part of it"),
        ("one long text", "2,000,000 characters", "2,000,000 characters"),
    ],
)
def test_a_table_that_unpacks_to_too_much_is_one_sentence(
    name: str, uploaded: str, on_disk: str, tmp_path: Path
) -> None:
    content = bombs()[name]
    assert len(content) < 300_000
    assert uploaded in refused(lambda: read_splits(io.BytesIO(content), name="a.parquet"))
    (tmp_path / "a.parquet").write_bytes(content)
    assert on_disk in refused(lambda: read_splits(tmp_path / "a.parquet"))


def test_other_keys_on_each_line_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_CELLS", 5)
    lines = '{"text": "a", "label": 0}\n{"text": "b", "other": 1}\n'
    assert "3 columns" in refused(lambda: read_splits(io.BytesIO(lines.encode()), name="a.jsonl"))


# --- models ---------------------------------------------------------------------------------------


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
        "labels that are a list": {"id2label": ["a", "b"]},
        "one label": {"id2label": {"0": "a"}, "label2id": {"a": 0}},
        "heads that are not there": {"pruned_heads": {"9": [0]}},
        "heads that are text": {"pruned_heads": {"0": "all"}},
        "a type that is a list": {"model_type": ["bert"]},
        "no type": {"model_type": None},
        "code of its own": {"model_type": "own", "auto_map": {"AutoModel": "evil.Model"}},
        "another task": {"architectures": ["BertForQuestionAnswering"]},
        "no task": {"architectures": []},
        "many labels at once": {"problem_type": "multi_label_classification"},
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
    assert "nasty" in refused(lambda: load_classifier(folder))
    with suppress(BhpvasError):  # which reads less, so it may see nothing wrong
        read_info(folder)
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


# --- schemes --------------------------------------------------------------------------------------


@cache
def scheme() -> Scheme:
    about = {"id": "sample", "revision": None, "fingerprint": "f"}
    start = Scheme.started(about, 2, 4, data={"name": "d", "fingerprint": "f"}, time="2024-01-01")
    one = start.removing(parse_heads("L0H1"), time="2024-01-01")
    return one.removing(parse_heads("L1H1,L1H2"), time="2024-01-01").undone()


WRONG: list[Any] = [None, 3, "x", [], {}, True, 1.5]


def scheme_cases() -> Iterator[tuple[str, bytes]]:
    def changed(change: Callable[[Any], Any]) -> bytes:
        document = json.loads(scheme().to_json())
        change(document)
        return json.dumps(document).encode()

    places: dict[str, tuple[Callable[[Any], Any], type[BaseModel]]] = {
        "the scheme": (lambda document: document, schema.File),
        "its format": (lambda document: document["format"], schema.Format),
        "its model": (lambda document: document["model"], schema.Model),
        "its geometry": (lambda document: document["geometry"], schema.Geometry),
        "its first step": (lambda document: document["steps"][0], schema.Change),
        "its second step": (lambda document: document["steps"][1], schema.Change),
    }
    for place, (find, model) in places.items():
        alone = Draft202012Validator(model.model_json_schema() | {"required": []})
        for key in model.model_fields:
            yield f"{place} without {key}", changed(lambda d, f=find, k=key: f(d).pop(k))
            for value in WRONG:
                if (key, value) != ("fingerprint", "x") and not alone.is_valid({key: value}):
                    yield (
                        f"{key} of {place} = {value!r}",
                        changed(lambda d, f=find, k=key, v=value: f(d).update({k: v})),
                    )
    for name, change in {
        "a later version": lambda d: d["format"].update(version=2),
        "another format": lambda d: d["format"].update(name="other"),
        "no steps": lambda d: d.update(steps=[]),
        "a current step that is not there": lambda d: d.update(current=9),
        "a redo that leads nowhere": lambda d: d.update(redo=[9]),
        "a redo that leads back": lambda d: d.update(redo=[0]),
        "an id that is used": lambda d: d.update(next_id=1),
        "an id beyond numbers": lambda d: d.update(next_id=2**60),
        "heads that are not there": lambda d: d["steps"][1].update(heads=["L9H9"]),
        "heads that went already": lambda d: d["steps"][2].update(heads=["L0H1"]),
        "a head that is no head": lambda d: d["steps"][1].update(heads=["<b>"]),
        "a restored head that is there": lambda d: d["steps"][1].update(what="restore"),
        "a parent that comes later": lambda d: d["steps"][1].update(parent=2),
        "a step that is its own parent": lambda d: d["steps"][1].update(parent=1),
        "a second start": lambda d: d["steps"][1].update(what="start"),
        "a step of no kind": lambda d: d["steps"][1].update(what="explode"),
        "a time of no kind": lambda d: d["steps"][1].update(time="yesterday"),
        "weights that are a path": lambda d: d["steps"][1].update(
            what="recover", heads=[], weights="../../etc/passwd"
        ),
        "no weights": lambda d: d["steps"][1].update(what="recover", heads=[]),
        "other heads gone than it says": lambda d: d.update(removed_heads=["L1H3"]),
        "no layers": lambda d: d["geometry"].update(layers=0),
        "a million heads": lambda d: d["geometry"].update(heads=10**6),
        "two steps of an id": lambda d: d["steps"][2].update(id=1),
        "a negative id": lambda d: d["steps"][2].update(id=-2),
    }.items():
        yield f"a scheme with {name}", changed(change)
    text = scheme().to_json().encode()
    for name, content in {
        "nothing": b"",
        "NUL": b"\x00",
        "a mark of UTF-16": b"\xff\xfe" + text,
        "a number that is not finite": text.replace(b'"metrics": {}', b'"metrics": {"a": NaN}', 1),
        "a number beyond all": text.replace(b'"metrics": {}', b'"metrics": {"a": 1e999}', 1),
        "half a surrogate pair": text.replace(b'"note": ""', b'"note": "\\ud800"', 1),
        "deep nesting": b"[" * 50_000,
        "its first half": text[: len(text) // 2],
        "a web page": b"<!doctype html><p>404",
        "a list": b"[]",
    }.items():
        yield f"a scheme of {name}", content


SCHEMES = list(scheme_cases())


@pytest.mark.parametrize(
    "content", [case[1] for case in SCHEMES], ids=[case[0] for case in SCHEMES]
)
def test_a_nasty_scheme_is_one_sentence(content: bytes) -> None:
    assert refused(lambda: read_scheme_file(content, "mine.json")).startswith("mine.json")


def zip_cases() -> Iterator[tuple[str, bytes]]:
    text = scheme().to_json().encode()

    def packed(*entries: tuple[str, bytes]) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries:
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return stream.getvalue()

    for path in (
        "SCHEME.JSON", "scheme.json ", "w.safetensors", "x.pkl", "x.bin",
        "../scheme.json", "/scheme.json", "C:\\scheme.json", "scheme.json/", "a/scheme.json",
        "0123456789abcdef.SAFETENSORS", "../0123456789abcdef.safetensors", "__MACOSX/scheme.json",
    ):  # fmt: skip
        yield f"a zip with {path!r}", packed((path, text))
    yield "a zip of nothing", packed()
    yield "a zip within a zip", packed(("scheme.json", packed(("scheme.json", text))))
    yield "a bomb", packed(("scheme.json", b" " * (513 * 2**20)))
    good = packed(("scheme.json", text))
    for place in (5, 20, 40, len(good) // 2, len(good) - 30, len(good) - 1):
        yield f"a zip cut at {place}", good[:place]


ZIPS = list(zip_cases())


@pytest.mark.parametrize("content", [case[1] for case in ZIPS], ids=[case[0] for case in ZIPS])
def test_a_nasty_zip_is_one_sentence(content: bytes) -> None:
    assert refused(lambda: read_scheme_file(content, "mine.zip")).startswith("mine.zip")


# --- weights of a recovery ------------------------------------------------------------------------


def weight_cases() -> Iterator[tuple[str, bytes]]:
    good = save({"classifier.bias": torch.zeros(2)}, {"format": "bhpvas-weights"})
    for name, damage in RAW.items():
        yield f"weights of {name}", damage(good)
    for name, content in {
        "another format": save({"classifier.bias": torch.zeros(2)}, {"format": "pt"}),
        "no format": save({"classifier.bias": torch.zeros(2)}),
        "half precision": save({"a": torch.zeros(2).half()}, {"format": "bhpvas-weights"}),
        "whole numbers": save({"a": torch.zeros(2).long()}, {"format": "bhpvas-weights"}),
        "other content": save({"a": torch.ones(2)}, {"format": "bhpvas-weights"}),
    }.items():
        yield f"weights with {name}", content


WEIGHTS = list(weight_cases())


@pytest.mark.parametrize(
    "content", [case[1] for case in WEIGHTS], ids=[case[0] for case in WEIGHTS]
)
def test_nasty_weights_are_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = Weights({"classifier.bias": torch.zeros(2)}).file(tmp_path)
    path.write_bytes(content)
    refused(lambda: load_weights(path))
    assert path.read_bytes() == content


@pytest.mark.parametrize("value", list(POISON.values()), ids=list(POISON))
def test_weights_that_are_not_finite_are_one_sentence(tmp_path: Path, value: float) -> None:
    path = Weights({"classifier.bias": torch.tensor([0.0, value])}).save(tmp_path)
    said = "larger than 1e+09" if value == 3e38 else "not finite"
    assert said in refused(lambda: load_weights(path))


# --- the count ------------------------------------------------------------------------------------


def test_the_corpus_holds_what_it_says() -> None:
    contents = [content for _, _, content in TABLES]
    contents += [
        json.dumps(sorted((n, repr(c)) for n, c in files.items())).encode() for _, files in MODELS
    ]
    contents += [content for _, content in [*SCHEMES, *ZIPS, *WEIGHTS]]
    assert len({hashlib.sha256(content).digest() for content in contents}) >= 300
    assert set(CONFIGS) >= {"bert"}
