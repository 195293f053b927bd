"""Task: what a model's output answers, when that is right, its loss, and metrics of many answers.

A sentence gets one of C labels, so outputs are logits ``[…, C]``. Labels are int64. F1 and
Matthews are scikit-learn's, but from counts, of thousands of matrices at once, and without the
memory that its import takes in a server.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp
from torch import Tensor


def answers(logits: np.ndarray) -> np.ndarray:
    """The label with the highest logit, int64 ``[…]``; the lower one of equals."""
    return np.argmax(logits, axis=-1)


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the softmax, float64 ``[…, C]``."""
    # In float64 and by log-sum-exp, so that 1e-9 does not become 0 nor 800 infinite.
    return np.asarray(log_softmax(logits.astype(np.float64), axis=-1))


def losses_of(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy in nats, float64 ``[…]``, of logits ``[…, C]`` for labels that broadcast."""
    own = np.broadcast_to(labels, logits.shape[:-1])[..., None]
    return -np.take_along_axis(log_probabilities(logits), own, -1)[..., 0]


def log_odds(logits: Tensor, label: int) -> Tensor:
    """Log-odds of a label ``[…]``, a function with a gradient of logits ``[…, C]``."""
    others = torch.cat([logits[..., :label], logits[..., label + 1 :]], dim=-1)  # […, C − 1]
    return logits[..., label] - others.logsumexp(-1)


def margins(logits: np.ndarray, labels: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of the labels, and those above which their answer is right: float64 ``[…]`` each.

    Of logits ``[…, C]``, for labels that broadcast. The loss is ``log(1 + exp(-margin))``.
    """
    own = np.broadcast_to(labels, logits.shape[:-1])[..., None]
    others = logits.astype(np.float64)
    mine = np.take_along_axis(others, own, -1)[..., 0]
    np.put_along_axis(others, own, -np.inf, -1)
    together = logsumexp(others, axis=-1)
    return mine - together, others.max(-1) - together


def divergences(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far each answer moved: KL(before ‖ after) in nats, 0 = not at all.

    Float64 ``[B]`` from two log-probabilities ``[B, C]``. Unlike a flip it sees a probability that
    falls from 0.9 to 0.6.
    """
    # Rounding can leave a hair below 0, which no divergence is.
    return np.maximum((np.exp(before) * (before - after)).sum(1), 0.0)


def confusion_of(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Sentences by label (row) and prediction (column), int64 ``[C, C]``."""
    cells = np.bincount(labels * classes + predictions, minlength=classes**2)
    return cells.reshape(classes, classes)


def f1_of(confusion: np.ndarray, occurring: np.ndarray | None = None) -> np.ndarray:
    """F1 of each of some confusion matrices ``[…, C, C]``, of counts or shares: ``[…]`` in 0 to 1.

    That of class 1 where there are two classes, else the mean over classes. A class that is never
    predicted has F1 = 0. The mean leaves out a class that occurs neither among the labels nor among
    the predictions (or is not ``occurring`` ``[C]``); with two classes such a class 1 gives 0.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    either = confusion.sum(-1) + confusion.sum(-2)
    by_class = np.where(either > 0, 2 * hits / np.where(either > 0, either, 1), np.nan)
    if by_class.shape[-1] == 2:
        return np.nan_to_num(by_class[..., 1])
    return np.nanmean(by_class if occurring is None else by_class[..., occurring], axis=-1)


def matthews_of(confusion: np.ndarray) -> float:
    """Matthews correlation of labels and predictions, in [-1, 1]; 0 = no better than chance.

    For more than two classes the generalisation of Gorodkin (2004), "Comparing two K-category
    assignments by a K-category correlation coefficient". 0 where all labels or all predictions are
    the same.
    """
    cells = confusion.astype(float)
    labelled, predicted, n = cells.sum(1), cells.sum(0), cells.sum()
    scale = (n**2 - predicted @ predicted) * (n**2 - labelled @ labelled)
    return float((cells.trace() * n - labelled @ predicted) / sqrt(scale)) if scale > 0 else 0.0
