"""A score and several labels against scikit-learn, scipy, torch and the slow obvious way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats
from sklearn import metrics as sklearn_metrics

from bhpvas import stats
from bhpvas.errors import BhpvasError, ModelError
from bhpvas.tasks.base import Task
from bhpvas.tasks.choosing import TASKS, task_of
from bhpvas.tasks.score import Score
from bhpvas.tasks.several_labels import SeveralLabels
from bhpvas.tasks.single_label import SingleLabel

RNG = np.random.default_rng(5)
N = 60
SCORES = RNG.integers(0, 6, N) / 5.0
ONE = (SCORES + RNG.normal(size=N))[:, None].astype(np.float32)
SETS = RNG.random((N, 4)) < [0.6, 0.3, 0.2, 0.0]
MANY = (2.0 * SETS - 1.4 + RNG.normal(size=(N, 4))).astype(np.float32)
MANY[:, 3] = -4.0  # a label that is neither given nor answered
CLASSES = RNG.integers(0, 3, N)
THREE = RNG.normal(size=(N, 3)).astype(np.float32) + 1.5 * np.eye(3, dtype=np.float32)[CLASSES]

CASES: dict[str, tuple[Task, np.ndarray, np.ndarray]] = {
    "label": (SingleLabel(("a", "b", "c")), THREE, CLASSES),
    "score": (Score(("s",)), ONE, SCORES),
    "probability": (Score(("s",), "sigmoid"), ONE, SCORES),
    "labels": (SeveralLabels(("a", "b", "c", "d")), MANY, SETS),
}
every_case = pytest.mark.parametrize(("task", "logits", "labels"), CASES.values(), ids=CASES)


@every_case
def test_both_losses_and_both_divergences_are_the_same(task, logits, labels):
    before, after = torch.from_numpy(logits), torch.from_numpy(logits[::-1].copy())
    torch_losses = task.loss(before.double(), torch.from_numpy(labels))
    np.testing.assert_allclose(task.losses(logits, labels), torch_losses, atol=1e-12)
    moved = task.divergences(logits, logits[::-1])
    np.testing.assert_allclose(moved, task.divergence(before.double(), after.double()), atol=1e-12)
    assert (moved >= 0).all() and moved.max() > 0.1
    assert not task.divergences(logits, logits).any()


@every_case
def test_the_mean_loss_is_the_one_that_transformers_trains_by(task, logits, labels):
    given, outputs = torch.from_numpy(logits).double(), torch.from_numpy(labels)
    if isinstance(task, SingleLabel):
        expected = torch.nn.CrossEntropyLoss()(given, outputs)
    elif isinstance(task, SeveralLabels):
        expected = torch.nn.BCEWithLogitsLoss()(given, outputs.double())
    elif task.activation == "sigmoid":
        expected = torch.nn.BCEWithLogitsLoss()(given[:, 0], outputs)
    else:
        expected = torch.nn.MSELoss()(given[:, 0], outputs)
    assert task.losses(logits, labels).mean() == pytest.approx(float(expected))


@every_case
def test_divergences_are_those_of_the_distributions(task, logits, labels):
    before, after = torch.from_numpy(logits).double(), torch.from_numpy(logits).double().flip(0)

    def distribution(of: torch.Tensor) -> torch.distributions.Distribution:
        if isinstance(task, SingleLabel):
            return torch.distributions.Categorical(logits=of)
        if isinstance(task, Score) and task.activation == "identity":
            return torch.distributions.Normal(of[:, 0], 1.0)
        return torch.distributions.Bernoulli(logits=of)

    expected = torch.distributions.kl_divergence(distribution(before), distribution(after))
    expected = expected.reshape(N, -1).sum(1)
    np.testing.assert_allclose(task.divergence(before, after), expected, atol=1e-10)


@every_case
def test_the_headline_is_that_of_the_sums_of_its_terms(task, logits, labels):
    value = task.measured(logits, labels)[task.headline.name]
    assert task.headline_value(logits, labels) == pytest.approx(value.value, abs=1e-12)
    assert value.low < value.value < value.high
    stacked = np.stack([logits, logits[::-1]])
    both = task.headline_of(task.terms(stacked, labels).sum(1), N)
    other = task.headline_value(logits[::-1], labels)
    np.testing.assert_allclose(both, [value.value, other], atol=1e-12)
    change = task.change(logits, logits[::-1], labels)
    assert change.change == pytest.approx(other - value.value, abs=1e-12)
    assert change.low < change.change < change.high < 0 and change.p < 0.05
    nothing = task.change(logits, logits, labels)
    assert (nothing.change, nothing.p) == (0.0, 1.0)


@every_case
def test_every_metric_is_measured_under_its_name(task, logits, labels):
    found = task.measured(logits, labels)
    assert list(found) == [metric.name for metric in task.metrics]
    assert found["loss"].value == pytest.approx(task.losses(logits, labels).mean())
    for name, one in found.items():
        assert np.isnan(one.value) or one.low <= one.value <= one.high, name


@every_case
def test_what_changed_is_what_lost_gained_or_is_another(task, logits, labels):
    after = np.roll(logits, 1, axis=0)
    changed, outcomes = task.changed(logits, after, labels), task.outcomes(logits, after, labels)
    np.testing.assert_array_equal(outcomes != "same", changed)
    right = [task.right(one, labels) for one in (logits, after)]
    if right[0] is not None:
        np.testing.assert_array_equal(outcomes == "lost", changed & right[0])
        np.testing.assert_array_equal(outcomes == "gained", changed & right[1])
    assert not task.changed(logits, logits, labels).any()


def test_a_score_has_changed_if_it_moved_by_more_than_a_twentieth_of_the_range():
    task, labels = Score(("s",)), np.array([1.0, 5.0, 3.0, 3.0])
    before = np.array([[1.0], [4.0], [3.0], [2.0]])
    after = before + np.array([[0.19], [0.21], [-0.21], [2.0]])
    assert task.amount(labels) == pytest.approx(0.2)
    assert task.outcomes(before, after, labels).tolist() == ["same", "gained", "lost", "other"]
    assert task.amount(np.ones(3)) == 0.05


def test_correlations_and_errors_are_those_of_scipy_and_scikit_learn():
    for task in (Score(("s",)), Score(("s",), "sigmoid")):
        found, answers = task.measured(ONE, SCORES), task.answers(ONE)
        assert found["pearson"].value == pytest.approx(scipy_stats.pearsonr(answers, SCORES)[0])
        assert found["spearman"].value == pytest.approx(scipy_stats.spearmanr(answers, SCORES)[0])
        squared = sklearn_metrics.mean_squared_error(SCORES, answers)
        assert found["mse"].value == pytest.approx(squared)
        absolute = sklearn_metrics.mean_absolute_error(SCORES, answers)
        assert found["mae"].value == pytest.approx(absolute)


def test_f1_of_several_labels_is_that_of_scikit_learn():
    for threshold in (0.5, 0.2, 0.9):
        task = SeveralLabels(("a", "b", "c", "d"), threshold)
        found, said = task.measured(MANY, SETS), 1 / (1 + np.exp(-MANY)) >= threshold
        each = sklearn_metrics.f1_score(SETS, said, average=None, zero_division=np.nan)
        assert [found[f"f1 {name}"].value for name in "abcd"] == pytest.approx(each, nan_ok=True)
        for average in ("micro", "macro"):
            f1 = sklearn_metrics.f1_score(SETS, said, average=average, zero_division=np.nan)
            assert found[f"f1_{average}"].value == pytest.approx(f1)
        whole = sklearn_metrics.accuracy_score(SETS, said)
        assert found["subset_accuracy"].value == pytest.approx(whole)
        assert found["f1 d"].record() == {"value": None, "interval": None}


def test_a_correlation_without_variation_is_not_defined():
    task = Score(("s",))
    same = np.full((N, 1), 0.3, dtype=np.float32)
    for found in (task.measured(same, SCORES), task.measured(ONE, np.ones(N))):
        assert found["pearson"].record() == found["spearman"].record()
        assert found["pearson"].record() == {"value": None, "interval": None}
        assert found["mse"].low < found["mse"].value < found["mse"].high
    assert np.isnan(task.change(ONE, same, SCORES)).all()


def test_drawn_rank_correlations_are_those_of_the_drawn_pairs():
    """With ties, against scipy on the pairs written out."""
    drawn = stats.bootstrap_rank_correlations(ONE[:12, 0], SCORES[:12], draws=20)
    for weights, found in zip(stats.bootstrap_weights(12, 20), drawn, strict=True):
        rows = np.repeat(np.arange(12), np.round(weights * 12).astype(int))
        expected = scipy_stats.spearmanr(ONE[rows, 0], SCORES[rows])[0]
        assert found == pytest.approx(expected, abs=1e-9)


def test_means_are_drawn_in_blocks_as_at_once(monkeypatch):
    rows = RNG.normal(size=(9, 2))
    whole = stats.bootstrap_weights(9, 50) @ rows
    monkeypatch.setattr(stats, "_CELLS", 60)
    np.testing.assert_allclose(stats.bootstrap_means(rows, draws=50), whole, atol=1e-12)


@pytest.mark.parametrize("task", [Score(("s",)), SeveralLabels(("a", "b"))], ids=["score", "sets"])
def test_bootstrap_intervals_hold_about_their_level(task):
    """Of 300 samples of 100 sentences, between 90 and 98% of the intervals hold the true value."""
    rng = np.random.default_rng(1)

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(task, Score):
            labels = rng.normal(size=n)
            return (labels + rng.normal(size=n))[:, None], labels
        labels = rng.random((n, 2)) < 0.4
        return 2.0 * labels - 1 + rng.normal(size=(n, 2)), labels

    truth = task.headline_value(*drawn(400_000))
    samples = [task.measured(*drawn(100))[task.headline.name] for _ in range(300)]
    assert 0.90 <= np.mean([one.low <= truth <= one.high for one in samples]) <= 0.98


def test_without_a_change_the_paired_test_seldom_finds_one():
    """Two models with the same error: p of at most 0.05 in 2 to 9% of 300 samples."""
    rng, task, found = np.random.default_rng(2), Score(("s",)), []
    for _ in range(300):
        labels = rng.normal(size=80)
        models = [(labels + rng.normal(size=80))[:, None] for _ in "ab"]
        found.append(task.change(*models, labels).p <= 0.05)
    assert 0.02 <= np.mean(found) <= 0.09


@pytest.mark.parametrize("label", [0, 2])
def test_what_is_explained_has_the_gradient_of_its_closed_form(label):
    logits = torch.tensor([[0.3, -0.2, 1.0]], dtype=torch.float64, requires_grad=True)
    several = SeveralLabels(("a", "b", "c"))
    assert float(several.explained(logits, label)) == float(logits[0, label])
    chance = logits.softmax(-1)[0, label]
    single = SingleLabel(("a", "b", "c")).explained(logits, label)
    assert float(single) == pytest.approx(float(torch.log(chance / (1 - chance))))
    (slope,) = torch.autograd.grad(several.explained(logits, label).sum(), logits)
    assert slope[0].tolist() == [float(place == label) for place in range(3)]
    assert float(Score(("s",)).explained(logits[:, :1], 0)) == float(logits[0, 0])


def test_random_directions_keep_all_that_moves_an_answer():
    drawn = torch.randn(5, 3)
    assert torch.equal(SeveralLabels(("a", "b", "c")).moving(drawn), drawn)
    assert torch.equal(Score(("s",)).moving(drawn[:, :1]), drawn[:, :1])
    assert SingleLabel(("a", "b", "c")).moving(drawn).sum(1).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("config", "names", "expected"),
    [
        ({}, ("no", "yes"), SingleLabel(("no", "yes"))),
        ({"problem_type": None}, ("a",), Score(("a",))),
        ({"problem_type": "regression"}, ("a",), Score(("a",))),
        ({"problem_type": "multi_label_classification"}, ("a", "b"), SeveralLabels(("a", "b"))),
        ({"problem_type": "multi_label_classification"}, ("a",), SeveralLabels(("a",))),
        (
            {"sbert_ce_default_activation_function": "torch.nn.modules.activation.Sigmoid"},
            ("a",),
            Score(("a",), "sigmoid"),
        ),
        (
            {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}},
            ("a",),
            Score(("a",), "sigmoid"),
        ),
        (
            {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
            ("a",),
            Score(("a",)),
        ),
        (
            {
                "problem_type": "regression",
                "sbert_ce_default_activation_function": "torch.nn.modules.activation.Sigmoid",
            },
            ("a",),
            Score(("a",)),
        ),
    ],
)
def test_a_config_says_which_task_it_is(config, names, expected):
    assert task_of(config, names, "mine") == expected
    assert TASKS[expected.name] is type(expected)


@pytest.mark.parametrize(
    ("config", "names", "said"),
    [
        ({"problem_type": "ranking"}, ("a",), "problem_type 'ranking'"),
        ({"problem_type": "single_label_classification"}, ("a",), "one label"),
        ({"problem_type": "regression"}, ("a", "b"), "2 scores at once"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.Tanh"}}, ("a",), "torch.nn.Tanh"),
    ],
)
def test_what_is_no_task_is_one_sentence(config, names, said):
    with pytest.raises(ModelError, match=said):
        task_of(config, names, "mine")


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0, float("nan")])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(BhpvasError, match="threshold"):
        SeveralLabels(("a",), threshold)
