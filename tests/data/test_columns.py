"""Columns guessed by their names and first rows, chosen by hand, asked for, or missing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.columns import LIKELY_PAIRS, PAIR_COLUMNS, Columns, guess_columns
from bhpvas.data.first_rows import FirstRows
from bhpvas.data.reading import read_dataset
from bhpvas.errors import DataError
from tests.data.csv_files import csv_file, error_of, read


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
        ("label label_desc sentence", ("sentence", None, "label")),
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
    assert error_of("text,colour", "good,1").startswith("No column of a.csv is named like a label")
    assert error_of("text,label", "good,1", text="Review") == (
        "a.csv has no column 'Review': it has text, label."
    )


# What a column of each kind has in its first rows.
SENTENCES = ["Mix the flour and water.", "The old bank is shut today.", "It rained all night long."]
KINDS = {
    "text": SENTENCES,
    "words": ["bread", "bank", "rain"],
    "few": ["1", "0", "1"],
    "names": ["good", "bad", "good"],
    "shares": ["0.25", "0.75", "1.0"],
    "dates": ["2020-04-06 22:19:45", "2021-01-01 00:00:00", "2022-02-02 11:11:11"],
}


def table(**kinds: str) -> list[str]:
    """Lines of a file whose columns hold what their kind says; _ stands for a space."""
    cells = [KINDS[kind] for kind in kinds.values()]
    header = ",".join(name.replace("__", " ") for name in kinds)
    return [header, *(",".join(row) for row in zip(*cells, strict=True))]


@pytest.mark.parametrize(
    "name",
    "review_body comment_text tweet message body Review__Text review-text reviewText Comments "
    "clean_tweet full_text headline question Post statement sms description".split(),
)
@pytest.mark.parametrize(
    "label",
    "stars star_rating rating score airline_sentiment stance y overall true_label Class Verdict "
    "entailment_judgment".split(),
)
def test_common_names(name: str, label: str) -> None:
    data = read(*table(id="words", **{name: "text"}, date="dates", **{label: "few"}))
    assert data.texts == tuple(SENTENCES)
    assert data.label_names == ("0", "1") and data.provenance.notes == ()
    assert data.provenance.label == label.replace("__", " ")


@pytest.mark.parametrize("names", [*PAIR_COLUMNS, *LIKELY_PAIRS], ids=" + ".join)
@pytest.mark.parametrize("form", [" ", "_", "-", "title"])
def test_pairs_by_their_names(names: tuple[str, str], form: str) -> None:
    first, second = (name.title() if form == "title" else name.replace(" ", form) for name in names)
    header = f"{second},{first},label"
    data = read(header, *(f"{one},{one} So,{n}" for n, one in enumerate(SENTENCES)))
    assert (data.provenance.text, data.provenance.pair) == (first, second)
    assert data.texts == tuple(f"{one} So" for one in SENTENCES) and data.pairs == tuple(SENTENCES)
    assert len(data.provenance.notes) == (names in LIKELY_PAIRS)


@pytest.mark.parametrize(
    ("first", "second"),
    [("comment_a", "comment_b"), ("s1", "s2"), ("first_tweet", "second_tweet"), ("v1", "v2")],
)
def test_columns_that_differ_by_a_half_are_a_pair_if_both_hold_sentences(
    first: str, second: str
) -> None:
    data = read(*table(**{second: "text", first: "text"}, label="few"))
    assert (data.provenance.text, data.provenance.pair) == (first, second)
    assert data.provenance.notes == (
        f'The columns {first} and {second} are read as pairs; --pair "" reads the first alone.',
    )
    alone = read(*table(**{first: "text", second: "few"}, label="few"), text=first)
    assert alone.pairs is None


@pytest.mark.parametrize(
    "names",
    [
        ("headline", "body"),
        ("title", "Review__Text"),
        ("review_title", "review_body"),
        ("text", "target_text"),
        ("premise", "claim_text"),
        ("question", "choice"),
        ("sentence", "context"),
        ("tweet", "reply"),
        ("query", "snippet"),
        ("hypothesis", "source_text"),
        ("text", "tweet"),
        ("title", "abstract"),
        ("news__headline", "lead"),
    ],
)
def test_two_columns_of_sentences_that_could_be_a_pair_are_asked_for(
    names: tuple[str, str],
) -> None:
    """Never the one without the other, and without a word."""
    lines = table(**dict.fromkeys(names, "text"), label="few")
    message = error_of(*lines)
    for name in names:
        name = name.replace("__", " ")
        assert f"{name} ('Mix the flour and water.')" in message
    assert "--pair" in message and "--text" in message
    one, other = (name.replace("__", " ") for name in names)
    both = read(*lines, text=one, pair=other)
    assert (both.provenance.text, both.provenance.pair) == (one, other)
    assert both.provenance.notes == ()
    alone = read(*lines, text=one, pair="")
    assert alone.pairs is None and alone.provenance.notes == ()


@pytest.mark.parametrize(
    "further", ["title", "summary", "parent_comment", "Location__of__the__author"]
)
def test_a_further_column_of_sentences_is_said(further: str) -> None:
    data = read(*table(**{further: "text"}, content="text", label="few"))
    name = further.replace("__", " ")
    assert data.provenance.text == "content"
    assert data.provenance.notes == (
        f"The text is the column content, and not {name}, which may be text, too.",
    )


@pytest.mark.parametrize("kind", ["words", "few", "names", "shares", "dates"])
def test_a_column_that_holds_no_sentences_is_no_text(kind: str) -> None:
    for name in ("title", "question", "reply", "body"):
        found = read(*table(**{name: kind}, review_text="text", label="few")).provenance
        assert (found.text, found.pair) == ("review_text", None)


@pytest.mark.parametrize(
    "names",
    [("category", "sentiment"), ("target", "stance"), ("label", "gold_label"), ("stars", "score")],
)
def test_two_columns_of_labels_are_asked_for(names: tuple[str, str]) -> None:
    lines = table(text="text", **dict.fromkeys(names, "few"))
    assert error_of(*lines) == (
        f"Several columns of a.csv could be the label: {names[0]} ('1'), {names[1]} ('1'): name it "
        "by --label, or in the app under Upload, Column names."
    )
    for name in names:
        assert read(*lines, label=name).provenance.notes == ()
        other = names[name == names[0]]
        shares = table(text="text", **{name: "few", other: "shares"})
        found = read(*shares).provenance
        assert found.label == name
        assert found.notes == ()


def test_a_label_that_says_so_wins_and_the_others_are_said() -> None:
    found = read(*table(text="text", stars="few", label="names", Topic="few")).provenance
    assert found.label == "label"
    assert found.notes == ("The label is the column label, and not stars, which may be one, too.",)


def test_names_of_numbers_are_neither_text_nor_label() -> None:
    lines = table(label_text="names", label="few", text="text")
    assert guess_columns(lines[0].split(","), rows=FirstRows(read_rows(lines))) == Columns(
        "text", "label", names="label_text"
    )
    lines = table(SentimentText="text", Sentiment="few")
    found = guess_columns(lines[0].split(","), rows=FirstRows(read_rows(lines)))
    assert found == Columns("SentimentText", "Sentiment")


def read_rows(lines: list[str]) -> dict[str, list[str]]:
    header, *rows = (line.split(",") for line in lines)
    return {name: list(cells) for name, *cells in zip(header, *rows, strict=True)}


def test_a_column_that_is_needed_is_in_the_list_however_long_it_is() -> None:
    for count in (13, 59, 500):
        names = [f"c{number}" for number in range(count)]
        header = ",".join([*names, "written", "mark"])
        rows = [
            ",".join([*["0.5"] * count, text, mark])
            for text, mark in zip(SENTENCES, "101", strict=True)
        ]
        message = error_of(header, *rows)
        assert "written" in message.partition("most likely")[0]
        assert "most likely written ('Mix the flour and water.')" in message
        assert "mark" in error_of(header, *rows, text="written").partition("most likely")[0]
        assert "written" in error_of(header, *rows, text="Writ").partition("; ")[0]


def test_a_file_whose_rows_are_damaged_says_where_not_which_column() -> None:
    assert error_of("words,marks", "a,b,c").startswith("No column of a.csv is named like a text")
    assert error_of("text,label", "a,b,c").startswith("Line 2 of a.csv has 3 cells where")


def test_a_chosen_column_may_be_written_with_other_separators() -> None:
    lines = table(Review__Text="text", Recommended__IND="few")
    data = read_dataset(csv_file(*lines), name="a.csv", text="review_text", label="recommended-ind")
    assert data.provenance.text == "Review Text" and data.provenance.label == "Recommended IND"


def test_one_column_cannot_be_two_things() -> None:
    for roles in (("text", "label"), ("text", "pair"), ("label", "tag")):
        message = error_of("text,label,x", "a,1,b", **dict.fromkeys(roles, "X"))
        named = ", ".join(sorted(roles))
        assert (
            message == f"The column 'X' of a.csv is named as {named}: it can be one of them alone."
        )


def test_a_text_without_words_is_said() -> None:
    data = read("text,label", "1,0", "2.5,1", "17,0")
    assert data.provenance.notes == ("The column text of the text holds no words.",)
    assert read("text,label", "1,0", "二,1").provenance.notes == ()


def test_words_that_go_with_the_numbers_of_the_label_name_them() -> None:
    """As of words that somebody numbered, in whatever order; of a few rows that may be chance."""
    words = ["positive", "negative", "neutral"]
    lines = [f"row {row},{row % 3},{words[row % 3]},{row % 2}" for row in range(30)]
    data = read("text,label,sentiment,category", *lines)
    assert data.label_names == tuple(words) and data.numbered
    assert data.aligned(("Negative", "Neutral", "Positive")).labels[:3].tolist() == [2, 0, 1]
    assert data.provenance.notes == (
        "The label is the column label, and not category, which may be one, too.",
        "The column sentiment names the numbers in label.",
    )
    few = read("text,label,sentiment,category", *lines[:9])
    assert few.label_names == ("0", "1", "2")
    apart = read("text,label,sentiment,category", *lines, "row,0,negative,0")
    assert apart.label_names == ("0", "1", "2")
    sorted_ = read(
        "text,label,sentiment", *(f"a,0,{words[n % 2]}" for n in range(30)), "b,1,neutral"
    )
    assert sorted_.label_names == ("0", "1")


NAMES = [
    *"text label title body question answer premise hypo sentence1 sentence_2 Text y".split(),
    *"label_text Review__Text stars category v1 v2 context column__4 split tag reply id".split(),
]
CHOICES = st.one_of(st.none(), st.sampled_from(["", *NAMES]))


@given(
    st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    st.data(),
    st.fixed_dictionaries(dict.fromkeys(("text", "pair", "label", "tag"), CHOICES)),
)
def test_any_columns_are_found_or_asked_for_in_one_sentence(
    header: list[str], data: st.DataObject, choice: dict[str, str | None]
) -> None:
    """And none that holds sentences is left without a word."""
    kinds = {name: data.draw(st.sampled_from([*KINDS])) for name in header}
    rows = FirstRows({name: KINDS[kind] for name, kind in kinds.items()})
    try:
        found = guess_columns(header, rows=rows, name="a.csv", **choice)
    except DataError as error:
        message = str(error)
        assert "a.csv" in message and message.endswith(".") and "\n" not in message
        assert len(message) < 1_500
        return
    used = found.used()
    assert len({*used}) == len(used)
    for role in ("text", "pair", "label", "tag"):
        if choice[role]:
            assert getattr(found, role).casefold() == choice[role].casefold()
    left = [name for name in header if kinds[name] == "text" and name not in used]
    if choice["pair"] is None:
        for name in left:
            known = name.casefold() in ("label", "stars", "category", "y")
            assert known or any(name in note for note in found.notes), found


@pytest.mark.parametrize("answers", [("accept",), ("accept", "reject"), ("accept", "ignore")])
def test_rows_that_an_annotator_rejected_are_said(answers: tuple[str, ...]) -> None:
    """As Prodigy exports them."""
    lines = [f"Tea number {n},{'hot' if n % 3 else 'cold'},{answers[-(n % 2)]}" for n in range(9)]
    notes = read("text,label,answer", *lines).provenance.notes
    said = "The column answer accepts some rows and not others, which are read alike: "
    assert any(note.startswith(said) for note in notes) == (len(answers) > 1)


@pytest.mark.parametrize("nested", [[["ok"], ["no"], ["ok", "no"]], [{"a": 1}, {"a": 2}, {"a": 3}]])
@pytest.mark.parametrize("ending", ["jsonl", "parquet", "arrow"])
def test_columns_that_are_not_read_are_named(
    nested: list[object], ending: str, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"text": ["Tea.", "Milk.", "Cocoa."], "spans": nested})
    path = tmp_path / f"a.{ending}"
    if ending == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        {"parquet": frame.to_parquet, "arrow": frame.to_feather}[ending](path)
    holds = "spans holds lists or objects, of which each value that is needed has to be a column"
    for choice in ({}, {"label": "topic"}):
        with pytest.raises(DataError) as caught:
            read_dataset(path, **choice)
        assert holds in str(caught.value)


def test_a_text_of_nothing_is_not_replaced_without_a_word() -> None:
    lines = [f",{n % 2}" for n in range(6)]
    assert error_of("text,label", *lines).startswith("Line 2 of a.csv has no sentence")
    lines = [f",{n % 2},It is the {n} of May." for n in range(6)]
    (note,) = read("text,label,comment", *lines).provenance.notes
    assert note == "The text is the column comment, and not text, which may be text, too."
