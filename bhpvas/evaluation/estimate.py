"""Estimate: what any mask would cost, from gradients alone; thousands of masks in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bhpvas.criteria import Scores
from bhpvas.errors import BhpvasError
from bhpvas.evaluation import task
from bhpvas.heads import HeadMask


@dataclass(frozen=True, eq=False)
class Estimate:
    """A second-order model of the loss around the mask at which gradients were taken.

    With ``δ`` the change of the gates, ``Δloss ≈ δᵀḡ + ½ δᵀFδ`` where ``F = GᵀG / N`` stands for
    the curvature (the empirical Fisher matrix; Kwon et al. 2022 keep its blocks). Accuracy follows
    from each sentence's margin, log-odds of its right label, moved along its own gradient. Both are
    local: beyond about a third of the heads they say little, and they are never exact.
    """

    mask: HeadMask
    mean_gradient: np.ndarray  # [L·H]
    curvature: np.ndarray  # [L·H, L·H]
    margin_gradient: np.ndarray  # [N, L·H], of log p / (1 - p) for the right label
    margins: np.ndarray  # [N]
    thresholds: np.ndarray  # [N], the margin above which the right label wins

    @classmethod
    def from_scores(cls, scores: Scores) -> Estimate:
        """Build from scores that include a gradient criterion; raises where none was measured."""
        if scores.gate_gradients is None:
            raise BhpvasError("An estimate needs gate gradients: score 'importance' first.")
        gradients = scores.gate_gradients.reshape(len(scores.rows), -1).astype(np.float64)
        margins, thresholds = task.margins(scores.logits, scores.labels)
        # The loss is log(1 + exp(-margin)), so d margin = -d loss · (1 + exp(margin)).
        margin_gradient = -gradients * (1.0 + np.exp(np.minimum(margins, 50.0)))[:, None]
        return cls(
            mask=scores.mask,
            mean_gradient=gradients.mean(0),
            curvature=gradients.T @ gradients / len(gradients),
            margin_gradient=margin_gradient,
            margins=margins,
            thresholds=thresholds,
        )

    def _change(self, masks: Sequence[HeadMask] | np.ndarray) -> np.ndarray:
        """Change of the gates ``[M, L·H]`` from masks or from gates ``[M, L, H]``."""
        ready = isinstance(masks, np.ndarray)
        gates = np.asarray(masks if ready else [mask.array for mask in masks])
        return gates.reshape(len(gates), -1) - self.mask.array.reshape(1, -1)

    def loss_change(self, masks: Sequence[HeadMask] | np.ndarray) -> np.ndarray:
        """Estimated change of the mean loss for each mask: float64 ``[M]``; above 0 = worse."""
        change = self._change(masks)
        return change @ self.mean_gradient + ((change @ self.curvature) * change).sum(1) / 2

    def accuracy_change(self, masks: Sequence[HeadMask] | np.ndarray) -> np.ndarray:
        """Estimated change of accuracy for each mask, −1 to 1: float64 ``[M]``."""
        moved = self.margins + self._change(masks) @ self.margin_gradient.T  # [M, N]
        before = (self.margins > self.thresholds).mean()
        return (moved > self.thresholds).mean(1) - before
