"""Section on curves: the headline as heads are removed, beside random orders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bhpvas import stats, text
from bhpvas.charts import style
from bhpvas.charts.curves import (
    curve_points,
    headline_curves,
    line_style,
    method_title,
    recovery_title,
    undefined,
)
from bhpvas.charts.step_texts import timeline_points
from bhpvas.report import tables
from bhpvas.report.blocks import Data, Picture, Section, TableBlock
from bhpvas.report.findings import OWN, REFERENCE, Findings
from bhpvas.search.curves import Curve, band

_CHANCE = (
    " The random orders are not recovered: a dotted line above the band beats chance; a recovered "
    "line has its repair on top."
)
_WITHOUT_NEURONS = (
    "Here heads leave and nothing else does: the scheme removes feed-forward neurons as well, so "
    "its own place is not among these curves but in the table of costs. "
)


def section(found: Findings) -> Section:
    """The section as it stands in the report."""
    scheme, total = found.scheme, found.mask.layers * found.mask.heads
    narrowed = found.mask.masked_neurons is not None
    chance = band(found.random) if found.random else None
    metric = found.task.headline
    headlines = {
        number: one.headline
        for number, one in found.evaluations.items()
        if one.mask.masked_neurons is None
    }
    learnt = {number: found.learnt_before(scheme.step(number)).known for number in headlines}
    names = [OWN, REFERENCE]
    figure = headline_curves(
        curve_points(found.curves),
        chance,
        timeline_points(scheme, headlines, learnt),
        names=names,
        all_heads=total,
        sentences=len(found.evaluation),
        metric=metric,
    )
    keys: list[tuple[str, str | Mapping[str, str], str]] = [
        (
            f"{one.method} {one.recovery or 'none'}",
            line_style(names.index(one.method), one.recovery),
            _whose(one),
        )
        for one in found.curves
    ]
    if chance is not None:
        drawn = text.plural(len(found.random), "random order")
        said = f"{drawn}, not recovered: median, band 5 to 95%"
        keys.append(("chance median", style.MUTED, said))
    if headlines:
        keys.append(("steps", style.SELECTED, "steps of the scheme"))
    whole = pd.concat([one.frame() for one in (*found.curves, *found.random)], ignore_index=True)
    whole = whole.assign(calibration=found.calibration.name, evaluation=found.evaluation.name)
    return Section(
        "curves",
        f"{metric.title} as heads leave",
        _WITHOUT_NEURONS
        * narrowed
        + f"Measured on {text.plural(len(found.evaluation), 'sentence')} of "
        f"{found.evaluation.name}; orders, except for the scheme's own, and recoveries are learnt "
        f"from {found.calibration.name}.{_learnt(found)} Further right, fewer heads are left."
        + (_CHANCE if found.random else "")
        + _gaps(found),
        [
            Picture(
                f"{metric.title} against heads kept",
                "Dotted: heads removed and nothing else; a full or dashed line: recovered after "
                "each removal. Diamonds are the steps of the scheme as they were taken.",
                figure,
                Data("curves", whole),
                f"{metric.title} against heads kept: {text.plural(len(found.curves), 'order')}, "
                f"{text.plural(len(found.random), 'random order')}",
                keys,
            ),
            *([_at_this_size(found)] if found.mask.masked and not narrowed else []),
        ],
    )


def _learnt(found: Findings) -> str:
    """What the curves learnt from the sentences that they are measured on; empty for nothing."""
    said = ""
    if not found.learnt_from.clean:
        said += f" By the scheme, {found.learnt_from.line()}."
    if found.shared:
        said += f" By the other orders and recoveries, {found.shared:,}."
    return said


def _gaps(found: Findings) -> str:
    """Why a curve ends early, where one does."""
    values = [value for one in (*found.curves, *found.random) for value in one.headline]
    if np.isfinite(values).all():
        return ""
    return f" {undefined(found.task)}"


def _whose(curve: Curve) -> str:
    """A curve in words."""
    own = curve.method == OWN
    order = "this scheme's order" if own else f"by {method_title(curve.method).lower()}"
    return order if curve.recovery is None else f"{order}, then {recovery_title(curve.recovery)}"


def _at_this_size(found: Findings) -> TableBlock:
    """Every order with as many heads removed as the scheme removes."""
    count = len(found.mask.masked)
    metric = found.task.headline
    at = {_whose(one): one.headline[one.removed.index(count)] for one in found.curves}
    rows = [
        [tables.name(name), tables.text(metric.value_text(value), wrap=False), "<td></td>"]
        for name, value in at.items()
    ]
    records = [{"order": name, metric.name: value} for name, value in at.items()]
    if found.random:
        drawn = np.array([one.headline[one.removed.index(count)] for one in found.random])
        low, median, high = stats.band(drawn)
        own = at[_whose(found.curves[0])]
        rows.append(
            [
                tables.name("Random orders"),
                tables.text(metric.value_text(median), metric.interval_text(low, high), wrap=False),
                tables.text(
                    f"{int((drawn >= own).sum())} of {len(drawn)} do as well as this scheme's "
                    "order without recovery"
                    if np.isfinite([own, *drawn]).all()
                    else ""
                ),
            ]
        )
        records += [
            {"order": f"random, seed {one.seed}", metric.name: value}
            for one, value in zip(found.random, drawn, strict=True)
        ]
    return TableBlock(
        f"With {text.plural(count, 'head')} removed",
        "What each order keeps at the size of this scheme; for random orders the median and 5 to "
        "95%.",
        ["", metric.title, ""],
        rows,
        Data("orders-at-this-size", pd.DataFrame(records)),
    )
