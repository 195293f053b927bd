"""Evaluations beside each other: by hand, sentence by sentence, and the table of several masks."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bhpvas.charts.model_measures import MEASURES
from bhpvas.data.sampling import Sample
from bhpvas.errors import DataError
from bhpvas.evaluation.comparison import (
    UNPRUNED,
    accuracy_change_interval,
    compare,
    flip_patterns,
    flip_table,
    flips,
    mcnemar,
    measures,
    pairwise,
    random_mask,
    summary,
)
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.stats import McNemar, holm, tango_interval, wilson_interval
from bhpvas.tasks.single_label import SingleLabel
from tests.evaluation.made import MASK, evaluation
from tests.model.test_weights import random_projections


def test_rows_are_evaluations_and_bands_are_quantiles(classifier, dataset):
    mask = HeadMask.parse("L0H1,L1H2", 2, 4)
    changed = classifier.with_weights(random_projections(classifier))
    calls: list[tuple[int, int]] = []
    table = compare(
        classifier,
        dataset,
        {"masked": (classifier, mask), "changed": (changed, mask)},
        random=5,
        progress=lambda done, total: calls.append((done, total)),
    ).set_index("scheme")
    assert list(table.index) == ["unpruned", "masked", "changed"]
    assert calls == [(done, 8) for done in range(9)]
    unpruned = evaluate(classifier, dataset)
    for name, one in (("masked", classifier), ("changed", changed)):
        found, row = evaluate(one, dataset, mask), table.loc[name]
        assert (row.heads_removed, row.heads_kept, row.sentences) == (2, 6, 12)
        assert row.accuracy == found.accuracy
        assert row.loss == pytest.approx(found.loss, abs=1e-6)
        assert (row.change, row.change_low, row.change_high) == accuracy_change_interval(
            unpruned, found
        )
        assert (row.lost, row.gained, row.mcnemar_p) == mcnemar(unpruned, found)
        assert row.parameters == classifier.geometry.parameters - 2 * (4 * 32 * 8 + 3 * 8)
        assert row.f1_of == "positive"
    p = table.loc[["masked", "changed"], "mcnemar_p"].to_numpy()
    np.testing.assert_array_equal(table["mcnemar_p_corrected"].to_numpy(), [np.nan, *holm(p)])
    # The first row has nothing to be compared with.
    for name in ("change", "loss_change", "divergence"):
        assert table.loc["unpruned", [name, f"{name}_low", f"{name}_high"]].isna().all()
    assert np.isnan(table.loc["unpruned", "mcnemar_p"])
    accuracies = [
        evaluate(classifier, dataset, random_mask(HeadMask(2, 4), 2, seed)).accuracy
        for seed in range(5)
    ]
    band = table.loc["masked", ["random_low", "random_median", "random_high"]]
    np.testing.assert_allclose(list(band), np.quantile(accuracies, [0.05, 0.5, 0.95]))
    assert table.loc["unpruned", ["random_low", "random_high"]].isna().all()


def test_a_row_of_the_first_model_itself_compares_nothing_and_counts_in_no_correction(
    classifier, dataset
):
    masks = {name: HeadMask.parse(name, 2, 4) for name in ("L0H1,L1H2", "L0H0,L0H2,L1H1")}
    pruned = {name: (classifier, mask) for name, mask in masks.items()}
    start = {"start": (classifier, classifier.full_mask())}
    changed = {"changed": (classifier.with_weights(random_projections(classifier)), HeadMask(2, 4))}
    alone = compare(classifier, dataset, pruned | changed, random=0).set_index("scheme")
    table = compare(classifier, dataset, start | pruned | changed, random=0).set_index("scheme")
    compares = ["change", "change_low", "loss_change", "divergence_high", "mcnemar_p_corrected"]
    assert table.loc["start", compares].isna().all()
    # Other weights under the same mask are another model; without the start all is as it was.
    pd.testing.assert_frame_equal(table.drop(index="start"), alone)
    assert alone.loc["changed", compares].notna().all()
    said = {title: say(table.loc["start"])[0] for title, say in MEASURES.items()}
    assert said["Change, points"] == said["Lost and gained"] == said["KL from unpruned"] == "—"


def test_a_random_order_grows_and_none_needs_no_random_masks(classifier, dataset):
    masks = [random_mask(HeadMask(2, 4), count, seed=3) for count in range(9)]
    for count, (smaller, larger) in enumerate(itertools.pairwise(masks)):
        assert smaller.removed < larger.removed
        assert len(smaller.removed) == count
    table = compare(classifier, dataset, {"masked": (classifier, masks[2])}, random=0)
    assert table["random_median"].isna().all()


def test_what_is_known_is_not_measured_again(classifier, dataset):
    one = {"masked": (classifier, random_mask(HeadMask(2, 4), 2, seed=3))}
    counts: list[tuple[int, int]] = []
    known = {UNPRUNED: evaluate(classifier, dataset)}
    for left in (1, 0):
        table = compare(
            classifier,
            dataset,
            one,
            random=0,
            known=known,
            progress=lambda *at: counts.append(at),
        )
        pd.testing.assert_frame_equal(table, compare(classifier, dataset, one, random=0))
        assert counts[-1] == (left, left)
        known["masked"] = evaluate(classifier, dataset, one["masked"][1])


# --- evaluations beside each other, against counting sentence by sentence -------------------------


def drawn(rng: np.random.Generator, labels: np.ndarray, classes: int) -> Evaluation:
    logits = rng.normal(size=(len(labels), classes)).astype(np.float32)
    names = tuple(f"label {number}" for number in range(classes))
    return Evaluation(HeadMask(2, 4), "random", logits, labels, SingleLabel(names))


@pytest.fixture(params=[2, 3], ids=["two classes", "three classes"])
def evaluations(request) -> dict[str, Evaluation]:
    rng = np.random.default_rng(request.param)
    labels = rng.integers(request.param, size=60)
    return {name: drawn(rng, labels, request.param) for name in ("start", "a", "b", "c")}


def test_each_pair_is_tested_and_corrected_for_all_pairs(evaluations):
    table = pairwise(evaluations)
    names = list(evaluations)
    assert [*zip(table["first"], table["second"], strict=True)] == [
        (one, other) for place, one in enumerate(names) for other in names[place + 1 :]
    ]
    for _, row in table.iterrows():
        one, other = evaluations[row["first"]], evaluations[row["second"]]
        assert (row.lost, row.gained, row.p) == mcnemar(one, other)
        assert (row.change, row.low, row.high) == accuracy_change_interval(one, other)
        assert row.apart == sum(
            a != b for a, b in zip(one.predictions, other.predictions, strict=True)
        )
    np.testing.assert_array_equal(table["corrected"], holm(table["p"].to_numpy()))
    assert (table["corrected"] >= table["p"]).all()


def test_flips_say_who_flips_and_what_becomes_of_the_sentence(evaluations):
    before = evaluations.pop("start")
    table = flip_table(before, evaluations)
    for place in range(before.n):
        flipping = [
            one
            for one in evaluations.values()
            if one.predictions[place] != before.predictions[place]
        ]
        if not flipping:
            assert place not in table.index
            continue
        row = table.loc[place]
        assert [row[name] for name in evaluations] == [
            one in flipping for one in evaluations.values()
        ]
        if before.right[place]:
            assert row["outcome"] == "lost"
        else:
            right = all(one.right[place] for one in flipping)
            assert row["outcome"] == ("gained" if right else "other")


def test_patterns_count_every_flipped_sentence_once(evaluations):
    table = flip_table(evaluations.pop("start"), evaluations)
    patterns = flip_patterns(table)
    assert patterns["count"].sum() == len(table)
    assert list(patterns["count"]) == sorted(patterns["count"], reverse=True)
    assert not patterns[list(evaluations)].duplicated().any()
    for _, row in patterns.iterrows():
        here = (table[list(evaluations)] == row[list(evaluations)].astype(bool)).all(axis=1)
        assert row["count"] == here.sum()
        for outcome in ("lost", "gained", "other"):
            assert row[outcome] == (table.loc[here, "outcome"] == outcome).sum()


def test_the_same_answers_flip_nothing(evaluations):
    before = evaluations["start"]
    table = flip_table(before, {"same": before})
    assert len(table) == 0
    assert list(table.columns) == ["same", "outcome"]
    assert len(flip_patterns(table)) == 0


def test_divergence_is_what_the_sum_says(classifier, dataset, evaluations):
    lengths = np.full(60, 7)
    table = measures(classifier, evaluations, lengths).set_index("scheme")
    before = evaluations["start"]
    assert np.isnan(table.loc["start", "divergence"])
    for name, one in list(evaluations.items())[1:]:
        slow = [
            sum(p * math.log(p / q) for p, q in zip(was, is_, strict=True))
            for was, is_ in zip(before.probabilities, one.probabilities, strict=True)
        ]
        assert table.loc[name, "divergence"] == pytest.approx(np.mean(slow), abs=1e-9)
        row = table.loc[name]
        for measure in ("accuracy", "loss", "f1", "divergence", "change", "loss_change"):
            assert row[f"{measure}_low"] <= row[measure] <= row[f"{measure}_high"], measure


def test_a_table_says_which_p_are_corrected(classifier, evaluations):
    names = list(evaluations)
    say = MEASURES["Lost and gained"]
    for shown in (names, names[:2]):
        some = {name: evaluations[name] for name in shown}
        table = measures(classifier, some, np.full(60, 7)).set_index("scheme")
        corrected = ["corrected" in say(table.loc[name])[1] for name in shown[1:]]
        assert corrected == [
            table.loc[name, "mcnemar_p"] != table.loc[name, "mcnemar_p_corrected"]
            for name in shown[1:]
        ]
        assert any(corrected) == (len(shown) > 2)


def test_the_interval_of_f1_is_near_that_of_drawing_sentences_again(evaluations):
    one = evaluations["a"]
    rng = np.random.default_rng(1)
    drawn_again = []
    for _ in range(2000):
        rows = rng.integers(one.n, size=one.n)
        drawn_again.append(replace(one, logits=one.logits[rows], labels=one.labels[rows]).f1)
    np.testing.assert_allclose(
        one.f1_interval(), np.quantile(drawn_again, [0.025, 0.975]), atol=0.03
    )


# --- two evaluations ------------------------------------------------------------------------------


def test_change_of_accuracy_is_paired():
    before = evaluation([0, 0, 0, 1, 1], [0, 0, 0, 0, 1])
    after = evaluation([0, 0, 0, 1, 1], [1, 1, 0, 1, 1])
    assert flips(before, after).tolist() == [0, 1, 3]
    assert mcnemar(before, after) == McNemar(lost=2, gained=1, p=1.0)
    change = accuracy_change_interval(before, after)
    assert change.change == pytest.approx(after.accuracy - before.accuracy)
    assert change[1:] == pytest.approx(tango_interval(2, 1, 5))


def test_a_part_is_compared_on_the_sentences_it_shares():
    before = evaluation([0, 0, 0, 1, 1], [0, 0, 0, 0, 1])
    part = Sample(np.array([1, 3]), total=5)
    after = evaluation([0, 1], [1, 1], part=part)
    assert (after.n, after.total, after.complete) == (2, 5, False)
    assert flips(before, after).tolist() == [1, 3]
    assert mcnemar(before, after) == McNemar(lost=1, gained=1, p=1.0)
    assert accuracy_change_interval(before, after).change == 0


@pytest.mark.parametrize(
    "other",
    [
        evaluation([0, 1, 1], [0, 1, 1], dataset="other"),
        evaluation([0, 1, 0], [0, 1, 1]),
        evaluation([0, 1], [0, 1]),
        evaluation([0], [0], part=Sample(np.array([0]), total=7)),
    ],
    ids=["name", "labels", "size", "size of the whole"],
)
def test_different_sentences_cannot_be_compared(other: Evaluation):
    with pytest.raises(DataError, match="same sentences"):
        flips(evaluation([0, 1, 1], [0, 1, 1]), other)


def test_summary_is_plain_json():
    before = evaluation([0, 1, 1], [0, 1, 1])
    mask = MASK.without([HeadId(1, 0), HeadId(0, 3)])
    after = evaluation([0, 1, 1], [0, 0, 1], mask=mask)
    document = json.loads(json.dumps(summary(before, after), allow_nan=False))
    assert document["predictions"] == [0, 0, 1]
    assert document["flipped"] == [1]
    assert document["removed_heads"] == ["L0H3", "L1H0"]
    assert document["accuracy_interval"] == pytest.approx(wilson_interval(2, 3))
    assert document["accuracy_change"]["change"] == pytest.approx(-1 / 3)
    assert document["mcnemar"] == {"lost": 1, "gained": 0, "p": 1.0}
    assert after.metrics().items() <= document.items()
