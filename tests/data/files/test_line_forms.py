"""Forms of lines: read where they are unmistakable, and every line of a file has the same."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.files.formats import read_table
from bhpvas.data.files.line_forms import FORMS
from bhpvas.data.tables import Table
from bhpvas.errors import DataError

SENTENCE = st.text(st.sampled_from("ab e.,'@:()_0"), max_size=12).map(
    lambda text: "a" + text.strip() + " b"
)
WORDS = st.lists(st.text("abc.,'", min_size=1, max_size=5), min_size=1, max_size=6)


def table_of(lines: list[str], name: str = "a.txt") -> Table:
    return read_table(io.BytesIO("\n".join(lines).encode()), name=name)


def rows(table: Table) -> list[dict[str, object]]:
    return [
        dict(zip(piece.cells, row, strict=True))
        for piece in table.pieces()
        for row in zip(*piece.cells.values(), strict=True)
    ]


WAYS = {
    "__label__name text": ("__label__{label} {text}", ["pos", "neg", "5"]),
    "LABEL:sub text": ("{label}:sub {text}", ["NUM", "LOC"]),
    "0 text": ("{label} {text}", ["0", "1", "4"]),
    "LABEL text": ("{label} {text}", ["POS", "NEG"]),
    "text@label": ("{text}@{label}", ["positive", "neutral"]),
}


@given(st.data(), st.sampled_from([*WAYS]), st.sampled_from(["a.txt", "a.tsv"]))
def test_a_form_reads_back(data: st.DataObject, looks: str, name: str) -> None:
    written, labels = WAYS[looks]
    texts = data.draw(st.lists(SENTENCE, min_size=2 * len(labels), max_size=8))
    # A comma in each line alike would make cells of them.
    texts = [
        text.replace(",", ";" if "," in texts[0] else ",") + "." * n for n, text in enumerate(texts)
    ]
    texts[0] = re.sub("[,;]", "", texts[0])
    given = [labels[number % len(labels)] for number in range(len(texts))]
    pairs = list(zip(texts, given, strict=True))
    table = table_of([written.format(text=text, label=label) for text, label in pairs], name)
    assert [(row["text"], row["label"]) for row in rows(table)] == pairs
    assert table.form == f"lines of the form {looks!r}"


@st.composite
def trees(draw: st.DrawFn, words: list[str] | None = None) -> tuple[str, list[str]]:
    """A tree over some words, as text."""
    words = words or draw(WORDS)
    label = draw(st.sampled_from("01234"))
    if len(words) == 1:
        return f"({label} {words[0]})", words
    cut = draw(st.integers(1, len(words) - 1))
    (left, _), (right, _) = draw(trees(words[:cut])), draw(trees(words[cut:]))
    return f"({label} {left} {right})", words


@given(st.lists(trees(), min_size=1, max_size=4))
def test_the_root_of_a_tree_is_the_label(found: list[tuple[str, list[str]]]) -> None:
    first = "(3 (2 It) (4 works))"
    table = table_of([first, *(tree for tree, _ in found)])
    assert rows(table)[1:] == [{"label": tree[1], "text": " ".join(words)} for tree, words in found]


@pytest.mark.parametrize(
    "line",
    ["(3 (2 It) (4 works)", "(3 (2 It) (4 works)))", "(3)", "(3 (2 It) works)", "(3 It) (2 is)",
     "(x It)", "3 It", "((3 It))", "(3 (2 It it))", "()"],
)  # fmt: skip
def test_a_tree_that_is_none_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(DataError, match=r"^Line 2 of a\.txt is not of the form"):
        rows(table_of(["(3 (2 It) (4 works))", line]))


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["__label__a good", "no label"], 2),
        (["__label__a good", "__label__b"], 2),
        (["__label__a __label__b good", "__label__b bad"], 1),
        (["__label__a good", "", "__label__a __label__b good"], 3),
    ],
)
def test_lines_of_fasttext_have_one_label_each(lines: list[str], line: int) -> None:
    with pytest.raises(DataError, match=rf"^Line {line} of a\.txt is not of the form '__label__"):
        rows(table_of(lines))


@pytest.mark.parametrize(
    "lines",
    [
        ["1 first", "2 second", "3 third"],  # numbered lines
        ["A film", "A book", "A play"],
        ["ANNA left", "BEN stayed", "CARL ate"],  # as many labels as lines
        ["0 good", "1 bad", "0 fine", "poor"],
        ["write to a@b", "or to c@d", "or to e@b"],
        ["POS good", "POS fine", "POS great"],  # one label
    ],
)
def test_lines_that_may_be_something_else_are_refused(lines: list[str]) -> None:
    with pytest.raises(DataError):
        rows(table_of(lines))


def test_a_header_that_is_said_is_one() -> None:
    lines = ["__label__a\ttext", "__label__b\tgood"]
    content = "\n".join(lines).encode()
    table = read_table(io.BytesIO(content), name="a.tsv", header=True)
    assert table.columns == ("__label__a", "text")


def test_every_form_is_tried() -> None:
    assert {form.looks for form in FORMS} == {*WAYS, "(3 (2 It) (4 works))"}
