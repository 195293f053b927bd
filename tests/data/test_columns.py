"""Columns guessed by their names, chosen by hand, or missing."""

from __future__ import annotations

import pandas as pd
import pytest

from bhpvas.data.columns import Columns, guess_columns
from tests.data.csv_files import error_of


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("sentence label", ("sentence", None, "label")),
        ("Label TEXT", ("TEXT", None, "Label")),
        ("idx sentence1 sentence2 gold_label", ("sentence1", "sentence2", "gold_label")),
        ("question sentence label", ("question", "sentence", "label")),
        ("premise hypothesis label", ("premise", "hypothesis", "label")),
        (
            "id qid1 qid2 question1 question2 is_duplicate",
            ("question1", "question2", "is_duplicate"),
        ),
        ("sentence1 label", ("sentence1", None, "label")),
        ("title content label", ("content", None, "label")),
        ("review sentiment", ("review", None, "sentiment")),
        ("label text label_text", ("text", None, "label")),
    ],
)
def test_guessed_columns(header: str, expected: tuple[str, str | None, str]) -> None:
    columns = guess_columns(pd.DataFrame(columns=header.split()))
    assert (columns.text, columns.pair, columns.label) == expected


def test_glue_mrpc_header() -> None:
    header = ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]
    assert guess_columns(pd.DataFrame(columns=header)) == Columns(
        "#1 String", "Quality", "#2 String"
    )


def test_a_chosen_column_is_taken_and_not_guessed_again() -> None:
    frame = pd.DataFrame(columns=["text", "label", "stars", "Summary", "split", "tag"])
    assert guess_columns(frame, text="summary", label="stars") == Columns(
        "Summary", "stars", None, "tag", "split"
    )
    assert guess_columns(frame, tag="text", text="Summary").tag == "text"
    assert guess_columns(frame, split="", tag="") == Columns("text", "label")


def test_no_pair_and_a_pair_can_be_chosen() -> None:
    frame = pd.DataFrame(columns=["sentence1", "sentence2", "other", "label"])
    assert guess_columns(frame).pair == "sentence2"
    assert guess_columns(frame, pair="") == Columns("sentence1", "label")
    assert guess_columns(frame, pair="other") == Columns("sentence1", "label", "other")
    assert guess_columns(frame, text="other") == Columns("other", "label")
    assert guess_columns(frame, text="sentence1").pair == "sentence2"


def test_capitals_decide_where_names_differ_only_by_them() -> None:
    frame = pd.DataFrame(columns=["Text", "text", "label"])
    assert guess_columns(frame).text == "text"
    assert guess_columns(frame, text="Text").text == "Text"


def test_columns_that_are_not_there() -> None:
    assert error_of("words,label", "good,1") == (
        "No column of a.csv is named like a text column (it has words, label): name it, by --text "
        "on the command line or in the app under Upload, Column names."
    )
    assert error_of("text,stars", "good,1").startswith("No column of a.csv is named like a label")
    assert error_of("text,label", "good,1", text="Review") == (
        "a.csv has no column 'Review': it has text, label."
    )
