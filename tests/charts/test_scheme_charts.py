"""The figures of the Schemes page say what they were given."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.charts import style
from bhpvas.charts.flip_patterns import flip_patterns
from bhpvas.charts.kept_map import kept_map, small_size
from bhpvas.charts.rank_shift import _apart, rank_slopes
from bhpvas.charts.scheme_tree import ROW, TreeStep, folded, layout, scheme_tree
from bhpvas.charts.slice_grid import slice_grid
from bhpvas.charts.step_texts import steps_table
from bhpvas.charts.timeline import TimelinePoint, timeline
from bhpvas.criteria import rank_shift
from bhpvas.heads import HeadId, HeadMask, parse_heads
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.tasks.base import Measured
from bhpvas.tasks.single_label import SingleLabel
from tests.scheme.trees import started


def trace(figure: go.Figure, name: str) -> go.Scatter:
    (found,) = [one for one in figure.data if one.name == name]
    return found


# --- the layout of the tree -----------------------------------------------------------------------


@st.composite
def trees(draw) -> dict[int, int | None]:
    size = draw(st.integers(1, 60))
    rng = random.Random(draw(st.integers(0, 2**32)))
    # Near the last step: chains; anywhere: bushes.
    reach = draw(st.sampled_from([1, 3, 60]))
    return {0: None} | {step: rng.randrange(max(0, step - reach), step) for step in range(1, size)}


def ancestors(step: int | None, parents: dict[int, int | None]) -> list[int]:
    line = []
    while step is not None:
        line.append(step)
        step = parents[step]
    return line


@given(trees())
def test_every_step_has_a_row_below_the_one_before_it_and_few_lanes_are_enough(parents):
    places = layout(parents)
    assert sorted(place.row for place in places.values()) == list(range(len(parents)))
    for step, parent in parents.items():
        if parent is not None:
            assert places[parent].row < places[step].row
            assert places[step].lane - places[parent].lane in (0, 1)
    assert 1 + max(place.lane for place in places.values()) <= math.log2(len(parents)) + 1


@given(trees())
def test_no_line_passes_through_a_foreign_step(parents):
    places = layout(parents)
    for step, parent in parents.items():
        if parent is None:
            continue
        above, here = places[parent], places[step]
        between = [
            other
            for other, place in places.items()
            if above.row < place.row < here.row and place.lane == above.lane
        ]
        assert between == []


@given(trees())
def test_what_follows_a_step_stands_together(parents):
    places = layout(parents)
    for step in parents:
        rows = [place.row for one, place in places.items() if step in ancestors(one, parents)]
        assert rows and max(rows) - min(rows) == len(rows) - 1
        assert min(rows) == places[step].row


def test_a_chain_longer_than_the_stack_is_one_lane():
    parents: dict[int, int | None] = {0: None} | {step: step - 1 for step in range(1, 5000)}
    places = layout(parents)
    assert all(places[step] == (step, 0) for step in parents)


@given(trees(), st.randoms(use_true_random=False))
def test_a_folded_tree_joins_each_step_to_the_nearest_that_is_left(parents, rng):
    kept = {0} | {step for step in parents if rng.random() < 0.4}
    found = folded(parents, kept)
    assert set(found) == kept
    for step in kept:
        above = [one for one in ancestors(step, parents)[1:] if one in kept]
        assert found[step] == (above[0] if above else None)


# --- the picture of the tree ----------------------------------------------------------------------

STEPS = [
    TreeStep(0, None, "start", 8, "start", Measured(0.9, 0.85, 0.93)),
    TreeStep(1, 0, "remove", 6, "removed 2 by hand", Measured(0.8, 0.7, 0.85), "<b>why</b>"),
    TreeStep(2, 1, "recover", 6, "compensated", Measured(0.85, 0.8, 0.9), current=True),
    TreeStep(4, 0, "remove", 7, "removed 1 by a method with a long name", on_path=False),
]


def test_every_row_carries_its_step_and_can_be_clicked():
    figure = scheme_tree(STEPS)
    rows = {step: place.row for step, place in layout({0: None, 1: 0, 2: 1, 4: 0}).items()}
    for name, steps in (
        ("steps x", {0, 1, 2, 4}),
        ("steps x2", {0, 1, 2, 4}),
        ("steps x3", {0, 1, 2}),
    ):
        targets = trace(figure, name)
        assert {one[0] for one in targets.customdata} == steps
        for y, one in zip(targets.y, targets.customdata, strict=True):
            assert y == rows[one[0]]
        assert targets.mode == "markers"
    assert figure.layout.dragmode is None
    assert figure.layout.height >= 4 * ROW


def test_rows_say_what_is_kept_and_scored_and_never_take_a_note_for_markup():
    texts = dict(zip((0, 1, 2, 4), trace(scheme_tree(STEPS), "texts").text, strict=True))
    assert texts[0].startswith("<b>8</b> · 90.0% (85.0–93.0)<br>")
    assert "&lt;b&gt;" in texts[1]
    assert texts[4].startswith("<b>7</b> · not measured")
    assert "…" in texts[4]


def test_points_and_intervals_are_percent_and_the_start_is_a_line():
    figure = scheme_tree(STEPS)
    points = trace(figure, "accuracies")
    np.testing.assert_allclose(points.x, [90, 80, 85])
    np.testing.assert_allclose(points.error_x.array, [3, 5, 5])
    np.testing.assert_allclose(points.error_x.arrayminus, [5, 10, 5])
    (line,) = [one for one in figure.layout.shapes if one.type == "line"]
    assert line.x0 == line.x1 == pytest.approx(90)
    low, high = figure.layout.xaxis3.range
    assert low <= 70 and high >= 93


def test_what_was_measured_on_sentences_that_were_learnt_from_is_open_and_says_how_many():
    tree = scheme_tree([STEPS[0], replace(STEPS[1], learnt=60), STEPS[2]])
    assert list(trace(tree, "accuracies").marker.symbol) == ["circle", "circle-open", "circle"]
    points = [
        TimelinePoint(0, None, 8, Measured(0.9, 0.85, 0.94), "start"),
        TimelinePoint(1, 0, 6, Measured(0.88, 0.83, 0.92), "aside", learnt=60),
        TimelinePoint(2, 0, 5, Measured(0.8, 0.74, 0.85), "here", learnt=60, current=True),
    ]
    steps = trace(timeline(points, all_heads=8, sentences=100), "steps")
    assert list(steps.marker.symbol) == ["circle", "circle-open", "diamond-open"]
    assert steps.text[1].endswith("100 sentences, 60 learnt from")
    assert steps.text[0].endswith("100 sentences")


@pytest.mark.parametrize(("heads", "apart"), [(8, 1), (72, None)])
def test_the_timeline_of_few_heads_has_ticks_at_whole_ones(heads: int, apart: int | None):
    start = TimelinePoint(0, None, heads, Measured(0.9, 0.85, 0.94), "start", current=True)
    figure = timeline([start], all_heads=heads, sentences=100)
    assert figure.layout.xaxis.dtick == apart


def test_the_table_of_steps_tells_what_is_not_known_from_none():
    learnt = LearntSentences.of([3])
    scheme = started().removing(parse_heads("L0H1"), "greedy", learnt_from=learnt)
    scheme = scheme.at(0).removing(parse_heads("L0H2"), "greedy").removing(parse_heads("L0H3"))
    table = steps_table(scheme, {}, {0: 0, 1: 60, 2: 0, 3: 0})
    assert list(table["learnt_from"].fillna(-1)) == [0, 60, -1, -1]
    assert "learnt_from" not in steps_table(scheme, {})


def test_the_current_step_stands_out_and_kinds_differ():
    figure = scheme_tree(STEPS)
    nodes = trace(figure, "nodes")
    colours = dict(zip((0, 1, 2, 4), nodes.marker.color, strict=True))
    assert colours == {0: style.MARK, 1: style.MARK, 2: style.SELECTED, 4: style.MUTED}
    symbols = dict(zip((0, 1, 2, 4), nodes.marker.symbol, strict=True))
    assert symbols[2] != symbols[1]
    (bar,) = [one for one in figure.layout.shapes if one.type == "rect"]
    assert (bar.y0 + bar.y1) / 2 == layout({0: None, 1: 0, 2: 1, 4: 0})[2].row


# --- head maps ------------------------------------------------------------------------------------


def test_what_differs_stands_out_kept_or_removed():
    mask = HeadMask.parse("L0H1,L1H2", 2, 4)
    figure = kept_map(mask, parse_heads("L1H2,L0H0"))
    kinds = trace(figure, "heads").z
    assert kinds.tolist() == [[2, 1, 0, 0], [0, 0, 3, 0]]
    assert [*zip(trace(figure, "removed").y, trace(figure, "removed").x, strict=True)] == [(0, 1)]
    here = trace(figure, "removed here")
    assert [*zip(here.y, here.x, strict=True)] == [(1, 2)]
    assert here.marker.line.color == style.LOST
    assert (figure.layout.width, figure.layout.height) == small_size(2, 4)


@pytest.mark.parametrize(("layers", "heads"), [(2, 4), (6, 12), (12, 12), (24, 16)])
def test_small_maps_fit_side_by_side(layers, heads):
    width, height = small_size(layers, heads)
    assert width <= 260 and height <= 300


# --- flips ----------------------------------------------------------------------------------------

PATTERNS = pd.DataFrame(
    {
        "A": [True, True, False],
        "B": [True, False, True],
        "lost": [5, 1, 0],
        "gained": [2, 0, 1],
        "other": [0, 1, 0],
        "count": [7, 2, 1],
    }
)


def test_bars_stack_to_the_count_and_dots_say_who():
    figure = flip_patterns(PATTERNS, ["A", "B"], chosen=1)
    bars = [trace(figure, name) for name in ("lost", "gained", "other")]
    np.testing.assert_array_equal(sum(np.array(bar.y) for bar in bars), PATTERNS["count"])
    for name in ("A", "B"):
        dots = trace(figure, name)
        assert [colour == style.MARK for colour in dots.marker.color] == list(PATTERNS[name])
        assert [one[0] for one in dots.customdata] == [0, 1, 2]
    assert "A alone" in trace(figure, "A").text[1]
    (frame,) = figure.layout.shapes
    assert frame.x0 < 1 < frame.x1


# --- slices ---------------------------------------------------------------------------------------


def sliced(*changes: float, p: float = 0.5) -> pd.DataFrame:
    change = np.array(changes) / 100
    return pd.DataFrame(
        {
            "slice": ["long <i>", "short", "mixed"],
            "n": [10, 20, 30],
            "accuracy change": change,
            "accuracy change low": change - 0.1,
            "accuracy change high": change + 0.1,
            "lost": 1,
            "gained": 0,
            "p": [p, 0.5, 0.5],
            "loss change": -change,
            "loss change low": -change - 0.1,
            "loss change high": -change + 0.1,
        }
    )


@pytest.mark.parametrize("measure", ["accuracy", "loss"])
def test_the_worst_slice_is_on_top_and_every_cell_has_its_number(measure):
    task = SingleLabel(("a", "b"))
    tables = {"A": sliced(-5, 0, 2, p=0.01), "B": sliced(-20, 1, 0)}
    grid = slice_grid(tables, task, task.metric(measure))
    cells = trace(grid, "changes")
    assert list(grid.layout.xaxis.ticktext) == ["A", "B"]
    assert grid.layout.yaxis.ticktext[0].startswith("long &lt;i&gt;")
    sign = 1 if measure == "accuracy" else -0.01
    np.testing.assert_allclose(np.array(cells.z), sign * np.array([[-5, -20], [0, 1], [2, 0]]))
    numbers = trace(grid, "numbers")
    written = list(zip(numbers.y, numbers.x, numbers.text, strict=True))
    assert sorted((y, x) for y, x, _ in written) == [
        (row, column) for row in range(3) for column in range(2)
    ]
    dotted = [(y, x) for y, x, text in written if text.endswith("•")]
    assert dotted == ([(0, 0)] if measure == "accuracy" else [])
    assert cells.zmin == -cells.zmax


# --- rank shifts ----------------------------------------------------------------------------------


def test_lines_join_old_and_new_places_and_the_named_carry_labels():
    before = np.array([[9.0, 8.0, 7.0, 6.0], [5.0, 4.0, 3.0, 2.0]])
    after = np.array([[np.nan, 1.0, 2.0, 3.0], [9.0, 0.5, 0.4, np.nan]])
    shift = rank_shift(before, after, HeadMask.parse("L0H0,L1H3", 2, 4))
    figure = rank_slopes(shift, [HeadId(1, 0), HeadId(0, 1)])
    assert list(trace(figure, "L1H0").y) == [4, 1]
    assert trace(figure, "L1H0").line.color == style.GAINED
    assert list(trace(figure, "L0H1").y) == [1, 4]
    assert trace(figure, "L0H1").line.color == style.LOST
    for side, places in (("unpruned", shift.before), ("now", shift.after)):
        ends = trace(figure, side)
        for y, (layer, head) in zip(ends.y, ends.customdata, strict=True):
            assert y == places[layer, head]
    assert {one.text for one in figure.layout.annotations} == {
        "L1H0  4",
        "1  L1H0",
        "L0H1  1",
        "4  L0H1",
    }
    low, high = figure.layout.yaxis.range
    assert low > high  # the most important on top


@given(st.lists(st.integers(1, 72), min_size=1, max_size=12, unique=True).map(sorted))
def test_labels_never_cover_each_other_and_stay_on_the_page(places):
    found = _apart(places, 3.0, 72)
    assert all(b - a >= 3.0 - 1e-9 for a, b in itertools.pairwise(found))
    assert found[-1] <= 72.5
