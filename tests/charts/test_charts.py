"""Figures say what their arrays say; each can be read without a browser."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from bhpvas import text
from bhpvas.charts import style
from bhpvas.charts.criteria_scatter import criteria_scatter
from bhpvas.charts.head_columns import unscored
from bhpvas.charts.head_map import head_map, size
from bhpvas.charts.selected_heads import attention_profile, by_class
from bhpvas.charts.timeline import TimelinePoint, timeline
from bhpvas.heads import HeadId, HeadMask
from bhpvas.tasks.base import Measured

CONFIG = Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml"
MASK = HeadMask.parse("L0H3,L1H0", 2, 4)
VALUES = np.arange(8.0).reshape(2, 4)


def trace(figure: go.Figure, name: str) -> go.Scatter:
    """The trace of that name."""
    (found,) = [one for one in figure.data if one.name == name]
    return found


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb as WCAG 2 defines it."""
    channels = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "colour",
    [
        style.SELECTED,
        style.MARK,
        style.MUTED,
        style.FOR,
        style.AGAINST,
        *style.CLASSES,
        *style.HEADS,
        *style.LINES,
    ],
)
def test_every_mark_stands_out_on_light_and_dark(theme: str, colour: str) -> None:
    themes = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["theme"]
    assert contrast(colour, themes[theme]["backgroundColor"]) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_of_the_theme_is_readable(theme: str) -> None:
    themes = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["theme"]
    for ground in (themes[theme], themes[theme]["sidebar"]):
        assert contrast(themes[theme]["textColor"], ground["backgroundColor"]) >= 7


def over(colour: str, ground: str) -> str:
    """The colour #rrggbb that rgba(r, g, b, a) has on a ground #rrggbb."""
    *channels, alpha = (float(part) for part in colour[len("rgba(") : -1].split(","))
    below = [int(ground[at : at + 2], 16) for at in (1, 3, 5)]
    mixed = [alpha * one + (1 - alpha) * two for one, two in zip(channels, below, strict=True)]
    return "#" + "".join(f"{round(channel):02x}" for channel in mixed)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("end", [0, -1])
def test_the_largest_change_stands_out_and_zero_does_not(theme: str, end: int) -> None:
    themes = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["theme"]
    ground, ink = themes[theme]["backgroundColor"], themes[theme]["textColor"]
    largest = over(str(style.CHANGES[end][1]), ground)
    assert contrast(largest, ground) >= 3 and contrast(largest, ink) >= 4.45
    zero = over(str(style.CHANGES[1 if end == 0 else 2][1]), ground)
    assert contrast(zero, ground) <= 1.3 and contrast(zero, ink) >= 7


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_a_cell_has_its_heads_value_and_layers_grow_upward() -> None:
    figure = head_map(VALUES, MASK)
    assert figure.data[0].z[1][2] == 6
    assert list(figure.layout.yaxis.range) == [-0.5, 1.5]
    assert list(figure.layout.xaxis.range) == [-0.5, 3.5]


def test_removed_heads_have_no_colour_and_a_cross() -> None:
    figure = head_map(VALUES, MASK)
    assert np.argwhere(np.isnan(np.array(figure.data[0].z))).tolist() == [[0, 3], [1, 0]]
    crosses = trace(figure, "removed")
    assert sorted(zip(crosses.y, crosses.x, strict=True)) == [(0, 3), (1, 0)]
    assert crosses.marker.symbol == "x-thin"


def test_every_cell_can_be_clicked_and_says_which_head_it_is() -> None:
    cells = trace(head_map(VALUES, MASK), "heads")
    assert [list(cell) for cell in cells.customdata] == [[y, x] for y in range(2) for x in range(4)]
    assert list(cells.x) == [0, 1, 2, 3] * 2
    assert list(cells.y) == [0] * 4 + [1] * 4


def test_the_frame_runs_around_the_selected_cells() -> None:
    frame = trace(head_map(VALUES, MASK, [HeadId(1, 2), HeadId(0, 0)]), "selected")
    corners = [(x, y) for x, y in zip(frame.x, frame.y, strict=True) if x is not None]
    assert len(corners) == 10
    for head, around in ((HeadId(0, 0), corners[:5]), (HeadId(1, 2), corners[5:])):
        assert np.mean([x for x, _ in around[:4]]) == pytest.approx(head.head)
        assert np.mean([y for _, y in around[:4]]) == pytest.approx(head.layer)
        assert around[0] == around[4]


def test_a_change_is_coloured_around_zero_with_red_where_it_hurts() -> None:
    values = np.array([[-1.0, 0.5, 0.0, 4.0], [9.0, 1.0, 1.0, 1.0]])
    cells = head_map(values, MASK, change=True).data[0]
    # L1H0 is removed, so its 9 does not stretch the scale; L0H3 is removed too.
    assert (cells.zmin, cells.zmid, cells.zmax) == (-1, 0, 1)
    assert cells.reversescale is True
    assert head_map(values, MASK, change=True, rise_is_bad=False).data[0].reversescale is False
    red, blue = cells.colorscale[0][1], cells.colorscale[-1][1]
    assert red.startswith("rgba(207, 75, 75") and blue.startswith("rgba(65, 128, 189")


def test_a_map_without_any_value_can_still_be_drawn() -> None:
    nothing = np.full((2, 4), np.nan)
    for change in (False, True):
        assert len(trace(head_map(nothing, MASK, change=change), "heads").x) == 8


def test_hover_text_stands_at_its_cell() -> None:
    hover = np.array([[f"{la}-{he}" for he in range(4)] for la in range(2)])
    assert list(trace(head_map(VALUES, MASK, hover=hover), "heads").text)[5] == "1-1"


@pytest.mark.parametrize(("layers", "heads"), [(1, 2), (6, 12), (12, 12), (24, 16)])
def test_maps_fit_the_page(layers: int, heads: int) -> None:
    width, height = size(layers, heads)
    assert width <= 560
    assert height <= 430


def test_a_timeline_counts_flops_where_its_points_know_them() -> None:
    shares = [
        replace(point, flops=flops) for point, flops in zip(points(), (1, 0.9, 0.4), strict=True)
    ]
    figure = timeline(shares, all_heads=8, sentences=100)
    steps = trace(figure, "steps")
    assert list(steps.x) == pytest.approx([100, 90, 40])
    assert "5 of 8 heads kept, 40.0% of the FLOPs" in steps.text[2]
    assert figure.layout.xaxis.title.text == "FLOPs kept, %"
    assert figure.layout.xaxis.range[0] > 100 > 40 > figure.layout.xaxis.range[1]
    assert timeline(points(), all_heads=8, sentences=100).layout.xaxis.title.text == "heads kept"


def test_figures_travel_as_json() -> None:
    figure = head_map(VALUES, MASK, [HeadId(0, 0)], title="Importance")
    cells = json.loads(figure.to_json())["data"][-1]
    assert cells["customdata"][0] == [0, 0]


def test_the_scatter_leaves_out_removed_heads_and_marks_selected_ones() -> None:
    figure = criteria_scatter(
        VALUES, 10 * VALUES, MASK, [HeadId(0, 1), HeadId(0, 3)], x_title="a", y_title="b"
    )
    chosen, others = trace(figure, "selected"), trace(figure, "heads")
    assert [list(head) for head in chosen.customdata] == [[0, 1]]
    assert (list(chosen.x), list(chosen.y)) == ([1], [10])
    assert len(others.x) == 5
    assert chosen.marker.symbol != others.marker.symbol


def points() -> list[TimelinePoint]:
    """Start, a step on the path, and a branch that was left."""
    return [
        TimelinePoint(0, None, 8, Measured(0.9, 0.85, 0.94), "start"),
        TimelinePoint(1, 0, 6, Measured(0.88, 0.83, 0.92), "left", on_path=False),
        TimelinePoint(2, 0, 5, Measured(0.8, 0.74, 0.85), "here", current=True),
    ]


def test_the_timeline_runs_to_the_right_as_heads_go() -> None:
    figure = timeline(points(), all_heads=8, sentences=100)
    left, right = figure.layout.xaxis.range
    assert left > 8 > 5 > right
    assert list(trace(figure, "steps").x) == [8, 6, 5]


def test_the_timeline_joins_steps_to_where_they_came_from() -> None:
    figure = timeline(points(), all_heads=8, sentences=100)
    assert list(trace(figure, "path").x) == [8, 5, None]
    assert list(trace(figure, "path").y) == [90, 80, None]
    assert list(trace(figure, "branches").x) == [8, 6, None]


def test_the_timeline_shows_intervals_and_carries_step_numbers() -> None:
    steps = trace(timeline(points(), all_heads=8, sentences=100), "steps")
    assert list(steps.error_y.array) == pytest.approx([4, 4, 5])
    assert list(steps.error_y.arrayminus) == pytest.approx([5, 5, 6])
    assert [list(step) for step in steps.customdata] == [[0], [1], [2]]
    assert steps.text[2] == "here<br>5 of 8 heads kept<br>accuracy 80.0% (74.0–85.0), 100 sentences"


def test_an_empty_timeline_can_be_drawn() -> None:
    assert len(trace(timeline([], all_heads=8, sentences=100), "steps").x) == 0


def test_the_profile_is_in_percent_with_one_row_a_head() -> None:
    profile = np.zeros((2, 4, 3))
    profile[1, 2] = [0.25, 0.7, 0.05]
    cells = attention_profile(profile, [HeadId(1, 2)], ("a", "b", "c")).data[0]
    assert np.array(cells.z).tolist() == [pytest.approx([25, 70, 5])]
    assert list(cells.y) == ["L1H2"]


def test_classes_keep_their_hues_and_differ_in_shape() -> None:
    values = np.stack([VALUES, 2 * VALUES])
    figure = by_class(values, [HeadId(1, 2), HeadId(0, 1)], ("negative", "positive"), title="")
    negative, positive = trace(figure, "negative"), trace(figure, "positive")
    assert list(negative.x) == [6, 1]
    assert list(positive.x) == [12, 2]
    assert (negative.marker.color, positive.marker.color) == style.CLASSES[:2]
    assert negative.marker.symbol != positive.marker.symbol
    assert list(figure.layout.yaxis.categoryarray) == ["L0H1", "L1H2"]


@pytest.mark.parametrize("value", [-1234567.0, -12.0, -0.5, -0.00001, -1e-9])
def test_minus_is_the_minus_sign(value: float) -> None:
    for said in (text.number(value), text.signed(value, 12)):
        assert said.startswith("−")
        assert "-" not in said


def test_a_column_that_is_not_measured_yet_is_a_grey_map_whose_cells_can_be_clicked() -> None:
    mask = HeadMask.parse("L0H1", layers=2, heads=3)
    column = unscored("combined", mask)
    hover = column.hover(mask)
    assert (hover[0, 1], hover[1, 2]) == ("<b>L0H1</b> removed", "<b>L1H2</b> not scored yet")
    assert column.first_to_go == [] and "not scored yet" in column.reading
    figure = head_map(column.values, mask, title=column.title, hover=hover)
    amounts, ground = figure.data[0], trace(figure, "grey ground")
    assert not amounts.showscale and np.isnan(amounts.z).all()
    assert (np.asarray(ground.z) == 0).all()
    assert len(figure.data[-1].customdata) == 6
