"""Nasty tables: bytes of other formats, encodings, cells, and files that unpack to too much."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from bhpvas.data import tables
from bhpvas.data.reading import read_splits
from tests.project.nasty import refused

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
    for ending in ("csv", "tsv", "jsonl", "parquet", "json", "arrow", "zip", "csv.gz"):
        for name, content in MAGIC.items():
            if (name, ending) != ("gzip", "csv.gz"):
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
        "markup and no label": "text,words\n<script>alert(1)</script>,0\nb,1\n",
        "an empty split": SPLIT + "a,0,train\nb,1,\nc,0,test\nd,1,test\n",
        "a web page": "<!doctype html><html><body>404</body></html>",
        "a mail": "From: a@b\nTo: c@d\n\nhello\n",
        "JSON that is no lines": '{"text": ["a"], "label": [0]}',
        "a list of JSON": '[{"text": "a", "label": 0}]',
        "YAML": "- text: a\n  label: 0\n",
        "separators of another kind": "text&label\na&0\nb&1\n",
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
    for name, text in {
        "one object": '{"text": "a", "label": 0}',
        "columns of lists": '{"text": ["a", "b"], "label": [0, 1]}',
        "columns of objects": '{"text": {"0": "a"}, "label": {"0": 1}}',
        "two arrays": '{"train": [{"text": "a"}], "test": [{"text": "b"}]}',
        "an array of arrays": '[["a", 0], ["b", 1]]',
        "an array of texts": '["a", "b"]',
        "an array that is open": '[{"text": "a", "label": 0}, {"text": "b", "label": 1}',
        "an array that goes on": '[{"text": "a", "label": 0}] [{"text": "b", "label": 1}]',
        "an array of nothing": "[]",
        "nothing": "  ",
        "a comma too many": '[{"text": "a", "label": 0},, {"text": "b", "label": 1}]',
        "deep arrays": "[" * 60_000,
        "a word": "hello",
    }.items():
        yield f"JSON with {name}", "a.json", text.encode()
    for name, text in {
        "prose": "Once upon a time\nthere was a film.\nIt was good.\n",
        "numbered lines": "1 good\n2 bad\n3 fine\n4 dull\n",
        "two labels a line": "__label__a __label__b good\n__label__a bad\n",
        "a broken tree": "(3 (2 It) (4 works)\n(1 (2 It) (0 fails))\n",
        "no header": "good film\t1\nbad film\t0\nfine film\t1\ndull film\t0\n",
        "ids and no header": "17\tgood\t1\n18\tbad\t0\n19\tfine\t1\n20\tdull\t0\n",
        "a separator and no more": "sep=;\n",
    }.items():
        yield f"text with {name}", "a.txt", text.encode()
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


@cache
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
