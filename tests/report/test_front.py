"""Front matter: what a scheme costs in words, and what a reader has to know."""

from __future__ import annotations

from bhpvas import text
from bhpvas.evaluation.comparison import accuracy_change_interval, flips, mcnemar
from bhpvas.report import ReportSettings, make_report
from tests.report.conftest import CALIBRATION, Reading


def test_the_opening_says_what_it_costs(page_of, both, classifier):
    before, after = both
    change, test = accuracy_change_interval(before, after), mcnemar(before, after)
    assert "3 of 8 attention heads are removed, and the rest is compensated." in page_of.said
    for one in both:
        accuracy = f"{text.percent(one.accuracy)}% {text.interval(*one.accuracy_interval)}"
        assert accuracy in page_of.said
    assert f"{text.signed(100 * change.change)} points" in page_of.said
    assert text.change_interval(change.low, change.high) in page_of.said
    assert f"{len(flips(before, after))} answers of 30 changed, {test.lost} lost" in page_of.said
    assert f"{text.p_value(test.p)} (McNemar)" in page_of.said


def test_sentences_of_both_splits_are_a_caution(classifier, scheme, page_of):
    assert "calibration sentences as well" not in page_of.said
    made = make_report(
        classifier,
        scheme[0].at(0),
        calibration=CALIBRATION,
        evaluation=CALIBRATION.take(range(10)),
        weights=scheme[1],
        asked=ReportSettings(random=0),
    )
    said = Reading.of(made.html).said
    assert "10 of 10 evaluation sentences are calibration sentences as well" in said
