"""What a search and a recovery learn from where there are more sentences than they need."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.calibration import _likely_runs, _shapes, calibration_sample, parts_of_others
from bhpvas.datasets import Dataset


def is_part(text: str, others: set[str]) -> bool:
    """The slow obvious way: as words, with a space on either side of each."""
    return any(f" {text} " in f" {other} " for other in others if other != text)


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=6).map(" ".join), max_size=12))
def test_parts_are_runs_of_words_in_another_text(texts):
    assert parts_of_others(tuple(texts)).tolist() == [is_part(one, {*texts}) for one in texts]


@given(st.lists(st.text("ab \t", min_size=1, max_size=7), max_size=12))
def test_only_runs_that_look_like_a_text_are_tried(texts):
    """As many as there are places where a text of that length could begin and end as it does."""
    shapes = _shapes(texts)
    known = [text.split() for text in texts]
    for words in known:
        every = range(len(words) + 1)
        runs = [words[start:end] for start in every for end in every[start + 1 :]]
        likely = [
            run
            for run in runs
            if len(run) < len(words)
            and any(
                (run[0], run[-1], len(run)) == (one[0], one[-1], len(one)) for one in known if one
            )
        ]
        tried = [tuple(words[start:end]) for start, end in _likely_runs(words, shapes)]
        assert sorted(tried) == sorted(map(tuple, likely))


def test_a_long_text_is_not_tried_in_every_part():
    long = [f"word{number}" for number in range(3_000)]
    shapes = _shapes([" ".join(long), *(" ".join(long[at : at + 9]) for at in range(40))])
    assert list(_likely_runs(long, shapes)) == [(at, at + 9) for at in range(40)]


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


def test_of_pairs_any_may_be_drawn():
    pairs = phrases(40, pairs=("and so on",) * 40)
    assert any(len(text.split()) == 2 for text in calibration_sample(pairs, 20).texts)
