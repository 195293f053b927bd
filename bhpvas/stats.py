"""Tests that many places share: exact, one-sided, corrected for how much was tried."""

from __future__ import annotations

import numpy as np
from scipy.special import bdtrc


def sign_test(wins: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Probability of at least ``wins`` out of ``wins + losses`` fair coin tosses, in their shape.

    The exact one-sided sign test; 1 where nothing was tossed.

    >>> sign_test(np.array([3, 0, 0]), np.array([0, 3, 0])).tolist()
    [0.125, 1.0, 1.0]
    """
    wins = np.asarray(wins, dtype=np.int64)
    # bdtrc(k, n, p) is P(X > k); at n = 0 it is not defined.
    tosses = np.maximum(wins + losses, 1)
    return np.where(wins > 0, bdtrc(wins - 1.0, tosses, 0.5), 1.0)


def holm(p: np.ndarray) -> np.ndarray:
    """P-values corrected for the number of tests (Holm 1979), in the same shape; NaN is no test.

    A corrected value of at most 0.05 bounds the chance of any false finding among all by 5%.

    >>> holm(np.array([0.01, np.nan, 0.03, 0.02])).tolist()
    [0.03, nan, 0.04, 0.04]
    """
    flat = np.asarray(p, dtype=np.float64).reshape(-1)
    order = np.argsort(flat, kind="stable")[: np.count_nonzero(~np.isnan(flat))]
    stepped = flat[order] * np.arange(len(order), 0, -1)
    corrected = np.full_like(flat, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return corrected.reshape(np.shape(p))
