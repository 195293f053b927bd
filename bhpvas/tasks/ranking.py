"""Ranking: how well scores order the answers to each query, by scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np

from bhpvas.tasks.base import Measured, Metric

#: So many of the best answers count.
DEPTH = 10
#: What is measured of scores whose pairs belong to queries.
RANKINGS = (
    Metric(f"ndcg@{DEPTH}", f"nDCG@{DEPTH}, mean of queries"),
    Metric("mrr", "Mean reciprocal rank"),
)


def by_query(scores: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """nDCG@10 and the reciprocal rank of each query whose answers' labels differ: ``[Q, 2]``.

    The gain of an answer is its label less the lowest one of all ``labels`` ``[N]``, and relevant
    is one that has any; the rank is that of the first relevant answer. Of answers with the same
    score nDCG is the mean over their orders (McSherry and Najork 2008), and the rank is the last
    that they can have.
    """
    # A third of a second, which only whoever ranks has to wait for.
    from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

    gains, found = labels - labels.min(), []
    order = np.argsort(queries, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(queries[order])) + 1):
        gain, score = gains[rows], scores[rows]
        if np.ptp(gain) == 0:
            continue
        first = np.zeros(len(rows), dtype=int)
        first[np.argmax(np.where(gain > 0, score, -np.inf))] = 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of queries with few answers
            both = (
                ndcg_score(gain[None], score[None], k=DEPTH),
                label_ranking_average_precision_score(first[None], score[None]),
            )
        found.append(both)
    return np.array(found).reshape(-1, 2)


def rankings(scores: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> dict[str, Measured]:
    """The means over queries by the name of the metric; queries are drawn again for the intervals.

    Not defined where no query has answers whose labels differ.
    """
    from bhpvas import stats

    each = by_query(scores, labels, queries)
    if not len(each):
        return {metric.name: Measured(float("nan")) for metric in RANKINGS}
    drawn = stats.bootstrap_means(each)
    return {
        metric.name: Measured(float(value), *stats.drawn_interval(float(value), one))
        for metric, value, one in zip(RANKINGS, each.mean(0), drawn.T, strict=True)
    }
