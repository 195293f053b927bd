"""Cells as sentences, labels and groups, and one sentence for every mistake in them."""

from __future__ import annotations

import io
import json
from itertools import product
from pathlib import Path

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhpvas.data.cells import MAX_CHARACTERS
from bhpvas.data.reading import read_dataset
from bhpvas.errors import DataError
from tests.data.csv_files import csv_file, error_of, read


def test_sentences_stay_as_they_are_but_for_the_space_around_them() -> None:
    data = read("text,label", "  Two  spaces , ,1".replace(" , ,", " ,"), "NA,0", '"a\nb",0')
    assert data.texts == ("Two  spaces", "NA", "a\nb")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["0", "1"], ("0", "1")),
        (["10", "9", "9"], ("9", "10")),
        (["positive", "Negative"], ("Negative", "positive")),
        (["-1", "1", "0"], ("-1", "0", "1")),
        ([True, False], ("false", "true")),
        ([1.0, 0, "2"], ("0", "1", "2")),
        (["NA", "null"], ("NA", "null")),
    ],
)
def test_label_names_are_those_of_the_file_in_order(
    labels: list[object], names: tuple[str, ...]
) -> None:
    lines = [json.dumps({"text": "x", "label": label}) for label in labels]
    data = read_dataset(csv_file(*lines), name="a.jsonl")
    assert data.label_names == names
    written = [str(v).lower() if isinstance(v, bool) else str(v).removesuffix(".0") for v in labels]
    assert [data.label_names[label] for label in data.labels] == written


def test_missing_cells_name_their_line() -> None:
    assert error_of("text,label", "good,1", " ,0").startswith("Line 3 of a.csv has no sentence")
    assert error_of("text,label", "", "good,").startswith("Line 3 of a.csv has no label")
    assert error_of("text1,text2,label", "a,,1").startswith("Line 2 of a.csv has no sentence")
    lines = ['{"text": "good", "label": 1}', '{"text": "bad"}']
    with pytest.raises(DataError, match=r"^Line 2 of a\.jsonl has no label"):
        read_dataset(csv_file(*lines), name="a.jsonl")


def test_parquet_counts_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["good", None], "label": [1, 0]})
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"^Row 2 of a\.parquet has no sentence"):
        read_dataset(tmp_path / "a.parquet")


@pytest.mark.parametrize("label", ["3.7", "[1]", '{"a": 1}'])
def test_a_label_that_is_no_class(label: str) -> None:
    lines = ['{"text": "good", "label": 1}', f'{{"text": "bad", "label": {label}}}']
    with pytest.raises(DataError, match=r"^Line 2 of a\.jsonl has the label .*names no class"):
        read_dataset(csv_file(*lines), name="a.jsonl")


@pytest.mark.parametrize("text", ["3", '["a", "b"]'])
def test_a_sentence_that_is_no_text(text: str) -> None:
    line = f'{{"text": {text}, "label": 1}}'
    with pytest.raises(DataError, match=r"^Line 1 of a\.jsonl has .* where a sentence should be"):
        read_dataset(csv_file(line), name="a.jsonl")


def test_half_a_character_beside_the_text_becomes_a_mark() -> None:
    rows = [
        {
            "text": f"t{row}",
            "label": f"l{row % 2}\ud83d",
            "tag": "\ud83d",
            "g\ud83d": f"{row % 2}\udc00",
        }
        for row in range(4)
    ]
    lines = "\n".join(map(json.dumps, rows)).encode()
    data = read_dataset(io.BytesIO(lines), name="a.jsonl")
    assert data.label_names == ("l0\ufffd", "l1\ufffd") and data.tags == ("\ufffd",) * 4
    assert data.groups == {"g\ufffd": ("0\ufffd", "1\ufffd") * 2}


def test_half_a_character_is_refused() -> None:
    with pytest.raises(DataError, match=r"^Line 1 of a\.jsonl has half of a two-part character"):
        read_dataset(csv_file('{"text": "so \\ud83d good", "label": 1}'), name="a.jsonl")
    lines = ['{"text": "\\ud83d\\ude00", "label": 1}', '{"text": "sad", "label": 0}']
    assert read_dataset(csv_file(*lines), name="a.jsonl").texts[0] == "😀"


def test_a_sentence_of_100_000_characters() -> None:
    assert error_of("text,label", "good,1", "x" * 100_000 + ",0").startswith(
        "Line 3 of a.csv has a sentence of 100,000 characters, and at most 20,000 are read"
    )
    assert len(read("text,label", "x" * MAX_CHARACTERS + ",0", "y,1")) == 2


def test_one_label_only() -> None:
    assert error_of("text,label", "good,1", "fine,1").startswith("a.csv has only the label '1'")


def test_withheld_labels() -> None:
    message = error_of("sentence,label", "good,-1", "fine,-1")
    assert message.startswith("Every label of a.csv is -1 or missing, as GLUE writes where")


def test_further_columns_with_a_few_values_are_kept_as_groups(tmp_path):
    rows = "".join(
        f"text {row}\t{row % 2}\t{row % 3}\t{'' if row == 4 else 'abc'[row % 3]}\t{row}\tone\n"
        for row in range(60)
    )
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\tstars\tletter\tid\tsame\n" + rows, encoding="utf-8")
    data = read_dataset(path)
    assert list(data.groups) == ["stars", "letter"]
    assert data.groups["stars"][:4] == ("0", "1", "2", "0")
    assert data.groups["letter"][3:6] == ("a", "none", "c")
    part = data.take([5, 4])
    assert part.groups == {"stars": ("2", "1"), "letter": ("c", "none")}


# --- names of labels


def parquet(folder: Path, cells: dict[str, list], **names: list[str]) -> Path:
    """A Parquet file as the package ``datasets`` writes it, with the names of some columns."""
    features = {
        column: datasets.ClassLabel(names=names[column])
        if column in names
        else datasets.Value("int64" if isinstance(values[0], int) else "string")
        for column, values in cells.items()
    }
    made = datasets.Dataset.from_dict(cells, features=datasets.Features(features))
    made.to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


@settings(max_examples=20)
@given(data=st.data())
def test_names_in_the_metadata_of_a_file_are_the_labels(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    classes = ["positive", "negative", "neutral", "mixed"]
    order = data.draw(st.permutations(classes))
    numbers = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=9))
    cells = {"text": [f"text {row}" for row in range(len(numbers))], "label": numbers}
    found = read_dataset(parquet(tmp_path_factory.mktemp("named"), cells, label=order))
    assert found.numbered and found.label_names == tuple(order)
    model = data.draw(st.permutations(classes))
    aligned = found.aligned([name.upper() for name in model])
    assert [model[label] for label in aligned.labels] == [order[number] for number in numbers]
    assert aligned.provenance.matched == "name"
    unnamed = found.aligned([f"LABEL_{number}" for number in range(4)])
    assert unnamed.labels.tolist() == numbers and unnamed.provenance.matched == "order"


def test_a_column_of_names_beside_numbers_counts_as_names() -> None:
    lines = ["text,label,label_text", "a,2,good", "b,0,bad", "c,2,good", "d,0,bad"]
    data = read(*lines)
    assert data.numbered and data.label_names == ("bad", "LABEL_1", "good")
    assert data.aligned(("Good", "Bad")).labels.tolist() == [0, 1, 0, 1]
    assert data.aligned(("LABEL_0", "LABEL_1", "LABEL_2")).labels.tolist() == [2, 0, 2, 0]
    assert not data.groups
    assert data.provenance.notes == ("The column label_text names the numbers in label.",)
    with pytest.raises(
        DataError, match=r"'good', which the model does not know: .* say --labels-from 0"
    ):
        data.aligned(("yes", "no"))
    numbers = read(*lines, labels_from=0).aligned(("x", "y", "z"))
    assert numbers.labels.tolist() == [2, 0, 2, 0]
    assert numbers.provenance.notes == ("The labels count from 0: 0 is the model's 'x'.",)
    words = read(*lines, label="label_text")
    assert not words.numbered and words.label_names == ("bad", "good")


@given(data=st.data())
def test_names_beside_numbers_are_those_of_each_row(data: st.DataObject) -> None:
    """Whichever numbers occur, in any order, and against a model of any order."""
    words = ["joy", "fear", "anger", "love", "calm"]
    name_of = dict(enumerate(data.draw(st.permutations(words))))
    numbers = data.draw(st.lists(st.integers(0, 4), min_size=2).filter(lambda n: len({*n}) > 1))
    ending = data.draw(st.sampled_from(["text", "name", "names", "str"]))
    lines = [f"t{row},{number},{name_of[number]}" for row, number in enumerate(numbers)]
    found = read(f"text,label,label_{ending}", *lines)
    model = data.draw(st.permutations(words))
    aligned = found.aligned([word.title() for word in model])
    assert [model[label] for label in aligned.labels] == [name_of[number] for number in numbers]
    unnamed = found.aligned([f"LABEL_{number}" for number in range(5)])
    assert unnamed.labels.tolist() == numbers


def test_names_that_are_not_one_for_each_number() -> None:
    header = "text,label,label_text"
    many = [f"t{row},{row % 2},{'no yes'.split()[row % 2]}" for row in range(1_000)]
    for wrong, said in (
        ("x,0,yes", "has the label 0 and 'yes' in the column label_text, where others have"),
        ("x,2,no", "has the label 2 and 'no' in the column label_text, where others have 0 and"),
        ("x,1,", "has the label 1 and '' in the column label_text, where others have 1 and 'yes'"),
    ):
        # Beyond the rows that are looked at first; within them the column is none of names.
        message = error_of(header, *many, wrong)
        assert message.startswith(f"Line 1002 of a.csv {said}")
        assert "--labels-from 0" in message
        found = read(header, *many[:10], wrong)
        assert found.provenance.label == "label" and "yes" not in found.label_names
        assert found.provenance.notes == (
            "The column label_text does not have one name for each label, and is not read.",
        )


def test_names_of_further_columns_are_their_groups(tmp_path: Path) -> None:
    cells = {"text": ["a", "b", "c"], "label": [0, 1, 0], "shelf": [1, 0, -1]}
    names = {"label": ["no", "yes"], "shelf": ["films", "books"]}
    data = read_dataset(parquet(tmp_path, cells, **names))
    assert data.groups == {"shelf": ("books", "films", "none")}


def test_classes_that_cannot_be_told_apart_or_do_not_exist(tmp_path: Path) -> None:
    cells = {"text": ["a", "b"], "label": [0, 1]}
    with pytest.raises(DataError, match="only capitals and spaces tell apart: good, Good"):
        read_dataset(parquet(tmp_path, cells, label=["good", "Good"]))
    path = parquet(tmp_path, cells, label=["no", "yes"])
    table = pyarrow.parquet.read_table(path)
    more = table.set_column(1, table.schema.field(1), pa.array([0, 7], pa.int64()))
    pyarrow.parquet.write_table(more, path)
    with pytest.raises(DataError, match=r"^Row 2 of a\.parquet has the label 7, and .* 0 to 1"):
        read_dataset(path)


# --- rows without a label


@pytest.mark.parametrize(
    ("ending", "mark"),
    [
        *product(("csv", "jsonl"), ("", "-1", "-", "NA", "NaN", "null")),
        *product(("parquet", "classes"), ("", "-1")),  # whose labels are numbers
    ],
)
def test_rows_without_a_label_are_refused_or_left_out_with_a_count(
    ending: str, mark: str, tmp_path: Path
) -> None:
    labels = ["1", mark, "0", mark, "1"]
    numbers = [int(label) if label.lstrip("-").isdigit() else None for label in labels]
    path = tmp_path / f"a.{ending.replace('classes', 'parquet')}"
    if ending == "csv":
        path.write_text("text,label\n" + "".join(f"t{n},{m}\n" for n, m in enumerate(labels)))
    elif ending == "jsonl":
        rows = ({"text": f"t{n}", "label": m or None} for n, m in enumerate(labels))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif ending == "parquet":
        pd.DataFrame({"text": [f"t{n}" for n in range(5)], "label": numbers}).to_parquet(path)
    else:
        cells = {"text": [f"t{n}" for n in range(5)], "label": numbers}
        parquet(tmp_path, cells, label=["no", "yes"])
    start = {"csv": "Line 3", "jsonl": "Line 2"}.get(ending, "Row 2")
    with pytest.raises(DataError) as caught:
        read_dataset(path).aligned(("no", "yes"))
    message = str(caught.value)
    assert message.startswith(f"{start} of {path.name} ")
    assert "has no label" in message and "the first of 2 such rows" in message
    assert "--skip-unlabelled" in message
    data = read_dataset(path, skip_unlabelled=True)
    assert data.texts == ("t0", "t2", "t4")
    assert data.aligned(("no", "yes")).labels.tolist() == [1, 0, 1]
    assert data.provenance.left_out == {f"labelled {mark}" if mark else "without a label": 2}
    assert [data.place(row).split()[1] for row in range(3)] == [
        str(row + {"csv": 2}.get(ending, 1)) for row in (0, 2, 4)
    ]


def test_nothing_but_rows_without_a_label() -> None:
    for lines in (["text,label", "a,-1", "b,-", "c,"], ["text,label", "a,-1", "b,-1"]):
        message = error_of(*lines, skip_unlabelled=True)
        assert message.startswith("Every label of a.csv is -1 or missing")


@pytest.mark.parametrize("empty", [False, True])
def test_a_list_of_one_label_is_that_label(empty: bool) -> None:
    """As tools of annotation write it (doccano, Prodigy)."""
    labels = [["calm"], ["loud"], [] if empty else ["loud"], ["calm"]]
    lines = [json.dumps({"text": f"t{n}", "label": label}) for n, label in enumerate(labels)]
    if empty:
        with pytest.raises(DataError, match=r"^Line 3 of a\.jsonl is labelled '\[\]', which says"):
            read_dataset(csv_file(*lines), name="a.jsonl")
    data = read_dataset(csv_file(*lines), name="a.jsonl", skip_unlabelled=empty)
    found = [data.label_names[label] for label in data.labels]
    assert found == [one for label in labels for one in label]
    assert data.provenance.left_out == ({"labelled []": 1} if empty else {})
