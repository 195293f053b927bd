"""Parts of a search to a target: its problem, what it finds, and what a method is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bhpvas.data.dataset import Dataset
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import Classifier
from bhpvas.model.encoding import Encoded
from bhpvas.model.families.base import What
from bhpvas.progress import Progress, silent
from bhpvas.recovery.base import Recovered
from bhpvas.search.base import FREE, Constraints
from bhpvas.search.budget import Costs, Target
from bhpvas.search.sensitivity import Sublayer


@dataclass(frozen=True, eq=False)
class TargetProblem:
    """What a search works on: the unpruned model, calibration sentences, and what may stay.

    ``choices`` are how many heads and how many neurons a layer may keep, ascending, all of them at
    the end; ``costs`` say what these cost and what may be spent, for each target.
    """

    classifier: Classifier
    calibration: Dataset
    encoded: Encoded
    choices: Mapping[What, Sequence[int]]
    costs: Mapping[Target, Costs]
    constraints: Constraints = FREE
    seed: int = 0
    progress: Progress = silent

    @cached_property
    def sublayers(self) -> list[Sublayer]:
        """Every attention and every feed-forward part, layer by layer."""
        layers = range(self.classifier.geometry.layers)
        return [Sublayer(layer, what) for layer in layers for what in self.choices]

    def units(self, what: What) -> int:
        """How many units a part has."""
        return self.choices[what][-1]

    def stay(self, one: Sublayer) -> set[int]:
        """The units of a part that must stay: protected heads."""
        protected = (head for head in self.constraints.protected if one.what == "heads")
        return {head.head for head in protected if head.layer == one.layer}

    def plan(self, target: Target, moves: Mapping[Sublayer, np.ndarray]) -> dict[Sublayer, int]:
        """How many units each part keeps for a target, so that least is lost.

        ``moves`` say of each part what is lost with each number of units that it may keep.
        """
        allowed = {}
        for one, lost in moves.items():
            enough = np.array(self.choices[one.what]) >= self.fewest(one)
            allowed[one] = np.where(enough, lost, np.inf)
        return self.costs[target].allotted(self.choices, allowed)

    def fewest(self, one: Sublayer) -> int:
        """How many units a part keeps at least."""
        least = len(self.stay(one))
        return next(count for count in self.choices[one.what] if count >= least)


class Found(NamedTuple):
    """What a search found for one target.

    ``alone`` is how far the answers move where the parts of each layer are narrowed alone, in nats,
    None where that was not measured.
    ``expected`` is how far the answers were expected to move, None where a method expects nothing
    of the kind; ``divergence`` how far they do, mean KL in nats on the calibration sentences, with
    the weights that were ``recovered``, as masked where there are none.
    """

    mask: HeadMask
    plan: dict[Sublayer, int]
    recovered: Recovered | None
    expected: float | None
    divergence: float
    reasons: tuple[str, ...]
    alone: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TargetMethod:
    """A way to narrow a model to targets, and what a person needs to know of it.

    ``recovery`` names the recovery that the method ends with, a key of
    :data:`~bhpvas.recovery.registry.RECOVERIES`; None where its masks are left as they are.
    ``learns``: it looks at sentences, and not at weights or chance alone. ``reads_labels``: at
    their labels, too.
    """

    name: str
    title: str
    summary: str
    source: str
    misleads: str
    search: Callable[[TargetProblem], list[Found]]
    recovery: str | None = None
    learns: bool = True
    reads_labels: bool = False


def what_stays(problem: TargetProblem, plan: Mapping[Sublayer, int], layer: int) -> str:
    """How much of a layer stays, as the beginning of a reason."""
    heads, neurons = (plan[Sublayer(layer, what)] for what in ("heads", "neurons"))
    return (
        f"layer {layer} keeps {heads} of {problem.units('heads')} heads and {neurons:,} of "
        f"{problem.units('neurons'):,} neurons"
    )
