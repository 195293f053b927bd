"""Figures of the Samples page say what their arrays say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from bhpvas.charts import style
from bhpvas.charts.difference_map import difference_map
from bhpvas.charts.sentence_map import Amounts, Groups, Moves, Panel, sentence_map
from bhpvas.charts.slices import slice_changes, slice_levels
from bhpvas.evaluation.evaluation import Evaluation
from bhpvas.evaluation.slices import Grouping, slice_table, worst_hit
from bhpvas.heads import HeadId, HeadMask
from bhpvas.tasks.single_label import ACCURACY, SingleLabel

TASK = SingleLabel(("a", "b"))

PLACES = np.arange(20.0).reshape(10, 2)
HOVER = [f"sentence {row}" for row in range(10)]
GROUPS = Groups("Label", ("no", "yes"), np.arange(10) % 2)


def traces(figure: go.Figure, name: str) -> list[go.Scatter]:
    return [one for one in figure.data if (one.name or "").startswith(name)]


def points(figure: go.Figure) -> dict[int, tuple[float, float]]:
    """Every sentence by its place in the dataset, with where it is drawn."""
    found: dict[int, tuple[float, float]] = {}
    for one in figure.data:
        if one.customdata is not None:
            for row, x, y in zip(one.customdata, one.x, one.y, strict=True):
                assert row not in found
                found[row] = (x, y)
    return found


@pytest.mark.parametrize(
    "colouring", [GROUPS, Amounts("confidence", np.linspace(0.5, 1, 10))], ids=["groups", "amounts"]
)
def test_every_sentence_is_one_point_with_its_text(colouring: Groups | Amounts) -> None:
    figure = sentence_map([Panel("", PLACES, colouring)], hover=HOVER)
    assert points(figure) == {row: tuple(PLACES[row]) for row in range(10)}
    for one in figure.data:
        if one.customdata is not None:
            assert list(one.text) == [HOVER[row] for row in one.customdata]


def test_each_group_has_its_colour_and_size_in_the_legend() -> None:
    figure = sentence_map([Panel("", PLACES, GROUPS)], hover=HOVER)
    (yes,) = traces(figure, "yes (5)")
    assert list(yes.customdata) == [1, 3, 5, 7, 9]
    assert yes.marker.color == style.class_colour(1)
    assert figure.layout.showlegend


def test_many_groups_all_look_different() -> None:
    names = tuple(map(str, range(36)))
    groups = Groups("Tag", names, np.arange(36))
    assert len({groups.mark(code) for code in range(36)}) == 36


def test_changes_are_centred_on_zero_and_the_strongest_on_top() -> None:
    values = np.array([0.1, -0.4, 0.0, 0.2])
    symbols = np.array(["circle", "triangle-down", "circle", "triangle-up"])
    amounts = Amounts("change", values, True, symbols)
    figure = sentence_map([Panel("", PLACES[:4], amounts)], hover=HOVER)
    circles, down, up = traces(figure, "sentences")
    assert circles.marker.cmin == -circles.marker.cmax == down.marker.cmin == -0.4
    assert list(circles.customdata) == [2, 0]
    assert [(one.marker.symbol, list(one.marker.color)) for one in (down, up)] == [
        ("triangle-down", [-0.4]),
        ("triangle-up", [0.2]),
    ]
    assert [one.marker.showscale for one in (circles, down, up)] == [True, False, False]


def test_selected_sentences_are_ringed_and_the_others_step_back() -> None:
    figure = sentence_map([Panel("", PLACES, GROUPS)], {2, 5}, hover=HOVER)
    (ring,) = traces(figure, "selected")
    assert list(ring.x) == [4, 10]
    opacity = {
        row: one.marker.opacity
        for one in figure.data
        if one.customdata is not None
        for row in one.customdata
    }
    assert {row for row, shown in opacity.items() if shown == max(opacity.values())} == {2, 5}
    assert points(figure) == {row: tuple(PLACES[row]) for row in range(10)}
    assert len([one for one in figure.data if one.showlegend]) == 2


def test_two_panels_share_their_range() -> None:
    moved = Panel("pruned", PLACES + 30, GROUPS)
    figure = sentence_map([Panel("unpruned", PLACES, GROUPS), moved], hover=HOVER)
    assert figure.layout.xaxis.range == figure.layout.xaxis2.range
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range
    low, high = figure.layout.xaxis.range
    assert low < 0 and high > 48
    assert [note.text for note in figure.layout.annotations] == ["unpruned", "pruned"]
    assert len(traces(figure, "no")) == 2


def test_moves_lead_from_the_first_place_to_the_last() -> None:
    panels = [Panel("unpruned", PLACES, GROUPS), Panel("pruned", PLACES + 1, GROUPS)]
    moves = [Moves("lost", np.array([3]), style.LOST), Moves("same", np.array([0, 9]), style.FAINT)]
    figure = sentence_map(panels, hover=HOVER, moves=moves)
    (lost,) = traces(figure, "lost")
    assert list(lost.x[:2]) == [6, 7] and np.isnan(lost.x[2])
    (same,) = traces(figure, "same")
    assert len(same.x) == 6
    assert points(figure) == {row: tuple(PLACES[row] + 1) for row in range(10)}


@pytest.fixture
def table() -> pd.DataFrame:
    """Ten sentences in three slices: the last one loses, the first one gains."""
    labels = np.zeros(10, dtype=int)
    logits = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (10, 1))
    wrong = np.array([[0.0, 1.0]], dtype=np.float32)
    before, after = logits.copy(), logits.copy()
    before[0], after[8:] = wrong, wrong
    made = [Evaluation(HeadMask(2, 4), "made", one, labels, TASK) for one in (before, after)]
    codes = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    return slice_table(Grouping("Tag", ("first", "second", "third"), codes), *made)


@pytest.mark.parametrize("measure", ["accuracy", "loss"])
def test_the_worst_hit_slice_is_on_top_and_marked(table: pd.DataFrame, measure: str) -> None:
    figure = slice_changes(table, TASK, TASK.metric(measure))
    (drawn,) = figure.data
    assert list(drawn.y) == ["third", "second", "first"]
    assert list(figure.layout.yaxis.categoryarray) == ["first", "second", "third"]
    assert list(drawn.marker.symbol) == ["triangle-down", "circle-open", "triangle-up"]
    assert [name for (name,) in drawn.customdata] == ["third", "second", "first"]


def test_of_slices_that_lose_as_much_the_one_named_worst_is_on_top(table: pd.DataFrame) -> None:
    tied = table.assign(**{"accuracy change": -0.1, "loss change": [0.1, 0.3, 0.2]})
    hit = worst_hit(tied)
    (drawn,) = slice_changes(tied, TASK, ACCURACY).data
    assert hit is not None and list(drawn.y) == [hit["slice"], "third", "first"]


def test_changes_and_intervals_are_in_points(table: pd.DataFrame) -> None:
    (drawn,) = slice_changes(table, TASK, ACCURACY).data
    assert drawn.x[0] == pytest.approx(-200 / 3)
    third = table.set_index("slice").loc["third"]
    assert drawn.x[0] - drawn.error_x.arrayminus[0] == pytest.approx(
        100 * third["accuracy change low"]
    )
    assert "100.0 → 33.3" in [
        note.text for note in slice_changes(table, TASK, ACCURACY).layout.annotations
    ]


def test_without_a_scheme_the_lowest_accuracy_is_on_top(table: pd.DataFrame) -> None:
    (drawn,) = slice_levels(table, TASK, ACCURACY).data
    assert drawn.y[0] == "third"
    assert drawn.x[0] == pytest.approx(100 / 3)
    (losses,) = slice_levels(table, TASK, TASK.metric("loss")).data
    assert losses.y[0] == "third"
    assert not any(losses.error_x.array)


def test_the_difference_map_keeps_the_colour_of_heads_removed_since() -> None:
    values = np.arange(-3.0, 5.0).reshape(2, 4)
    found = np.zeros((2, 4), dtype=bool)
    found[1, 3] = True
    full, pruned = HeadMask(2, 4), HeadMask.parse("L0H2", 2, 4)
    figure = difference_map(values, found, full, pruned, [HeadId(1, 1)], title="difference")
    assert figure.data[0].z[0][2] == -1
    assert figure.data[0].zmin == -figure.data[0].zmax == -4
    (gone,) = traces(figure, "removed since")
    assert (list(gone.x), list(gone.y)) == ([2], [0])
    (dots,) = traces(figure, "borne out")
    assert list(dots.x) == [3] and round(dots.y[0]) == 1
    cells = next(one for one in figure.data if one.name == "heads")
    assert len(cells.customdata) == 8
