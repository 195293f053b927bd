"""Slices: every number the slow way, sentence by sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from bhpvas.data.dataset import Dataset
from bhpvas.evaluation.comparison import accuracy_change_interval, outcomes
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.evaluation.slices import (
    Grouping,
    by_length,
    groupings,
    sentence_table,
    slice_table,
    worst_hit,
)
from bhpvas.heads import HeadMask
from bhpvas.tasks.single_label import SingleLabel

N = 90
NAMES = ("negative", "positive", "neutral")


def evaluation(seed: int, mask: str = "") -> Evaluation:
    random = np.random.default_rng(seed)
    labels = np.random.default_rng(7).integers(0, 3, N)
    logits = random.normal(size=(N, 3)).astype(np.float32)
    logits[np.arange(N), labels] += 1
    return Evaluation(HeadMask.parse(mask, 2, 4), "made", logits, labels, SingleLabel(NAMES))


@pytest.fixture(scope="module")
def before() -> Evaluation:
    return evaluation(1)


@pytest.fixture(scope="module")
def after() -> Evaluation:
    return evaluation(2, "L0H1")


@pytest.fixture(scope="module")
def data(before: Evaluation) -> Dataset:
    return Dataset(
        name="made",
        texts=tuple(f"sentence {row}" for row in range(N)),
        pairs=None,
        labels=before.labels,
        label_names=NAMES,
        tags=tuple("abc"[row % 3] for row in range(N)),
        groups={"stars": tuple(str(row % 12) for row in range(N))},
    )


def test_numbers_stand_in_their_order_and_words_by_the_alphabet() -> None:
    assert Grouping.of("n", ("10", "9", "1.5", "9")).names == ("1.5", "9", "10")
    assert Grouping.of("n", ("10", "9", "1.5", "9")).codes.tolist() == [2, 1, 0, 1]
    assert Grouping.of("n", ("b", "10", "a")).names == ("10", "a", "b")


def test_every_way_to_group(data: Dataset) -> None:
    found = groupings(data, SingleLabel(NAMES), np.arange(N) + 3)
    assert list(found) == ["tag", "class", "length", "column stars"]
    assert found["column stars"].names == tuple(map(str, range(12)))
    for grouping in found.values():
        assert len(grouping.codes) == N
        assert set(grouping.codes.tolist()) <= set(range(len(grouping.names)))


@pytest.mark.parametrize("seed", range(5))
def test_length_bins_hold_every_sentence_once_and_name_their_range(seed: int) -> None:
    lengths = np.random.default_rng(seed).integers(3, 30, 200)
    found = by_length(lengths)
    for code, name in enumerate(found.names):
        low, _, high = name.partition("–")
        here = lengths[found.codes == code]
        assert (here.min(), here.max()) == (int(low), int(high or low))
    assert np.bincount(found.codes).min() > 20


def test_equal_lengths_are_one_bin() -> None:
    assert by_length(np.full(8, 6)).names == ("6",)


def test_a_slice_is_what_its_sentences_say(
    data: Dataset, before: Evaluation, after: Evaluation
) -> None:
    grouping = groupings(data, SingleLabel(NAMES), np.arange(N))["tag"]
    table = slice_table(grouping, before, after).set_index("slice")
    raw = {}
    for tag in "abc":
        rows = [row for row in range(N) if data.tags is not None and data.tags[row] == tag]
        was = [bool(before.right[row]) for row in rows]
        is_ = [bool(after.right[row]) for row in rows]
        lost = sum(one and not other for one, other in zip(was, is_, strict=True))
        gained = sum(other and not one for one, other in zip(was, is_, strict=True))
        row = table.loc[tag]
        assert row["n"] == len(rows) == 30
        assert row["accuracy before"] == pytest.approx(sum(was) / 30)
        assert row["accuracy after"] == pytest.approx(sum(is_) / 30)
        assert (row["lost"], row["gained"]) == (lost, gained)
        raw[tag] = binomtest(lost, lost + gained).pvalue
        picked = [
            Evaluation(one.mask, "part", one.logits[rows], one.labels[rows], one.task)
            for one in (before, after)
        ]
        change, low, high = accuracy_change_interval(*picked)
        assert row["accuracy change"] == pytest.approx(change)
        assert (row["accuracy change low"], row["accuracy change high"]) == pytest.approx(
            (low, high)
        )
        assert (row["accuracy before low"], row["accuracy before high"]) == pytest.approx(
            picked[0].accuracy_interval
        )
        assert row["loss change"] == pytest.approx(picked[1].loss - picked[0].loss)
    order = sorted(raw, key=lambda tag: raw[tag])
    assert table["p"].min() == pytest.approx(min(1, 3 * raw[order[0]]))
    assert (table["p"] >= [raw[tag] for tag in table.index]).all()


def test_groups_without_sentences_have_no_row(before: Evaluation, after: Evaluation) -> None:
    grouping = Grouping("some", ("here", "nowhere"), np.zeros(N, dtype=int))
    assert slice_table(grouping, before, after)["slice"].tolist() == ["here"]


def test_the_worst_hit_slice_loses_most(before: Evaluation, after: Evaluation) -> None:
    labels = before.labels
    codes = np.where(before.right & ~after.right, 1, 0)
    table = slice_table(Grouping("made", ("others", "losers"), codes), before, after)
    hit = worst_hit(table)
    assert hit is not None and hit["slice"] == "losers"
    assert hit["accuracy change"] == -1
    same = slice_table(Grouping("class", NAMES, labels), before, before)
    assert worst_hit(same) is None


def test_outcomes_are_told_apart(before: Evaluation, after: Evaluation) -> None:
    found = outcomes(before, after)
    for row in range(N):
        was, is_, label = before.predictions[row], after.predictions[row], before.labels[row]
        expected = "same"
        if was != is_:
            expected = "lost" if was == label else "gained" if is_ == label else "other"
        assert found[row] == expected
    assert set(found) == {"same", "lost", "gained", "other"}


def test_the_table_has_both_answers_of_each_sentence(
    data: Dataset, before: Evaluation, after: Evaluation
) -> None:
    table = sentence_table(data, before, after, np.arange(N))
    assert table["sentence"].tolist() == list(data.texts)
    row = table.iloc[11]
    label = before.labels[11]
    assert row["label"] == NAMES[label]
    assert row["before"] == NAMES[int(before.logits[11].argmax())]
    assert row["confidence after"] == pytest.approx(after.probabilities[11].max())
    assert row["loss before"] == pytest.approx(-np.log(before.probabilities[11, label]))
    assert row["change"] == pytest.approx(
        after.probabilities[11, label] - before.probabilities[11, label]
    )
    assert (row["tag"], row["tokens"], row["stars"]) == ("c", 11, "11")


def test_a_column_named_like_one_of_the_table_is_a_column_of_its_own(
    data: Dataset, before: Evaluation, after: Evaluation
) -> None:
    ours = list(sentence_table(replace(data, groups={}), before, after, np.arange(N)).columns)
    names = [*ours, "place", "open", "column label", "stars"]
    named = replace(
        data, groups={name: tuple(f"{name} {row % 2}" for row in range(N)) for name in names}
    )
    table = sentence_table(named, before, after, np.arange(N))
    assert table.columns.is_unique and list(table.columns[: len(ours)]) == ours
    assert table["label"].iloc[3] == NAMES[before.labels[3]]
    for name in (*ours, "place", "open"):
        assert table[f"column {name}"].iloc[3] == f"{name} 1"
    assert table["column column label"].iloc[3] == "column label 1"
    assert table["stars"].iloc[3] == "stars 1"
