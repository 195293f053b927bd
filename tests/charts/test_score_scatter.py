"""Scores against labels: every sentence once, lines from where a score came from."""

from __future__ import annotations

import numpy as np

from bhpvas.charts.score_scatter import score_scatter


def test_every_sentence_is_a_point_and_changed_ones_have_a_line() -> None:
    labels, before = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 2.0, 2.0])
    after, outcomes = np.array([1.0, 0.5, 2.5, 2.0]), np.array(["same", "lost", "gained", "same"])
    figure = score_scatter(labels, before, after, outcomes, [2], hover=list("abcd"))
    points = [one for one in figure.data if one.customdata is not None]
    places = {
        int(place): (x, y)
        for one in points
        for place, x, y in zip(one.customdata, one.x, one.y, strict=True)
    }
    assert places == {row: (labels[row], after[row]) for row in range(4)}
    (lost,) = (one for one in points if one.name == "lost")
    assert lost.customdata.tolist() == [1] and lost.marker.opacity == (0.3,)
    lines = [one for one in figure.data if one.name == "moves" and one.x]
    ends = [(tuple(one.x[:2]), tuple(one.y[:2])) for one in lines]
    assert sorted(ends) == [((2.0, 2.0), (2.0, 0.5)), ((3.0, 3.0), (2.0, 2.5))]
