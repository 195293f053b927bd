"""A source read whole, read twice, and the sentences that ship with bhpvas."""

from __future__ import annotations

from bhpvas.data.files.formats import read_table
from bhpvas.data.reading import read_dataset, read_splits, sample_splits
from tests.data.csv_files import csv_file


def test_a_table_can_be_read_once_and_used_again() -> None:
    table = read_table(csv_file("words,stars", "good,5", "bad,1"), name="a.csv")
    assert read_dataset(table, text="words", label="stars").label_names == ("1", "5")
    assert len(read_splits(table, text="words", label="stars").evaluation) == 1


def test_the_topic_of_the_sample_sentences_is_a_group():
    assert set(sample_splits().evaluation.groups) == {"topic"}
