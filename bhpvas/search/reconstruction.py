"""Reconstruction: the head goes whose absence the others of its layer can best make up for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bhpvas.recovery.layerwise import calibration_parts
from bhpvas.search.base import Removal, SearchMethod, SearchProblem, equal_to, least
from bhpvas.search.layer_statistics import LayerStatistics, measure_layers

# Share of the mean variance that is added to every direction, so that a covariance from few
# sentences can be inverted.
_DAMPING = 1e-3


class LayerError:
    """The error that a layer's best refit leaves, head by head, in closed form.

    With P the inverse of the kept heads' covariance and W their refitted columns, removing head h
    and refitting the rest adds ``tr(M W_hᵀ (P_hh)⁻¹ W_h)`` to the error in the metric M: the
    optimal brain surgeon (Hassibi, Stork 1993) for a block of inputs.
    """

    def __init__(
        self,
        statistics: LayerStatistics,
        weight: Tensor,
        head_size: int,
        kept: Sequence[int] | None = None,
    ) -> None:
        """``weight`` ``[D, k·d_h]``: W_O's columns of the ``kept`` heads (default: all)."""
        covariance, self.metric = statistics
        self.head_size = head_size
        self.kept = list(range(len(covariance) // head_size) if kept is None else kept)
        damping = _DAMPING * covariance.diagonal().mean().clamp(min=1e-12)
        self.inverse = torch.linalg.inv(
            covariance + damping * torch.eye(len(covariance), dtype=torch.float64)
        )
        self.columns = weight.double().T.contiguous()  # [k·d_h, D]
        terms = self.columns, self.metric, self.columns, covariance
        self.whole = float(torch.einsum("id,de,je,ij->", *terms))

    def added(self) -> dict[int, float]:
        """What the removal of each kept head adds to the error of the layer's output."""
        found = {}
        for place, head in enumerate(self.kept):
            here = self._place(place)
            columns = self.columns[here]  # [d_h, D]
            inner = torch.linalg.solve(self.inverse[here, here], columns)
            found[head] = float(((inner @ self.metric) * columns).sum())
        return found

    def remove(self, head: int) -> None:
        """Remove a head and refit the columns of the others."""
        here = self._place(self.kept.index(head))
        rest = torch.ones(len(self.inverse), dtype=torch.bool)
        rest[here] = False
        pull = self.inverse[rest][:, here] @ torch.linalg.inv(self.inverse[here, here])
        self.columns = self.columns[rest] - pull @ self.columns[here]
        self.inverse = self.inverse[rest][:, rest] - pull @ self.inverse[here][:, rest]
        self.kept.remove(head)

    def _place(self, index: int) -> slice:
        return slice(index * self.head_size, (index + 1) * self.head_size)


def search(problem: SearchProblem) -> list[Removal]:
    """Greedily, over all layers at once."""
    classifier = problem.classifier
    parts = calibration_parts(classifier, classifier.encode(problem.calibration), seed=problem.seed)
    measured = measure_layers(classifier, parts, seed=problem.seed, progress=problem.progress)
    errors = [
        LayerError(one, layer.output.weight.cpu(), classifier.geometry.head_size)
        for one, layer in zip(measured, classifier.layers, strict=True)
    ]
    for head in sorted(problem.mask.removed):
        errors[head.layer].remove(head.head)
    mask, chosen = problem.mask, list[Removal]()
    added = [layer.added() for layer in errors]
    for _ in range(problem.count):
        head, others = least(problem.removable(mask), lambda one: added[one.layer][one.head])
        layer = errors[head.layer]
        share = added[head.layer][head.head] / layer.whole if layer.whole > 0 else 0.0
        layer.remove(head.head)
        added[head.layer] = layer.added()
        mask = mask.without([head])
        reason = f"the others of its layer make up for all but {share:z.2%} of the layer"
        chosen.append(Removal(head, reason + equal_to(others)))
    return chosen


METHOD = SearchMethod(
    name="reconstruction",
    title="Reconstruction",
    summary="The head goes that the others of its layer can best stand in for once they are "
    "refitted, weighed by how much the logits feel the layer.",
    source="Ours; optimal brain surgeon (Hassibi, Stork 1993) on heads",
    search=search,
    for_compensation=True,
)
