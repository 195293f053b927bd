"""Proposals: constraints, a drop of accuracy, seeds, progress and refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhpvas.data.dataset import Dataset
from bhpvas.errors import BhpvasError, ModelError
from bhpvas.evaluation.evaluation import Evaluation, evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import predict
from bhpvas.progress import Cancelled
from bhpvas.recovery import recover
from bhpvas.scheme.scheme import Scheme, load_scheme
from bhpvas.search import METHODS, Constraints, Proposal, propose
from tests.conftest import TEXTS
from tests.tiny import many_sentences, with_heads

SENTENCES = many_sentences(40)
heads_of_tiny = st.builds(HeadId, st.integers(0, 1), st.integers(0, 3))


@pytest.mark.parametrize("method", METHODS)
def test_a_model_whose_answers_are_no_numbers_is_refused(classifier, method):
    """Weights may be finite and too large to multiply."""

    def change(layers):
        layers[0].output.weight.data.fill_(3e38)

    # Random order does not look at the model; how far it may go does.
    most = {"max_drop": 0.1} if method == "random" else {}
    with pytest.raises(ModelError, match=r"sentences .*that are not finite: load it as float32"):
        propose(with_heads(classifier, change), SENTENCES, method, heads=1, **most)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=12)
@given(
    count=st.integers(0, 8),
    protected=st.frozensets(heads_of_tiny, max_size=3),
    least=st.integers(0, 2),
    gone=st.frozensets(heads_of_tiny, max_size=2),
)
def test_constraints_hold(classifier, method, count, protected, least, gone):
    start = HeadMask(2, 4, gone)
    constraints = Constraints(protected, least)
    arguments = {"heads": count, "mask": start, "constraints": constraints}
    sentences = many_sentences(12)
    if count > constraints.most(start):
        with pytest.raises(BhpvasError, match=f"{count} heads cannot be removed"):
            propose(classifier, sentences, method, **arguments)
        return
    found = propose(classifier, sentences, method, **arguments)
    assert len(set(found.heads)) == len(found.heads) == count
    assert not set(found.heads) & (protected | gone)
    kept_before, kept = start.kept_per_layer, found.mask.kept_per_layer
    assert all(now >= min(least, was) for was, now in zip(kept_before, kept, strict=True))
    assert all(removal.reason for removal in found.removals)


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].nested])
def test_shorter_proposals_begin_longer_ones_where_a_method_says_so(classifier, method):
    options = {"share": 0.4} if method in ("shares", "iterative") else {}
    whole = propose(classifier, SENTENCES, method, heads=8, options=options).heads
    for count in (1, 3, 4, 6):
        found = propose(classifier, SENTENCES, method, heads=count, options=options).heads
        assert found == whole[:count]


def nearly_right(classifier: Classifier) -> Dataset:
    """Labels as the model gives them, a few of them turned: accuracy then falls as heads leave."""
    own = predict(classifier, classifier.encode(SENTENCES)).argmax(1)
    return replace(SENTENCES, labels=np.where(np.arange(40) < 36, own, 1 - own))


def written(classifier: Classifier, found: Proposal, folder: Path) -> Evaluation:
    """The calibration sentences under the scheme of a proposal, read back from its files."""
    scheme = Scheme.of(classifier)
    if found.start.removed:
        scheme = scheme.removing(found.start.removed)
    if found.heads:
        scheme = scheme.removing(found.heads, found.method, found.record())
    if found.recovered is not None:
        found.recovered.weights.save(folder)
        scheme = scheme.recovered(found.recovered.weights.fingerprint, found.recovered.method)
    scheme.save(folder / "scheme.json")
    read = load_scheme(folder / "scheme.json")
    return evaluate(read.on(classifier, folder), nearly_right(classifier), read.mask)


@pytest.mark.parametrize("method", ["importance", "mask-search", "reconstruction", "shares"])
@pytest.mark.parametrize("max_drop", [0.0, 0.05, 0.1, 1.0])
def test_the_largest_drop_is_kept_by_what_is_written(classifier, tmp_path, method, max_drop):
    labelled = nearly_right(classifier)
    before = evaluate(classifier, labelled).accuracy
    for seed in range(3):
        found = propose(classifier, labelled, method, heads=6, max_drop=max_drop, seed=seed)
        assert before - written(classifier, found, tmp_path).accuracy <= max_drop + 1e-9
        assert found.settings["max_drop"] == max_drop
        compensated = METHODS[method].for_compensation
        assert found.settings["measured"] == ("after compensation" if compensated else "as masked")
        assert (found.recovered is not None) == (compensated and len(found.heads) > 0)
        if max_drop == 1.0:
            assert len(found.heads) == 6


def test_a_drop_counts_from_the_start_as_it_is_given(classifier, tmp_path):
    """Under a mask that costs much, and with weights that win it back."""
    labelled, mask = nearly_right(classifier), HeadMask.parse("L0H0,L0H1,L0H3", 2, 4)
    recovered = classifier.with_weights(recover(classifier, labelled, mask).weights)
    plain, better = (evaluate(one, labelled, mask).accuracy for one in (classifier, recovered))
    assert better > plain
    settings = {"heads": 5, "mask": mask, "max_drop": 0.05}
    for start, before in ((classifier, plain), (recovered, better)):
        found = propose(start, labelled, "reconstruction", **settings)
        assert before - written(classifier, found, tmp_path).accuracy <= 0.05 + 1e-9
    # What is refitted is the loaded model's weights, so that is what is searched.
    one, other = (
        propose(start, labelled, "reconstruction", heads=3, mask=mask)
        for start in (classifier, recovered)
    )
    assert one.removals == other.removals and one.recovered is None


@pytest.mark.parametrize(("max_drop", "searched"), [(-1.0, [4]), (1.0, [4, 8])])
def test_all_heads_are_searched_for_only_where_half_of_them_may_go(
    classifier, monkeypatch, max_drop, searched
):
    counts = []

    def search(task):
        counts.append(task.count)
        return METHODS["importance"].search(task)

    monkeypatch.setitem(METHODS, "counted", replace(METHODS["importance"], search=search))
    found = propose(classifier, SENTENCES, "counted", heads=8, max_drop=max_drop)
    assert counts == searched
    if max_drop > 0:
        assert found.heads == propose(classifier, SENTENCES, "importance", heads=8).heads
    else:
        assert not found.heads


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_proposal_and_leaves_the_model_alone(classifier, method):
    before = predict(classifier, classifier.encode_texts(TEXTS))
    one, two = (propose(classifier, SENTENCES, method, heads=4, seed=3) for _ in range(2))
    assert one.removals == two.removals
    assert (one.method, one.seed, one.calibration, one.sentences) == (method, 3, "many", 40)
    assert one.settings["heads"] == 4
    np.testing.assert_array_equal(predict(classifier, classifier.encode_texts(TEXTS)), before)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "random"])
def test_progress_is_told_and_stops_the_work(classifier, method):
    calls: list[tuple[int, int]] = []
    propose(
        classifier, SENTENCES, method, heads=4,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert calls[-1][0] == calls[-1][1]
    assert all(0 <= done <= total for done, total in calls)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        propose(classifier, SENTENCES, method, heads=4, progress=stop)


@pytest.mark.parametrize("max_drop", [-1.0, 0.05, 1.0])
@pytest.mark.parametrize("method", ["importance", "mask-search", "shares"])
def test_progress_of_a_search_within_a_drop_ends_with_its_last_try(classifier, method, max_drop):
    shares: list[float] = []
    propose(
        classifier, SENTENCES, method, heads=6, max_drop=max_drop,
        progress=lambda done, total: shares.append(done / total),
    )  # fmt: skip
    assert shares == sorted(shares)
    assert shares[-1] == 1 and shares.count(1) == 1


def test_a_scheme_gets_the_heads_and_the_weights_that_kept_the_drop(classifier):
    found = propose(classifier, SENTENCES, "shares", heads=4, max_drop=1)
    scheme = found.on(Scheme.of(classifier))
    assert found.recovered is not None
    _, removed, recovered = scheme.steps
    assert (removed.heads, recovered.weights) == (
        tuple(sorted(found.heads)),
        found.recovered.weights.fingerprint,
    )
    assert removed.learnt_from == recovered.learnt_from == found.learnt_from
    nothing = propose(classifier, SENTENCES, "shares", heads=0)
    assert nothing.on(scheme) is scheme
