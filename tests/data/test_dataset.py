"""Datasets as values, what tells two apart, and their labels as a model numbers them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bhpvas.data.dataset import Dataset
from bhpvas.data.provenance import Provenance
from bhpvas.data.reading import read_dataset
from bhpvas.errors import DataError
from tests.data.csv_files import csv_file, read

MODEL = ("negative", "positive")


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


def test_the_identity_tells_names_reading_and_further_columns_as_well() -> None:
    data = Dataset(
        "mine", ("a", "b"), None, np.arange(2), ("no", "yes"), groups={"by": ("Ann", "Ben")}
    )
    others = [
        replace(data, name="yours"),
        replace(data, file="yours.csv"),
        replace(data, provenance=Provenance(label="stars")),
        replace(data, groups={}),
        replace(data, groups={"of": ("Ann", "Ben")}),
        replace(data, groups={"by": ("Ann", "Ann")}),
        replace(data, labels=np.array([1, 1])),
    ]
    assert replace(data).identity == data.identity
    assert len({data.identity, *(other.identity for other in others)}) == 8
    assert len({data.fingerprint, *(other.fingerprint for other in others)}) == 2


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
