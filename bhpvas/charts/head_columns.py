"""Head columns: all that is known per head, in one table that maps, tables and the report read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bhpvas.criteria import (
    CRITERIA,
    DEFAULT_WEIGHTS,
    Criterion,
    Scores,
    combined,
    rank_intervals,
    ranks,
    removal_order,
)
from bhpvas.criteria.base import Direction
from bhpvas.evaluation.ablation import Ablation
from bhpvas.heads import HeadId, HeadMask
from bhpvas.stats import rank_correlation
from bhpvas.tasks.base import Metric
from bhpvas.tasks.single_label import ACCURACY
from bhpvas.text import DASH, number

COMBINED = "combined"
#: Exact effects of removing one head alone, which stand beside the criteria once they are measured:
#: on the loss, and on the accuracy or whatever else is the task's headline.
ABLATIONS = ("ablation-loss", "ablation-accuracy")


@dataclass(frozen=True, eq=False)
class Column:
    """One number a head: ``values`` ``[L, H]``, NaN where there is none.

    ``low`` and ``high`` bound the rank (95%), where its uncertainty is known, else they are 0.
    ``change`` says that the values are changes around zero, ``rise_is_bad`` which side of zero
    hurts. Of the ``kept`` heads (default: those with a value) one without a value is not
    ``measured`` yet, or its value is ``undefined``, which says of which heads it is; ``dead`` ones
    are first to go. ``groups`` ``[G, H]`` is what was measured of a head in all layers of a group
    that shares its weights.
    """

    name: str
    title: str
    values: np.ndarray
    higher_means: Direction
    help: str
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    change: bool = False
    rise_is_bad: bool = True
    kept: np.ndarray | None = None
    dead: np.ndarray | None = None
    undefined: str = ""
    measured: bool = True
    groups: np.ndarray | None = None

    def lacks(self, head: HeadId) -> bool:
        """Whether a head was looked at and has no value."""
        at = head.layer, head.head
        return self.kept is not None and bool(self.kept[at] and np.isnan(self.values[at]))

    @property
    def reading(self) -> str:
        """One line on how to read the column as colours."""
        if self.change:
            return self.help.replace("Above 0", "Red").replace("below 0", "blue")
        if self.name == COMBINED or not self.measured:
            return self.help
        shade = "Dark" if self.higher_means == "keep" else "Bright"
        said = f"{self.help.replace('High:', 'Bright:')} {shade} heads are first to go."
        if self.kept is not None and np.isnan(self.values[self.kept]).any():
            said += f" Grey ones go before these: undefined, as of a head {self.undefined}."
        return said

    @cached_property
    def ranks(self) -> np.ndarray:
        """Places ``[L, H]``: 1 = most worth keeping, the last = first to go, 0 = removed.

        Equals share the mean of their places.
        """
        return ranks(self.values, self.higher_means, kept=self.kept, dead=self.dead)

    @cached_property
    def first_to_go(self) -> list[HeadId]:
        """Kept heads from the first to go to the last; the order of equals is drawn."""
        return removal_order(self.values, self.higher_means, kept=self.kept, dead=self.dead)

    def beyond(self, threshold: float) -> list[HeadId]:
        """Kept heads on the far side of a threshold: the side that goes first."""
        sign = 1 if self.higher_means == "keep" else -1
        with np.errstate(invalid="ignore"):
            worse = sign * self.values < sign * threshold
        return [HeadId(int(la), int(he)) for la, he in zip(*np.nonzero(worse), strict=True)]

    def value(self, head: HeadId) -> str:
        """The value of one head as it stands on the screen."""
        if self.lacks(head):
            return "undefined"
        return number(float(self.values[head.layer, head.head]))

    def rank(self, head: HeadId) -> str:
        """The rank of one head, with its interval where there is one: ``12 (9–17)``."""
        place = self.ranks[head.layer, head.head]
        if place == 0:
            return "removed"
        if self.low is None or self.high is None or self.low[head.layer, head.head] == 0:
            return f"{place:g}"
        low, high = self.low[head.layer, head.head], self.high[head.layer, head.head]
        return f"{place:g} ({low}{DASH}{high})"

    def hover(self, mask: HeadMask) -> np.ndarray:
        """What a cell says under the pointer: text ``[L, H]``."""
        count = mask.kept_count
        lines = [
            f"<b>{head}</b> removed"
            if head in mask.removed
            else f"<b>{head}</b> not scored yet"
            if np.isnan(self.values[head.layer, head.head]) and not self.lacks(head)
            else f"<b>{head}</b><br>{self.title} {self.value(head)}<br>"
            f"rank {self.rank(head)} of {count}"
            for head in mask.every_head()
        ]
        return np.array(lines).reshape(mask.layers, mask.heads)

    def shared(self, other: Column) -> int:
        """How many heads have a value in both columns."""
        return int(np.isfinite(self.values + other.values).sum())

    def agreement(self, other: Column) -> float:
        """Spearman's rank correlation of two orders of keeping, −1 to 1, of what both value."""
        ours, theirs = (
            np.where(one.higher_means == "keep", one.values, -one.values).ravel()
            for one in (self, other)
        )
        return rank_correlation(ours, theirs)


@dataclass(frozen=True)
class Weighing:
    """How criteria are combined: their weights, and which way each counts."""

    weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    directions: Mapping[str, Direction] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether any criterion counts."""
        return any(weight > 0 for weight in self.weights.values())


def title_of(name: str, headline: Metric = ACCURACY) -> str:
    """What a column is called on the screen, known before it is measured."""
    if name == COMBINED:
        return "Combined priority"
    if name in ABLATIONS:
        return f"Ablation: {'loss' if name == ABLATIONS[0] else headline.title_in_text}"
    return CRITERIA[name].title


def unscored(name: str, mask: HeadMask) -> Column:
    """What stands for a column until it is measured: no number for any head."""
    return Column(
        name=name,
        title=title_of(name),
        values=np.full((mask.layers, mask.heads), np.nan),
        higher_means="keep",
        help="Grey: not scored yet, the colours are on their way. Heads can be selected and "
        "removed already.",
        measured=False,
    )


#: Gives what a key names: remembered, or made now.
Remember = Callable[[Any, Callable[[], Any]], Any]


def columns(
    scores: Scores,
    ablation: Ablation | None,
    weighing: Weighing,
    *,
    remember: Remember = lambda key, make: make(),
    key: object = None,
) -> dict[str, Column]:
    """Every column that is measured, by name; the combined priority first.

    ``key`` names the scores, for the rank intervals that ``remember`` gives or makes.
    """
    found = {}
    if weighing.usable:
        found[COMBINED] = Column(
            name=COMBINED,
            title=title_of(COMBINED),
            values=combined(scores, weighing.weights, weighing.directions),
            higher_means="keep",
            help="Bright: worth keeping by the weights above. Dark: first to go.",
        )
    for name, criterion in CRITERIA.items():
        if name in scores.values:
            found[name] = _measured(scores, criterion, weighing, remember, key)
    if ablation is not None:
        found |= _ablated(ablation)
    return found


def _measured(
    scores: Scores, criterion: Criterion, weighing: Weighing, remember: Remember, key: object
) -> Column:
    name = criterion.name
    direction = weighing.directions.get(name, criterion.higher_means)
    low = high = None
    if scores.measured[name].per_example is not None:
        low, high = remember(("ranks", key, name), lambda: rank_intervals(scores, name))
        if direction != criterion.higher_means:
            bounded = low > 0
            beyond = bounded.sum() + 1
            low, high = (np.where(bounded, beyond - one, 0) for one in (high, low))
    return Column(
        name=name,
        title=criterion.title,
        values=scores.values[name],
        higher_means=direction,
        help=criterion.summary,
        low=low,
        high=high,
        change=criterion.signed,
        kept=scores.mask.kept,
        dead=scores.dead,
        undefined=criterion.undefined,
    )


def _ablated(ablation: Ablation) -> dict[str, Column]:
    loss, accuracy = ABLATIONS
    headline = ablation.baseline.task.headline
    return {
        loss: Column(
            name=loss,
            title=title_of(loss),
            values=ablation.loss_change,
            higher_means="keep",
            help="Red: removing exactly this head raises the loss. Blue: it lowers it.",
            groups=ablation.group_loss_change,
            change=True,
        ),
        accuracy: Column(
            name=accuracy,
            title=title_of(accuracy, headline),
            values=headline.scale * ablation.headline_change,
            higher_means="remove",
            help=f"Red: removing exactly this head costs {headline.title_in_text}"
            f"{', in points' if headline.share else ''}. Blue: it gains.",
            change=True,
            rise_is_bad=False,
            groups=100 * ablation.group_headline_change,
        ),
    }


def whole_places(places: np.ndarray) -> np.ndarray:
    """Places as whole numbers, if all are: those that equals share can be halves."""
    return places.astype(int) if (places % 1 == 0).all() else places


def table(found: Mapping[str, Column], mask: HeadMask) -> pd.DataFrame:
    """One row a head: its name, layer, whether it is kept, and each column's value and rank.

    A value that is undefined is empty, as that of a head that is not kept.
    """
    every = list(mask.every_head())
    frame = pd.DataFrame(
        {
            "head": [str(head) for head in every],
            "layer": [head.layer for head in every],
            "kept": [head not in mask.removed for head in every],
        }
    )
    for column in found.values():
        frame[column.name] = column.values.ravel()
        frame[f"{column.name} rank"] = whole_places(column.ranks.ravel())
        if column.low is not None and column.high is not None:
            frame[f"{column.name} rank low"] = column.low.ravel()
            frame[f"{column.name} rank high"] = column.high.ravel()
    return frame
