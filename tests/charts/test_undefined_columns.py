"""Columns and maps of heads without a value: undefined is said, and is no removed head."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.charts.head_columns import Weighing, columns, table, unscored
from bhpvas.charts.head_map import head_map
from bhpvas.charts.rank_shift import rank_slopes
from bhpvas.criteria import CRITERIA, Scores, rank_shift, score
from bhpvas.heads import HeadId, HeadMask
from tests.conftest import tiny_dataset
from tests.tiny import with_dead_heads

DEAD = (HeadId(0, 3), HeadId(1, 1))
MASK = HeadMask.parse("L1H0", 2, 4)


@pytest.fixture(scope="module")
def scores(classifier) -> Scores:
    dead = with_dead_heads(classifier, DEAD, "projection")
    return score(dead, tiny_dataset(), list(CRITERIA), mask=MASK)


def test_a_cell_says_undefined_or_removed_and_the_reading_says_why(scores):
    stability = columns(scores, None, Weighing())["stability"]
    hover = stability.hover(MASK)
    assert "Stability undefined<br>rank 6.5 of 7" in hover[0, 3]
    assert hover[1, 0] == "<b>L1H0</b> removed"
    assert stability.reading.endswith(f"undefined, as of a head {CRITERIA['stability'].undefined}.")
    assert "Dark heads are first to go. Grey ones go before these: " in stability.reading
    assert stability.value(DEAD[0]) == "undefined" and stability.rank(DEAD[0]) == "6.5"
    assert "Grey" not in columns(scores, None, Weighing())["importance"].reading


def test_not_scored_yet_is_not_undefined(scores):
    assert "not scored yet" in unscored("stability", MASK).hover(MASK)[0, 3]
    # Restored since it was scored.
    restored = columns(scores, None, Weighing())["stability"].hover(HeadMask(2, 4))
    assert restored[1, 0] == "<b>L1H0</b> not scored yet"


def test_dead_heads_are_first_to_go_by_every_criterion_and_in_the_priority(scores):
    for name, column in columns(scores, None, Weighing()).items():
        assert set(column.first_to_go[:2]) == set(DEAD), name
        assert len(column.first_to_go) == 7
        if column.low is not None:
            assert all(column.low[one.layer, one.head] == 0 for one in DEAD), name


def test_intervals_turn_with_the_direction_and_stay_among_the_heads_that_have_one(scores):
    keep = columns(scores, None, Weighing())["stability"]
    remove = columns(scores, None, Weighing(directions={"stability": "remove"}))["stability"]
    bounded = keep.low > 0
    assert bounded.sum() == 5
    np.testing.assert_array_equal(remove.low[bounded], 6 - keep.high[bounded])
    np.testing.assert_array_equal(remove.high[bounded], 6 - keep.low[bounded])
    for column in (keep, remove):
        assert (column.low[bounded] <= column.ranks[bounded]).all()
        assert (column.high[bounded] >= column.ranks[bounded]).all()
    assert not remove.low[~bounded].any()


def test_the_table_has_halves_only_where_equals_share_a_place(scores):
    found = columns(scores, None, Weighing())
    frame = table(found, MASK)
    assert frame["stability rank"].dtype.kind == "f" and frame["stability rank"].max() == 6.5
    assert frame.loc[frame["head"] == "L0H3", "stability"].isna().all()
    alone = {"importance": found["importance"]}
    whole = table(columns(scores, None, Weighing()), MASK)["importance rank"]
    assert whole[~frame["head"].isin(["L0H3", "L1H1"])].tolist() == [
        place for place in table(alone, MASK)["importance rank"] if place != 6.5
    ]


def test_agreement_counts_the_heads_that_both_value(scores):
    found = columns(scores, None, Weighing())
    assert found["importance"].shared(found["stability"]) == 5
    assert found["importance"].shared(found["fisher"]) == 7
    living = scores.mask.kept & ~scores.dead
    values = [found[name].values[living] for name in ("importance", "stability")]
    ranked = [np.argsort(np.argsort(one)) for one in values]
    expected = np.corrcoef(*ranked)[0, 1]
    assert found["importance"].agreement(found["stability"]) == pytest.approx(expected)


def test_a_map_draws_an_undefined_head_grey_without_a_cross(scores):
    figure = head_map(scores.values["stability"], MASK)
    named = {trace.name: trace for trace in figure.data}
    assert [tuple(cell) for cell in zip(named["removed"].x, named["removed"].y, strict=True)] == [
        (0, 1)
    ]
    ground = np.array(named["grey ground"].z, dtype=float)
    assert np.argwhere(ground == 0).tolist() == [[0, 3], [1, 0], [1, 1]]
    assert "<b>L0H3</b> undefined" in named["heads"].text
    assert "<b>L1H0</b> removed" in named["heads"].text


def test_slopes_name_the_place_that_equals_share():
    before = np.array([[3.0, 2.0, 2.0, 1.0]])
    shift = rank_shift(before, np.array([[3.0, 2.0, 1.0, 0.5]]), HeadMask(1, 4))
    assert shift.rise.tolist() == [[0, 0.5, -0.5, 0]]
    figure = rank_slopes(shift, [HeadId(0, 1)])
    assert "place 2.5 → 2, up 0.5 places" in figure.data[-1].text[1]
    assert any(note.text == "L0H1  2.5" for note in figure.layout.annotations)
