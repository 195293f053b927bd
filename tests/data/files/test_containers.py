"""Gzip and zip: unpacked as they are read, never to too much, and nothing is written."""

from __future__ import annotations

import errno
import gzip
import io
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data import tables
from bhpvas.data.files.formats import read_table
from bhpvas.data.tables import Table
from bhpvas.errors import DataError

ROWS = [["It rained.", "0"], ["The sun shone.", "1"]]
CSV = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)


def parquet() -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(ROWS, columns=["text", "label"]).to_parquet(stream)
    return stream.getvalue()


#: The same rows in every format that may be packed.
CONTENTS = {
    ".csv": CSV.encode(),
    ".tsv": CSV.replace(",", "\t").encode("utf-16"),
    ".jsonl": "\n".join(json.dumps({"text": t, "label": n}) for t, n in ROWS).encode(),
    ".json": json.dumps([{"text": t, "label": n} for t, n in ROWS]).encode(),
    ".parquet": parquet(),
}


def zipped(files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def cells(table: Table) -> list[list[object]]:
    pieces = [piece.cells for piece in table.pieces()]
    return [list(row) for piece in pieces for row in zip(*piece.values(), strict=True)]


def error_of(content: bytes, name: str) -> str:
    with pytest.raises(DataError) as error:
        cells(read_table(io.BytesIO(content), name=name))
    message = str(error.value)
    assert "\n" not in message and message.endswith(".")
    return message


@pytest.mark.parametrize("ending", CONTENTS)
def test_a_packed_file_reads_as_it_does_unpacked(ending: str, tmp_path: Path) -> None:
    content = CONTENTS[ending]
    packed = {
        f"a{ending}.gz": gzip.compress(content),
        "a.zip": zipped({f"a{ending}": content}),
        "A.ZIP": zipped({f"a{ending}": content}, zipfile.ZIP_STORED),
    }
    for name, data in packed.items():
        (tmp_path / name).write_bytes(data)
        for source in (io.BytesIO(data), tmp_path / name):
            table = read_table(source, name=name)
            assert cells(table) == cells(table) == ROWS
            assert table.name == name
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(packed)


def test_a_zip_says_which_of_its_files_is_read_and_writes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["../../reviews.csv", "/tmp/reviews.csv", "data/reviews.csv", "C:\\reviews.csv"]
    for name in names:
        files = {name: CSV.encode(), "README.txt": b"x", ".hidden.csv": b"x", "notes.md": b"x"}
        table = read_table(io.BytesIO(zipped(files)), name="a.zip")
        assert cells(table) == ROWS
        assert table.form.endswith("reviews.csv")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "a.zip holds no file that could be the data (it is empty)"),
        ({"a.md": b"x"}, "a.zip holds no file that could be the data (a.md)"),
        (
            {"train.csv": b"x", "test.csv": b"x"},
            "a.zip holds several files that could be the data (train.csv, test.csv)",
        ),
        ({"a.zip": zipped({"a.csv": b"x"})}, "a.zip holds no file that could be the data (a.zip)"),
        ({"a.pkl": b"x"}, "a.zip holds no file that could be the data (a.pkl)"),
    ],
)
def test_a_zip_of_none_or_several_is_refused(files: dict[str, bytes], said: str) -> None:
    assert error_of(zipped(files), "a.zip").startswith(said)


def test_a_zip_of_texts_by_class_is_unpacked_to_a_folder(tmp_path: Path) -> None:
    content = zipped({f"trips/{name}/1.txt": f"On {name}.".encode() for name in ("sea", "land")})
    said = error_of(content, "a.zip")
    assert said.endswith(": unpack it and give the folder with one for each class.")
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)
    assert cells(read_table(tmp_path / "trips")) == [["On land.", "land"], ["On sea.", "sea"]]
    flat = zipped({"trips/sea.txt": b"On sea.", "trips/land.txt": b"On land."})
    assert error_of(flat, "a.zip").endswith(": unpack it and give one file.")


def test_a_zip_of_a_text_without_an_ending_is_text() -> None:
    for name in ("SMSSpamCollection", "reviews"):  # the latter as pandas calls it in reviews.zip
        files = {name: CSV.encode(), "readme": b"About."}
        table = read_table(io.BytesIO(zipped(files)), name="a.zip")
        assert cells(table) == ROWS
        assert table.form == f"its file {name}, separated by commas"


def test_a_locked_zip_is_refused() -> None:
    content = bytearray(zipped({"a.csv": CSV.encode()}))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + flags] |= 1
    assert error_of(bytes(content), "a.zip").startswith("a.zip is locked by a password")


def test_gzip_needs_the_ending_of_what_is_in_it() -> None:
    for name in ("a.gz", "a.md.gz", "a.csv.gz.gz"):
        assert error_of(gzip.compress(CSV.encode()), name).startswith(f"{name} does not say what")
    for name, said in {"a.tar.gz": "unpack it", "a.pkl.gz": "pickled", "a.xls.gz": "CSV"}.items():
        assert said in error_of(gzip.compress(CSV.encode()), name)


BIG = ("text,label\n" + f"{'a fine film' * 40},1\n" * 1_500).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", gzip.compress(BIG, mtime=0)),
        ("a.zip", zipped({"a.csv": BIG})),
        (
            "a.json.gz",
            gzip.compress(
                b"[" + b'{"text": "%s"},' % (b"a fine film" * 40) * 1_500 + b"{}]", mtime=0
            ),
        ),
        ("b.zip", zipped({"a.parquet": b"PAR1" + b"0" * 800_000})),
    ],
)
def test_what_unpacks_to_too_much_is_refused(
    name: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_FILE_BYTES", 400_000)
    assert len(content) < 20_000
    said = f"{name} unpacks to more than 0 MB, which is all that is read"
    assert error_of(content, name).startswith(said)
    monkeypatch.setattr(tables, "UNLIKELY", 10)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="unpacks to more than"):
        cells(read_table(tmp_path / name))


def test_a_file_on_disk_may_unpack_to_more_than_an_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_FILE_BYTES", 400_000)
    monkeypatch.setattr(tables, "UNLIKELY", 1_000)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(BIG))
    assert len(cells(read_table(tmp_path / "a.csv.gz"))) == 1_500


@given(st.data())
def test_any_damage_is_one_sentence_or_the_rows(data: st.DataObject) -> None:
    content, name = data.draw(
        st.sampled_from(
            [
                (gzip.compress(CSV.encode(), mtime=0), "a.csv.gz"),
                (zipped({"a.csv": CSV.encode()}), "a.zip"),
                (zipped({"a.parquet": parquet()}), "a.zip"),
            ]
        )
    )
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for place in data.draw(st.lists(st.integers(0, max(len(damaged) - 1, 0)), max_size=3)):
        if damaged:
            damaged[place] ^= data.draw(st.integers(1, 255))
    try:
        cells(read_table(io.BytesIO(bytes(damaged)), name=name))
    except DataError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("packing", ["STORED", "DEFLATED", "BZIP2", "LZMA"])
def test_a_zip_with_any_byte_changed_is_read_or_one_sentence(packing: str) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", getattr(zipfile, f"ZIP_{packing}")) as packed:
        packed.writestr("a.csv", CSV)
    for place in range(len(whole.getvalue())):
        content = bytearray(whole.getvalue())
        content[place] ^= 0xFF
        try:
            list(read_table(io.BytesIO(content), name="a.zip").pieces())
        except DataError as error:
            assert "a.zip" in str(error)


def test_what_the_system_says_of_a_file_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(gzip.GzipFile, "read", fail)
    assert error_of(gzip.compress(CSV.encode()), "a.csv.gz") == (
        "a.csv.gz cannot be read: Input/output error."
    )
