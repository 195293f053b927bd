"""Estimate: what any mask would cost, from gradients alone; thousands of masks in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bhpvas.criteria import Scores
from bhpvas.errors import BhpvasError
from bhpvas.heads import HeadMask
from bhpvas.tasks.single_label import SingleLabel
from bhpvas.tasks.single_label import margins as margins_of

#: From this share of all heads on, an estimate is weak: over masks without 24 of the sample's 72
#: heads its accuracy correlates with the measured one by 0.5, without 36 by 0.3
#: (docs/benchmarks.md).
WEAK_FROM = 1 / 3


@dataclass(frozen=True, eq=False)
class Estimate:
    """A first-order model of the loss and of every margin around the mask of the gradients.

    With ``δ`` the change of the gates, ``Δloss ≈ δᵀḡ`` (Molchanov et al. 2017). There is no term
    of second order: with the empirical Fisher matrix as the curvature, which can only add to the
    loss, the sign was wrong in most masks of 12 and more random heads, and is right without it.
    Accuracy follows from each sentence's margin,
    log-odds of its right label, moved along its own gradient; of another task than one label out of
    several there is none, and asking for it raises :class:`BhpvasError`.

    It is of heads: neurons are those of the mask, and masks that differ in them are refused. Of
    neurons only sums are kept, no gradient of a sentence, so nothing would follow for the accuracy.

    Both are of the sentences that the gradients are of, and from :data:`WEAK_FROM` of the heads on
    they are weak. Other sentences differ by as much as a few heads do (docs/benchmarks.md).
    """

    mask: HeadMask
    mean_gradient: np.ndarray  # [L·H]
    # None of another task than one label out of several, in which no label wins by a margin.
    margin_gradient: np.ndarray | None  # [N, L·H], of log p / (1 - p) for the right label
    margins: np.ndarray | None  # [N]
    thresholds: np.ndarray | None  # [N], the margin above which the right label wins

    @classmethod
    def from_scores(cls, scores: Scores) -> Estimate:
        """Build from scores that include a gradient criterion; raises where none was measured."""
        if scores.gate_gradients is None:
            raise BhpvasError("An estimate needs gate gradients: score 'importance' first.")
        gradients = scores.gate_gradients.reshape(len(scores.rows), -1).astype(np.float64)
        if not isinstance(scores.task, SingleLabel):
            return cls(scores.mask, gradients.mean(0), None, None, None)
        margins, thresholds = margins_of(scores.logits, scores.labels)
        # The loss is log(1 + exp(-margin)), so d margin = -d loss · (1 + exp(margin)).
        margin_gradient = -gradients * (1.0 + np.exp(np.minimum(margins, 50.0)))[:, None]
        return cls(
            mask=scores.mask,
            mean_gradient=gradients.mean(0),
            margin_gradient=margin_gradient,
            margins=margins,
            thresholds=thresholds,
        )

    @property
    def accuracy(self) -> float:
        """The share of the sentences that are right at the mask of the gradients; measured."""
        _, margins, thresholds = self._of_labels()
        return float((margins > thresholds).mean())

    def _of_labels(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The gradients of the margins, these, and their thresholds."""
        if self.margin_gradient is None or self.margins is None or self.thresholds is None:
            raise BhpvasError(
                "An estimate of accuracy is of models that give one label out of several: of this "
                "one take the estimate of the loss, or measure its metrics by evaluating the mask."
            )
        return self.margin_gradient, self.margins, self.thresholds

    def weak(self, mask: HeadMask) -> bool:
        """Whether a mask differs from that of the gradients in too many heads to say much."""
        changed = len(self.mask.removed ^ mask.removed)
        return changed >= WEAK_FROM * self.mask.layers * self.mask.heads

    def _change(self, masks: Sequence[HeadMask] | np.ndarray) -> np.ndarray:
        """Change of the gates ``[M, L·H]`` from masks or from gates ``[M, L, H]``."""
        if isinstance(masks, np.ndarray):
            gates = masks
        else:
            if any(mask.neurons != self.mask.neurons for mask in masks):
                raise BhpvasError(
                    "An estimate is of heads alone, and this mask differs in feed-forward neurons: "
                    "evaluate it, or measure each layer's widths with ablate_widths."
                )
            gates = np.asarray([mask.array for mask in masks])
        return gates.reshape(len(gates), -1) - self.mask.array.reshape(1, -1)

    def loss_change(self, masks: Sequence[HeadMask] | np.ndarray) -> np.ndarray:
        """Estimated change of the mean loss for each mask: float64 ``[M]``; above 0 = worse."""
        return self._change(masks) @ self.mean_gradient

    def accuracy_change(self, masks: Sequence[HeadMask] | np.ndarray) -> np.ndarray:
        """Estimated change of accuracy for each mask, −1 to 1: float64 ``[M]``."""
        gradient, margins, thresholds = self._of_labels()
        moved = margins + self._change(masks) @ gradient.T  # [M, N]
        return (moved > thresholds).mean(1) - self.accuracy
