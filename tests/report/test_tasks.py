"""Reports of models of one score and of several labels: their own metrics, words and figures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import f1_score

from bhpvas.evaluation.comparison import flips, headline_change, outcomes
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import Classifier, load_classifier
from bhpvas.recovery import recover
from bhpvas.report import ReportSettings, make_report
from bhpvas.scheme.scheme import Scheme
from tests.report.conftest import Reading
from tests.tiny import TASKS, save_tiny, sentences_for


@dataclass
class Made:
    """A report with what it is of."""

    page: Reading
    record: dict[str, Any]
    classifier: Classifier
    before: Evaluation
    after: Evaluation

    @property
    def both(self) -> tuple[Evaluation, Evaluation]:
        return self.before, self.after


@pytest.fixture(scope="module", params=list(TASKS))
def made(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = save_tiny(tmp_path_factory.mktemp(request.param), **TASKS[request.param])
    classifier, weights = load_classifier(folder), tmp_path_factory.mktemp("weights")
    calibration, data = (sentences_for(classifier.task, 40, seed) for seed in (1, 2))
    scheme = Scheme.of(classifier).removing(parse_heads("L0H0,L1H2,L1H3"))
    fitted = recover(classifier, calibration, scheme.mask)
    fitted.weights.save(weights)
    scheme = fitted.on(scheme, 0)
    report = make_report(
        classifier,
        scheme,
        calibration=calibration,
        evaluation=data,
        weights=weights,
        asked=ReportSettings(random=2),
    )
    after = evaluate(scheme.on(classifier, weights), data, scheme.mask)
    page = Reading.of(report.html)
    return Made(page, report.record(), classifier, evaluate(classifier, data), after)


def slow_headline(found: Evaluation) -> float:
    """By scipy and scikit-learn."""
    if found.labels.ndim == 2:
        answers = 1 / (1 + np.exp(-found.logits)) >= 0.5
        return float(f1_score(found.labels, answers, average="micro"))
    return float(pearsonr(found.logits[:, 0], found.labels).statistic)


def test_it_says_the_headline_its_change_and_what_changed(made: Made) -> None:
    task, said = made.classifier.task, made.page.said
    metric, change = task.headline, headline_change(made.before, made.after)
    was, is_ = (metric.value_text(slow_headline(one)) for one in (made.before, made.after))
    assert f"the {metric.title_in_text} goes from {was} (" in said
    assert f"to {is_} (" in said
    assert f"{metric.change_text(change.change)} " in said and "(paired bootstrap)" in said
    assert task.changed_if(made.before.labels) in said
    count = len(flips(made.before, made.after))
    assert f"{count} answers of 40 changed" in said
    assert len(made.page.table("changed-sentences")) == count


def test_nothing_is_said_of_accuracy_or_mcnemar_of_it(made: Made) -> None:
    said = made.page.said.replace("McNemar of whole sets right", "")
    figures = str(made.page.specs).replace("accuracies", "")
    for text in (said, figures):
        assert re.search(r"(?i)accurac|McNemar|points\b|\bnan\b", text) is None


def test_the_tables_hold_every_metric_with_its_interval(made: Made) -> None:
    table = made.page.table("measures").set_index("scheme")
    for name, one in (("Unpruned", made.before), ("Pruned", made.after)):
        for metric, found in one.measured.items():
            assert table.loc[name, metric] == pytest.approx(found.value, nan_ok=True)
            low, high = (table.loc[name, f"{metric}_{end}"] for end in ("low", "high"))
            assert (low, high) == pytest.approx(found[1:], nan_ok=True)
    steps = made.page.table("steps")
    name = made.classifier.task.headline.name
    assert steps[name].tolist()[::2] == pytest.approx(list(map(slow_headline, made.both)))


def test_curves_and_slices_are_of_the_headline(made: Made) -> None:
    name = made.classifier.task.headline.name
    curves = made.page.table("curves")
    whole = curves[curves["removed"] == 0]
    assert whole[name].tolist() == pytest.approx([slow_headline(made.before)] * len(whole))
    slices = made.page.table("slices-by-class")
    became = outcomes(made.before, made.after)
    assert slices["lost"].sum() == (became == "lost").sum()
    assert slices["n"].sum() == 40
    assert {f"{name} before", f"{name} change low", "p"} <= set(slices.columns)


def test_its_record_names_the_task(made: Made) -> None:
    task, record = made.classifier.task, made.record
    assert record["after"]["task"] == task.name
    assert record["accuracy_change"] is None
    assert record["headline_change"]["metric"] == task.headline.name
    assert (record["mcnemar"] is None) == (task.name == "regression")


def test_what_is_not_defined_is_said(tmp_path) -> None:
    """Without a head, every sentence gets the same score, which correlates with nothing."""
    classifier = load_classifier(save_tiny(tmp_path, **TASKS["score"]))
    data = sentences_for(classifier.task, 20)
    scheme = Scheme.of(classifier).removing(classifier.full_mask())
    asked = ReportSettings(random=1)
    report = make_report(classifier, scheme, calibration=data, evaluation=data, asked=asked)
    said = Reading.of(report.html).said
    assert "to not defined: the change is not defined." in said
    assert "Where the Pearson correlation is not defined" in said
    assert "do as well as this scheme" not in said
    assert re.search(r"(?i)\bnan\b", said) is None
