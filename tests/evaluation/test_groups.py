"""Which heads matter more for some: the difference by hand, and a test that holds its level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from bhpvas.evaluation.groups import FEWEST_TO_TEST, compare_groups, importance_shares

EVERY = np.ones((2, 4), dtype=bool)


def sentences(count: int = 60, seed: int = 0) -> np.ndarray:
    """Skewed amounts ``[N, 2, 4]``, as gradients are."""
    return np.random.default_rng(seed).exponential(size=(count, 2, 4)).astype(np.float32)


def first(count: int, of: int) -> np.ndarray:
    return np.arange(of) < count


def test_the_difference_is_that_of_the_means() -> None:
    values, chosen = sentences(), first(20, 60)
    found = compare_groups(values, chosen, EVERY)
    assert (found.chosen, found.rest) == (20, 40)
    assert found.chosen_mean == pytest.approx(values[:20].mean(0))
    assert found.rest_mean == pytest.approx(values[20:].mean(0))
    assert found.difference == pytest.approx(found.chosen_mean - found.rest_mean)


def test_p_is_counted_as_the_slow_way_does() -> None:
    values, chosen = sentences(14), first(6, 14)
    values[:6, 1, 2] += 0.8
    found = compare_groups(values, chosen, EVERY, permutations=300, seed=4)
    flat = values.reshape(14, -1).astype(float)

    def largest(rows: np.ndarray) -> np.ndarray:
        rest = np.setdiff1d(np.arange(14), rows)
        return np.abs(ttest_ind(flat[rows], flat[rest], equal_var=False).statistic)

    observed = largest(np.arange(6))
    random = np.random.default_rng(99)
    drawn = [largest(random.permutation(14)[:6]).max() for _ in range(3000)]
    expected = (np.array(drawn)[:, None] >= observed).mean(0).reshape(2, 4)
    assert found.p == pytest.approx(expected, abs=0.09)


def test_a_head_that_differs_is_found_and_no_other() -> None:
    values, chosen = sentences(200), first(60, 200)
    values[:60, 1, 3] += 1.5
    found = compare_groups(values, chosen, EVERY)
    assert np.argwhere(found.found()).tolist() == [[1, 3]]
    assert found.difference[1, 3] > 1


def test_where_nothing_differs_something_is_found_no_more_often_than_the_level() -> None:
    chosen = first(15, 50)
    wrong = 0
    for seed in range(200):
        found = compare_groups(sentences(50, seed), chosen, EVERY, permutations=200, seed=seed)
        wrong += bool(found.found().any())
    # 10 are expected; more than 20 have a chance of 0.001 if the level holds.
    assert wrong <= 20


def test_a_certain_difference_is_found_and_a_constant_is_not() -> None:
    values, chosen = np.zeros((40, 2, 4)), first(15, 40)
    values[:15, 0, 1] = 1.0
    found = compare_groups(values, chosen, EVERY)
    assert np.argwhere(found.found()).tolist() == [[0, 1]]
    assert found.p[1, 1] == 1.0


@pytest.mark.parametrize("size", [1, FEWEST_TO_TEST - 1, 40 - FEWEST_TO_TEST + 1])
def test_few_sentences_are_described_and_not_tested(size: int) -> None:
    found = compare_groups(sentences(40), first(size, 40), EVERY)
    assert not found.tested
    assert np.isnan(found.p).all() and not found.found().any()
    assert np.isfinite(found.difference).all()


def test_removed_heads_are_left_out() -> None:
    kept = EVERY.copy()
    kept[0, 2] = False
    values = sentences(40)
    values[:20, 0, 2] = 1e6
    found = compare_groups(values, first(20, 40), kept)
    assert np.isnan(found.difference[0, 2]) and np.isnan(found.p[0, 2])
    assert np.isfinite(found.difference).sum() == 7
    parts = importance_shares(values, kept)
    assert parts.sum((1, 2)) == pytest.approx(np.ones(40))
    assert (parts[:, 0, 2] == 0).all()


def test_shares_do_not_feel_a_sentences_scale() -> None:
    values = sentences(10)
    scaled = values * np.arange(1, 11)[:, None, None]
    assert importance_shares(scaled, EVERY) == pytest.approx(importance_shares(values, EVERY))
    assert (importance_shares(np.zeros((1, 2, 4)), EVERY) == 0).all()


def test_the_same_question_has_the_same_answer() -> None:
    values, chosen = sentences(), first(20, 60)
    assert (
        compare_groups(values, chosen, EVERY).p == compare_groups(values, chosen, EVERY).p
    ).all()
