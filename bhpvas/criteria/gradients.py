"""Criteria read from the gradient of each sentence's loss for each gate."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from bhpvas.criteria.base import Criterion, Measurement, SentenceMoments, steadiness
from bhpvas.data.sampling import Sample
from bhpvas.model import distributed
from bhpvas.model.batching import Batch
from bhpvas.model.classifier import Classifier
from bhpvas.model.engine import Gradients


class GateGradients:
    """``∂loss_b / ∂gate[b, l, h]``: sums over all sentences, and the gradients of some.

    ``gradients`` is float32 ``[n, L, H]`` for the n sentences of a
    :class:`~bhpvas.data.sampling.Sample`; ``absolute`` is the mean of the absolute values, float64
    ``[L, H]``.
    """

    needs = frozenset({"gradients"})

    def __init__(self, classifier: Classifier, sample: Sample) -> None:
        layers, heads = classifier.geometry.layers, classifier.geometry.heads
        self.moments = SentenceMoments(sample, layers, heads)
        self._absolute = np.zeros((layers, heads))

    @property
    def gradients(self) -> np.ndarray:
        return self.moments.kept

    @property
    def absolute(self) -> np.ndarray:
        return self._absolute / self.moments.sample.total

    def see_layer(self, seen: object) -> None:
        """Gradients are complete only at the end of a batch."""

    def see_batch(self, batch: Batch, logits: Tensor, gradients: Gradients | None) -> None:
        assert gradients is not None
        values = gradients.heads.float().cpu().numpy()
        self.moments.add(batch.rows, values)
        self._absolute += np.abs(values).sum(0, dtype=np.float64)

    def add_up(self) -> None:
        self.moments.add_up()
        distributed.add_up(self._absolute)


def importance(found: GateGradients) -> Measurement:
    """Mean over sentences of the absolute gate gradient (Michel, Levy, Neubig 2019, eq. 2)."""
    return Measurement(found.absolute, np.abs(found.gradients))


def importance_normalised(found: GateGradients) -> Measurement:
    """Importance divided by the L2 norm of its layer (Molchanov et al. 2017, as Michel et al.)."""
    # The norm is that of kept heads, and which these are a collector does not know.
    return Measurement(found.absolute, np.abs(found.gradients), per_layer=True)


def fisher(found: GateGradients) -> Measurement:
    """Mean over sentences of the squared gate gradient (Kwon et al. 2022)."""
    return Measurement(found.moments.mean_square, found.gradients**2)


def first_order(found: GateGradients) -> Measurement:
    """First-order estimate of the loss change when the head is removed: minus the mean gradient."""
    return Measurement(-found.moments.mean, -found.gradients)


def stability_gradient(found: GateGradients) -> Measurement:
    """``1 / (1 + σ/μ)`` of the absolute gate gradient over sentences."""
    values = steadiness(found.absolute, found.moments.mean_square)
    values = found.moments.if_several(values)
    return Measurement(values, np.abs(found.gradients), "steadiness")


CRITERIA = (
    Criterion(
        name="importance",
        title="Importance",
        higher_means="keep",
        summary="High: turning this head down a little changes the loss of single sentences a lot.",
        formula=r"I(l,h)=\frac1N\sum_b"
        r"\left|\frac{\partial\,\mathrm{loss}_b}{\partial g_{b,l,h}}\right|",
        source="Michel, Levy, Neubig 2019, Are Sixteen Heads Really Better than One?",
        misleads="It is local: it speaks of a small turn of one gate, not of taking the head away, "
        "and not of several heads together. Heads that stand in for each other all score low.",
        collector=GateGradients,
        measure=importance,
    ),
    Criterion(
        name="importance-normalised",
        title="Importance, per layer",
        higher_means="keep",
        summary="High: of its layer's heads, the loss feels this one most.",
        formula=r"\hat I(l,h)=I(l,h)\,/\,\sqrt{\textstyle\sum_{h'\ \text{kept}}I(l,h')^2}",
        source="Michel, Levy, Neubig 2019; Molchanov et al. 2017",
        misleads="Each layer is made equally important, so a layer that could go as a whole keeps "
        "heads that another layer needs more.",
        collector=GateGradients,
        measure=importance_normalised,
    ),
    Criterion(
        name="fisher",
        title="Fisher information",
        higher_means="keep",
        summary="High: some sentences depend on this head strongly.",
        formula=r"F(l,h)=\frac1N\sum_b"
        r"\left(\frac{\partial\,\mathrm{loss}_b}{\partial g_{b,l,h}}\right)^2",
        source="Kwon et al. 2022, A Fast Post-Training Pruning Framework for Transformers",
        misleads="A few hard sentences decide it; and like importance it is local.",
        collector=GateGradients,
        measure=fisher,
    ),
    Criterion(
        name="first-order",
        title="Loss change, first order",
        higher_means="keep",
        summary="Above 0: by the slope at this point, removal raises the loss; below 0: lowers it.",
        formula=r"\Delta(l,h)=-\frac1N\sum_b\frac{\partial\,\mathrm{loss}_b}{\partial g_{b,l,h}}",
        source="First term of the Taylor series of the loss; Molchanov et al. 2017",
        misleads="Sentences that gain and sentences that lose cancel; it reads near 0 for a head "
        "that matters both ways.",
        collector=GateGradients,
        measure=first_order,
        signed=True,
    ),
    Criterion(
        name="stability-gradient",
        title="Stability of importance",
        higher_means="keep",
        summary="High: every sentence needs this head about equally.",
        formula=r"S_g(l,h)=1\,/\,(1+\sigma_b/\mu_b)\ \text{of}\ "
        r"\left|\partial\,\mathrm{loss}_b/\partial g_{b,l,h}\right|",
        source="Coefficient of variation; our reading of stability in BHPVAS 2024",
        misleads="Losses differ by orders of magnitude between easy and hard sentences, so most of "
        "the variation is the sentences', not the head's.",
        collector=GateGradients,
        measure=stability_gradient,
        undefined="whose gradient is 0 in every sentence, and of every head by a single sentence",
    ),
)
