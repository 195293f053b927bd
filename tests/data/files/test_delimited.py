"""Separators and quotation marks by evidence: what writers write is read back, or refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.files import delimited
from bhpvas.data.files.file import ENCODINGS
from bhpvas.data.files.formats import read_table
from bhpvas.data.tables import Table
from bhpvas.errors import DataError

NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars"}
USUAL = {"a.csv": ",", "a.tsv": "\t", "a.txt": "\t"}
HEADER = ["text", "label", "topic"]
#: Cells of words, with separators, quotation marks and, where a writer quotes, line ends.
WORD = st.text(st.sampled_from("ab é'.-;,|\t\""), min_size=1, max_size=12)
CELL = WORD.map(lambda cell: f"w{cell}w")
QUOTED_CELL = st.lists(WORD, min_size=1, max_size=3).map(lambda parts: "w" + "\n".join(parts) + "w")


def table_of(content: str | bytes, name: str, **said: bool) -> Table:
    data = content.encode() if isinstance(content, str) else content
    return read_table(io.BytesIO(data), name=name, **said)


def cells(table: Table) -> list[list[object]]:
    pieces = [piece.cells for piece in table.pieces()]
    return [list(row) for piece in pieces for row in zip(*piece.values(), strict=True)]


def error_of(content: str, name: str) -> str:
    with pytest.raises(DataError) as error:
        cells(table_of(content, name))
    return str(error.value)


def written(rows: Sequence[Sequence[str]], separator: str, quoting: int = csv.QUOTE_MINIMAL) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator, quoting=quoting, lineterminator="\n").writerows(rows)
    return out.getvalue()


@given(
    st.lists(st.tuples(QUOTED_CELL, QUOTED_CELL, CELL), min_size=1, max_size=5),
    st.sampled_from([*NAMES]),
    st.sampled_from([*USUAL]),
)
def test_what_is_quoted_throughout_reads_back_under_any_ending(
    rows: list[tuple[str, ...]], separator: str, name: str
) -> None:
    try:
        found = table_of(written([HEADER, *rows], separator, csv.QUOTE_ALL), name)
        assert cells(found) == [list(row) for row in rows]
        assert found.columns == tuple(HEADER)
    except DataError as error:  # where another separator fits as well
        assert "have the same number of cells" in str(error)
        return
    said = "" if separator == USUAL[name] else f"separated by {NAMES[separator]}"
    assert found.form == said


@given(
    st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=5),
    st.sampled_from([*NAMES]),
    st.sampled_from([*USUAL]),
)
def test_what_is_quoted_where_it_must_be_reads_back_or_is_refused(
    rows: list[tuple[str, ...]], separator: str, name: str
) -> None:
    try:
        found = table_of(written([HEADER, *rows], separator), name)
        read = cells(found)
    except DataError as error:
        assert "\n" not in str(error)
        return
    assert read == [list(row) for row in rows]
    assert separator == USUAL[name] or f"separated by {NAMES[separator]}" in found.form


@pytest.mark.parametrize("separator", NAMES)
@pytest.mark.parametrize("name", USUAL)
def test_a_separator_under_another_ending_is_found_and_said(separator: str, name: str) -> None:
    rows = [["A film, and a good one", "1", "films"], ["dull; and long", "0", "films"]]
    found = table_of(written([HEADER, *rows], separator), name)
    assert cells(found) == rows
    assert (found.form == "") is (separator == USUAL[name])


@pytest.mark.parametrize("separator", NAMES)
@pytest.mark.parametrize("line", ["sep={}", '"sep={}"', "sep={} "])
def test_the_first_line_may_say_the_separator(separator: str, line: str) -> None:
    rows = [["good", "1", "films"], ['a "dull", one', "0", "films"]]
    content = line.format(separator) + "\r\n" + written([HEADER, *rows], separator)
    for name in USUAL:
        found = table_of(content, name)
        assert cells(found) == rows
        assert found.form == f"separated by {NAMES[separator]}, as its first line says"
        assert [number for piece in found.pieces() for number in piece.numbers] == [3, 4]


def test_lines_that_fit_two_separators_are_asked_about() -> None:
    content = "text;label,topic\ngood;1,films\ndull;0,films\n"
    assert error_of(content, "a.txt") == (
        "All lines of a.txt have the same number of cells whether these are separated by commas or "
        "semicolons: write the right separator on a line before the header, such as sep=;."
    )
    assert cells(table_of("sep=;\n" + content, "a.txt"))[0] == ["good", "1,films"]
    # The ending's own separator needs no asking.
    assert table_of("text,x\tlabel,y\ngood,1\t0,1\n", "a.tsv").columns == ("text,x", "label,y")


QUOTES = 'text\tlabel\n"It rained.\t0\nThe sun shone."\t1\nA grey day.\t0\n'


def test_quotation_marks_that_would_swallow_a_row_are_text() -> None:
    for name in USUAL:
        read = cells(table_of(QUOTES, name))
        assert read == [['"It rained.', "0"], ['The sun shone."', "1"], ["A grey day.", "0"]]


def test_rows_that_quotation_marks_may_swallow_far_into_a_file_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delimited, "SAMPLE", 100)
    content = "text\tlabel\n" + "a good day\t1\n" * 20 + QUOTES.partition("\n")[2]
    assert error_of(content, "a.csv").startswith(
        "Lines 22 to 23 of a.csv are one row if their quotation marks stand around a cell, and a "
        "row each if these are text: write every name of the header in quotation marks for the "
        "one, leave those marks out for the other."
    )
    assert len(cells(table_of(content, "a.tsv"))) == 23
    sure = content.replace("text\tlabel", '"text"\t"label"')
    assert cells(table_of(sure, "a.csv"))[20] == ["It rained.\t0\nThe sun shone.", "1"]


@pytest.mark.parametrize("separator", "\t|")
def test_the_way_out_of_that_doubt_is_one_under_any_ending(separator: str) -> None:
    content = 'text\tlabel\n"a day\tor two"\t1\n' + QUOTES.partition("\n")[2]
    content = content.replace("\t", separator)
    assert " are one row if their quotation marks stand around a cell" in error_of(content, "a.tsv")
    sure = content.replace(f"text{separator}label", f'"text"{separator}"label"')
    assert len(cells(table_of(sure, "a.tsv"))) == 3
    start, end = content.index('"It rained'), content.index("The sun")
    other = content[:start] + content[start:].replace('"', "")
    assert end > start and len(cells(table_of(other, "a.tsv"))) == 4


def test_line_ends_within_quotation_marks_under_tsv() -> None:
    content = 'text\tlabel\n"It rained.\nWe left."\t0\nA grey day.\t1\n'
    found = table_of(content, "a.tsv")
    assert cells(found) == [["It rained.\nWe left.", "0"], ["A grey day.", "1"]]
    assert found.form == "quotation marks around cells taken off"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_text_of_excel_needs_as_much_evidence_as_its_encoding_lacks(
    encoding: str, count: int
) -> None:
    texts = [f"wet, cold and {number}" for number in range(count)]
    content = "text\tlabel\r\n" + "".join(f'"{text}"\t{len(text)}\r\n' for text in texts)
    content += "plain\t1\r\n"
    found = table_of(content.encode(encoding), "a.txt")
    is_excel = encoding == "utf-16" or count >= 3
    expected = [text if is_excel else f'"{text}"' for text in texts]
    assert [row[0] for row in cells(found)] == [*expected, "plain"]
    said = "quotation marks around cells taken off" if is_excel else "quotation marks kept as text"
    assert found.form == said
    # One cell with a comma that Excel would have quoted, and the others are quotations.
    other = table_of((content + "warm, and dry\t0\r\n").encode(encoding), "a.txt")
    assert cells(other)[0][0] == f'"{texts[0]}"'


def test_a_row_that_does_not_fit_is_refused_whatever_the_ending() -> None:
    for name in USUAL:
        message = error_of("text|label\ngood|1\nso|so|1\n", name)
        assert name in message


@pytest.mark.parametrize("name", USUAL)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_named(name: str, encoding: str) -> None:
    content = "text\tlabel\nça va\t1\nbien\t0\n".encode(encoding)
    with pytest.raises(DataError, match=f"^{name} looks like UTF-16 .* --encoding {encoding}"):
        table_of(content, name)
    table = read_table(io.BytesIO(content), name=name, encoding=encoding)
    assert cells(table) == [["ça va", "1"], ["bien", "0"]]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoding_that_is_said_is_used(encoding: str) -> None:
    text = b"wet \xe9t\xe9".decode(encoding, "replace") if "utf" not in encoding else "wet été"
    text = text.replace("\ufffd", "x").replace("\n", "x")
    content = f"text\tlabel\n{text}\t1\n".encode(encoding)
    table = read_table(io.BytesIO(content), name="a.tsv", encoding=encoding.upper())
    assert cells(table) == [[text, "1"]]


def test_what_is_called_latin_1_may_have_the_quotation_marks_of_windows() -> None:
    content = "text,label\n“Née” – well…,1\n".encode("cp1252")
    table = read_table(io.BytesIO(content), name="a.csv", encoding="latin-1")
    assert cells(table) == [["“Née” – well…", "1"]]
    assert table.form == "text in cp1252"


def test_an_encoding_that_is_not_known_or_not_the_files() -> None:
    for encoding in ("klingon", "rot13", "idna", "unicode_escape", "\0"):
        with pytest.raises(DataError, match="is no encoding that is read: latin-1, cp1252"):
            read_table(io.BytesIO(b"text,label\na,1\n"), name="a.csv", encoding=encoding)
    with pytest.raises(
        DataError, match=r"^Line 2 of a\.csv has a byte \(0x81\) that is not cp1252"
    ):
        read_table(io.BytesIO(b"text,label\n\x81,1\n"), name="a.csv", encoding="cp1252")
    marked = "text,label\nçà,1\n".encode("utf-16")  # the mark says more than a person
    assert cells(read_table(io.BytesIO(marked), name="a.csv", encoding="latin-1")) == [["çà", "1"]]


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("version https://git-lfs.example/spec/v1\noid sha256:0\n", "the pointer of Git LFS"),
        ("\ufeff\n<!DOCTYPE html>\n<html>", "is a web page and no data"),
        ("<HTML lang='en'>", "is a web page and no data"),
    ],
)
def test_what_stands_in_the_place_of_a_file_is_named(start: str, said: str) -> None:
    for name in ("a.csv", "a.txt", "a.jsonl", "a.parquet", "a.arrow"):
        assert said in error_of(start, name)


def test_one_column_is_no_data() -> None:
    for name in USUAL:
        assert error_of("text\ngood\n", name).startswith(f"{name} has one column by its first line")
        assert error_of("good film\nbad film\n", name).startswith(f"{name} has one column")


@pytest.mark.parametrize("name", [*USUAL])
@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("form", ["lines", "array"])
def test_json_by_another_name_is_called_so(form: str, indent: int | None, name: str) -> None:
    """The way out is followed: called .json it is read, unless objects go over several lines."""
    rows = [{"text": "It rained, and we left.", "label": n} for n in range(3)]
    content = json.dumps(rows, indent=indent)
    if form == "lines":
        content = "\n".join(json.dumps(row) for row in rows)
    assert error_of(content, name) == f"{name} holds JSON: call it .json."
    assert len(cells(table_of(content, f"{name}.json"))) == 3


def test_texts_in_braces_and_brackets_are_no_json() -> None:
    rows = [['{"a": 1}', "0"], ["[sic]", "1"], ["{}", "0"], ["[1]", "1"]]
    for start in range(4):
        turned = [*rows[start:], *rows[:start]]
        content = "".join("\t".join(row) + "\n" for row in turned)
        assert cells(table_of(content, "a.tsv", header=False)) == turned


@pytest.mark.parametrize("separator", [*NAMES])
def test_a_header_that_lacks_a_name_says_so(separator: str) -> None:
    """As R writes the names of rows."""
    rows = [["text", "label"], *([f"r{n}", f"word{n}", f"{n}"] for n in range(4))]
    name = {"\t": "a.tsv"}.get(separator, "a.csv")
    message = error_of(written(rows, separator), name)
    assert message.startswith(f"Line 2 of {name} has 3 cells where the header has 2: ")
    assert message.endswith(" or the header lacks the name of a column.")
    named = written([["row", *rows[0]], *rows[1:]], separator)
    assert cells(table_of(named, name)) == rows[1:]


@given(
    st.lists(st.tuples(CELL, st.sampled_from(["calm", "loud"])), min_size=2, max_size=9),
    st.sampled_from(list(NAMES)),
    st.sampled_from([*USUAL]),
    st.booleans(),
)
def test_quoted_rows_without_a_header_lose_all_their_quotation_marks(
    rows: list[tuple[str, str]], separator: str, name: str, broken: bool
) -> None:
    """Whatever stands in the first of them: doubled marks, or an end of the line."""
    other = str.maketrans(
        separator + USUAL[name], "  "
    )  # with one in each text, it might part them
    table = [[text.translate(other), label] for text, label in rows]
    table[0][0] = "wet\nand cold" if broken else table[0][0]
    content = written(table, separator, csv.QUOTE_ALL)
    try:
        found = cells(table_of(content, name, header=False))
    except DataError as error:
        assert " have the same number of cells whether " in str(error) or " are one row if " in str(
            error
        )
        return
    assert found == table
