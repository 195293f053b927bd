"""The report of a scheme that removes feed-forward neurons beside heads."""

from __future__ import annotations

import pytest

from bhpvas import write_report
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.cost import flops_per_sentence
from bhpvas.scheme.scheme import Scheme
from bhpvas.search.budget import Target
from bhpvas.search.target import narrow_to
from tests.report.conftest import CALIBRATION, EVALUATION, Reading


@pytest.fixture(scope="module")
def narrowed(classifier, tmp_path_factory):
    """What a search found, the scheme of it, its report, and the page as a person reads it."""
    folder = tmp_path_factory.mktemp("narrow")
    found, *_ = narrow_to(classifier, CALIBRATION, [Target("flops", 0.5)])
    scheme = found.on(Scheme.of(classifier))
    found.recovered.weights.save(folder)
    report = write_report(
        classifier,
        scheme,
        folder / "report.html",
        calibration=CALIBRATION,
        evaluation=EVALUATION,
        weights=folder,
        random=2,
    )
    return found, scheme, report, Reading.of(report.html)


def test_it_says_how_many_neurons_go(classifier, narrowed):
    found, _, report, page = narrowed
    width, layers = classifier.geometry.intermediate_size, classifier.geometry.layers
    gone = len(found.mask.neurons)
    assert gone
    assert f"{gone} neurons" in page.said
    assert f"{gone} of {layers * width} feed-forward neurons are removed" in page.said
    kept = [width - count for count in found.mask.neurons.counts]
    assert report.record()["neurons_kept"] == kept
    assert page.table("layers-kept")["neurons_kept"].tolist() == kept
    assert page.table("layers-kept")["heads_kept"].tolist() == list(found.mask.kept_per_layer)
    assert page.table("measures")["neurons_kept"].tolist() == [layers * width, sum(kept)]


def test_its_numbers_are_of_the_model_without_them(classifier, narrowed):
    found, _, report, _ = narrowed
    fitted = classifier.with_weights(found.recovered.weights)
    after = evaluate(fitted, EVALUATION, found.mask)
    assert report.record()["after"]["accuracy"] == after.accuracy
    assert report.record()["after"]["loss"] == pytest.approx(after.loss, rel=1e-5)
    lengths = classifier.encode(EVALUATION).lengths
    cost = flops_per_sentence(classifier.geometry, found.mask, lengths)
    assert report.record()["flops_per_sentence"] == cost


def test_why_each_layer_has_its_width_and_how_both_parts_were_refitted(narrowed):
    found, scheme, _, page = narrowed
    assert page.table("widths-step-1")["reason"].tolist() == list(found.reasons)
    record = scheme.step(2).settings
    assert len(page.table("feed-forward-step-2")) == len(record["feed_forward"])
    if record["layers"]:
        assert len(page.table("layers-step-2")) == len(record["layers"])


def test_curves_of_heads_alone_do_not_claim_to_be_the_scheme(narrowed):
    page = narrowed[3]
    assert "this scheme" not in set(page.table("curves")["method"])
    assert "its own place is not among these curves" in page.said
    assert "orders-at-this-size.csv" not in page.files
