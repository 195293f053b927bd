"""nDCG and reciprocal ranks by query, against the slow obvious way."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.tasks.ranking import by_query, rankings
from bhpvas.tasks.score import Score


def test_each_query_is_ranked_by_itself():
    rng = np.random.default_rng(0)
    queries = rng.permutation(np.repeat(np.arange(8), 14))
    scores = rng.normal(size=len(queries))
    labels = rng.integers(0, 4, len(queries)).astype(float)
    expected = []
    for query in range(8):
        here = queries == query
        order = np.argsort(-scores[here])
        gains, discounts = labels[here], 1 / np.log2(np.arange(2, 12))
        best = np.sort(gains)[::-1][:10] @ discounts
        first = int(np.flatnonzero(gains[order] > 0)[0]) + 1
        expected.append((gains[order][:10] @ discounts / best, 1 / first))
    np.testing.assert_allclose(by_query(scores, labels, queries), expected)
    found = rankings(scores, labels, queries)
    for place, one in enumerate(found.values()):
        assert one.value == pytest.approx(np.mean(expected, axis=0)[place])
        assert one.low < one.value < one.high


def test_gains_count_from_the_lowest_label_and_equal_labels_say_nothing():
    scores, labels = np.array([3.0, 2.0, 1.0, 5.0, 4.0]), np.array([1.0, 5.0, 1.0, 2.0, 2.0])
    queries = np.array([0, 0, 0, 1, 1])
    np.testing.assert_allclose(by_query(scores, labels, queries), [[1 / np.log2(3), 0.5]])
    none = rankings(scores[3:], labels[3:], queries[3:])
    assert all(one.record() == {"value": None, "interval": None} for one in none.values())


def test_equal_scores_are_ranked_last():
    ndcg, reciprocal = by_query(np.zeros(2), np.array([1.0, 0.0]), np.zeros(2, dtype=int))[0]
    assert reciprocal == 0.5 and ndcg == pytest.approx((1 + 1 / np.log2(3)) / 2)


def test_a_score_is_ranked_where_there_are_queries():
    task, logits = Score(("s",)), np.array([[1.0], [0.0], [2.0], [3.0]])
    labels, queries = np.array([1.0, 0.0, 0.0, 1.0]), np.array([0, 0, 1, 1])
    found = task.measured(logits, labels, queries)
    assert found["ndcg@10"].value == found["mrr"].value == 1.0
    assert [task.metric(name).name for name in found] == list(found)
    assert "mrr" not in task.measured(logits, labels)
