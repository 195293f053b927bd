"""Parts of a search: its problem, its constraints, its removals, and what a method is.

No order follows the places of heads in the model: of those that cost the same, one goes that is
drawn by the seed, and its reason says how many others are equal to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np

from bhpvas.criteria import Scores, drawn_order, score
from bhpvas.data.dataset import Dataset
from bhpvas.data.sampling import strata, stratified_sample
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.progress import Progress, silent
from bhpvas.text import plural

Option = TypeVar("Option")


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
    """A head to remove and why, as one short clause.

    Of layers that share their weights a search names the first, and means the head in all of them.
    """

    head: HeadId
    reason: str


def equal_to(others: int, what: str = "other") -> str:
    """The end of a reason where what was chosen is no better than some others.

    >>> equal_to(2), equal_to(0)
    (', equal to 2 others', '')
    """
    return f", equal to {plural(others, what)}" if others else ""


#: Why a dead head goes.
DEAD_REASON = "puts out nothing, so without it every answer is the same"
#: No constraint at all.
FREE = Constraints()


@dataclass(frozen=True, eq=False)
class SearchProblem:
    """What a search works on: a classifier, calibration sentences, and how many heads must go.

    There is always room for ``count`` removals from ``mask`` under the constraints. Where layers
    share their weights a head leaves all of them at once, which is one removal: what a criterion
    says of it is the sum of what it says of the head in each.
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
        rows = stratified_sample(strata(self.calibration.labels), size, self.seed)
        return replace(self, calibration=self.calibration.take(rows))

    def scores(
        self, names: Sequence[str], mask: HeadMask | None = None, progress: Progress = silent
    ) -> Scores:
        """Criteria on its sentences under a mask (default: its own); of layers that share their
        weights those of the first are the sums of all, and the others have none.
        """
        mask = self.mask if mask is None else mask
        found = score(self.classifier, self.calibration, names, mask=mask, progress=progress)
        return found.summed(self.groups) if self.groups else found

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Layers that share their weights; empty where each has its own."""
        return self.classifier.geometry.groups

    def everywhere(self, head: HeadId) -> list[HeadId]:
        """The head in all the layers that share its weights."""
        group = self.classifier.geometry.group_of(head.layer)
        return [HeadId(layer, head.head) for layer in group]

    def without(self, mask: HeadMask, heads: Iterable[HeadId]) -> HeadMask:
        """A mask without some heads, in all the layers that share their weights."""
        return mask.without(one for head in heads for one in self.everywhere(head))

    def allows(self, mask: HeadMask, head: HeadId) -> bool:
        """Whether a head may be the next to go; of several layers the first stands for all."""
        if not self.groups:
            return self.constraints.allows(mask, head)
        every = self.everywhere(head)
        left = [one for one in every if one not in mask.removed]
        return (
            every[0] == head
            and bool(left)
            and all(self.constraints.allows(mask, one) for one in left)
        )

    def room(self) -> int:
        """How many removals from its mask there is room for, one after the other as drawn."""
        mask, count = self.mask, 0
        for head in self.drawn:
            if self.allows(mask, head):
                mask, count = self.without(mask, [head]), count + 1
        return count

    def in_each_layer(self, removals: Iterable[Removal]) -> list[Removal]:
        """The removals with one for each layer that loses the head."""
        return [
            removal._replace(head=head)
            for removal in removals
            for head in self.everywhere(removal.head)
            if head not in self.mask.removed
        ]

    @cached_property
    def drawn(self) -> list[HeadId]:
        """All heads in the order in which equals go, by the seed."""
        return drawn_order(self.mask.layers, self.mask.heads, self.seed)

    @cached_property
    def drawn_layers(self) -> list[int]:
        """All layers in the order in which equals go, by the seed."""
        return [int(one) for one in np.random.default_rng(self.seed).permutation(self.mask.layers)]

    def removable(self, mask: HeadMask) -> list[HeadId]:
        """Every head that may be the next to go, as drawn."""
        return [head for head in self.drawn if self.allows(mask, head)]

    def in_order(self, order: Sequence[Removal]) -> list[Removal]:
        """The first ``count`` removals of a full order that the constraints allow."""
        mask, chosen = self.mask, list[Removal]()
        for removal in order:
            if len(chosen) == self.count:
                break
            head = self.everywhere(removal.head)[0]
            if self.allows(mask, head):
                mask = self.without(mask, [head])
                chosen.append(removal._replace(head=head))
        return chosen


def least(options: Iterable[Option], cost: Callable[[Option], float]) -> tuple[Option, int]:
    """The option of the least cost, the first of equals, and how many others cost the same.

    >>> least([3, -1, 1], cost=abs)
    (-1, 1)
    """
    every = iter(options)
    best, others = next(every), 0
    lowest = cost(best)
    for one in every:  # which are made one by one, and may be large
        found = cost(one)
        if found < lowest:
            best, lowest, others = one, found, 0
        elif found == lowest:
            others += 1
    return best, others


@dataclass(frozen=True)
class SearchMethod:
    """A way to choose the heads to remove, and what a person needs to know of it.

    ``nested``: a shorter proposal is always the beginning of a longer one. ``by_chance``: it looks
    at nothing, so that others can be held against it. ``for_compensation``: it chooses what is best
    after compensation, and is poor without it. ``defaults`` are its options.
    """

    name: str
    title: str
    summary: str
    source: str
    search: Callable[[SearchProblem], list[Removal]]
    nested: bool = True
    by_chance: bool = False
    for_compensation: bool = False
    defaults: dict[str, Any] = field(default_factory=dict, hash=False)

    def proposed(self, problem: SearchProblem) -> list[Removal]:
        """The heads to remove: those that put out nothing first, then what the search finds.

        Without the dead heads the model is the same, so the search goes on from there. Chance alone
        is no judge of heads: it draws from all of them.
        """
        if self.by_chance:
            return self.search(problem)
        dead = problem.classifier.dead_heads  # of layers with the same weights, in all of them
        gone = problem.in_order(
            [Removal(head, DEAD_REASON) for head in problem.drawn if dead[head.layer, head.head]]
        )
        mask = problem.without(problem.mask, [removal.head for removal in gone])
        left = problem.count - len(gone)
        if gone and not left:
            return gone
        return gone + self.search(replace(problem, mask=mask, count=left))
