"""The table of several masks against evaluations one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bhpvas.comparison import compare, random_mask
from bhpvas.evaluation import accuracy_change_interval, evaluate, mcnemar
from bhpvas.heads import HeadMask
from tests.test_weights import random_projections


def test_rows_are_evaluations_and_bands_are_quantiles(classifier, dataset):
    mask = HeadMask.parse("L0H1,L1H2", 2, 4)
    changed = classifier.with_weights(random_projections(classifier))
    calls: list[tuple[int, int]] = []
    table = compare(
        classifier,
        dataset,
        {"masked": (classifier, mask), "changed": (changed, mask)},
        random=5,
        progress=lambda done, total: calls.append((done, total)),
    ).set_index("scheme")
    assert list(table.index) == ["unpruned", "masked", "changed"]
    assert calls == [(done, 8) for done in range(9)]
    unpruned = evaluate(classifier, dataset)
    for name, one in (("masked", classifier), ("changed", changed)):
        found, row = evaluate(one, dataset, mask), table.loc[name]
        assert (row.heads_removed, row.heads_kept, row.sentences) == (2, 6, 12)
        assert row.accuracy == found.accuracy
        assert row.loss == pytest.approx(found.loss, abs=1e-6)
        assert (row.change, row.change_low, row.change_high) == accuracy_change_interval(
            unpruned, found
        )
        assert (row.lost, row.gained, row.mcnemar_p) == mcnemar(unpruned, found)
        assert row.parameters == classifier.geometry.parameters - 2 * (4 * 32 * 8 + 3 * 8)
    accuracies = [
        evaluate(classifier, dataset, random_mask(HeadMask(2, 4), 2, seed)).accuracy
        for seed in range(5)
    ]
    band = table.loc["masked", ["random_low", "random_median", "random_high"]]
    np.testing.assert_allclose(list(band), np.quantile(accuracies, [0.05, 0.5, 0.95]))
    assert table.loc["unpruned", ["random_low", "random_high"]].isna().all()


def test_a_random_order_grows_and_none_needs_no_random_masks(classifier, dataset):
    masks = [random_mask(HeadMask(2, 4), count, seed=3) for count in range(9)]
    for count, (smaller, larger) in enumerate(itertools.pairwise(masks)):
        assert smaller.removed < larger.removed
        assert len(smaller.removed) == count
    table = compare(classifier, dataset, {"masked": (classifier, masks[2])}, random=0)
    assert table["random_median"].isna().all()
