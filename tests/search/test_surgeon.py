"""Orders of removal and refits, where the answer is known and by the slow obvious way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bhpvas.criteria import surgeon
from bhpvas.search.surgeon import refitted, removal_order, rows_of


def made(units: int, unit: int, samples: int = 400, seed: int = 0):
    """Inputs that depend on each other, a projection of them, and their covariance."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(samples, units * unit)) @ rng.normal(size=(units * unit,) * 2)
    inputs -= inputs.mean(0)
    columns = rng.normal(size=(units * unit, 5))
    covariance = torch.from_numpy(inputs.T @ inputs / samples)
    return inputs, torch.from_numpy(columns), covariance


def error_without(inputs: np.ndarray, columns: np.ndarray, kept: list[int], unit: int) -> float:
    """The squared error that least squares on the kept units leaves."""
    rows = [one * unit + place for one in sorted(kept) for place in range(unit)]
    wanted = inputs @ columns
    solution = np.linalg.lstsq(inputs[:, rows], wanted, rcond=None)[0]
    return float(np.square(inputs[:, rows] @ solution - wanted).sum())


@pytest.mark.parametrize(("units", "unit"), [(9, 1), (6, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_is_that_of_refitting_every_time(units, unit, seed, monkeypatch):
    monkeypatch.setattr(surgeon, "DAMPING", 1e-12)
    inputs, columns, covariance = made(units, unit, seed=seed)
    left, expected = list(range(units)), []
    while left:
        without = [[other for other in left if other != one] for one in left]
        errors = [error_without(inputs, columns.numpy(), kept, unit) for kept in without]
        expected.append(left.pop(int(np.argmin(errors))))
    assert removal_order(covariance, columns, unit) == expected
    for most in (0, 2, units):
        assert removal_order(covariance, columns, unit, most=most) == expected[:most]


def test_a_refit_is_least_squares(monkeypatch):
    monkeypatch.setattr(surgeon, "DAMPING", 1e-12)
    inputs, columns, covariance = made(7, 1)
    rows = rows_of({1, 2, 5, 6}, 1)
    expected = np.linalg.lstsq(inputs[:, rows], inputs @ columns.numpy(), rcond=None)[0]
    np.testing.assert_allclose(refitted(covariance, columns, rows), expected, atol=1e-6)


def test_dead_units_and_copies_go_first():
    inputs, columns, _ = made(8, 1)
    inputs[:, 6] = 0  # says nothing
    columns[3] = 0  # nobody listens, though others may need it to stand in
    inputs[:, 1] = inputs[:, 4]  # one of the two is enough
    covariance = torch.from_numpy(inputs.T @ inputs / len(inputs))
    order = removal_order(covariance, columns, 1)
    assert set(order[:3]) in ({6, 3, 1}, {6, 3, 4})


def test_units_that_must_stay_are_not_among_them():
    _, columns, covariance = made(6, 2)
    order = removal_order(covariance, columns, 2, stay={1, 4})
    assert sorted(order) == [0, 2, 3, 5]


def test_many_units_go_a_few_at_a_time():
    inputs, columns, covariance = made(200, 1, samples=2000)
    order = removal_order(covariance, columns, 1)
    assert sorted(order) == list(range(200))
    kept = rows_of(order[100:], 1)
    wanted = inputs @ columns.numpy()
    best = inputs[:, kept] @ refitted(covariance, columns, kept).numpy()
    rng = np.random.default_rng(5)
    for _ in range(5):
        others = rows_of(rng.permutation(200)[:100].tolist(), 1)
        drawn = inputs[:, others] @ refitted(covariance, columns, others).numpy()
        assert np.square(best - wanted).sum() < np.square(drawn - wanted).sum()
