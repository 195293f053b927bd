"""What a search and a recovery learn from where there are more sentences than they need."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.dataset import Dataset
from bhpvas.data.sampling import calibration_sample, parts_of_others


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
