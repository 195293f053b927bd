"""Sections: their numbers are the library's."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bhpvas import text
from bhpvas.charts import style
from bhpvas.criteria import DEFAULT_CRITERIA, score
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.comparison import flips, measures
from bhpvas.evaluation.data_record import data_record, side_by_side
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.evaluation.slices import groupings, sentence_table, slice_table
from bhpvas.heads import parse_heads
from bhpvas.report import ReportSettings, make_report
from bhpvas.report.findings import own_order
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import propose
from bhpvas.search.curves import measure_curve
from bhpvas.version import versions
from tests.report.conftest import CALIBRATION, COMMAND, EVALUATION, EVIL, Reading
from tests.tiny import many_sentences


def test_the_saved_tree_shows_the_step_of_the_report_as_it_is_drawn(page_of):
    (current,) = [
        trace
        for spec in page_of.specs
        for trace in spec["data"]
        if trace.get("name") == "the step that this report is of"
    ]
    assert current["showlegend"] and current["marker"]["color"] == style.SELECTED


def test_model_data_versions_and_command_are_named(page_of, classifier):
    said = page_of.said
    assert classifier.fingerprint in said and classifier.source in said
    assert "2 layers × 4 heads of size 8" in said and "negative, positive" in said
    for name, version in versions("torch", "transformers", "plotly").items():
        assert f"{name} {version}" in said
    assert COMMAND in said
    data = page_of.table("data").set_index("split")
    for name, one in (("calibration", CALIBRATION), ("evaluation", EVALUATION)):
        row = data.loc[name]
        assert (row["name"], row["sentences"], row["fingerprint"]) == (
            one.name,
            len(one),
            one.fingerprint,
        )
        assert [row["negative"], row["positive"]] == np.bincount(one.labels).tolist()
    assert Scheme.from_json(page_of.files["scheme.json"]).name == f"main {EVIL}"


def test_what_was_read_of_both_splits_is_in_a_table(report, page_of, classifier):
    found = report[0].findings
    expected = data_record(classifier, EVALUATION), data_record(classifier, CALIBRATION)
    assert found.read.facts() == expected[0].facts()
    assert found.read_calibration.facts() == expected[1].facts()
    rows = side_by_side(*reversed(expected))
    assert f"Label column {text.NOTHING} stars" in page_of.said
    assert "Rows left out none 2 (no label)" in page_of.said
    for row in rows:
        assert " ".join(" ".join(row).split()) in page_of.said
    assert EVIL in found.read.notes and page_of.said.count(EVIL) > 2


def test_the_measures_are_those_of_a_comparison(page_of, both, classifier):
    found = page_of.table("measures")
    named = dict(zip(("Unpruned", "Pruned"), both, strict=True))
    expected = measures(classifier, named, classifier.encode(EVALUATION).lengths)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_every_step_on_the_way_is_measured(page_of, scheme, classifier):
    made, folder = scheme
    found = page_of.table("steps").set_index("step")
    for step in made.path():
        here = made.at(step.id)
        expected = evaluate(here.on(classifier, folder), EVALUATION, here.mask)
        row = found.loc[step.id]
        assert row["accuracy"] == expected.accuracy
        assert row["loss"] == pytest.approx(expected.loss, abs=1e-6)
        assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(
            expected.accuracy_interval
        )
    branch = found.loc[1]  # never measured, so nothing is said of it
    assert np.isnan(branch["accuracy"]) and branch["heads"] == "L1H0"
    assert "not measured" in page_of.said
    assert "learnt from 40 sentences of many" in found.loc[3, "settings"]


def test_the_steps_whose_sentences_measure_them_are_marked(classifier):
    """Of the path and of a branch that was measured; steps before, and by hand, are not."""
    learnt = propose(classifier, EVALUATION.take(range(10)), "importance", heads=2)
    by_hand = Scheme.of(classifier).removing(parse_heads("L0H1"))
    metrics = evaluate(classifier, EVALUATION, learnt.mask).metrics()
    aside = learnt.on(by_hand.at(0)).measured(
        metrics | {"data_fingerprint": EVALUATION.fingerprint}
    )
    made = make_report(
        classifier,
        learnt.on(aside.at(1)),
        calibration=CALIBRATION,
        evaluation=EVALUATION,
        asked=ReportSettings(random=0),
    )
    page = Reading.of(made.html)
    assert page.table("steps")["learnt_from"].tolist() == [0, 0, 10, 10]
    assert made.html.count(", 10 learnt from</small>") == 2
    (tree,) = [one for one in page.specs if "the step that this report is of" in str(one)]
    (points,) = [one for one in tree["data"] if one.get("name") == "accuracies"]
    assert sorted(points["marker"]["symbol"]) == ["circle"] * 2 + ["circle-open"] * 2
    assert "An open point: some of the sentences" in page.said
    curves = next(one for one in page.specs if "steps of the scheme" in str(one))
    assert str(curves).count("30 sentences, 10 learnt from") == 1  # of the path alone


def test_the_reasons_are_those_of_the_proposal(page_of, classifier):
    found = page_of.table("reasons-step-2")
    expected = propose(classifier, CALIBRATION, "fisher", heads=3)
    assert found["head"].tolist() == [str(head) for head in expected.heads]
    assert found["reason"].tolist() == [removal.reason for removal in expected.removals]


def test_the_scores_are_those_of_the_unpruned_model(page_of, classifier):
    found = page_of.table("heads")
    expected = score(classifier, CALIBRATION)
    for name in DEFAULT_CRITERIA:
        assert found[name].to_numpy() == pytest.approx(expected.values[name].ravel(), rel=1e-6)
        alone = page_of.table(name)
        assert alone[name].to_numpy() == pytest.approx(found[name].to_numpy())
        assert alone[f"{name} rank"].tolist() == found[f"{name} rank"].tolist()
    removed = ablate(classifier, CALIBRATION)
    assert found["ablation-loss"].to_numpy() == pytest.approx(removed.loss_change.ravel(), abs=1e-6)
    criteria = page_of.table("criteria").set_index("criterion")
    kept = found["kept"].to_numpy()
    importance = expected.values["importance"].ravel()
    row = criteria.loc["Importance"]
    assert row["median_kept"] == pytest.approx(np.median(importance[kept]))
    assert row["median_removed"] == pytest.approx(np.median(importance[~kept]))


def test_the_curves_are_one_evaluation_a_point(page_of, scheme, both, classifier):
    found, made = page_of.table("curves"), scheme[0]
    own = found[(found["method"] == "this scheme") & (found["recovery"] == "none")]
    order = own_order(made)
    assert list(own["removed"]) == [0, 1, 2, 3]
    for row in own.itertuples():
        mask = classifier.full_mask().without(order[: row.removed])
        assert row.accuracy == evaluate(classifier, EVALUATION, mask).accuracy
    recovered = found[(found["method"] == "this scheme") & (found["recovery"] == "compensate")]
    # The scheme was compensated on the same sentences, so its curve ends where it stands.
    assert recovered["accuracy"].iloc[-1] == both[1].accuracy
    counts = sorted(found["removed"].unique())
    for method, recovery, seed in (
        ("importance", None, 0),
        ("importance", "compensate", 0),
        ("random", None, 2),
    ):
        expected = measure_curve(
            classifier, CALIBRATION, EVALUATION, method, counts, recovery=recovery, seed=seed
        )
        rows = found[
            (found["method"] == method)
            & (found["recovery"] == (recovery or "none"))
            & (found["seed"] == seed)
        ]
        assert tuple(rows["accuracy"]) == expected.headline
    assert set(found.loc[found["method"] == "random", "seed"]) == {0, 1, 2}


def test_changed_answers_and_slices(page_of, both, classifier):
    before, after = both
    lengths = classifier.encode(EVALUATION).lengths
    found = page_of.table("changed-sentences")
    expected = sentence_table(EVALUATION, before, after, lengths)
    places = flips(before, after)
    assert found["place"].tolist() == places.tolist()
    assert found["outcome"].tolist() == expected["outcome"].iloc[places].tolist()
    for when in ("before", "after"):
        assert found[f"confidence {when}"].to_numpy() == pytest.approx(
            expected[f"confidence {when}"].iloc[places].to_numpy()
        )
    ways = groupings(EVALUATION, classifier.task, lengths)
    for name in ("tag", "class"):
        slices = slice_table(ways[name], before, after)
        mine = page_of.table(f"slices-by-{name}")
        assert mine["slice"].tolist() == slices["slice"].tolist()
        assert mine["accuracy change"].to_numpy() == pytest.approx(slices["accuracy change"])


def test_formulas_in_sentences_are_no_formulas(classifier):
    data = replace(many_sentences(8), texts=("=1+1", *many_sentences(8).texts[1:]))
    # Every head gone: some answers change, and all of them are in the file.
    scheme = Scheme.of(classifier).removing(classifier.full_mask())
    made = make_report(
        classifier, scheme, calibration=CALIBRATION, evaluation=data, asked=ReportSettings(random=0)
    )
    found = Reading.of(made.html).files["changed-sentences.csv"]
    changed = flips(evaluate(classifier, data), evaluate(classifier, data, scheme.mask))
    assert len(changed) == found.count("\n") - 1
    assert not re.search(r"(^|,)=", found, re.MULTILINE)


def test_columns_named_like_those_of_the_table_have_names_of_their_own(classifier):
    plain = many_sentences(8)
    groups = dict.fromkeys(("label", "outcome", "place"), tuple("xy" * 4))
    scheme = Scheme.of(classifier).removing(classifier.full_mask())
    made = make_report(
        classifier,
        scheme,
        calibration=CALIBRATION,
        evaluation=replace(plain, groups=groups),
        asked=ReportSettings(random=0),
    )
    found = Reading.of(made.html).table("changed-sentences")
    assert {"column label", "column outcome", "column place"} <= set(found.columns)
