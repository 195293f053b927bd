"""Bernoulli distributions by their logits: cross-entropy and divergence, in numpy and torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def losses_of_logits(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Binary cross-entropy in nats, float64 ``[…]``, of labels from 0 to 1."""
    # In float64 and by log-sum-exp, so that nothing vanishes or overflows.
    logits = logits.astype(np.float64)
    return np.asarray(np.logaddexp(0.0, logits) - labels * logits)


def kl_of_logits(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """KL(before ‖ after) in nats, float64 ``[…]``."""
    from scipy.special import expit

    before, after = before.astype(np.float64), after.astype(np.float64)
    ones, zeros = (
        np.logaddexp(0.0, -sign * after) - np.logaddexp(0.0, -sign * before) for sign in (1, -1)
    )
    # Rounding can leave a hair below 0, which no divergence is.
    return np.asarray(np.maximum(expit(before) * ones + expit(-before) * zeros, 0.0))


def kl_of_tensors(before: Tensor, after: Tensor) -> Tensor:
    """As :func:`kl_of_logits`, a function with a gradient."""
    from torch.nn.functional import logsigmoid

    ones, zeros = (logsigmoid(sign * before) - logsigmoid(sign * after) for sign in (1, -1))
    return before.sigmoid() * ones + (-before).sigmoid() * zeros
