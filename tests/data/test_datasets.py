"""Labelled sentences: columns, labels, splits and batches, and one sentence for every mistake."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.cells import MAX_CHARACTERS
from bhpvas.data.columns import Columns, guess_columns
from bhpvas.data.dataset import Dataset
from bhpvas.data.datasets import length_sorted_batches
from bhpvas.data.reading import read_dataset, read_splits, sample_splits
from bhpvas.data.sampling import SENTENCES, calibration_sample, stratified_split
from bhpvas.data.tables import read_table
from bhpvas.errors import DataError

MODEL = ("negative", "positive")


def csv_file(*lines: str) -> io.BytesIO:
    return io.BytesIO("\n".join(lines).encode())


def read(*lines: str, **columns: str) -> Dataset:
    return read_dataset(csv_file(*lines), name="a.csv", **columns)


def error_of(*lines: str, **columns: str) -> str:
    with pytest.raises(DataError) as caught:
        read(*lines, **columns)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def made_of(labels: list[int] | np.ndarray, names: tuple[str, ...] = ("0", "1", "2")) -> Dataset:
    texts = tuple(f"sentence {number}" for number in range(len(labels)))
    return Dataset("made", texts, None, np.asarray(labels), names)


# --- values


def test_a_dataset_is_a_value() -> None:
    data = read("text,label,tag", "good,1,plain", "bad,0,", "fine,1,irony")
    assert (data.texts, data.labels.tolist()) == (("good", "bad", "fine"), [1, 0, 1])
    assert data.label_names == ("0", "1")
    assert data.tags == ("plain", "untagged", "irony")
    assert data.pairs is None
    assert (len(data), data.name, data.place(2)) == (3, "a.csv", "Line 4 of a.csv")
    with pytest.raises(ValueError, match="read-only"):
        data.labels[0] = 0
    assert repr(data) == "Dataset('a.csv', 3 sentences, labels ('0', '1'))"


def test_take_keeps_every_column_together() -> None:
    data = read("text1,text2,label,tag", "a,b,0,x", "c,d,1,y", "e,f,1,z").take([2, 0])
    assert (data.texts, data.pairs, data.tags) == (("e", "a"), ("f", "b"), ("z", "x"))
    assert data.labels.tolist() == [1, 0]
    assert data.place(0) == "Line 4 of a.csv"
    assert len(data.take([])) == 0


def test_the_fingerprint_tells_content_and_nothing_else() -> None:
    data = read("text,label", "good,1", "bad,0")
    same = read_dataset(csv_file("Review;Class", "good;1", "", "bad;0"), name="b.csv")
    assert same.fingerprint == data.fingerprint
    for lines in (
        ["text,label", "good,0", "bad,1"],
        ["text,label", "goo,1", "d bad,0"],
        ["text,label", "bad,0", "good,1"],
        ["text,label,tag", "good,1,a", "bad,0,a"],
        ["text1,text2,label", "good,x,1", "bad,y,0"],
    ):
        assert read(*lines).fingerprint != data.fingerprint


def test_the_identity_tells_names_and_further_columns_as_well() -> None:
    data = Dataset(
        "mine", ("a", "b"), None, np.arange(2), ("no", "yes"), groups={"by": ("Ann", "Ben")}
    )
    others = [
        replace(data, name="yours"),
        replace(data, file="yours.csv"),
        replace(data, groups={}),
        replace(data, groups={"of": ("Ann", "Ben")}),
        replace(data, groups={"by": ("Ann", "Ann")}),
        replace(data, labels=np.array([1, 1])),
    ]
    assert replace(data).identity == data.identity
    assert len({data.identity, *(other.identity for other in others)}) == 7
    assert len({data.fingerprint, *(other.fingerprint for other in others)}) == 2


# --- columns


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


# --- cells


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


# --- labels of the model


def test_labels_are_matched_by_name_whatever_their_capitals() -> None:
    data = read("text,label", "good,POSITIVE", "bad,negative").aligned(("Positive", "Negative"))
    assert data.labels.tolist() == [0, 1]
    assert data.label_names == ("Positive", "Negative")


def test_a_clear_beginning_of_a_name_is_enough() -> None:
    data = read("text,label", "good,pos", "bad,neg")
    assert data.aligned(("NEGATIVE", "POSITIVE")).labels.tolist() == [1, 0]
    spelled_out = read("text,label", "so,neutral", "bad,Negative")
    assert spelled_out.aligned(("neg", "neu", "pos")).labels.tolist() == [1, 0]
    for names in (
        ("posh", "positive", "negative"),
        ("po", "ne"),
        ("other", "negative"),
        ("neg1", "pos1"),
    ):
        with pytest.raises(DataError, match="which the model does not know"):
            data.aligned(names)


def test_whole_numbers_are_the_models_own() -> None:
    data = read("text,label", "good,1", "bad,0", "fine,1.0")
    assert data.aligned(MODEL).labels.tolist() == [1, 0, 1]
    assert data.aligned(("a", "b", "c")).labels.tolist() == [1, 0, 1]


def test_names_that_are_numbers_are_names_first() -> None:
    stars = ("1", "2", "3")
    assert read("text,label", "a,1", "b,3").aligned(stars).labels.tolist() == [0, 2]
    assert read("text,label", "a,0", "b,2").aligned(stars).labels.tolist() == [0, 2]


def test_an_unknown_label_names_line_label_and_what_is_known() -> None:
    data = read("text,label", "good,positive", "so,neutral", "bad,negative")
    with pytest.raises(DataError) as caught:
        data.aligned(MODEL)
    assert str(caught.value) == (
        "Line 3 of a.csv has the label 'neutral', which the model does not know: its labels are "
        "negative, positive, or 0 to 1."
    )
    with pytest.raises(DataError, match=r"^Line 3 of a\.csv has the label '2'"):
        read("text,label", "bad,1", "good,2").aligned(MODEL)
    with pytest.raises(DataError, match=r"^Line 3 of a\.csv has the label '1'"):
        read("text,label", "bad,negative", "good,1").aligned(MODEL)


def test_a_model_without_names_takes_the_order_of_a_source_that_numbers_its_labels() -> None:
    unnamed = ("LABEL_0", "LABEL_1")
    text_only = read("text,label", "good,positive", "bad,negative")
    with pytest.raises(DataError, match="'positive', which the model does not know"):
        text_only.aligned(unnamed)
    numbered = Dataset("hub", ("good", "bad"), None, np.array([1, 0]), MODEL, numbered=True)
    assert numbered.aligned(unnamed).labels.tolist() == [1, 0]
    with pytest.raises(DataError):
        numbered.aligned(("no", "yes"))


# --- splits


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
    lines = ["text,label,split", "a,0,Train", "b,1,train", "c,1,validation", "d,0,test", "e,1,test"]
    splits = read_splits(csv_file(*lines), name="a.csv")
    assert splits.calibration.texts == ("a", "b")
    assert splits.evaluation.texts == ("d", "e")
    assert splits.made == "train → calibration, test → evaluation, validation not used"


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
    def message(*lines: str) -> str:
        with pytest.raises(DataError) as caught:
            read_splits(csv_file("text,label,split", *lines), name="a.csv")
        return str(caught.value)

    assert message("a,0,fold1", "b,1,fold2").startswith("a.csv has the parts fold1, fold2, none of")
    assert message("a,0,train", "b,1,").startswith("Line 3 of a.csv names no split")


def test_the_split_column_is_ignored_when_a_file_is_used_whole() -> None:
    assert len(read("text,label,split", "a,0,train", "b,1,test", "c,1,x")) == 3


def test_a_table_can_be_read_once_and_used_again() -> None:
    table = read_table(csv_file("words,stars", "good,5", "bad,1"), name="a.csv")
    assert read_dataset(table, text="words", label="stars").label_names == ("1", "5")
    assert len(read_splits(table, text="words", label="stars").evaluation) == 1


@given(
    st.lists(st.integers(0, 2), min_size=2, max_size=60),
    st.floats(0.01, 0.99),
    st.integers(0, 2**31),
)
def test_stratified_split_divides_every_label_by_the_share(
    labels: list[int], share: float, seed: int
) -> None:
    dataset = made_of(labels)
    first, second = stratified_split(dataset, share, seed)
    assert sorted(first.texts + second.texts) == sorted(dataset.texts)
    assert len(first) == min(max(round(share * len(dataset)), 1), len(dataset) - 1)
    whole = np.bincount(dataset.labels, minlength=3)
    drawn = np.bincount(first.labels, minlength=3)
    assert np.all(np.abs(drawn - whole * len(first) / len(dataset)) < 1)
    for part in (first, second):
        numbers = [int(text.split()[1]) for text in part.texts]
        assert numbers == sorted(numbers)
    assert stratified_split(dataset, share, seed)[0].texts == first.texts


def written_often(copies: list[int], labels: list[int]) -> Dataset:
    """Each text so many times, in turns."""
    turns = [n for turn in range(max(copies)) for n in range(len(copies)) if copies[n] > turn]
    texts = tuple(f"sentence {n}" for n in turns)
    return Dataset("made", texts, None, [labels[n] for n in turns], ("0", "1", "2"))


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), min_size=2, max_size=40),
    st.floats(0.01, 0.99),
    st.integers(0, 2**31),
)
def test_copies_of_a_sentence_stay_together(groups, share: float, seed: int) -> None:
    copies, labels = map(list, zip(*groups, strict=True))
    whole = written_often(copies, labels)
    first, second = stratified_split(whole, share, seed)
    assert len(first) and len(second)
    assert sorted(first.texts + second.texts) == sorted(whole.texts)
    assert not {*first.texts} & {*second.texts}
    # Each of the three labels is at most one group off.
    assert abs(len(first) - share * len(whole)) <= 3 * max(copies) + 1
    assert stratified_split(whole, share, seed)[0].texts == first.texts


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


def test_a_large_group_of_copies_does_not_take_a_part_for_itself() -> None:
    first, second = stratified_split(written_often([300, *[1] * 99], [0] * 100), 1 / 3, 0)
    assert len(first) == 99 and len(set(second.texts)) == 1
    # Each label gives something to learn from, even where nothing fits.
    first, _ = stratified_split(written_often([50] * 4, [0, 0, 1, 1]), 1 / 3, 0)
    assert sorted(np.bincount(first.labels).tolist()) == [50, 50]


def test_of_pairs_both_sentences_make_a_copy() -> None:
    rows = [f"same,other {n % 6},{n % 2}" for n in range(12)]
    splits = read_splits(csv_file("text1,text2,label", *rows), name="a.csv")
    parts = splits.calibration, splits.evaluation
    learnt, measured = ({*zip(one.texts, one.pairs, strict=True)} for one in parts)
    assert (len(learnt), len(measured)) == (2, 4) and not learnt & measured


def test_one_sentence_many_times_cannot_be_split() -> None:
    with pytest.raises(DataError, match="two or more that differ"):
        stratified_split(written_often([5], [0]), 0.5, 0)


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


def test_the_seed_decides_the_split() -> None:
    dataset = made_of([0, 1] * 50)
    parts = {stratified_split(dataset, 0.3, seed)[0].texts for seed in range(5)}
    assert len(parts) == 5


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_outside_zero_to_one(share: float) -> None:
    with pytest.raises(DataError, match="it must lie between 0 and 1"):
        stratified_split(made_of([0, 1]), share, 0)


def test_one_sentence_cannot_be_split() -> None:
    with pytest.raises(DataError, match="too few sentences"):
        stratified_split(made_of([0]), 0.5, 0)


# --- batches


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 200))
def test_batches_hold_every_index_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = length_sorted_batches(lengths, budget)
    assert sorted(index for batch in batches for index in batch.tolist()) == [*range(len(lengths))]
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget
    for batch, following in pairwise(batches):
        # One more sentence would not have fitted.
        assert following.size
        assert (len(batch) + 1) * max(lengths[batch[0]], 1) > budget


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


def test_the_topic_of_the_sample_sentences_is_a_group():
    assert set(sample_splits().evaluation.groups) == {"topic"}
