"""Samples to learn from where there are more sentences than needed, and a dataset in two."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.dataset import Dataset
from bhpvas.data.sampling import (
    Sample,
    calibration_sample,
    parts_of_others,
    stratified_sample,
    stratified_split,
)
from bhpvas.errors import DataError


def is_part(text: str, others: set[str]) -> bool:
    """The slow obvious way: as words, with a space on either side of each."""
    return any(f" {text} " in f" {other} " for other in others if other != text)


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=9).map(" ".join), max_size=12))
def test_parts_are_runs_of_words_in_another_text(texts):
    assert parts_of_others(tuple(texts)).tolist() == [is_part(one, {*texts}) for one in texts]


def phrases(count: int, pairs: tuple[str, ...] | None = None) -> Dataset:
    """Sentences of three words, and each one's first two."""
    whole = tuple(f"word{number} is good" for number in range(count // 2))
    texts = whole + tuple(text.split(" ", 1)[0] + " is" for text in whole)
    labels = np.arange(count) % 2
    return Dataset("phrases", texts, pairs, labels, ("negative", "positive"))


def test_whole_sentences_are_drawn_where_there_are_enough():
    drawn = calibration_sample(phrases(40), 10, seed=1)
    assert len(drawn) == 10 and set(drawn.texts) <= set(phrases(40).texts[:20])
    assert drawn.labels.tolist().count(0) == 5
    assert drawn.texts != calibration_sample(phrases(40), 10, seed=2).texts


def test_parts_are_drawn_too_where_there_are_too_few_whole_sentences():
    assert len(set(calibration_sample(phrases(40), 30).texts)) == 30


def test_few_sentences_are_left_as_they_are():
    few = phrases(40)
    assert calibration_sample(few, 40) is few


def test_of_very_many_sentences_only_some_are_compared(monkeypatch):
    monkeypatch.setattr("bhpvas.data.sampling._MOST_COMPARED", 60)
    compared = []
    monkeypatch.setattr(
        "bhpvas.data.sampling.parts_of_others",
        lambda texts: compared.append(len(texts)) or parts_of_others(texts),
    )
    drawn = calibration_sample(phrases(400), 20)
    assert compared == [60] and len(set(drawn.texts)) == 20
    assert len(calibration_sample(phrases(400), 100)) == 100


def test_of_pairs_any_may_be_drawn():
    pairs = phrases(40, pairs=("and so on",) * 40)
    assert any(len(text.split()) == 2 for text in calibration_sample(pairs, 20).texts)


# --- a dataset in two


def made_of(labels: list[int] | np.ndarray, names: tuple[str, ...] = ("0", "1", "2")) -> Dataset:
    texts = tuple(f"sentence {number}" for number in range(len(labels)))
    return Dataset("made", texts, None, np.asarray(labels), names)


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


def test_a_large_group_of_copies_does_not_take_a_part_for_itself() -> None:
    first, second = stratified_split(written_often([300, *[1] * 99], [0] * 100), 1 / 3, 0)
    assert len(first) == 99 and len(set(second.texts)) == 1
    # Each label gives something to learn from, even where nothing fits.
    first, _ = stratified_split(written_often([50] * 4, [0, 0, 1, 1]), 1 / 3, 0)
    assert sorted(np.bincount(first.labels).tolist()) == [50, 50]


def test_one_sentence_many_times_cannot_be_split() -> None:
    with pytest.raises(DataError, match="two or more that differ"):
        stratified_split(written_often([5], [0]), 0.5, 0)


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


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.data())
def test_stratified_sample_keeps_the_proportions(labels: list[int], data: st.DataObject):
    size = data.draw(st.integers(1, len(labels)))
    sample = stratified_sample(np.array(labels), size, seed=data.draw(st.integers(0, 9)))
    assert len(sample) == size == len(set(sample))
    assert sorted(sample) == sample.tolist()
    for label in set(labels):
        share = labels.count(label) * size / len(labels)
        assert abs((np.array(labels)[sample] == label).sum() - share) < 1


@given(st.integers(1, 40), st.integers(1, 40), st.lists(st.integers(0, 39), unique=True))
def test_a_sample_knows_which_rows_it_holds(sentences, most, rows):
    rows = np.array([row for row in rows if row < sentences], dtype=np.int64)
    sample = Sample.of(sentences, most)
    assert len(sample) == min(sentences, most)
    here, places = sample.among(rows)
    np.testing.assert_array_equal(sample.rows[places], rows[here])
    assert set(rows[here]) == set(rows) & set(sample.rows)
