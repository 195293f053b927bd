"""Headers by evidence: no row is taken for one, no header for a row, and hints lose nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.dataset import Dataset
from bhpvas.data.files.formats import read_table
from bhpvas.data.reading import read_dataset
from bhpvas.errors import DataError

SENTENCES = (
    "It rained all day.", "The soup was good", "Nobody came to the sale, and we left.", "label",
    "We stayed for hours and hours", "text", "A fine day", "Good", "review", "Not bad at all!",
    "It was a good review", "What a show of class",
)  # fmt: skip
LABELS = (["0", "1"], ["pos", "neg"], ["ham", "spam"], ["1", "2", "3"], ["World", "Sports"])
#: Other columns that such files have, by the number of a row.
OTHERS: tuple[Any, ...] = (
    lambda number: f"gj{number % 3:02}",
    lambda number: str(264_183 + 7 * number),
    lambda number: "*" if number % 4 == 1 else "",
    lambda number: f"eew5j{number}",
    str,
)


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[list[str]], int, int]:
    """Rows without a header, and the places of the text and the label."""
    names = draw(st.sampled_from(LABELS))
    count = draw(st.integers(2 * len(names), 9))
    labels = [names[number % len(names)] for number in range(count)]
    labels = draw(st.permutations(labels))
    texts = draw(st.permutations(SENTENCES))[:count]
    columns = [list(texts), list(labels)]
    for other in draw(st.lists(st.sampled_from(OTHERS), max_size=2)):
        columns.append([other(number) for number in range(count)])
    order = draw(st.permutations(range(len(columns))))
    found = [columns[place] for place in order]
    return [list(row) for row in zip(*found, strict=True)], order.index(0), order.index(1)


FORMS = {"a.tsv": "\t", "a.csv": ",", "a.txt": "\t", "b.csv": ";"}


def written(rows: Sequence[Sequence[str]], separator: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(rows)
    return out.getvalue().encode()


def data_of(content: bytes, name: str, **said: Any) -> Dataset:
    return read_dataset(io.BytesIO(content), name=name, **said)


@given(rows(), st.sampled_from([*FORMS]))
def test_a_file_without_a_header_keeps_its_first_row(
    found: tuple[list[list[str]], int, int], name: str
) -> None:
    rows, text, label = found
    content = written(rows, FORMS[name])
    with pytest.raises(DataError) as error:
        data_of(content, name)
    said = str(error.value)
    assert "\n" not in said
    data = data_of(content, name, header=False, text=str(text + 1), label=str(label + 1))
    assert list(data.texts) == [row[text] for row in rows]
    assert [data.label_names[code] for code in data.labels] == [row[label] for row in rows]
    assert data.lines is not None and list(data.lines) == list(range(1, len(rows) + 1))


@given(
    rows(),
    st.sampled_from([*FORMS]),
    st.sampled_from([("sentence", "label"), ("Text", "Category"), ("review", "sentiment")]),
    st.permutations(["my_id", "quelle", "x 1", "Datum", "2019"]),
)
def test_a_header_is_no_row(
    found: tuple[list[list[str]], int, int], name: str, names: tuple[str, str], more: list[str]
) -> None:
    rows, text, label = found
    header = more[: len(rows[0])]
    header[text], header[label] = names
    content = written([header, *rows], FORMS[name])
    data = data_of(content, name, text=names[0], label=names[1])
    assert list(data.texts) == [row[text] for row in rows]
    assert "header" not in data.provenance.form


@pytest.mark.parametrize(
    ("first", "rows"),
    [
        ("frase\tclase", ["Hace sol.\tpos", "Llueve.\tneg", "Nieva.\tneg", "Bien.\tpos"]),
        ("words\tstars", ["good\t5", "bad\t1"]),
        ("What did you think?\tRate it", ["I liked it.\t5", "I did not.\t1"]),
        ("user_comment\tresult", ["I liked it.\tyes", "I did not.\tno"]),
        ("\t0\t1", ["0\tIt rained.\tneg", "1\tThe sun shone.\tpos"]),
        ("0\t1", ["It rained.\t0", "The sun shone.\t1"]),
    ],
)
def test_headers_of_other_names_are_headers(first: str, rows: list[str]) -> None:
    content = "\n".join([first, *rows]).encode()
    table = read_table(io.BytesIO(content), name="a.tsv")
    assert table.columns == tuple(name for name in first.split("\t") if name)
    assert sum(len(piece.numbers) for piece in table.pieces()) == len(rows)
    assert "row" not in table.form


def test_a_file_of_columns_that_say_nothing_says_what_was_taken() -> None:
    content = b"uno\tdos\nA fine day\tgood\nA wet day\tbad\n"
    assert read_table(io.BytesIO(content), name="a.tsv").form == (
        "its first line taken for the header"
    )


@pytest.mark.parametrize(
    "lines",
    [
        ["label\t1", "good\t0", "fine\t1", "bad\t0"],  # a sentence that is a column's name
        ["It rained.\tfunny", "We left.\tsad", "We ate.\tsad", "We sat.\tsad"],
        ["text\t2019", "It rained.\t2019", "We left.\t2020"],
        ["What do you think of it?\tAnything else?", "I like it\tNo", "I do not\tYes, all of it"],
    ],
)
def test_what_could_be_either_is_asked(lines: list[str]) -> None:
    content = "\n".join(lines).encode()
    with pytest.raises(DataError, match="may have no header") as error:
        read_table(io.BytesIO(content), name="a.tsv")
    assert "say --header, or --no-header and the numbers of the columns, such as --text 1" in str(
        error.value
    )
    for header in (True, False):
        table = read_table(io.BytesIO(content), name="a.tsv", header=header)
        assert sum(len(piece.numbers) for piece in table.pieces()) == len(lines) - header
        assert table.columns == (
            tuple(lines[0].split("\t")) if header else ("column 1", "column 2")
        )


def test_a_refusal_shows_the_columns_with_an_example_and_the_likely_ones() -> None:
    content = "".join(f"a{n % 2}\t{n % 3}\t\tThe weather of day {n} was fine.\n" for n in range(9))
    with pytest.raises(DataError) as error:
        read_table(io.BytesIO(content.encode()), name="days.tsv")
    assert str(error.value) == (
        "days.tsv has no header, its first line is a row (column 1 'a0', column 2 '0', column 3 "
        "empty, column 4 'The weather of day 0 wa…'): say --no-header and the numbers of the "
        "columns, such as --text 4 --label 1 (in the app under Upload, First row and Column names)."
    )


def test_a_second_column_of_sentences_is_said_to_be_one() -> None:
    """The advice is followed to its end."""
    rows = [(f"We ate {n} plums here.", f"Was it {n} or more?", "ny"[n % 2]) for n in range(6)]
    content = "".join("\t".join(row) + "\n" for row in rows)
    with pytest.raises(DataError, match="--text 1 --label 3, with a second text by --pair 2 "):
        read_table(io.BytesIO(content.encode()), name="meals.tsv")
    data = read_dataset(
        io.BytesIO(content.encode()),
        name="meals.tsv",
        header=False,
        text="1",
        label="3",
        pair="2",
    )
    names = [data.label_names[label] for label in data.labels]
    assert [*zip(data.texts, data.pairs or (), names, strict=True)] == rows


def test_a_word_that_reads_as_a_name_but_stands_in_every_row_is_none() -> None:
    lines = [f'"{n % 2}","{n}","NO_QUERY","It rained on day {n}."' for n in range(6)]
    with pytest.raises(DataError, match=r"has no header.* --text 4 --label 1 "):
        read_table(io.BytesIO("\n".join(lines).encode()), name="a.csv")


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet", "a.arrow"])
def test_formats_that_name_their_columns_have_a_header(name: str) -> None:
    with pytest.raises(DataError, match=f"^{name} names its columns itself: leave out --no-header"):
        read_table(io.BytesIO(b"{}"), name=name, header=False)
