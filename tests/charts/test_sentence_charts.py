"""Arcs, matrices and relations say what their arrays say, and take no token for markup."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from bhpvas.charts import style
from bhpvas.charts.arcs import MOST_ARCS, Arc, Dependency, HeadArcs, sentence_arcs, strongest
from bhpvas.charts.attention import attention_matrix, layer_maps, rollout_map
from bhpvas.charts.head_map import head_map
from bhpvas.charts.relations import RelationRow, relation_map
from bhpvas.heads import HeadId, HeadMask

UNITS = ("[CLS]", "<b>good</b>", "films", "[SEP]")
MASK = HeadMask.parse("L0H3", 2, 4)
ATTENTION = np.array(
    [[0.7, 0.1, 0.1, 0.1], [0.0, 0.05, 0.9, 0.05], [0.3, 0.3, 0.3, 0.1], [0.25, 0.25, 0.25, 0.25]]
)


def trace(figure: go.Figure, name: str) -> go.Scatter:
    (found,) = [one for one in figure.data if one.name == name]
    return found


def arcs(**options) -> go.Figure:
    dependencies = [Dependency(1, 2, "amod", followed="L1H2"), Dependency(2, 0, "obj")]
    heads = [HeadArcs("L1H2", ATTENTION), HeadArcs("L0H3", ATTENTION, removed=True)]
    return sentence_arcs(UNITS, dependencies, heads, **options)


def test_the_strongest_arcs_come_first_and_weak_ones_not_at_all() -> None:
    found = strongest(ATTENTION, 0.3)
    assert found[:2] == [Arc(1, 2, 0.9), Arc(0, 0, 0.7)]
    assert {one.weight for one in found} == {0.9, 0.7, 0.3}
    assert len(strongest(np.ones((50, 50)), 0.0)) == MOST_ARCS
    assert strongest(np.zeros((3, 3)), 0.0) == []


def test_arcs_hang_below_their_words_and_point_at_their_targets() -> None:
    figure = arcs(threshold=0.5)
    middles = list(trace(figure, "words").x)
    targets = trace(figure, "L1H2 targets")
    assert len(targets.x) == 2
    assert abs(targets.x[0] - middles[2]) < 10
    assert targets.text[0] == "L1H2: &lt;b&gt;good&lt;/b&gt; → films 0.90"
    for one in figure.data:
        if one.name == "L1H2 arcs":
            assert all(y < 0 for y in one.y if y is not None)
    widths = [one.line.width for one in figure.data if one.name == "L1H2 arcs"]
    assert widths == sorted(widths) and len(set(widths)) == 2


def test_removed_heads_are_dotted_and_named_so() -> None:
    figure = arcs()
    assert {one.line.dash for one in figure.data if one.name == "L0H3 arcs"} == {"dot"}
    assert trace(figure, "L0H3 (removed)").line.dash == "dot"
    assert trace(figure, "L1H2").line.color != trace(figure, "L0H3 (removed)").line.color


def test_dependencies_stand_above_and_followed_ones_are_strong() -> None:
    figure = arcs()
    plain, strong = trace(figure, "relations"), trace(figure, "followed relations")
    assert strong.line.width > plain.line.width
    assert min(y for y in (*plain.y, *strong.y) if y is not None) > 0
    names = trace(figure, "followed relations: names")
    assert list(names.text) == ["<b>amod</b>"] and list(names.hovertext) == [
        "amod, followed by L1H2"
    ]
    # The arc over words 0 to 2 stands above the one within it.
    assert max(filter(None, plain.y)) > max(filter(None, strong.y))


def test_saliency_goes_up_for_the_answer_and_down_against_it() -> None:
    figure = arcs(saliency=np.array([0.0, 2.0, -1.0, 0.0]), saliency_title="IG", towards="positive")
    bars = trace(figure, "saliency")
    assert bars.y[1] == -2 * bars.y[2] > 0
    assert bars.marker.color[1] == style.FOR and bars.marker.color[2] == style.AGAINST
    assert bars.text[2] == "films: −1.00 for positive<br>IG"
    silent = trace(arcs(saliency=np.zeros(4)), "saliency")
    assert list(silent.y) == [0, 0, 0, 0]


def test_no_token_is_markup_anywhere() -> None:
    figures = [
        arcs(saliency=np.ones(4)),
        attention_matrix(ATTENTION, UNITS, title="L0H0"),
        rollout_map(ATTENTION[None], UNITS, 1),
        layer_maps(np.stack([ATTENTION] * 4), UNITS, 0, MASK),
    ]
    for figure in figures:
        assert "<b>good" not in figure.to_json().replace("\\u003c", "<").replace("\\u003e", ">")


def test_wide_sentences_get_wide_figures() -> None:
    narrow = sentence_arcs(["a"] * 4, [], [])
    wide = sentence_arcs(["antidisestablishmentarianism"] * 20, [], [])
    assert narrow.layout.width == 320 and wide.layout.width > 4000


def test_words_move_together_where_there_is_little_room_but_keep_apart() -> None:
    words = ["comforting"] * 9
    free = sentence_arcs(words, [], []).layout.width
    fitted, tight = (sentence_arcs(words, [], [], room=room) for room in (free - 100, 100))
    assert fitted.layout.width <= free - 100 < tight.layout.width + 200
    middles = np.diff(np.array(trace(tight, "words").x))
    assert (middles > 10 * 8.2).all(), "letters of two words do not overlap"
    assert sentence_arcs(words, [], [], room=free + 100).layout.width == free


def test_the_matrix_has_a_row_for_each_asker() -> None:
    figure = attention_matrix(ATTENTION, UNITS, title="L0H0")
    np.testing.assert_allclose(np.array(figure.data[0].z), ATTENTION)
    assert figure.layout.yaxis.autorange == "reversed"
    assert figure.data[0].text[1][2] == "L0H0: &lt;b&gt;good&lt;/b&gt; → films 0.90"


def test_rollout_shows_one_unit_through_the_layers() -> None:
    flow = np.stack([ATTENTION, ATTENTION.T])
    figure = rollout_map(flow, UNITS, 1)
    np.testing.assert_allclose(np.array(figure.data[0].z), flow[:, 1])
    assert list(figure.layout.yaxis.ticktext) == ["L0", "L1"]


def test_small_multiples_share_a_scale_and_can_be_clicked() -> None:
    maps = np.stack([ATTENTION * scale for scale in (1, 0.5, 0.25, 0.1)])
    figure = layer_maps(maps, UNITS, 0, MASK, [HeadId(0, 1), HeadId(1, 1)])
    assert figure.layout.coloraxis.cmax == 0.9
    assert [list(one) for one in trace(figure, "heads").customdata] == [[0, h] for h in range(4)]
    assert trace(figure, "L0H3").opacity < trace(figure, "L0H2").opacity == 1
    assert len([x for x in trace(figure, "selected").x if x is not None]) == 5
    titles = [one.text for one in figure.layout.annotations]
    assert titles == ["L0H0", "<b>L0H1</b>", "L0H2", "L0H3 ×"]


def relation_rows() -> list[RelationRow]:
    accuracy = np.array([[0.9, 0.2, 0.5, np.nan], [0.1, 0.6, 0.5, 0.4]])
    follows = accuracy > 0.8
    ways = [["dependent to head"] * 4] * 2
    return [
        RelationRow("nsubj", 120, 1, 0.5, accuracy, follows, ways),
        RelationRow("det", 80, -2, 0.6, accuracy, np.zeros_like(follows), ways),
    ]


def test_relations_are_coloured_by_what_they_gain_over_the_offset() -> None:
    figure = relation_map(relation_rows(), MASK, ("det", HeadId(1, 1)))
    gains = np.array(figure.data[0].z)
    assert gains[0][:3] == pytest.approx([40, -30, 0])
    assert gains[1][5] == pytest.approx(0) and np.isnan(gains[0][3])
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-40, 40)
    assert (list(trace(figure, "roles").x), list(trace(figure, "roles").y)) == ([0], [0])
    cells = trace(figure, "cells")
    assert list(cells.customdata[13]) == [1, 1, 1]
    assert "40.0 points against offset +1 (50.0%)<br>a role" in cells.text[0]
    assert cells.text[3] == "<b>L0H3</b> removed"
    assert (
        np.mean(trace(figure, "chosen").x[:4]) == 5 and np.mean(trace(figure, "chosen").y[:4]) == 1
    )
    assert figure.layout.yaxis.ticktext[1] == "<b>det</b>  80 · offset −2 60%"


def test_labels_stand_on_kept_cells_in_a_colour_that_can_be_read() -> None:
    values = np.arange(8.0).reshape(2, 4)
    labels = np.array([["prev", "", "compound", "next"], ["CLS", "b", "c", "d"]])
    figure = head_map(values, MASK, labels=labels)
    dark, bright = trace(figure, "labels on dark cells"), trace(figure, "labels on bright cells")
    assert list(dark.text) == ["prev", "compo"] and list(bright.text) == ["CLS", "b", "c", "d"]
    assert (dark.textfont.color, bright.textfont.color) == (style.ON_DARK, style.ON_BRIGHT)
    around = head_map(values - 4, MASK, labels=labels, change=True)
    clear = trace(around, "labels on clear cells")
    assert list(clear.text) == ["prev", "compo", "CLS", "b", "c", "d"]
    assert clear.textfont.color is None  # that of the page's theme


def test_a_label_on_a_kind_that_lets_the_page_through_has_the_pages_colour() -> None:
    places = np.array([[0, 1, np.nan, 1], [0, 1, 1, 0.0]])
    labels = np.array([["a", "b", "", ""], ["d", "e", "f", "g"]])
    figure = head_map(places, MASK, labels=labels, palette=(style.KEPT, style.PROPOSED[0]))
    assert list(trace(figure, "labels on clear cells").text) == ["a", "d", "g"]
    assert list(trace(figure, "labels on bright cells").text) == ["b", "e", "f"]


def test_kinds_have_one_flat_colour_each() -> None:
    figure = head_map(np.array([[0, 1, np.nan, 1], [2, 2, 1, 0.0]]), MASK, palette=style.KINDS)
    cells = figure.data[0]
    assert (cells.zmin, cells.zmax, cells.showscale) == (-0.5, len(style.KINDS) - 0.5, False)
    assert [colour for _, colour in cells.colorscale][:4] == [
        *style.KINDS[:1] * 2,
        *style.KINDS[1:2] * 2,
    ]
