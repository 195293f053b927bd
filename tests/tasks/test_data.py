"""Scores and sets of labels from every form in which files hold them."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from bhpvas.data import targets
from bhpvas.data.dataset import Dataset
from bhpvas.data.reading import read_dataset, read_splits
from bhpvas.data.sampling import stratified_split
from bhpvas.errors import DataError
from bhpvas.tasks.base import Task
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.tasks.single_label import SingleLabel

SCORE, PROBABILITY = Score(("LABEL_0",)), Score(("LABEL_0",), "sigmoid")
SETS = SeveralLabels(("rude", "funny", "sad"))
EXPECTED = [[True, False, True], [False, True, False], [False, False, False]]
TEXTS = ("What a night this was.", "We laughed until we cried.", "It rained all day long.")


def read(content: str, task: Task, name: str = "a.csv", **how: object) -> Dataset:
    source = io.BytesIO(content.encode())
    return read_dataset(source, name=name, task=task, **how).for_task(task)  # type: ignore[arg-type]


def table(header: str, *cells: str) -> str:
    rows = zip(TEXTS, cells, strict=True)
    return "\n".join([header, *(f"{text}\t{cell}" for text, cell in rows)])


@pytest.mark.parametrize(
    "content",
    [
        table("text\tlabels", '["rude", "sad"]', '["funny"]', "[]"),
        table("text\tlabels", "['rude', 'sad']", "['funny']", "[]"),
        table("text\tlabels", "rude; sad", "funny", "[]"),
        table("text\tlabel", "rude|sad", "Funny", "[]"),
        table("text\tcategories", "rude,sad", "funny", "[]"),
        table("text\tlabels", "[0, 2]", "[1]", "[]"),
        table("text\trude\tfunny\tsad", "1\t0\t1", "0\t1\t0", "0\t0\t0"),
        table("text\tSad\tRude\tFunny", "True\tTrue\tFalse", "no\tno\tyes", "0\t0\t0.0"),
    ],
)
def test_sets_in_a_table(content):
    found = read(content, SETS, "a.tsv")
    assert found.labels.dtype == np.bool_ and found.labels.tolist() == EXPECTED
    assert found.label_names == SETS.label_names and not found.groups
    assert found.for_task(SETS) is found


def test_sets_as_lists_of_json_lines():
    rows = zip(TEXTS, (["rude", "sad"], ["funny"], []), strict=True)
    lines = [json.dumps({"text": text, "labels": labels}) for text, labels in rows]
    assert read("\n".join(lines), SETS, "a.jsonl").labels.tolist() == EXPECTED


def test_columns_of_labels_are_given_by_commas():
    content = table(
        "text\tis rude\tis funny\tis sad\tlong", "1\t0\t1\t0", "0\t1\t0\t1", "0\t0\t0\t0"
    )
    task = SeveralLabels(("is rude", "is funny", "is sad"))
    found = read(content, task, "a.tsv", label="is rude, is funny, is sad")
    assert found.labels.tolist() == EXPECTED
    assert found.provenance.label == "is rude, is funny, is sad"
    with pytest.raises(DataError, match="no column 'is glad'"):
        read(content, task, "a.tsv", label="is rude,is glad")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (table("text\tlabels", "rude", "clever", "sad"), "Line 3 of a.tsv has the label 'clever'"),
        (table("text\tlabels", "rude", "", "sad"), "Line 3 of a.tsv has no label"),
        (
            table("text\trude\tfunny\tsad", "1\t0\t1", "0\t2\t0", "0\t0\t0"),
            "Line 3 of a.tsv has '2' in the column funny",
        ),
    ],
)
def test_what_is_no_set_is_one_sentence(content, said):
    with pytest.raises(DataError, match=said) as caught:
        read(content, SETS, "a.tsv")
    assert "\n" not in str(caught.value)


def test_a_name_that_holds_a_separator_is_not_parted():
    task = SeveralLabels(("sad, but true", "funny"))
    cells = ["sad, but true", "funny", "sad, but true; funny"]
    found = read(table("text\tlabels", *cells), task, "a.tsv")
    assert found.labels.tolist() == [[True, False], [False, True], [True, True]]
    assert targets.labels_in(["a,b"], ["a,b"]) == {"a,b": ("a,b",)}


@pytest.mark.parametrize("column", ["score", "similarity", "relatedness_score", "label", "Rating"])
def test_scores_are_found_by_name_and_content(column):
    content = table(f"text\tentailment_judgment\t{column}", "yes\t4.5", "no\t1", "no\t-2e-1")
    found = read(content, SCORE, "a.tsv")
    assert found.labels.dtype == np.float64 and found.labels.tolist() == [4.5, 1.0, -0.2]
    assert found.provenance.label == column and found.provenance.matched == "value"


def test_all_scores_may_be_the_same_and_are_drawn_evenly():
    assert read(table("text\tscore", "3", "3", "3"), SCORE, "a.tsv").labels.tolist() == [3.0] * 3
    rng = np.random.default_rng(0)
    scores = rng.permutation(np.linspace(0, 1, 300))
    data = Dataset("d", tuple(f"text {k}" for k in range(300)), None, scores, ("s",))
    for part in stratified_split(data, 0.2, 0):
        counts = np.bincount((part.labels * 9.999).astype(int), minlength=10)
        assert np.ptp(counts) <= len(part) / 30 + 2, counts


@pytest.mark.parametrize(
    ("cell", "task", "said"),
    [
        ("good", SCORE, "Line 3 of a.tsv has the label 'good', which is no number"),
        ("3,5", SCORE, "Line 3 of a.tsv has the label '3,5', which is no number"),
        ("4.5", PROBABILITY, "Line 3 of a.tsv has the score 4.5, and those of the model lie"),
    ],
)
def test_what_is_no_score_is_one_sentence(cell, task, said):
    with pytest.raises(DataError, match=said):
        read(table("text\tscore", "1", cell, "0.5"), task, "a.tsv")


def test_labels_without_numbers_are_no_scores():
    data = Dataset("d", TEXTS, None, [0, 1, 0], ("bad", "good"))
    with pytest.raises(DataError, match="Sentence 1 of the data has the label 'bad'"):
        data.for_task(SCORE)
    assert Dataset("d", TEXTS, None, [0, 1, 0], ("bad", "good"), numbered=True).for_task(
        PROBABILITY
    ).labels.tolist() == [0.0, 1.0, 0.0]


def test_queries_are_given_or_are_first_texts_that_are_shared():
    rows = ["id\tquery\tpassage\tscore"]
    rows += [
        f"{k // 3}\tWhat is the number of {k // 2}?\tIt is the number {k}.\t{k % 2}"
        for k in range(12)
    ]
    by_text = read("\n".join(rows), PROBABILITY, "a.tsv")
    assert by_text.query_codes.tolist() == [k // 2 for k in range(12)]
    given = read("\n".join(rows), PROBABILITY, "a.tsv", query="id")
    assert given.query_codes.tolist() == [k // 3 for k in range(12)]
    assert given.take([0, 4]).queries == ("0", "1")
    assert given.fingerprint != by_text.fingerprint
    few = by_text.take([0, 1, 2, 4, 6, 8, 10])
    assert few.query_codes is None  # two of seven share their text
    with pytest.raises(DataError, match="no column 'qid'"):
        read("\n".join(rows), PROBABILITY, "a.tsv", query="qid")


def test_parts_and_splits_hold_scores():
    rows = ["text\tscore\tsplit"]
    rows += [
        f"Text number {k} of them.\t{k / 7}\t{'train' if k % 2 else 'test'}" for k in range(40)
    ]
    source = io.BytesIO("\n".join(rows).encode())
    splits = read_splits(source, name="a.tsv", task=SCORE)
    assert len(splits.calibration) == len(splits.evaluation) == 20
    assert splits.evaluation.labels.tolist() == pytest.approx([k / 7 for k in range(0, 40, 2)])


def test_without_a_task_labels_are_read_as_ever():
    found = read_dataset(io.BytesIO(table("text\tlabel", "1", "0", "1").encode()), name="a.tsv")
    assert found.labels.tolist() == [1, 0, 1] and found.label_names == ("0", "1")


@pytest.mark.parametrize(
    ("cells", "task"), [(("4.5", "2", "3"), SCORE), (("rude", "[]", "sad"), SETS)]
)
def test_labels_read_for_one_task_are_none_of_another(cells, task):
    found = read(table("text\tlabel", *cells), task, "a.tsv")
    for other in {SCORE, SETS, SingleLabel(("bad", "good"))} - {task}:
        said = f"labels of a.tsv were read for a model that gives {task.title}, and this one gives "
        with pytest.raises(DataError, match=said + other.title):
            found.for_task(other)
