"""Every file format, encoding and kind of damage; what is read is what was written."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pickle
import random
import threading
import tracemalloc
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data import tables
from bhpvas.data.files import columnar, file, json_rows
from bhpvas.data.files.formats import read_table
from bhpvas.data.tables import Table
from bhpvas.errors import DataError

# Text without line ends and NUL; surrogates cannot be written as UTF-8 at all.
TEXT = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=30)
ROWS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6).filter(
    lambda rows: all(any(cell.strip() for cell in row) for row in rows)
)


def table_of(content: str | bytes, name: str) -> Table:
    data = content.encode() if isinstance(content, str) else content
    return read_table(io.BytesIO(data), name=name)


def error_of(content: str | bytes, name: str) -> str:
    with pytest.raises(DataError) as caught:
        cells(table_of(content, name))
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def cells(table: Table) -> list[list[object]]:
    pieces = [piece.cells for piece in table.pieces()]
    assert all(tuple(piece) == table.columns for piece in pieces)
    return [list(row) for piece in pieces for row in zip(*piece.values(), strict=True)]


def numbers(table: Table) -> list[int]:
    return [number for piece in table.pieces() for number in piece.numbers]


def test_one_sentence_in_every_format_reads_the_same(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["Fine, really."], "label": ["1"]}).to_parquet(tmp_path / "a.parquet")
    contents: dict[str, str | bytes] = {
        "a.tsv": "text\tlabel\nFine, really.\t1\n",
        "a.txt": "text\tlabel\nFine, really.\t1\n",
        "a.csv": 'text,label\n"Fine, really.",1\n',
        "a.jsonl": '{"text": "Fine, really.", "label": "1"}\n',
        "A.JSONL": '{"text": "Fine, really.", "label": "1"}',
        "a.parquet": (tmp_path / "a.parquet").read_bytes(),
    }
    for name, content in contents.items():
        table = table_of(content, name)
        assert table.columns == ("text", "label"), name
        assert cells(table) == [["Fine, really.", "1"]], name


def test_path_string_and_open_file_are_sources(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\ngood,1\n")
    with path.open("rb") as stream:
        stream.read()  # A rerun of the app gets the same upload, already read to its end.
        for source in (path, str(path), stream):
            table = read_table(source)
            assert table.name == "reviews.csv"
            assert cells(table) == [["good", "1"]]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_text_that_looks_like_a_missing_value_stays_text(name: str) -> None:
    separator = "\t" if name == "a.tsv" else ","
    words = ["NA", "null", "NaN", "None", "n/a", "1.0", "TRUE"]
    lines = [f"text{separator}label", *(f"{word}{separator}0" for word in words)]
    assert [row[0] for row in cells(table_of("\n".join(lines), name))] == words


def test_stray_quotes_in_tsv_are_text() -> None:
    lines = [
        "sentence\tlabel",
        '"a charming and moving film\t1',
        'he said "no" and left\t0',
        '"funny" and "sad"\t1',
        '"wholly quoted"\t1',
    ]
    expected = [line.split("\t") for line in lines[1:]]
    assert cells(table_of("\n".join(lines), "glue.tsv")) == expected


@given(ROWS)
def test_csv_written_by_python_reads_back(rows: list[tuple[str, str]]) -> None:
    for name, delimiter in (("a.csv", ","), ("a.csv", ";"), ("a.csv", "\t")):
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerows([("text", "label"), *rows])
        assert cells(table_of(out.getvalue(), name)) == [list(row) for row in rows]


@given(ROWS)
def test_quoted_tsv_written_by_python_reads_back(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter="\t", quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    assert cells(table_of(out.getvalue(), "a.tsv")) == [list(row) for row in rows]


@given(ROWS, st.sampled_from(["\n", "\r\n", "\r"]))
def test_plain_tsv_is_literal_whatever_the_line_ends(
    rows: list[tuple[str, str]], line_end: str
) -> None:
    literal = [tuple(cell.replace("\t", " ").replace('""', "'") for cell in row) for row in rows]
    text = line_end.join("\t".join(row) for row in [("text", "label"), *literal])
    expected = [list(row) for row in literal if "".join(row).strip()]
    assert cells(table_of(text, "a.tsv")) == expected


def test_minimally_quoted_tsv_reads_back() -> None:
    rows = [['He said "no".', "0"], ['"Yes", she said', "1"], ["plain", "1"]]
    out = io.StringIO()
    csv.writer(out, delimiter="\t").writerows([["text", "label"], *rows])
    assert '"He said ""no""."' in out.getvalue()
    assert cells(table_of(out.getvalue(), "a.tsv")) == rows


@given(ROWS)
def test_jsonl_reads_back(rows: list[tuple[str, str]]) -> None:
    text = "\n".join(json.dumps({"text": a, "label": b}, ensure_ascii=False) for a, b in rows)
    assert cells(table_of(text, "a.jsonl")) == [list(row) for row in rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
def test_encodings(encoding: str, name: str) -> None:
    text = {
        "a.tsv": "text\tlabel\nça va 好\t1\n",
        "a.csv": "text,label\nça va 好,1\n",
        "a.jsonl": '{"text": "ça va 好", "label": "1"}\n',
    }[name]
    assert cells(table_of(text.encode(encoding), name)) == [["ça va 好", "1"]]


def test_another_encoding_is_refused_with_its_line() -> None:
    message = error_of("text,label\ngood,1\ncafé,0\n".encode("latin-1"), "a.csv")
    assert message.startswith("Line 3 of a.csv has a byte (0xe9) that is not UTF-8:")
    cut = "text,label\ngood,1\n".encode("utf-16")[:-1]
    assert "Line 2 of a.csv" in error_of(cut, "a.csv")


def test_line_numbers_count_blank_lines_and_lines_inside_quotes() -> None:
    table = table_of('text,label\n\n"two\nlines",1\n\nend,0\n', "a.csv")
    assert numbers(table) == [3, 6]
    assert cells(table) == [["two\nlines", "1"], ["end", "0"]]
    assert numbers(table_of('\n{"text": "a"}\n\n{"text": "b"}\n', "a.jsonl")) == [2, 4]
    assert numbers(table_of("text\tlabel\n\na\t1\n", "a.tsv")) == [3]


def test_separators_inside_words_do_not_end_a_line() -> None:
    # str.splitlines would cut at each of these.
    text = "one\x0btwo\x0cthree\x1cfour\x85five\u2028six"
    assert cells(table_of(f"text\tlabel\n{text}\t1\n", "a.tsv")) == [[text, "1"]]


def test_columns_without_a_name_are_left_out() -> None:
    table = table_of(",text,label,,\n0,good,1,,\n", "a.csv")
    assert table.columns == ("text", "label")


def test_values_of_jsonl_keep_their_type_and_a_missing_key_is_nothing() -> None:
    table = table_of('{"text": "a", "label": 1}\n{"text": "b"}\n', "a.jsonl")
    (_, first), (_, second) = cells(table)
    assert isinstance(first, int) and first == 1
    assert second is None


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file(name: str, content: bytes) -> None:
    assert error_of(content, name).startswith(f"{name} is empty")


def test_a_header_alone() -> None:
    assert error_of("text,label\n", "a.csv").startswith("a.csv has no sentences")
    assert error_of("text\tlabel", "a.tsv").startswith("a.tsv has no sentences")
    assert error_of('""', "a.csv").startswith("a.csv has no sentences")


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
def test_a_binary_file(name: str) -> None:
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
    assert error_of(png, name).startswith(f"{name} is a binary file")
    assert error_of("text,label\n".encode("utf-32"), name).startswith(f"{name} is a binary file")
    # Compressed bytes without a NUL are no UTF-8 either.
    assert error_of(gzip.compress(b"text,label\ngood,1\n").replace(b"\0", b"\xff"), name)


def test_a_parquet_file_that_is_none() -> None:
    assert error_of("text,label\n", "a.parquet") == (
        "a.parquet is no readable Parquet file: save it again."
    )


@pytest.mark.parametrize("coded", [True, False])
@pytest.mark.parametrize("zipped", ["none", "zstd"])
@pytest.mark.parametrize("letters", ["x", "xyz "])
def test_rows_of_parquet_that_repeat_a_long_text_are_read_few_at_once(
    coded: bool, zipped: str, letters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "AT_ONCE", 2**20)
    draw = random.Random(0)
    long = "".join(draw.choices(letters, k=100_000))
    table = pa.table({"text": [long, "short"] * 400, "label": [0, 1] * 400})
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(table, path, compression=zipped, use_dictionary=coded)
    assert not coded or path.stat().st_size < 120_000
    tracemalloc.start()
    sizes = [sum(map(len, piece.cells["text"])) for piece in read_table(path).pieces()]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(sizes) < 2**20 + 100_010 and sum(sizes) == 400 * 100_005
    # Each text is there once, however many rows repeat it; a page of the file may hold all of it.
    assert peak < 2_000_000 + path.stat().st_size
    texts = [text for piece in read_table(path).pieces() for text in piece.cells["text"]]
    assert texts == [long, "short"] * 400


def test_parquet_that_says_to_unpack_to_too_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"text": ["x" * 1_000] * 900, "label": [0, 1, 2] * 300})
    for coded in (True, False):
        content = io.BytesIO()
        pyarrow.parquet.write_table(table, content, compression="zstd", use_dictionary=coded)
        with monkeypatch.context() as patch:
            patch.setattr(tables, "MAX_FILE_BYTES", 2**19)
            assert error_of(content.getvalue(), "a.parquet") == (
                "a.parquet unpacks to more than 0 MB, which is all that is read: take a part of it."
            )
            if not coded:  # a dictionary is read before rows are found to repeat it
                patch.setattr(pyarrow.parquet.ParquetFile, "iter_batches", None)
                with pytest.raises(DataError, match="unpacks to more"):
                    table_of(content.getvalue(), "a.parquet")
        assert len(cells(table_of(content.getvalue(), "a.parquet"))) == 900


def test_lists_in_parquet_are_no_columns(tmp_path: Path) -> None:
    table = pa.table({"text": ["a"], "words": [["a"]], "parts": [{"label": 1}], "label": [0]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").columns == ("text", "label")


@pytest.mark.parametrize("name", ["a.md", "a.docx", "a.label", "a"])
def test_other_formats_are_refused_by_name(name: str) -> None:
    # A pickle would run what is in it: it is never opened.
    message = error_of(pickle.dumps({"text": ["good"]}), name)
    assert message.startswith(f"{name} has ")
    assert ".parquet" in message


def test_a_row_with_too_few_or_too_many_cells() -> None:
    assert error_of("text,label\ngood,1\nbad\n", "a.csv").startswith(
        "Line 3 of a.csv has 1 cell where the header has 2"
    )
    assert error_of("text\tlabel\nso\tso\t1\n", "a.tsv").startswith(
        "Line 2 of a.tsv has 3 cells where the header has 2"
    )


def test_an_open_quote_names_the_line_where_it_opens() -> None:
    content = 'text,label\ngood,1\n"bad,0\nfine,1\n'
    assert error_of(content, "a.csv").startswith("Line 3 of a.csv cannot be read as CSV")
    assert error_of('text,label\n"a" b,0\n', "a.csv").startswith("Line 2 of a.csv cannot")
    assert error_of("text,label\n" + "x" * 200_000 + ",0\n", "a.csv").startswith("Line 2 of a.csv")


def test_a_doubled_column_name() -> None:
    assert error_of("text,text,label\na,b,1\n", "a.csv") == (
        "a.csv has two columns named text: rename one."
    )


@pytest.mark.parametrize("line", ['{"text": ', "[1, 2]", '"text"', "[" * 100_000])
def test_a_line_that_is_no_json_object(line: str) -> None:
    message = error_of('{"text": "a", "label": 0}\n' + line, "a.jsonl")
    assert message.startswith("Line 2 of a.jsonl")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file .*none\.csv: check the path\."):
        read_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"^folder\.csv is a folder that holds no data"):
        read_table(tmp_path / "folder.csv")


def test_a_stream_may_be_too_large_and_a_file_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_FILE_BYTES", 10)
    (tmp_path / "a.csv").write_text("text,label\ngood,1\n")
    assert cells(read_table(tmp_path / "a.csv")) == [["good", "1"]]
    assert error_of("text,label\ngood,1\n", "a.csv").startswith(
        "a.csv has 0 MB, and at most 0 MB are read"
    )


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.parquet"])
def test_pieces_of_a_few_rows_are_the_whole(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[f"line {n} of\u2028many, é" + "!" * (n % 7), str(n % 3)] for n in range(50)]
    frame = pd.DataFrame(rows, columns=["text", "label"])
    path = tmp_path / name
    if name == "a.parquet":
        frame.to_parquet(path)
    elif name == "a.jsonl":
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        frame.to_csv(path, index=False, sep="\t" if name == "a.tsv" else ",")
    whole = read_table(path)
    assert [len(piece.numbers) for piece in whole.pieces()] == [50]
    for room, limit, value in (
        (tables, "ROWS", 7),
        (tables, "AT_ONCE", 60),
        (columnar, "AT_MOST", 100),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(room, limit, value)
            table = read_table(path)
            assert cells(table) == rows == cells(whole)
            assert numbers(table) == numbers(whole)
            if limit != "AT_MOST":  # so much of a Parquet file is unpacked for several pieces
                assert max(len(piece.numbers) for piece in table.pieces()) < 50


def test_a_fault_far_into_a_file_names_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "AT_ONCE", 100)
    good = "text,label\n" + "good,1\n" * 5000
    for encoding, kind in (("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16")):
        bad = good.encode(encoding) + (b"caf\xe9" if kind == "UTF-8" else b"\x00\xdc\x00")
        assert "Line 5002 of a.csv has a byte" in error_of(bad, "a.csv")
        assert f"that is not {kind}" in error_of(bad, "a.csv")
    assert error_of(good + "bad\n", "a.csv").startswith("Line 5002 of a.csv has 1 cell")
    assert error_of(good + "b\0d,1\n", "a.csv").startswith("a.csv is a binary file")


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
def test_a_line_without_end_is_not_read_to_its_end(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "MAX_LINE", 100)
    head = "" if name == "a.jsonl" else "text\n"
    message = error_of(head + '{"text": "' + "x" * 200, name)
    assert message.startswith(f"Line {1 + bool(head)} of {name} has 100 or more characters")


def test_jsonl_of_too_many_different_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "MAX_KEYS", 10)
    (tmp_path / "a.jsonl").write_text("".join(f'{{"k{n}": 0}}\n' for n in range(11)))
    with pytest.raises(DataError, match=r"^The objects of a\.jsonl have more than 10 different"):
        read_table(tmp_path / "a.jsonl")


def test_a_named_pipe_is_read_as_a_stream(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    writer = threading.Thread(target=(tmp_path / "a.csv").write_text, args=["text,label\na,1\n"])
    writer.start()
    table = read_table(tmp_path / "a.csv")
    writer.join()
    assert cells(table) == cells(table) == [["a", "1"]]


@given(st.binary(max_size=200), st.sampled_from(["a.tsv", "a.csv", "a.jsonl", "a.parquet"]))
def test_any_bytes_give_a_table_or_one_sentence(data: bytes, name: str) -> None:
    try:
        message = f"{len(cells(table_of(data, name)))} rows"
    except DataError as error:
        message = str(error)
    assert message.strip()
    assert "\n" not in message
    assert message != "0 rows"


NAMED = {"names": ["bad", "good"], "_type": "ClassLabel"}


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"info": {"features": {"label": NAMED, "text": {}}}}, {"label": ("bad", "good")}),
        ({"info": {"features": {"label": {"names": "bad"}}}}, {}),
        ({"info": {"features": {"label": {"names": [0, 1]}}}}, {}),
        ({"info": {"features": {"label": 3}}}, {}),
        ({"info": {"features": [NAMED]}}, {}),
        ({"info": None}, {}),
        ([], {}),
        (None, {}),
    ],
)
def test_names_of_classes_in_the_metadata_of_parquet(
    metadata: object, found: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    table = pa.table({"text": ["a", "b"], "label": [1, 0]})
    table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    read = read_table(tmp_path / "a.parquet")
    assert read.class_names == found
    assert cells(read) == [["a", 1], ["b", 0]]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json"])
@pytest.mark.parametrize(
    ("start", "said"),
    [
        (gzip.compress(b"text,label\ngood,1\n", mtime=0), "is packed by gzip: call it so"),
        (b"PK\x03\x04\x14\0\6\0", "is a zip, as sheets of Excel are, too"),
        (b"PAR1\x15\0", "is a Parquet file: call it .parquet"),
        (b"ARROW1\0\0", "is an Arrow file: call it .arrow"),
        (b"<?xml version='1.0'?>\n<a/>", "holds XML, which is not read"),
        (b'<table border="1">\n<tr>', "holds HTML, which is not read"),
        (b"@RELATION reviews\n", "is a file of Weka, which is not read"),
    ],
)
def test_what_a_file_is_that_is_called_another(name: str, start: bytes, said: str) -> None:
    assert error_of(start, name).startswith(f"{name} {said}")
