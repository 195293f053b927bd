"""Parts of a source: those that it names, and one that is divided."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.data.reading import read_splits
from bhpvas.data.sampling import SENTENCES, calibration_sample
from bhpvas.errors import DataError
from tests.data.csv_files import csv_file, read


def test_a_file_in_one_part_is_split_by_label() -> None:
    lines = [f"s{n},{'positive' if n % 3 == 0 else 'negative'}" for n in range(30)]
    splits = read_splits(csv_file("text,label", *lines), name="a.csv")
    assert splits.made == "stratified split, seed 0, one third calibration"
    assert splits.calibration.name == "a.csv · calibration"
    assert splits.evaluation.name == "a.csv · evaluation"
    assert np.bincount(splits.calibration.labels).tolist() == [7, 3]
    assert np.bincount(splits.evaluation.labels).tolist() == [13, 7]
    half = read_splits(csv_file("text,label", *lines), name="a.csv", calibration_share=0.5, seed=3)
    assert half.made == "stratified split, seed 3, one half calibration"
    assert len(half.calibration) == 15


def test_a_split_column_is_kept_as_it_is() -> None:
    lines = [
        "text,label,split",
        "a,0,evaluation",
        "b,1,calibration",
        "c,1,Evaluation",
        "d,0,calibration",
    ]
    splits = read_splits(csv_file(*lines[:3], "c,1,evaluation", lines[4]), name="a.csv")
    assert splits.calibration.texts == ("b", "d")
    assert splits.evaluation.texts == ("a", "c")
    assert splits.evaluation.place(1) == "Line 4 of a.csv"
    assert splits.made == "as in the file"


def test_train_and_test_parts_by_their_usual_names() -> None:
    lines = ["text,label,split", "a,0,Train", "b,1,train", "c,1,validation", "d,0,test", "e,1,TEST"]
    splits = read_splits(csv_file(*lines), name="a.csv")
    assert splits.calibration.texts == ("a", "b")
    assert splits.evaluation.texts == ("d", "e")
    assert splits.made == "Train → calibration, test → evaluation, validation not used"


@pytest.mark.parametrize("learn", ["calibration", "train", "Training"])
@pytest.mark.parametrize(
    "measure",
    ["evaluation", "eval", "test", "Testing", "validation", "valid", "val", "dev", "development"],
)
def test_usual_names_of_parts_are_known(learn: str, measure: str) -> None:
    lines = ["text,label,split", f"a,0,{learn}", f"b,1,{learn}", f"c,1,{measure}", f"d,0,{measure}"]
    splits = read_splits(csv_file(*lines), name="a.csv")
    assert (splits.calibration.texts, splits.evaluation.texts) == (("a", "b"), ("c", "d"))


def test_parts_of_other_names_are_said_to_be_left_out() -> None:
    rows = [f"{name}{n},{n % 2},{name}" for name in ("train", "spare", "extra") for n in range(6)]
    splits = read_splits(csv_file("text,label,split", *rows), name="a.csv")
    assert all(text.startswith("train") for text in splits.evaluation.texts)
    assert splits.made == (
        "stratified split of train, seed 0, one third calibration, extra not used, spare not used"
    )


def test_a_large_training_part_is_sampled() -> None:
    rows = [f"s{n},{n % 2},train" for n in range(3000)]
    lines = ["text,label,split", *rows, "t,0,test", "u,1,test"]
    splits = read_splits(csv_file(*lines), name="a.csv")
    assert len(splits.calibration) == SENTENCES == 2048
    assert np.bincount(splits.calibration.labels).tolist() == [1024, 1024]
    assert splits.made == (
        "train → calibration (stratified sample, seed 0, 2,048 of 3,000), test → evaluation"
    )
    again = read_splits(csv_file(*lines), name="a.csv")
    other = read_splits(csv_file(*lines), name="a.csv", seed=1)
    assert again.calibration.fingerprint == splits.calibration.fingerprint
    assert other.calibration.fingerprint != splits.calibration.fingerprint


def test_a_training_part_is_sampled_as_the_command_line_samples_it_alone() -> None:
    train = []
    for n in range(1200):
        train += [f"{n} is a film,{n % 2}", f"a film,{n % 2}", f"{n} is,{n % 2}"]
    parts = [f"{row},train" for row in train] + ["t,0,test", "u,1,test"]
    found = read_splits(csv_file("text,label,split", *parts), name="a.csv", sentences=900)
    alone = calibration_sample(read("text,label", *train), 900)
    assert found.calibration.texts == alone.texts
    assert all(text.endswith("is a film") for text in alone.texts)
    everything = read_splits(csv_file("text,label,split", *parts), name="a.csv", sentences=None)
    assert len(everything.calibration) == 3600


def test_one_part_alone_is_divided() -> None:
    splits = read_splits(
        csv_file("text,label,split", *(f"{n},{n % 2},train" for n in range(6))), name="a.csv"
    )
    assert splits.made == "stratified split of train, seed 0, one third calibration"
    assert (len(splits.calibration), len(splits.evaluation)) == (2, 4)


def test_parts_that_cannot_be_used() -> None:
    def message(*lines: str, split: str | None = None) -> str:
        with pytest.raises(DataError) as caught:
            read_splits(csv_file("text,label,split", *lines), name="a.csv", split=split)
        return str(caught.value)

    assert message("a,0,fold1", "b,1,fold2", split="split").startswith(
        "The column split of a.csv has the parts fold1, fold2, none of which bhpvas knows"
    )
    said = message("a,0,train", "b,1,", "c,1,test")
    assert said.startswith("Line 3 of a.csv names no part") and '--split ""' in said


@pytest.mark.parametrize(
    ("parts", "made"),
    [
        (("calibration", "evaluation"), "as in the file"),
        (("train", "test"), "train → calibration, test → evaluation"),
    ],
)
def test_named_parts_that_overlap_say_so(parts: tuple[str, str], made: str) -> None:
    lines = [f"{text},{n % 2},{parts[n > 3]}" for n, text in enumerate("abcdaabxy")]
    splits = read_splits(csv_file("text,label,split", *lines), name="a.csv")
    assert splits.made == f"{made}, 3 of the 5 to measure on also in calibration"
    assert (len(splits.calibration), len(splits.evaluation)) == (4, 5)


def test_a_file_that_says_everything_three_times_is_split_as_one_that_says_it_once() -> None:
    once = [f"s{n},{'good' if n % 2 else 'bad'}" for n in range(90)]
    single = read_splits(csv_file("text,label", *once), name="a.csv")
    thrice = read_splits(csv_file("text,label", *once * 3), name="a.csv")
    for one, three in (
        (single.calibration, thrice.calibration),
        (single.evaluation, thrice.evaluation),
    ):
        assert {*one.texts} == {*three.texts}
    assert thrice.calibration.texts == single.calibration.texts * 3
    assert np.bincount(thrice.calibration.labels).tolist() == [45, 45]


def test_of_pairs_both_sentences_make_a_copy() -> None:
    rows = [f"same,other {n % 6},{n % 2}" for n in range(12)]
    splits = read_splits(csv_file("text1,text2,label", *rows), name="a.csv")
    parts = splits.calibration, splits.evaluation
    learnt, measured = ({*zip(one.texts, one.pairs, strict=True)} for one in parts)
    assert (len(learnt), len(measured)) == (2, 4) and not learnt & measured


def test_parts_of_a_file_without_the_rows_that_have_no_label() -> None:
    lines = ["text,label,split", "a,no,train", "b,yes,train", "c,-,train", "d,yes,test", "e,,test"]
    splits = read_splits(csv_file(*lines), name="a.csv", skip_unlabelled=True)
    assert (splits.calibration.texts, splits.evaluation.texts) == (("a", "b"), ("d",))
    assert splits.calibration.provenance.left_out == {"labelled -": 1}
    assert splits.evaluation.provenance.left_out == {"without a label": 1}
    assert splits.evaluation.place(0) == "Line 5 of a.csv"


def test_a_part_that_lacks_a_label_is_numbered_as_the_whole() -> None:
    """Otherwise numbers of a part without 0 would seem to count from 1."""
    rows = [f"s{n},{n % 3},train" for n in range(6)] + ["t,1,test", "u,2,test"]
    splits = read_splits(csv_file("text,label,split", *rows), name="a.csv")
    assert splits.evaluation.aligned(("x", "y", "z")).labels.tolist() == [1, 2]
