"""The pictures of proposals, recoveries and curves, without a browser."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from bhpvas.charts import style
from bhpvas.charts.curves import headline_curves, line_style
from bhpvas.charts.family_curve import FamilyPoint, family_curve
from bhpvas.charts.layer_errors import layer_errors
from bhpvas.charts.proposal_map import proposal_map
from bhpvas.charts.timeline import TimelinePoint
from bhpvas.heads import HeadId, HeadMask, parse_heads
from bhpvas.tasks.base import Measured


def trace(figure: go.Figure, name: str) -> go.Scatter:
    (found,) = [one for one in figure.data if one.name == name]
    return found


# --- proposals ------------------------------------------------------------------------------------

MASK = HeadMask(2, 4).without(parse_heads("L0H3"))


def test_a_proposal_shows_places_reasons_and_what_was_turned() -> None:
    proposed, turned = parse_heads("L1H0,L0H0,L1H3"), set(parse_heads("L0H0,L1H1"))
    going = parse_heads("L1H0,L1H3,L1H1")
    reasons = {head: f"because of {head}" for head in proposed}
    figure = proposal_map(MASK, going, reasons, turned, parse_heads("L0H1"))
    written = {
        (y, x): text
        for one in figure.data
        if one.name and one.name.startswith("labels")
        for x, y, text in zip(one.x, one.y, one.text, strict=True)
    }
    assert written == {(1, 0): "1", (1, 3): "3", (1, 1): "+", (0, 0): "\N{MINUS SIGN}"}
    said = dict(zip(MASK.every_head(), trace(figure, "heads").text, strict=True))
    assert said[HeadId(1, 0)] == "<b>L1H0</b> goes, place 1<br>because of L1H0"
    assert said[HeadId(0, 0)] == "<b>L0H0</b> stays, by hand; proposed because<br>because of L0H0"
    assert said[HeadId(1, 1)] == "<b>L1H1</b> goes, by hand"
    assert said[HeadId(0, 1)] == "<b>L0H1</b> protected"
    assert said[HeadId(0, 2)] == "<b>L0H2</b> stays"
    assert said[HeadId(0, 3)] == "<b>L0H3</b> removed already"


def test_the_first_to_go_are_darkest() -> None:
    going = [head for head in MASK if head.layer == 1]
    values = np.array(proposal_map(MASK, going, dict.fromkeys(going, ""), (), ()).data[0].z)
    assert list(values[1]) == [2, 3, 4, 5]
    assert list(values[0][:3]) == [0, 0, 0] and np.isnan(values[0][3])
    assert proposal_map(MASK, [], {}, (), ()).data[0].z[1][0] == 0


# --- recovery -------------------------------------------------------------------------------------


def test_each_layer_goes_from_its_error_before_to_that_after() -> None:
    figure = layer_errors(
        [
            {"layer": 2, "ridge": 0.1, "error_before": 0.5, "error_after": 0.125},
            {"layer": 4, "ridge": None, "error_before": 0.25, "error_after": 0.25},
        ]
    )
    assert list(trace(figure, "before").x) == [0.5, 0.25]
    assert list(trace(figure, "after").x) == [0.125, 0.25]
    assert list(trace(figure, "after").y) == ["L2", "L4"]
    assert trace(figure, "after").text[0] == "L2 after: error 0.125"
    assert trace(figure, "after").text[1].endswith("left as it was")


def test_errors_of_feed_forward_parts_stand_above_those_of_attention() -> None:
    record = {"ridge": 0.1, "error_before": 0.5, "error_after": 0.125}
    figure = layer_errors(
        [{"layer": 1, **record}, {"layer": 2, **record}],
        [{"layer": 1, "ridge": None, "error_before": 0.25, "error_after": 0.25}],
    )
    assert list(trace(figure, "after").y) == ["L1", "L1F", "L2"]
    assert list(trace(figure, "after").x) == [0.125, 0.25, 0.125]
    assert trace(figure, "after").text[1].endswith("left as it was")


# --- curves ---------------------------------------------------------------------------------------

POINTS = pd.DataFrame(
    [
        ("importance", "Importance", None, "no compensation", 8, 0.9),
        ("importance", "Importance", None, "no compensation", 4, 0.7),
        ("shares", "Shares", "compensate", "then compensation", 8, 0.9),
        ("shares", "Shares", "compensate", "then compensation", 4, 0.85),
    ],
    columns=["method", "title", "recovery", "said", "kept", "headline"],
)
CHANCE = pd.DataFrame({"kept": [8, 4], "low": [0.9, 0.5], "median": [0.9, 0.6], "high": [0.9, 0.8]})
STEP = TimelinePoint(1, 0, 4, Measured(0.95, 0.9, 1.0), "Step 1: removed", current=True)


def curves(points: pd.DataFrame = POINTS, chance: pd.DataFrame | None = CHANCE) -> go.Figure:
    names = ["importance", "shares"]
    return headline_curves(points, chance, [STEP], names=names, all_heads=8, sentences=20)


def test_a_line_a_method_a_band_of_chance_and_the_steps() -> None:
    figure = curves()
    plain, compensated = trace(figure, "importance none"), trace(figure, "shares compensate")
    assert list(plain.x) == [8, 4] and list(plain.y) == [90, 70]
    assert (plain.line.dash, compensated.line.dash) == ("dot", "solid")
    assert plain.line.color != compensated.line.color
    assert plain.text[1] == (
        "<b>Importance</b>, no compensation<br>4 of 8 heads kept<br>accuracy 70.0%, 20 sentences"
    )
    low, high = trace(figure, "chance low"), trace(figure, "chance high")
    assert (list(low.y), list(high.y)) == ([90, 50], [90, 80])
    assert low.fill == "tonexty" and list(figure.data).index(low) == 1
    assert "5 to 95%: (50.0–80.0)" in trace(figure, "chance median").text[1]
    steps = trace(figure, "steps")
    assert list(steps.y) == [95] and steps.marker.color[0] == style.SELECTED
    assert figure.layout.xaxis.range[0] > figure.layout.xaxis.range[1]
    bottom, top = figure.layout.yaxis.range
    assert bottom == pytest.approx(48) and top == pytest.approx(97)


def test_curves_can_be_drawn_before_anything_but_one_is_there() -> None:
    assert trace(curves(chance=None), "steps")
    assert trace(curves(points=POINTS[:0]), "chance median")


def test_one_method_has_one_colour_and_each_recovery_its_dash() -> None:
    looks = [line_style(3, recovery) for recovery in (None, "compensate", "rescale")]
    assert len({look["color"] for look in looks}) == 1
    assert len({look["dash"] for look in looks}) == 3
    assert line_style(len(style.LINES), None) == line_style(0, None)


# --- a family -------------------------------------------------------------------------------------

FAMILY = [
    FamilyPoint(1.0, 0.0, "unpruned", "all"),
    FamilyPoint(0.25, 0.4, "÷ 4", "a quarter", "flops=0.25", 0.3, 0.6),
    FamilyPoint(0.5, 0.1, "÷ 2", "half", "flops=0.5"),
]


def test_a_family_runs_down_to_the_right_and_frames_what_is_chosen() -> None:
    now = FamilyPoint(0.8, 0.2, "", "step 3")
    figure = family_curve(FAMILY, now, chosen="flops=0.5", cost="FLOPs that stay", lost="KL")
    points = trace(figure, "family")
    assert list(points.x) == [100, 50, 25] and list(points.y) == [0, 0.1, 0.4]
    assert [one[0] for one in points.customdata] == [None, "flops=0.5", "flops=0.25"]
    assert list(points.marker.line.width) == [0, 3, 0]
    np.testing.assert_allclose(points.error_y.array, [0, 0, 0.2])
    np.testing.assert_allclose(points.error_y.arrayminus, [0, 0, 0.1])
    assert list(trace(figure, "labels").text) == ["unpruned", "÷ 2", "÷ 4"]
    current = trace(figure, "current scheme")
    assert (list(current.x), list(current.y), current.marker.symbol) == ([80], [0.2], "diamond")
    low, high = figure.layout.xaxis.range
    assert low > 100 and high < 25
    without = family_curve(FAMILY, None, chosen=None, cost="FLOPs that stay", lost="KL")
    assert "current scheme" not in [one.name for one in without.data]
    assert not any(trace(without, "family").marker.line.width)
