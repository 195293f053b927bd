"""A folder that has parts is read as a data set of the hub that has them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.reading import read_dataset, read_splits
from bhpvas.data.tables import Piece, Table
from bhpvas.errors import DataError

WORDS = {"train": ["fine", "dull", "warm", "flat"], "test": ["deep", "thin"]}


def reviews(folder: Path, parts: dict[str, list[str]] = WORDS) -> Path:
    """Texts by part and class: of each part, every other one is good."""
    for part, words in parts.items():
        for number, word in enumerate(words):
            path = folder / part / ("pos", "neg")[number % 2] / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"A {word} film.")
    return folder


def saved(folder: Path, parts: dict[str, list[int]]) -> Path:
    """As ``DatasetDict.save_to_disk`` writes: labels by number, with their names beside."""
    folder.mkdir()
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": [*parts]}))
    features = {"label": {"names": ["pos", "neg"], "_type": "ClassLabel"}}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    for part, labels in parts.items():
        (folder / part).mkdir()
        state = {"_data_files": [{"filename": "a.arrow"}]}
        (folder / part / "state.json").write_text(json.dumps(state))
        texts = [f"{part} {number}" for number in range(len(labels))]
        table = pa.table({"text": texts, "label": labels}).replace_schema_metadata(about)
        with pa.ipc.new_stream(folder / part / "a.arrow", table.schema) as writer:
            writer.write_table(table)
    return folder


def test_parts_by_class_are_learnt_from_and_measured_on(tmp_path: Path) -> None:
    folder = reviews(tmp_path / "reviews")
    splits = read_splits(str(folder))
    assert splits.made == "train → calibration, test → evaluation"
    assert sorted(splits.calibration.texts) == sorted(f"A {word} film." for word in WORDS["train"])
    assert splits.evaluation.texts == ("A thin film.", "A deep film.")
    assert splits.evaluation.label_names == ("neg", "pos")
    assert splits.evaluation.labels.tolist() == [0, 1]
    assert splits.evaluation.place(0) == "File 1 of reviews (test)"
    whole = read_dataset(folder)
    assert whole.fingerprint == splits.evaluation.fingerprint
    assert whole.name == "reviews · evaluation"
    assert (whole.provenance.split, whole.provenance.part) == (None, "test")
    assert whole.provenance.notes == ()
    assert read_dataset(folder / "train").provenance.notes == ()
    assert len(read_dataset(folder / "train")) == 4


def test_saved_parts_are_read_with_the_names_of_their_classes(tmp_path: Path) -> None:
    parts = {"train": [0, 1, 1, 0, 1], "validation": [1, 0, 1], "test": [-1, -1]}
    folder = saved(tmp_path / "kept", parts)
    splits = read_splits(folder)
    assert splits.made.startswith("train → calibration, validation → evaluation")
    assert splits.evaluation.label_names == ("pos", "neg") and splits.evaluation.numbered
    assert splits.evaluation.labels.tolist() == [1, 0, 1]
    assert splits.evaluation.place(2) == "Row 3 of kept (validation)"
    assert read_dataset(folder).fingerprint == splits.evaluation.fingerprint


def test_rows_without_a_label_are_left_out_of_a_part(tmp_path: Path) -> None:
    folder = saved(tmp_path / "kept", {"train": [0, 1], "test": [1, -1, 0, -1, 1]})
    data = read_dataset(folder, skip_unlabelled=True)
    assert data.texts == ("test 0", "test 2", "test 4")
    assert data.lines is not None and data.lines.tolist() == [1, 3, 5]
    assert data.provenance.left_out == {"without a label": 2}


def test_folders_are_parts_whatever_their_capitals(tmp_path: Path) -> None:
    folder = reviews(tmp_path / "reviews", {"Train": WORDS["train"], "TEST": WORDS["test"]})
    assert read_splits(folder).made == "Train → calibration, TEST → evaluation"
    assert read_dataset(folder, part="calibration").provenance.part == "Train"


def test_a_column_is_not_named_where_there_are_parts_already(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"reviews is in parts already \(test, train\)"):
        read_dataset(reviews(tmp_path / "reviews"), split="label")


def test_a_folder_without_a_part_that_is_known_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "kept", {"x": [0, 1], "y": [1, 0]})
    with pytest.raises(DataError, match="kept has the parts x, y, none of which bhpvas knows"):
        read_dataset(folder)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_some_rows_of_a_table_are_those(sizes: list[int], data: st.DataObject) -> None:
    count = sum(sizes)
    bounds = np.cumsum([0, *sizes])
    pieces = [
        Piece([10 + row for row in range(start, end)], {"text": list(range(start, end))})
        for start, end in pairwise(bounds)
    ]
    table = Table("a.csv", ("text",), lambda: iter(pieces))
    rows = sorted(data.draw(st.sets(st.integers(0, count - 1))))
    found = list(table.take(np.array(rows, dtype=np.int64)).read())
    assert [row for piece in found for row in piece.cells["text"]] == rows
    assert [number for piece in found for number in piece.numbers] == [10 + row for row in rows]
    assert all(piece.numbers for piece in found)
