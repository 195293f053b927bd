"""Parts of a search: its problem, its constraints, its removals, and what a method is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from bhpvas.criteria import Scores, score
from bhpvas.data.dataset import Dataset
from bhpvas.data.sampling import stratified_sample
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.progress import Progress, silent


@dataclass(frozen=True)
class Constraints:
    """What a proposal must leave alone.

    >>> constraints = Constraints(frozenset({HeadId(0, 0)}), min_per_layer=2)
    >>> [str(head) for head in constraints.removable(HeadMask.parse("L1H1", 2, 3))]
    ['L0H1', 'L0H2']
    >>> constraints.most(HeadMask(2, 3))
    2
    """

    protected: frozenset[HeadId] = frozenset()
    min_per_layer: int = 0

    def allows(self, mask: HeadMask, head: HeadId) -> bool:
        """Whether a head may be the next to go."""
        return (
            head not in mask.removed
            and head not in self.protected
            and mask.kept_per_layer[head.layer] > self.min_per_layer
        )

    def removable(self, mask: HeadMask) -> list[HeadId]:
        """Every head that may be the next to go, layer by layer."""
        return [head for head in mask.every_head() if self.allows(mask, head)]

    def most(self, mask: HeadMask) -> int:
        """How many heads may go in all."""
        most = 0
        for layer, kept in enumerate(mask.kept_per_layer):
            free = sum(head.layer == layer and head not in self.protected for head in mask)
            most += min(free, max(kept - self.min_per_layer, 0))
        return most


class Removal(NamedTuple):
    """A head to remove and why, as one short clause."""

    head: HeadId
    reason: str


#: No constraint at all.
FREE = Constraints()


@dataclass(frozen=True, eq=False)
class SearchProblem:
    """What a search works on: a classifier, calibration sentences, and how many heads must go.

    There is always room for ``count`` removals from ``mask`` under the constraints.
    """

    classifier: Classifier
    calibration: Dataset
    mask: HeadMask
    count: int
    constraints: Constraints = FREE
    seed: int = 0
    progress: Progress = silent
    options: dict[str, Any] = field(default_factory=dict)

    def sample(self, size: int) -> SearchProblem:
        """The same problem on at most so many of its sentences, each label in its proportion."""
        if len(self.calibration) <= size:
            return self
        rows = stratified_sample(self.calibration.labels, size, self.seed)
        return replace(self, calibration=self.calibration.take(rows))

    def scores(self, names: Sequence[str]) -> Scores:
        """Criteria on its sentences under its mask."""
        return score(
            self.classifier, self.calibration, names, mask=self.mask, progress=self.progress
        )

    def in_order(self, order: Sequence[Removal]) -> list[Removal]:
        """The first ``count`` removals of a full order that the constraints allow."""
        mask, chosen = self.mask, list[Removal]()
        for removal in order:
            if len(chosen) == self.count:
                break
            if self.constraints.allows(mask, removal.head):
                mask = mask.without([removal.head])
                chosen.append(removal)
        return chosen


@dataclass(frozen=True)
class SearchMethod:
    """A way to choose the heads to remove, and what a person needs to know of it.

    ``nested``: a shorter proposal is always the beginning of a longer one. ``for_compensation``: it
    chooses what is best after compensation, and is poor without it. ``defaults`` are its options.
    """

    name: str
    title: str
    summary: str
    source: str
    search: Callable[[SearchProblem], list[Removal]]
    nested: bool = True
    for_compensation: bool = False
    defaults: dict[str, Any] = field(default_factory=dict, hash=False)
