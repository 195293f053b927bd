"""The sentences that ship with bhpvas keep what the documentation says of them."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest

from bhpvas.data.dataset import Dataset, Splits
from bhpvas.data.reading import sample_splits

TAGS = {
    "comparison",
    "condition",
    "contrast",
    "double negation",
    "idiom",
    "intensity",
    "irony",
    "long-range",
    "mixed aspects",
    "negation",
    "plain",
    "question",
}


@pytest.fixture(scope="module")
def splits() -> Splits:
    return sample_splits()


def runs_of_words(text: str, length: int) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+(?:['-]\w+)*", text.lower())
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def parts(splits: Splits) -> tuple[Dataset, Dataset]:
    return splits.calibration, splits.evaluation


def test_sizes_and_names(splits: Splits) -> None:
    assert [len(part) for part in parts(splits)] == [240, 480]
    assert splits.made == "as in the file"
    assert splits.calibration.name == "sample · calibration"
    assert splits.evaluation.name == "sample · evaluation"
    assert {part.label_names for part in parts(splits)} == {("negative", "positive")}


def test_half_of_each_tag_is_positive_in_both_splits(splits: Splits) -> None:
    for part, share in zip(parts(splits), (10, 20), strict=True):
        assert part.tags is not None
        assert Counter(zip(part.tags, part.labels.tolist(), strict=True)) == {
            (tag, label): share for tag in TAGS for label in (0, 1)
        }


def test_no_two_sentences_share_a_run_of_five_words(splits: Splits) -> None:
    first_with: dict[tuple[str, ...], str] = {}
    shared = [
        (" ".join(run), first_with[run], text)
        for part in parts(splits)
        for text in part.texts
        for run in runs_of_words(text, 5)
        if first_with.setdefault(run, text) is not text
    ]
    assert shared == []


def test_splits_do_not_overlap_and_no_sentence_is_there_twice(splits: Splits) -> None:
    # Sentences of four words hold no run of five, so the test above does not see them.
    words = [" ".join(re.findall(r"\w+", t.lower())) for p in parts(splits) for t in p.texts]
    assert len(set(words)) == 720


def test_every_sentence_has_4_to_40_words(splits: Splits) -> None:
    lengths = [len(text.split()) for part in parts(splits) for text in part.texts]
    assert min(lengths) >= 4
    assert max(lengths) <= 40


def test_neighbours_differ_in_tag(splits: Splits) -> None:
    for part in parts(splits):
        assert part.tags is not None
        assert all(a != b for a, b in pairwise(part.tags))
