"""Figures of 12 × 12 and of 24 × 16 heads fit the page, can be read and stay light."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from bhpvas.charts import style
from bhpvas.charts.attention import rollout_map
from bhpvas.charts.layer_errors import layer_errors
from bhpvas.charts.relations import RelationRow, by_layer, relation_map
from bhpvas.charts.similarity_matrix import most_alike, similarity_matrix
from bhpvas.charts.similarity_matrix import size as matrix_size
from bhpvas.heads import HeadId, HeadMask

LARGE = HeadMask(24, 16)
#: What a page has beside the sidebar on a screen of 1440 pixels; bytes that are quick to send.
ROOM, MOST_SENT = 1060, 1_200_000


def trace(figure: go.Figure, name: str) -> go.Scatter:
    (found,) = [one for one in figure.data if one.name == name]
    return found


def relation_row(name: str, mask: HeadMask, seed: int = 0) -> RelationRow:
    accuracy = np.random.default_rng(seed).uniform(0.1, 0.5, (mask.layers, mask.heads))
    accuracy[~mask.kept] = np.nan
    ways = [["dependent to head"] * mask.heads] * mask.layers
    return RelationRow(name, 120, 1, 0.4, accuracy, np.zeros(accuracy.shape, dtype=bool), ways)


# --- relations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layers", "heads"), [(6, 12), (12, 12), (24, 16), (48, 25)])
def test_relations_fit_the_page_and_are_sent_at_once(layers: int, heads: int) -> None:
    mask = HeadMask(layers, heads)
    figure = relation_map([relation_row(f"r{place}", mask) for place in range(12)], mask)
    assert figure.layout.width <= ROOM
    assert len(figure.to_json()) < MOST_SENT


def test_of_many_heads_a_column_is_a_layer_with_its_best_head() -> None:
    mask = LARGE.without([HeadId(2, head) for head in range(16)] + [HeadId(5, 9)])
    assert by_layer(mask) and not by_layer(HeadMask(12, 12))
    row = relation_row("nsubj", mask)
    row.accuracy[5, 3], row.accuracy[7, 11] = 0.9, 0.8
    row.follows[5, [3, 4]] = True
    figure = relation_map([row, relation_row("det", mask, seed=1)], mask)
    gains = np.array(figure.data[0].z)  # [rows, layers]
    assert gains.shape == (2, 24)
    assert gains[0, 5] == pytest.approx(50) and gains[0, 7] == pytest.approx(40)
    assert np.isnan(gains[:, 2]).all()
    names = trace(figure, "best heads")
    written = dict(zip(zip(names.y, names.x, strict=True), names.text, strict=True))
    assert (written[0, 5], written[0, 7]) == ("H3", "H11") and (0, 2) not in written
    cells = trace(figure, "cells")
    assert list(cells.customdata[5]) == [0, 5, 3] and list(cells.customdata[24 + 5])[:2] == [1, 5]
    assert cells.text[5].endswith("a role of this head<br>a role of L5H4 too")
    assert cells.text[2] == "<b>L2H0</b> removed"
    dots = trace(figure, "roles")
    assert (round(dots.x[0]), round(dots.y[0])) == (5, 0) and len(dots.x) == 1


def test_the_chosen_head_stands_in_its_layers_column() -> None:
    rows = [relation_row("nsubj", LARGE), relation_row("det", LARGE, seed=1)]
    rows[1].accuracy[3, 8] = 0.05  # far from the best of its layer
    figure = relation_map(rows, LARGE, ("det", HeadId(3, 8)))
    cells = trace(figure, "cells")
    assert list(cells.customdata[24 + 3]) == [1, 3, 8]
    assert np.array(figure.data[0].z)[1, 3] == pytest.approx(-35)
    frame = trace(figure, "chosen")
    assert (np.mean(frame.x[:4]), np.mean(frame.y[:4])) == (3, 1)


# --- every two heads ------------------------------------------------------------------------------


def matrix_of(count: int) -> np.ndarray:
    points = np.random.default_rng(0).random(count)
    return 1 - np.abs(points[:, None] - points[None])  # [count, count], 1 on the diagonal


def test_the_matrix_says_of_any_two_kept_heads_how_alike_they_are() -> None:
    mask = HeadMask.parse("L1H0", 2, 3)
    matrix = matrix_of(6)
    figure = similarity_matrix(matrix, mask, [HeadId(1, 2)], title="similarity")
    cells = figure.data[0]
    assert list(cells.x) == list(cells.y) == ["L0H0", "L0H1", "L0H2", "L1H0", "L1H1", "L1H2"]
    shown = np.array(cells.z)
    assert np.isnan(np.diag(shown)).all()
    assert np.isnan(shown[3]).all() and np.isnan(shown[:, 3]).all()
    assert shown[0, 5] == shown[5, 0] == pytest.approx(matrix[0, 5])
    marks = [shape for shape in figure.layout.shapes if shape.name == "selected"]
    assert [(mark.x0, mark.x1) for mark in marks if mark.xref == "x"] == [(5, 5)]
    assert [(mark.y0, mark.y1) for mark in marks if mark.yref == "y"] == [(5, 5)]
    assert marks[0].line.color == style.SELECTED


@pytest.mark.parametrize(("layers", "heads"), [(6, 12), (12, 12), (24, 16)])
def test_every_head_has_whole_pixels_in_the_matrix_and_every_label_its_room(
    layers: int, heads: int
) -> None:
    mask = HeadMask(layers, heads)
    width, height = matrix_size(mask)
    assert width <= 540 and height <= 470
    figure = similarity_matrix(matrix_of(layers * heads), mask, title="similarity")
    margin = figure.layout.margin
    across = figure.layout.width - margin.l - margin.r
    assert across == figure.layout.height - margin.t - margin.b
    assert across % (layers * heads) == 0
    middles = figure.layout.xaxis.tickvals
    assert (middles[1] - middles[0]) * across / (layers * heads) >= 20
    assert len(figure.to_json()) < MOST_SENT
    assert json.loads(figure.to_json())["data"][0]["z"]["dtype"] == "f4"


def test_the_pairs_most_alike_are_of_kept_heads_and_no_pair_comes_twice() -> None:
    mask = HeadMask.parse("L0H1", 2, 2)
    matrix = np.array(
        [[1, 0.99, 0.3, 0.5], [0.99, 1, 0.9, 0.9], [0.3, 0.9, 1, np.nan], [0.5, 0.9, np.nan, 1]]
    )
    pairs = most_alike(matrix, mask)
    assert pairs.values.tolist() == [["L0H0", "L1H1", 0.5], ["L0H0", "L1H0", 0.3]]
    assert len(most_alike(matrix_of(384), LARGE)) == 100
    assert most_alike(matrix, mask.without(mask)).empty


# --- one row a layer ------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [6, 12, 24])
def test_a_row_for_each_layer_fits_the_screen(layers: int) -> None:
    errors = [
        {"layer": layer, "ridge": 0.1, "error_before": 0.5, "error_after": 0.2}
        for layer in range(layers)
    ]
    for figure in (rollout_map(np.ones((layers, 3, 3)), "abc", 0), layer_errors(errors)):
        assert figure.layout.height <= 500
    assert layer_errors(errors).layout.yaxis.dtick == 1
