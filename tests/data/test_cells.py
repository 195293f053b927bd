"""Cells as sentences, labels and groups, and one sentence for every mistake in them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest

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
    assert message.startswith("Every label of a.csv is -1, which GLUE writes where")


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
