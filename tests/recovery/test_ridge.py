"""Ridge regression from moments: about any point, by held-out samples, and where nothing varies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bhpvas.recovery.ridge import CrossMoments, choose, solve, squared_error


def moments_of(inputs: np.ndarray, targets: np.ndarray) -> CrossMoments:
    made = CrossMoments(inputs.shape[1], targets.shape[1])
    for start in range(0, len(inputs), 7):
        batch = slice(start, start + 7)
        made.add(torch.from_numpy(inputs[batch]), torch.from_numpy(targets[batch]))
    return made


def test_moments_about_any_point_equal_those_of_shifted_samples():
    rng = np.random.default_rng(0)
    inputs, targets = rng.standard_normal((50, 4)) + 3, rng.standard_normal((50, 3)) - 1
    at, to = rng.standard_normal(4), rng.standard_normal(3)
    found = (moments_of(inputs[:20], targets[:20]) + moments_of(inputs[20:], targets[20:])).about(
        torch.from_numpy(at), torch.from_numpy(to)
    )
    np.testing.assert_allclose(found.inputs, (inputs - at).T @ (inputs - at), rtol=1e-4)
    np.testing.assert_allclose(found.cross, (inputs - at).T @ (targets - to), rtol=1e-3, atol=1e-3)
    assert found.targets == pytest.approx(np.square(targets - to).sum(), rel=1e-5)
    solution = torch.from_numpy(rng.standard_normal((4, 3)))
    error = np.square(targets - to - (inputs - at) @ solution.numpy()).sum()
    assert squared_error(found, solution) == pytest.approx(error, rel=1e-4)


def test_the_ridge_grows_with_the_noise_and_never_does_harm():
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((60, 20))
    truth = rng.standard_normal((20, 3))
    checks = rng.standard_normal((400, 20))
    prior = torch.zeros(20, 3, dtype=torch.float64)
    origin = torch.zeros(20).double(), torch.zeros(3).double()
    chosen = []
    for noise in (0.0, 3.0, 300.0):
        fitted, held_out = (
            moments_of(one, one @ truth + noise * rng.standard_normal((len(one), 3))).about(*origin)
            for one in (inputs, checks)
        )
        found = choose(fitted, held_out, prior)
        assert found.error <= squared_error(held_out, prior)
        if math.isfinite(found.ridge):
            again = solve(fitted, prior, found.ridge)
            np.testing.assert_allclose(found.solution, again, atol=1e-8)
        chosen.append(found.ridge)
    assert chosen[0] < 1e-6 < chosen[1] < chosen[2]


def test_inputs_that_never_vary_leave_the_prior():
    origin = torch.zeros(3).double(), torch.zeros(2).double()
    products = moments_of(np.zeros((5, 3)), np.ones((5, 2))).about(*origin)
    prior = torch.ones(3, 2, dtype=torch.float64)
    assert choose(products, products, prior).ridge == math.inf
    assert torch.equal(solve(products, prior, 0.1), prior)
