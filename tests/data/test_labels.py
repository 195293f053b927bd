"""Labels of a source as a model's: each row against a slow mapping, and never a shift."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.dataset import Dataset
from bhpvas.errors import DataError
from tests.data.csv_files import read

WORDS = ["entailment", "neutral", "contradiction", "café", "Straße", "World", "sci/tech", "不好"]
SPELLINGS: list[Callable[[str], str]] = [
    str,
    str.upper,
    str.title,
    lambda name: f" {name}\n",
    lambda name: unicodedata.normalize("NFD", name),
]


def made(labels: list[str], **fields: object) -> Dataset:
    """A dataset whose rows are labelled so, as a file of them is read."""
    names = tuple(sorted({*labels}))
    texts = tuple(f"row {row}" for row in range(len(labels)))
    codes = np.array([names.index(label) for label in labels])
    return Dataset("mine", texts, None, codes, names, file="a.csv", **fields)


def refusal(data: Dataset, names: list[str] | tuple[str, ...]) -> str:
    with pytest.raises(DataError) as caught:
        data.aligned(names)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return message


@given(data=st.data())
def test_names_in_any_order_and_spelling(data: st.DataObject) -> None:
    mine = data.draw(st.lists(st.sampled_from(WORDS), min_size=2, unique=True))
    spelled = {word: data.draw(st.sampled_from(SPELLINGS))(word) for word in mine}
    model = data.draw(st.permutations([data.draw(st.sampled_from(SPELLINGS))(w) for w in WORDS]))
    rows = data.draw(st.lists(st.sampled_from(mine), min_size=1))
    numbered = data.draw(st.booleans())
    found = made([spelled[word] for word in rows], numbered=numbered).aligned(model)

    def slowly(word: str) -> int:
        (place,) = [
            place
            for place, name in enumerate(model)
            if unicodedata.normalize("NFC", name.strip()).casefold() == word.casefold()
        ]
        return place

    assert found.labels.tolist() == [slowly(word) for word in rows]
    assert found.provenance.matched == "name" and found.provenance.notes == ()


STARS = [
    ("{} star", "{} stars"),
    ("stars_{}", "stars_{}"),
    ("{}", "{}"),
    ("Rating: {}", "Rating: {}"),
    ("LABEL_{}", "LABEL_{}"),  # from 1 on, so that they say something
]


@given(data=st.data())
def test_numbers_are_those_in_the_models_names(data: st.DataObject) -> None:
    one, many = data.draw(st.sampled_from(STARS))
    model = data.draw(st.permutations([(one if n == 1 else many).format(n) for n in range(1, 6)]))
    form = data.draw(st.sampled_from(["{}", "{}.0", one, many, many.upper()]))
    rows = data.draw(st.lists(st.integers(1, 5), min_size=1))
    found = made([form.format(number) for number in rows]).aligned(model)
    places = [next(p for p, name in enumerate(model) if str(number) in name) for number in rows]
    assert found.labels.tolist() == places
    assert found.provenance.matched == "name"


@given(st.lists(st.integers(0, 6), min_size=1), st.integers(2, 8), st.sampled_from(["{}", "{}.0"]))
def test_whole_numbers_are_taken_as_they_are_or_refused(
    numbers: list[int], classes: int, form: str
) -> None:
    """Never one less, whichever of them occur."""
    data = made([form.format(number) for number in numbers])
    names = [f"class {chr(97 + number)}" for number in range(classes)]
    if 0 in numbers and max(numbers) < classes:
        assert data.aligned(names).labels.tolist() == numbers
        assert data.aligned(names).provenance.matched == "number"
        return
    message = refusal(data, names)
    could_count_from_one = 0 not in numbers and max(numbers) <= classes
    assert ("--labels-from 1" in message) >= could_count_from_one


@given(st.lists(st.integers(0, 6), min_size=1), st.integers(2, 8), st.sampled_from([0, 1]))
def test_numbers_that_are_said_to_count_from_somewhere(
    numbers: list[int], classes: int, start: int
) -> None:
    data = made([str(number) for number in numbers], labels_from=start)
    for names in (
        [f"class {number}" for number in range(classes)],
        [f"{number} stars" for number in range(classes)],
        [str(number) for number in range(classes)],
        [f"LABEL_{number}" for number in range(classes)],
    ):
        if start <= min(numbers) and max(numbers) - start < classes:
            found = data.aligned(names)
            assert found.labels.tolist() == [number - start for number in numbers]
            assert found.provenance.notes[0].startswith(f"The labels count from {start}: ")
            assert found.labels_from is None and found.aligned(names).labels is not None
        else:
            assert f"counted from {start} to {start + classes - 1}" in refusal(data, names)


def test_words_do_not_count_from_anywhere() -> None:
    data = made(["good", "bad"], labels_from=1)
    assert refusal(data, ("bad", "good")).startswith("Sentence 1 of a.csv has the label 'good'")


def test_a_part_of_a_file_counts_as_the_file_does() -> None:
    """Its label 0 may stand in the other part."""
    data = made(["0", "1", "2", "3"]).take([1, 2])
    assert data.aligned("abcd").labels.tolist() == [1, 2]


@given(st.permutations(WORDS), st.lists(st.integers(0, 3), min_size=1))
def test_order_counts_only_where_the_model_has_no_names(names: list[str], rows: list[int]) -> None:
    data = Dataset("hub", ("x",) * len(rows), None, np.array(rows), tuple(names[:4]), numbered=True)
    for form in ("LABEL_{}", "label {}", "class-{}", "{}"):
        found = data.aligned([form.format(number) for number in range(4)])
        assert found.labels.tolist() == rows and found.provenance.matched == "order"
        assert found.provenance.notes == (
            "The model has no names for its labels, and takes the order of the data: "
            f"{', '.join(names[:4])}.",
        )
    for others in (["w", "x", "y", "z"], [f"LABEL_{number}" for number in (1, 0, 2, 3)]):
        message = refusal(data, others)
        assert all(name in message for name in (*others, *names[:4], "--labels-from 0"))


def test_the_names_of_a_source_are_not_taken_for_numbers_of_the_model() -> None:
    turned = Dataset("hub", ("a", "b"), None, np.array([0, 1]), ("1", "0"), numbered=True)
    assert turned.aligned(("LABEL_0", "LABEL_1")).labels.tolist() == [0, 1]
    assert "and those of the data 1, 0" in refusal(turned, ("no", "yes"))
    plain = Dataset("hub", ("a", "b"), None, np.array([0, 1]), ("0", "1"), numbered=True)
    assert plain.aligned(("no", "yes")).labels.tolist() == [0, 1]


def test_names_that_only_capitals_tell_apart_are_refused_on_either_side() -> None:
    assert "a.csv has the labels Good, good, which" in refusal(
        made(["good", "Good", "bad"]), ("bad", "good")
    )
    same = refusal(made(["good", "bad"]), ("bad", "good", "GOOD "))
    assert same.startswith("The model has 2 labels that are named 'good' but for capitals")
    # Numbers do not need the names.
    assert made(["0", "2"]).aligned(("bad", "good", "GOOD")).labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("labels", "model", "mark"),
    [
        (["0", "-1", "1", "-1"], ("no", "yes"), "-1"),
        (["yes", "-", "no", "-"], ("no", "yes"), "-"),
        (["yes", "NA", "no", "NA"], ("no", "yes"), "NA"),
        (["1", "nan", "0", "nan"], ("no", "yes"), "nan"),
        (["1", "NULL", "2", "NULL"], ("1 star", "2 stars"), "NULL"),
        (["5", "-1", "1", "-1"], ("1 star", "2 stars", "5 stars"), "-1"),
    ],
)
def test_labels_that_say_there_is_none_are_named_as_such(
    labels: list[str], model: tuple[str, ...], mark: str
) -> None:
    assert refusal(made(labels), model) == (
        f"Sentence 2 of a.csv is labelled '{mark}', which says that it has no label, the first of "
        "2 such rows: give it one, or leave such rows out by --skip-unlabelled (in the app under "
        "Upload, Column names)."
    )
    # Where the model has a class of that name, it is one.
    assert made(labels).aligned([mark, *sorted({*labels} - {mark})]).labels.tolist()[1::2] == [0, 0]


def test_labels_that_were_aligned_keep_how() -> None:
    found = made(["1", "2"]).aligned(("1 star", "2 stars"))
    again = found.aligned(("1 star", "2 stars"))
    assert again.labels.tolist() == [0, 1] and again.provenance == found.provenance
    assert found.provenance.notes == (
        "Labels are the numbers in the model's names: 1 is '1 star'.",
    )


@pytest.mark.parametrize("numbers", [(-1, 0, 1), (1, -1), (-1, 0, 1, 2, 3)])
def test_minus_one_may_be_a_class_where_there_are_as_many(numbers: tuple[int, ...]) -> None:
    """As of tweets that are negative, neutral or positive; left out, the others would shift."""
    labels = [str(number) for number in numbers]
    names = ["negative", "neutral", "positive", "mixed", "odd"][: len(labels)]
    message = refusal(made(labels), names)
    assert "is labelled '-1', the first of 1 such rows, which may be one of the" in message
    assert "write the names" in message and "--skip-unlabelled" in message
    counted = made(labels, labels_from=-1)
    if "--labels-from -1 where it is 'negative'" in message:
        assert counted.aligned(names).labels.tolist() == [number + 1 for number in numbers]
    else:
        assert numbers == (1, -1) and "counted from -1 to 0" in refusal(counted, names)


@pytest.mark.parametrize(
    "label", ["9" * 5_000, "1" + "0" * 400, "-" + "9" * 5_000, "1e5", "٣", "²"]
)
def test_numbers_that_no_class_has(label: str) -> None:
    for names in (("no", "yes"), ("1 star", "2 stars"), ("LABEL_0", "LABEL_1"), ("0", "1")):
        for fields in ({}, {"numbered": True}, {"labels_from": 1}):
            data = made([label, "0"], **fields)
            if not (fields.get("numbered") and names[0] in ("LABEL_0", "0")):
                message = refusal(data, names)
                assert "has the label" in message and len(message) < 400


def test_numbers_of_many_digits_with_names() -> None:
    lines = ["text,label,label_text", f"a,{'9' * 5_000},big", "b,1,small"]
    assert read(*lines).label_names == ("big", "small")


@pytest.mark.parametrize("labels", [["1", "2", "3"], ["2", "3"], ["1", "3"], ["3", "4"], ["100"]])
def test_a_start_of_counting_is_advised_only_where_it_fits(labels: list[str]) -> None:
    names = ["sour", "plain", "sweet"]
    message = refusal(made([*labels, *labels]), names)
    if "--labels-from 1" in message:
        counted = made(labels, labels_from=1).aligned(names).labels.tolist()
        assert counted == [int(label) - 1 for label in labels]
    else:
        assert max(map(int, labels)) > len(names)
