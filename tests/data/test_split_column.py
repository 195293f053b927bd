"""A column that names parts is used to measure on one of them and to learn from another."""

from __future__ import annotations

import io

import numpy as np
import pytest

from bhpvas.data import text_store
from bhpvas.data.dataset import Dataset
from bhpvas.data.parts import CALIBRATION_PARTS, EVALUATION_PARTS
from bhpvas.data.provenance import Provenance
from bhpvas.data.reading import read_dataset, read_splits
from bhpvas.data.text_store import Texts
from bhpvas.storage.paths import sample_data_folder
from tests.data.csv_files import csv_file, error_of, read

ROWS = {"train": "aAbB", "dev": "cC", "test": "dDe"}


def lines(column: str = "split", **spelled: str) -> list[str]:
    """A table of letters, those in capitals positive, by part; a part may be spelled otherwise."""
    rows = [
        f"{letter},{int(letter.isupper())},{spelled.get(part, part)}"
        for part, letters in ROWS.items()
        for letter in letters
    ]
    return [f"text,label,{column}", *rows]


def of(source: list[str], **how: object) -> tuple[str, str | None, str | None]:
    """The texts that are read, the column of the split, and the part."""
    data = read_dataset(csv_file(*source), name="a.csv", **how)  # type: ignore[arg-type]
    return "".join(data.texts), data.provenance.split, data.provenance.part


@pytest.mark.parametrize(
    "column", ["split", "Split", "part", "partition", "set", "subset", "fold", "data_split"]
)
def test_a_column_of_parts_is_used(column: str) -> None:
    assert of(lines(column)) == ("dDe", column, "test")
    assert of(lines(column), part="calibration") == ("aAbB", column, "train")
    assert of(lines(column), split="")[0] == "aAbBcCdDe"
    data = read(*lines(column))
    assert (data.name, data.provenance.notes) == ("a.csv · evaluation", ())
    assert data.place(0) == "Line 8 of a.csv" and column not in data.groups
    assert read(*lines(column), split="").groups[column] == (
        *["train"] * 4,
        *["dev"] * 2,
        *["test"] * 3,
    )


@pytest.mark.parametrize("learn", CALIBRATION_PARTS)
@pytest.mark.parametrize("measure", EVALUATION_PARTS)
@pytest.mark.parametrize("spell", [str.title, str.upper, "{} set".format, " {}".format])
def test_parts_are_known_however_they_are_written(learn, measure, spell) -> None:
    source = lines("part", train=spell(learn), test=spell(measure), dev=spell(learn))
    assert of(source) == ("dDe", "part", spell(measure).strip())
    assert of(source, part="calibration") == ("aAbBcC", "part", spell(learn).strip())


def test_parts_of_a_file_are_those_of_its_splits() -> None:
    source = lines()
    splits = read_splits(csv_file(*source), name="a.csv")
    for name in ("calibration", "evaluation"):
        alone = read_dataset(csv_file(*source), name="a.csv", part=name)
        both = getattr(splits, name)
        assert (alone.identity, alone.lines.tolist()) == (both.identity, both.lines.tolist())


def test_the_sample_file_is_measured_on_its_evaluation_part() -> None:
    file = sample_data_folder() / "sentences.tsv"
    assert len(read_dataset(file)) == 480
    assert len(read_dataset(file, part="calibration")) == 240
    assert len(read_dataset(file, split="")) == 720
    assert not {*read_dataset(file).texts} & {*read_dataset(file, part="calibration").texts}


# --- columns that are none


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("part", ["Part I", "Part II", "Training"], False),
        ("set", ["test", "crockery"], False),
        ("fold", ["0", "1", "2"], False),
        ("split", ["0", "1", "2"], True),
        ("split", [""], True),
    ],
)
def test_a_column_of_something_else_groups_and_the_file_is_read_whole(
    column: str, values: list[str], said: bool
) -> None:
    rows = [f"row {n},{n % 2},{values[n % len(values)]}" for n in range(6)]
    data = read(f"text,label,{column}", *rows)
    assert len(data) == 6 and (data.provenance.split, data.provenance.part) == (None, None)
    groups = tuple(values[n % len(values)] for n in range(6))
    assert data.groups == ({column: groups} if len(values) > 1 else {})
    assert [f"The column {column} is not" in note for note in data.provenance.notes] == [
        True
    ] * said
    splits = read_splits(csv_file(f"text,label,{column}", *rows), name="a.csv")
    assert splits.made == "stratified split, seed 0, one third calibration"


def test_what_comes_after_the_first_rows_counts_too() -> None:
    rows = [f"row {n},{n % 2},{'test' if n < 5000 else 'The end'}" for n in range(5001)]
    data = read("text,label,part", *rows)
    assert len(data) == 5001 and set(data.groups["part"]) == {"test", "The end"}
    assert data.provenance.notes == (
        "The column part is not used as a split: it holds more than names of parts (test, The "
        "end).",
    )


def test_a_split_of_a_thousand_values_is_none() -> None:
    data = read("text,label,split", *(f"{n},{n % 2},{n}" for n in range(1000)))
    assert len(data) == 1000 and data.groups == {}


def test_of_two_columns_the_one_that_names_parts_is_the_split() -> None:
    source = [f"{row},{number % 3}" for number, row in enumerate(lines("partition"))]
    source[0] = "text,label,partition,split"
    assert of(source) == ("dDe", "partition", "test")


# --- a column that is named


def test_a_column_may_be_named() -> None:
    assert of(lines("use"))[1:] == (None, None)
    assert of(lines("use"), split="Use") == ("dDe", "use", "test")
    said = error_of("text,label,use", "a,0,x", "b,1,y", split="use")
    assert said.startswith("The column use of a.csv has the parts x, y, none of which bhpvas knows")
    assert error_of(*lines(), split="use").startswith("a.csv has no column 'use'")


# --- parts that are missing


def test_a_file_in_one_part_is_read_whole_for_everything() -> None:
    source = [lines()[0], *(row for row in lines() if row.endswith(",train"))]
    for part in ("calibration", "evaluation"):
        assert of(source, part=part) == ("aAbB", "split", "train")
    assert read(*source).name == "a.csv" and read(*source).provenance.notes == ()


def test_a_file_without_a_part_of_the_purpose_is_read_whole_and_says_so() -> None:
    assert of(lines(train="spare")) == ("dDe", "split", "test")
    learnt = read_dataset(csv_file(*lines(train="spare")), name="a.csv", part="calibration")
    assert len(learnt) == 9 and learnt.provenance.part is None
    assert learnt.provenance.notes == (
        "The column split names no part to learn from (dev, spare, test): all rows are read "
        "together.",
    )
    measured = read(*lines(test="spare", dev="other"))
    assert len(measured) == 9
    assert "no part to measure on" in measured.provenance.notes[0]


@pytest.mark.parametrize("mark", ["", "-1"])
def test_a_part_without_labels_measures_nothing(mark: str) -> None:
    source = [
        ",".join([row.split(",")[0], mark, "test"]) if row.endswith("test") else row
        for row in lines()
    ]
    assert of(source) == ("cC", "split", "dev")
    data = read(*source)
    assert data.label_names == ("0", "1")
    assert data.provenance.notes == ("The part test gives no labels.",)
    assert data.provenance.left_out == {}
    splits = read_splits(csv_file(*source), name="a.csv")
    assert splits.made == "train → calibration, dev → evaluation"
    skipped = read(*source, skip_unlabelled=True)
    assert (skipped.identity, skipped.provenance.part) == (data.identity, "dev")
    further = [*source, f"g,{mark},eval", f"h,{mark},evaluation"]
    assert read(*further).provenance.notes == ("The parts evaluation, test give no labels.",)
    only = [row for row in source if not row.endswith("dev")]
    assert of(only) == ("aAbB", "split", "train")
    assert read(*only).provenance.left_out == {"without a label": 3}


def test_a_row_without_a_label_in_a_part_that_has_some_is_refused_or_left_out() -> None:
    source = [*lines(), "f,,test", "g,,train", "h,,dev"]
    assert error_of(*source).startswith("Line 11 of a.csv has no label, the first of 3 such rows")
    data = read(*source, skip_unlabelled=True)
    assert (data.texts, data.provenance.left_out) == (("d", "D", "e"), {"without a label": 1})


def test_a_part_whose_minus_one_is_a_class_is_measured() -> None:
    rows = [f"{n},{n % 3 - 1},{'train' if n < 6 else 'test'}" for n in range(12)]
    data = read("text,label,split", *rows, labels_from=-1)
    assert data.aligned(("bad", "so so", "good")).labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_names_of_labels_beside_their_numbers_in_a_part_that_has_none() -> None:
    rows = [
        f"row {n},{n % 2},{('bad', 'good')[n % 2]},{'train' if n % 3 else 'dev'}" for n in range(40)
    ]
    data = read("text,label,label_text,split", *rows, "row,-1,,test", "rows,-1,,test")
    assert (data.label_names, len(data), data.provenance.part) == (("bad", "good"), 14, "dev")


# --- pairs, and what is large


def test_pairs_have_parts() -> None:
    source = [row.replace(",", f",other {n},", 1) for n, row in enumerate(lines())]
    data = read(source[0].replace("other 0", "text_b").replace("text", "text_a", 1), *source[1:])
    assert (data.texts, data.pairs) == (("d", "D", "e"), ("other 7", "other 8", "other 9"))


def test_a_large_train_part_is_drawn_from_where_it_is_said() -> None:
    rows = [f"s{n},{n % 2},{'train' if n < 300 else 'test'}" for n in range(320)]
    file = "\n".join(["text,label,split", *rows]).encode()

    def learnt(sentences: int | None) -> Dataset:
        return read_dataset(io.BytesIO(file), name="a.csv", part="calibration", sentences=sentences)

    splits = read_splits(io.BytesIO(file), name="a.csv", sentences=50)
    assert np.bincount(learnt(50).labels).tolist() == [25, 25]
    assert learnt(50).texts == splits.calibration.texts
    drawn = "Of 300 sentences, 50 are drawn to learn from, seed 0."
    assert learnt(50).provenance.notes[-1] == drawn == splits.calibration.provenance.notes[-1]
    assert drawn not in learnt(300).provenance.notes
    assert len(learnt(None)) == len(learnt(300)) == 300


def test_a_part_of_a_file_larger_than_the_memory_stays_on_disk(monkeypatch) -> None:
    few = read(*lines())
    monkeypatch.setattr(text_store, "IN_MEMORY", 1)
    many = read(*lines())
    assert isinstance(many.texts, Texts) and many.identity == few.identity


def test_how_it_was_read_is_all_that_differs_from_a_file_of_the_part_alone() -> None:
    part, alone = read(*lines()), read("text,label", "d,0", "D,1", "e,0")
    assert part.fingerprint == alone.fingerprint
    assert part.provenance == Provenance("text", None, "label", split="split", part="test")


@pytest.mark.parametrize(
    ("column", "values"),
    [("purpose", ["train", "test"]), ("set", ["Train", "Dev", "unused"]), ("phase", ["train"])],
)
def test_a_column_that_may_be_a_split_and_is_not_used_is_said(
    column: str, values: list[str]
) -> None:
    rows = [f"row {n},{n % 2},{values[n % len(values)]}" for n in range(6)]
    data = read(f"text,label,{column}", *rows)
    assert len(data) == 6
    assert data.provenance.notes == (
        f"The column {column} is not used as a split, and holds names of parts "
        f"({', '.join(values)}): --split {column} uses it.",
    )
    assert read(f"text,label,{column}", *rows, split="").provenance.notes == ()
    part = read(f"text,label,{column}", *rows, split=column).provenance.part
    assert part == (values[1] if len(values) > 1 else "train")
