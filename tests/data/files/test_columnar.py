"""Arrow in both its forms, packed or not: cells with their types, names of classes, and bounds."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data import tables
from bhpvas.data.files import columnar
from bhpvas.data.files.formats import read_table
from bhpvas.data.tables import Table
from bhpvas.errors import DataError

KINDS = {"stream": pa.ipc.new_stream, "file": pa.ipc.new_file}


def arrow(
    content: pa.Table, kind: str = "stream", packed: str | None = None, batch: int | None = None
) -> bytes:
    stream = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=packed)
    with KINDS[kind](stream, content.schema, options=options) as writer:
        writer.write_table(content, max_chunksize=batch)
    return stream.getvalue()


def rows(table: Table) -> list[tuple[object, ...]]:
    return [row for piece in table.pieces() for row in zip(*piece.cells.values(), strict=True)]


def table_of(content: bytes) -> Table:
    return read_table(io.BytesIO(content), name="a.arrow")


TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=9)), min_size=1, max_size=12)


@given(
    TEXTS,
    st.sampled_from([*KINDS]),
    st.sampled_from([None, "lz4", "zstd"]),
    st.sampled_from([None, 1, 5]),
    st.sampled_from(["string", "large_string", "string_view", "coded"]),
)
def test_what_arrow_writes_is_read_back(
    texts: list[str | None], kind: str, packed: str | None, batch: int | None, type: str
) -> None:
    column = pa.array(texts, pa.string())
    column = column.dictionary_encode() if type == "coded" else column.cast(type)
    labels = [None if text is None else len(text) for text in texts]
    content = pa.table({"text": column, "label": labels, "words": [["a"]] * len(texts)})
    table = table_of(arrow(content, kind, packed, batch))
    assert table.columns == ("text", "label")
    assert rows(table) == rows(table) == list(zip(texts, labels, strict=True))
    assert [number for piece in table.pieces() for number in piece.numbers] == [
        *range(1, len(texts) + 1)
    ]


def test_a_file_on_disk_is_read_a_few_rows_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"film {number}" for number in range(50)]
    (tmp_path / "a.arrow").write_bytes(arrow(pa.table({"text": texts}), "file"))
    table = read_table(tmp_path / "a.arrow")
    monkeypatch.setattr(columnar, "AT_MOST", 100)
    few = read_table(tmp_path / "a.arrow")
    assert rows(few) == rows(table) == [(text,) for text in texts]
    monkeypatch.setattr(tables, "ROWS", 7)
    assert max(len(piece.numbers) for piece in few.pieces()) == 7


def test_names_of_classes_are_those_of_the_file() -> None:
    features = {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}
    content = pa.table({"text": ["a"], "label": [1]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    table = table_of(arrow(content))
    assert table.class_names == {"label": ("bad", "good")}
    assert rows(table) == [("a", 1)]


LONG = pa.table({"text": ["x" * 1_000] * 900, "label": [0, 1, 2] * 300})
CODED = pa.table({"text": pa.array(["x" * 9_000] * 900).dictionary_encode()})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", ["lz4", "zstd"])
def test_what_would_unpack_to_too_much_is_not_unpacked(
    kind: str, packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = arrow(LONG, kind, packed)
    assert len(content) < 10_000
    assert len(rows(table_of(content))) == 900
    monkeypatch.setattr(tables, "MAX_FILE_BYTES", 2**19)
    monkeypatch.setattr(tables, "UNLIKELY", 2)
    monkeypatch.setattr(pa.ipc, "open_stream", None)
    (tmp_path / "a.arrow").write_bytes(content)
    for source in (io.BytesIO(content), tmp_path / "a.arrow"):
        with pytest.raises(DataError, match=r"^a\.arrow unpacks to more than 0 MB"):
            read_table(source, name="a.arrow")


def test_a_text_that_many_rows_repeat_counts_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    content = arrow(CODED)
    assert len(content) < 20_000
    assert len(rows(table_of(content))) == 900
    monkeypatch.setattr(tables, "MAX_FILE_BYTES", 2**19)
    with pytest.raises(DataError, match="unpacks to more"):
        rows(table_of(content))


def test_rows_of_nothing_are_counted_before_any_is_read() -> None:
    content = arrow(pa.table({"text": pa.nulls(11_000_000), "label": pa.nulls(11_000_000)}))
    assert len(content) < 2_000
    with pytest.raises(DataError, match="11,000,000 or more rows in 2 columns"):
        table_of(content)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_is_one_sentence(kind: str) -> None:
    content = arrow(pa.table({"text": ["a", "bb", None], "label": np.arange(3)}), kind, "zstd", 1)
    assert len(rows(table_of(content))) == 3
    for place in range(0, len(content), 8):  # where parts of it begin, which could go unnoticed
        with pytest.raises(DataError, match=r"^a\.arrow is no readable Arrow file"):
            rows(table_of(content[:place]))


def test_the_first_version_of_feather_is_named(tmp_path: Path) -> None:
    start = b"FEA1\0\0\0\0"  # what its writers begin and end the file with
    for name in ("a.feather", "a.arrow"):
        (tmp_path / name).write_bytes(start + bytes(64) + start)
        with pytest.raises(DataError) as error:
            read_table(tmp_path / name)
        assert str(error.value) == (
            f"{name} is Feather of version 1, which is not read: save it as version 2."
        )
