"""Registry of search methods: to a number of heads, to a target, and the default of both."""

from __future__ import annotations

from bhpvas.criteria import CRITERIA
from bhpvas.errors import BhpvasError
from bhpvas.model.config import Geometry
from bhpvas.search import (
    greedy,
    iterative,
    layers,
    mask_search,
    one_shot,
    reconstruction,
    redundancy,
    shares,
    target_fisher,
    target_shares,
    target_values,
)
from bhpvas.search.base import SearchMethod
from bhpvas.search.target_base import TargetMethod

#: Every method by name, from the simplest on.
METHODS: dict[str, SearchMethod] = {
    one.name: one
    for one in (
        one_shot.RANDOM,
        one_shot.one_shot("importance"),
        one_shot.one_shot("fisher"),
        one_shot.COMBINED,
        iterative.METHOD,
        redundancy.METHOD,
        mask_search.METHOD,
        reconstruction.METHOD,
        shares.METHOD,
        greedy.METHOD,
        layers.METHOD,
    )
}
#: Every method that narrows a model to a target, by name; one that also chooses a number of heads
#: has the name that it has above.
TO_TARGET: dict[str, TargetMethod] = {
    one.name: one
    for one in (
        target_values.RANDOM,
        target_values.MAGNITUDE,
        target_fisher.METHOD,
        target_shares.METHOD,
    )
}
#: Where no method is named: that of the largest mean area on the sample model over five calibration
#: draws, after a thorough recovery (docs/benchmarks.md).
DEFAULT_METHOD = "shares"


def default_method(geometry: Geometry) -> str:
    """The method where none is named: what refits layer by layer needs layers of their own."""
    return "importance" if geometry.groups else DEFAULT_METHOD


def method_named(name: str) -> SearchMethod:
    """A method of the registry, or the one that follows any criterion by its name.

    Raises :class:`BhpvasError` for a name that is neither.
    """
    if name in METHODS:
        return METHODS[name]
    if name in CRITERIA:
        return one_shot.one_shot(name)
    what = "a method to a target alone" if name in TO_TARGET else "no method"
    raise BhpvasError(
        f"{name!r} is {what}; choose from {', '.join(METHODS)}, or a criterion: "
        f"{', '.join(sorted(CRITERIA.keys() - METHODS.keys()))}."
    )


def to_target_named(name: str) -> TargetMethod:
    """A method that narrows to a target; raises :class:`BhpvasError` for a name of none."""
    if name in TO_TARGET:
        return TO_TARGET[name]
    what = "a method for a number of heads alone" if name in {*METHODS, *CRITERIA} else "no method"
    raise BhpvasError(f"{name!r} is {what}; to a target, choose from {', '.join(TO_TARGET)}.")
