"""Record of data: its numbers counted by hand, and what its line, table and JSON say of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data.dataset import Dataset
from bhpvas.data.provenance import Provenance
from bhpvas.evaluation.data_record import DataRecord, data_record, side_by_side
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.heads import HeadMask, parse_heads
from bhpvas.model.classifier import load_classifier
from tests.tiny import TASKS, save_tiny

SOURCE = Provenance("review", "reply", "stars", "separated by tabs", "order", {"no label": 3})
RECORD = DataRecord("mine", SOURCE, {"bad": 1200, "good": 4}, 0.0123, 7, 2, ("A guess.",))


def test_the_line_says_everything_but_the_notes():
    assert RECORD.line() == (
        'separated by tabs, column "review" as text, "reply" as pair, "stars" as label, matched by '
        "order (bad 1,200, good 4), 3 rows left out (no label), 1.2% unknown tokens, 7 sentences "
        "cut, 2 sentences without words"
    )


def test_the_line_of_sentences_made_in_memory_has_no_columns():
    bare = replace(RECORD, source=Provenance(), unknown_share=0.0, truncated=1, empty=0)
    assert bare.line() == "labels (bad 1,200, good 4), 0% unknown tokens, 1 sentence cut"
    assert bare.facts()["Text column"] is None and bare.facts()["Rows left out"] == "none"


def test_a_name_of_several_lines_stays_on_one():
    source = replace(SOURCE, text="two\nlines")
    assert '"two lines" as text' in replace(RECORD, source=source).line()


@pytest.mark.parametrize(
    ("share", "said"), [(0.0, "0%"), (1e-9, "under 0.1%"), (0.0006, "0.1%"), (1.0, "100.0%")]
)
def test_a_share_is_never_rounded_to_none(share, said):
    record = replace(RECORD, unknown_share=share)
    assert f", {said} unknown tokens" in record.line()
    assert record.facts()["Unknown tokens"] == said


def test_the_part_of_the_source_is_said():
    record = replace(RECORD, source=replace(SOURCE, split="use", part="Test"))
    assert '"stars" as label, "use" as split, part "Test", matched by' in record.line()
    assert (record.facts()["Split column"], record.facts()["Part"]) == ("use", "Test")
    assert (record.record()["split"], record.record()["part"]) == ("use", "Test")
    of_the_hub = replace(RECORD, source=replace(SOURCE, part="validation"))
    assert 'as label, part "validation", matched' in of_the_hub.line()
    assert of_the_hub.facts()["Split column"] is None
    assert (RECORD.record()["split"], RECORD.record()["part"]) == (None, None)


def test_several_reasons_have_a_number_each():
    left_out = {"no label": 10, "no text": 2}
    record = replace(RECORD, source=replace(SOURCE, left_out=left_out))
    assert "12 rows left out (no label 10, no text 2)" in record.line()
    assert record.facts()["Rows left out"] == "12 (no label 10, no text 2)"


def test_many_labels_are_counted_together():
    record = replace(RECORD, rows={f"intent {place}": 10 + place for place in range(77)})
    assert "matched by order (77 labels of 10 to 86 rows)" in record.line()
    assert len(record.record()["rows_per_label"]) == 77


def test_rows_with_none_of_many_labels_are_no_label():
    rows = {f"topic {place}": 4 + place for place in range(18)} | {"none of them": 2}
    line = replace(RECORD, rows=rows).line()
    assert "(18 labels of 4 to 21 rows, none of them 2)" in line


def test_two_records_side_by_side_have_every_fact_of_both():
    other = replace(RECORD, source=Provenance(text="review"), empty=0)
    rows = {name: (one, two) for name, one, two in side_by_side(other, RECORD)}
    assert rows["Text column"] == ("review", "review")
    assert rows["Label column"] == ("—", "stars")
    assert rows["Sentences without words"] == ("—", "2 (0.2%)")
    assert rows["Sentences cut"] == ("7 (0.6%)", "7 (0.6%)")
    assert list(rows) == [name for name, said in RECORD.facts().items() if said]
    assert side_by_side(RECORD, other) == [(name, two, one) for name, (one, two) in rows.items()]


words = st.lists(st.sampled_from("good bad film xyzzy the".split()), min_size=1, max_size=60)


@given(sentences=st.lists(st.tuples(words, st.integers(0, 1)), min_size=2, max_size=12))
def test_the_numbers_are_those_of_a_count_one_by_one(classifier, sentences):
    classifier = replace(classifier, max_unknown=1.0)
    texts = tuple(" ".join(each) for each, _ in sentences)
    data = Dataset("made", texts, None, [label for _, label in sentences], ("NEGATIVE", "pos"))
    found = data_record(classifier, data)
    room = classifier.geometry.max_length - 2  # each word is one token
    read = [word for each, _ in sentences for word in each[:room]]
    assert found.sentences == len(sentences) and found.empty == 0
    assert found.unknown_share == pytest.approx(read.count("xyzzy") / len(read))
    assert found.truncated == sum(len(each) > room for each, _ in sentences)
    labels = [label for _, label in sentences]
    assert found.rows == {"negative": labels.count(0), "positive": labels.count(1)}
    seen = [
        tuple(word if word != "xyzzy" else "?" for word in each[:room]) for each, _ in sentences
    ]
    assert found.copies == len(seen) - len({*seen})
    both = {one for one, (_, label) in zip(seen, sentences, strict=True) if label} & {
        one for one, (_, label) in zip(seen, sentences, strict=True) if not label
    }
    conflicts = [note for note in found.notes if "more than one label" in note]
    assert [int(note.split()[0]) for note in conflicts] == [len(both)] * bool(both)
    written = json.loads(json.dumps(found.record()))
    assert written["truncated_share"] == pytest.approx(found.truncated / len(sentences))
    assert sum(written["rows_per_label"].values()) == written["sentences"]


def repeated(different: int, copies: int) -> Dataset:
    """So many different sentences, and copies of the first with other case and blanks."""
    words = "a the film book meal hotel phone good bad fine".split()
    texts = [f"{one} {other} is {third}" for one in words for other in words for third in words]
    texts = texts[:different] + [f" {texts[0].upper()} "] * copies
    labels = np.arange(len(texts)) % 2
    labels[different:] = labels[0]
    return Dataset("made", tuple(texts), None, labels, ("negative", "positive"))


@pytest.mark.parametrize(
    ("different", "copies", "noted"),
    [
        (40, 0, False),
        (2, 0, False),
        (100, 11, False),
        (90, 10, True),
        (29, 1, True),
        (30, 1, False),
    ],
)
def test_copies_are_counted_and_noted_where_they_are_many(classifier, different, copies, noted):
    record = data_record(classifier, repeated(different, copies))
    assert (record.copies, record.record()["copies"]) == (copies, copies)
    assert len(record.notes) == noted
    if noted:
        assert record.notes[0].startswith(f"{copies} of the {different + copies} sentences are")
        assert f"({different} differ)" in record.notes[0]


def test_copies_stand_in_the_line_and_the_table():
    record = replace(RECORD, copies=301)
    assert record.line().endswith("2 sentences without words, 301 copies of another")
    assert record.facts()["Copies of another"] == "301 (25.0%)"
    assert "cop" not in RECORD.line() and RECORD.facts()["Copies of another"] == "none"
    assert replace(RECORD, copies=1).line().endswith(", 1 copy of another")


def test_copies_with_other_labels_are_said_with_a_place(classifier):
    texts = ("A good film.", "bad", "a GOOD film .", "Bad", "fine", "a good film.")
    data = Dataset("made", texts, None, [1, 0, 0, 0, 1, 1], ("negative", "positive"))
    data = replace(data, file="a.csv", unit="line", lines=np.arange(6) + 2)
    _, conflict = data_record(classifier, data).notes
    assert conflict == (
        "1 sentence has more than one label, so that no model can be right throughout: Line 4 of "
        "a.csv is labelled 'negative', and line 2 of a.csv, the same to the model, 'positive'."
    )
    both = replace(data, labels=[1, 0, 0, 1, 1, 1])
    assert data_record(classifier, both).notes[1].startswith("2 sentences have more than one label")


def test_of_pairs_both_halves_make_a_copy(classifier):
    data = Dataset(
        "made", ("good",) * 3, ("bad", "fine", "Bad"), [0, 1, 0], ("negative", "positive")
    )
    assert data_record(classifier, data).copies == 1


def turned(classifier, mask: HeadMask) -> tuple[Dataset, Evaluation]:
    """Sentences whose labels are exchanged, as an evaluation under a mask shows them."""
    labels = np.arange(40) % 2
    data = replace(repeated(40, 0), labels=labels)
    logits = np.eye(2, dtype=np.float32)[1 - labels]
    return data, Evaluation(mask, "made", logits, labels, classifier.task)


def test_notes_are_of_sentences_and_model_and_doubts_by_the_answers_of_the_unpruned_model_alone(
    classifier,
):
    whole = classifier.full_mask()
    data, evaluation = turned(classifier, whole)
    told = replace(data, provenance=Provenance(notes=("A guess.",)))
    first, doubt = data_record(classifier, told, unpruned=evaluation).notes
    assert first == "A guess." and doubt.startswith("The labels look exchanged")
    assert data_record(classifier, data).notes == ()
    odd = replace(classifier, notes=("A part was left out.",))
    assert data_record(odd, told).notes == ("A guess.", "A part was left out.")
    _, pruned = turned(classifier, whole.without(parse_heads("L0H1")))
    assert data_record(classifier, data, unpruned=pruned).notes == ()


def test_scores_below_zero_have_a_true_minus_in_words_and_their_digits_in_json():
    values = Provenance("review", None, "warmth", matched="value")
    record = DataRecord("mine", values, {"-2 to -0.5": 3, "-0.5 to 1": 4}, 0.0, 0, 0)
    assert "matched by value (−2 to −0.5: 3, −0.5 to 1: 4)" in record.line()
    assert record.facts()["Rows"] == "−2 to −0.5: 3, −0.5 to 1: 4"
    assert list(record.record()["rows_per_label"]) == ["-2 to -0.5", "-0.5 to 1"]
    named = replace(record, source=replace(values, matched="name"), rows={"non-toxic": 3})
    assert "(non-toxic 3)" in named.line()


@pytest.mark.parametrize("named", [True, False])
def test_of_a_ranking_it_says_how_many_queries_are_measured(tmp_path, named):
    classifier = load_classifier(save_tiny(tmp_path, **TASKS["score"]))
    queries = ("good", "good", "bad", "bad", "bad", "the film")
    labels = np.array([3.0, 3.0, 1.0, 2.0, 2.0, 5.0])
    data = Dataset("six", queries, ("a film",) * 6, labels, ("score",))
    if named:
        data = replace(data, texts=("good",) * 6, queries=tuple("aabbbc"))
    (note,) = data_record(classifier, data).notes[-1:]
    which = "--query cell" if named else "first text"
    assert note.startswith(f"Pairs with the same {which} answer one query: 1 of the 3 queries have")
