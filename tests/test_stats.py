"""The shared tests against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest

from bhpvas.stats import holm, sign_test


@given(st.integers(0, 400), st.integers(0, 400))
def test_sign_test_is_the_one_sided_binomial_test(wins, losses):
    found = float(sign_test(np.array(wins), np.array(losses)))
    if wins + losses == 0:
        assert found == 1
    else:
        expected = binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue
        assert found == pytest.approx(expected, rel=1e-9)


@given(arrays(float, st.integers(0, 12), elements=st.floats(0, 1)))
def test_holm_rejects_what_the_step_down_procedure_rejects(p):
    """Holm 1979: from the smallest on, reject while p ≤ level / tests left, then stop."""
    corrected = holm(p)
    for level in (0.01, 0.05, 0.3):
        rejected = np.zeros(len(p), dtype=bool)
        for step, place in enumerate(np.argsort(p, kind="stable")):
            if p[place] * (len(p) - step) > level:
                break
            rejected[place] = True
        np.testing.assert_array_equal(corrected <= level, rejected)


def test_holm_leaves_out_what_was_not_tried_and_keeps_the_shape():
    p = np.array([[0.01, np.nan], [0.04, 0.02]])
    np.testing.assert_allclose(holm(p), [[0.03, np.nan], [0.04, 0.04]])
    assert np.isnan(holm(np.full(3, np.nan))).all()
