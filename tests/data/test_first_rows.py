"""First rows: which columns look like sentences, like labels, and like names of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.first_rows import ROWS, FirstRows
from bhpvas.data.tables import Piece, Table

WORDS = "the a lamp film rain was is warm dull bright house never again".split()
sentence = st.lists(st.sampled_from(WORDS), min_size=4, max_size=12).map(" ".join)


def column(cells: list) -> FirstRows:
    return FirstRows({"c": cells})


@given(st.lists(sentence, min_size=1, max_size=60, unique=True))
def test_sentences_are_text_and_no_labels(cells: list[str]) -> None:
    assert column(cells).holds_sentences("c")
    assert not column(cells).holds_labels("c")
    assert column([*cells, None, float("nan")]).holds_sentences("c") is False  # nothing is no text


@given(
    st.sampled_from([["0", "1"], ["spam", "ham"], [0, 1, 2], [True, False], ["1.0", "2.0"]]),
    st.integers(1, 200),
)
def test_labels_are_no_sentences(kinds: list, count: int) -> None:
    cells = [kinds[row % len(kinds)] for row in range(count)]
    assert column(cells).holds_labels("c") and not column(cells).holds_sentences("c")


@pytest.mark.parametrize(
    "cells",
    [
        [f"id{row}" for row in range(40)],
        [str(row) for row in range(40)],
        ["0.25", "0.75", "1.0"],
        [0.5, 1.0],
        ["Mon Apr 06 22:19:45 PDT 2009", "Tue Apr 07 22:19:45 PDT 2009"],
        [[0], [1]],
        [{"a": 1}],
        [b"a", b"b"],
        [None, None],
        [],
    ],
    ids=str,
)
def test_what_is_neither(cells: list) -> None:
    holds = column(cells)
    assert not holds.holds_sentences("c")
    assert not holds.holds_labels("c") or cells[0].startswith("Mon")


def test_a_text_that_is_often_repeated() -> None:
    """As passages are of which many questions are asked, and topics of several words are not."""
    passage = "It rained all night and the lamp was never lit again."
    assert column([passage] * 50).holds_sentences("c")
    assert not column(["science and technology", "home and garden"] * 25).holds_sentences("c")


def test_scripts_without_spaces() -> None:
    assert column(["这家酒店的房间很干净", "今天下雨了"]).holds_sentences("c")
    assert column(["部屋はとても静かでした", "もう二度と行きません"]).holds_sentences("c")
    assert not column(["好", "坏"]).holds_sentences("c")


@given(st.permutations(["bad", "so so", "good"]), st.lists(st.integers(0, 2), min_size=4))
def test_names_of_numbers(names: list[str], numbers: list[int]) -> None:
    cells = {"n": numbers, "w": [names[number] for number in numbers]}
    assert FirstRows(cells).names_numbers("w", "n")
    assert not FirstRows(cells).names_numbers("n", "w")
    twice = {"n": [*numbers, 0, 0], "w": [*cells["w"], "odd", "even"]}
    assert not FirstRows(twice).names_numbers("w", "n")
    same = {"n": [*numbers, 3, 4], "w": [*cells["w"], "odd", "odd"]}
    assert not FirstRows(same).names_numbers("w", "n")


def test_no_more_than_the_first_piece_is_read() -> None:
    asked = []

    def read():
        for start in range(3):
            asked.append(start)
            yield Piece(range(2 * ROWS), {"c": ["x"] * (2 * ROWS)})

    found = FirstRows.of(Table("a.csv", ("c",), read))
    assert asked == [0] and len(found.cells["c"]) == ROWS
    assert FirstRows.of(Table("a.csv", ("c",), lambda: iter(()))).cells == {}
