"""Curves against recomputation point by point; the store against work that stopped half-way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bhpvas.errors import DataError
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.progress import Cancelled
from bhpvas.recovery import recover
from bhpvas.search import propose
from bhpvas.search.curves import Curve, Store, areas, band, known_curve, measure_curve
from tests.tiny import many_sentences

CALIBRATION, EVALUATION = many_sentences(40), many_sentences(30, seed=1)
COUNTS = (0, 2, 5, 8)


@pytest.mark.parametrize("recovery", [None, "compensate"])
@pytest.mark.parametrize("method", ["importance", "mask-search", "entropy"])
def test_a_curve_is_one_evaluation_a_point(classifier, method, recovery):
    curve = measure_curve(
        classifier, CALIBRATION, EVALUATION, method, COUNTS, recovery=recovery, seed=2
    )
    for count, accuracy, loss in zip(COUNTS, curve.headline, curve.loss, strict=True):
        mask = propose(classifier, CALIBRATION, method, heads=count, seed=2).mask
        changed = classifier
        if recovery and count:
            fitted = recover(classifier, CALIBRATION, mask, recovery, seed=2)
            changed = classifier.with_weights(fitted.weights)
        expected = evaluate(changed, EVALUATION, mask)
        assert (accuracy, loss) == (expected.accuracy, expected.loss)


def test_work_is_resumed_where_it_stopped(classifier, tmp_path, monkeypatch):
    path = tmp_path / "results.jsonl"
    arguments = (classifier, CALIBRATION, EVALUATION, "fisher", COUNTS)
    whole = measure_curve(*arguments, recovery="compensate", store=Store(path))
    lines = path.read_text().splitlines()
    assert len(lines) == 1 + len(COUNTS)
    path.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:40])  # stopped while writing
    calls = []
    monkeypatch.setattr(
        "bhpvas.search.curves.evaluate", lambda *given, **_: calls.append(given) or evaluate(*given)
    )
    monkeypatch.setattr("bhpvas.search.curves.propose", None)
    assert measure_curve(*arguments, recovery="compensate", store=Store(path)) == whole
    assert len(calls) == 1
    assert measure_curve(*arguments, recovery="compensate", store=Store(path)) == whole
    assert len(calls) == 1


@pytest.mark.parametrize("method", ["fisher", "mask-search"])
def test_what_is_measured_so_far_is_known(classifier, method):
    arguments = (classifier, CALIBRATION, EVALUATION, method, COUNTS)
    store = Store()
    assert known_curve(*arguments, recovery="compensate", store=store) is None

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        measure_curve(*arguments, recovery="compensate", store=store, progress=stop)
    half = known_curve(*arguments, recovery="compensate", store=store)
    whole = measure_curve(*arguments, recovery="compensate", store=store)
    assert half is not None
    assert (half.removed, half.headline) == (COUNTS[:2], whole.headline[:2])
    assert known_curve(*arguments, recovery="compensate", store=store) == whole
    # Without compensation only the unpruned model, which both share, is known.
    assert known_curve(*arguments, store=store).removed == (0,)


def test_the_same_weights_with_another_tokenizer_are_another_model(classifier):
    store, cased = Store(), replace(classifier, tokenizer_fingerprint="cased")
    measure_curve(classifier, CALIBRATION, EVALUATION, "importance", COUNTS, store=store)
    assert known_curve(cased, CALIBRATION, EVALUATION, "importance", COUNTS, store=store) is None


def test_results_of_other_data_seeds_or_recoveries_are_others(classifier, tmp_path):
    store = Store(tmp_path / "results.jsonl")
    first = measure_curve(classifier, CALIBRATION, EVALUATION, "random", COUNTS, store=store)
    for change in (
        {"calibration": many_sentences(40, seed=5), "recovery": "compensate"},
        {"evaluation": CALIBRATION},
        {"recovery": "rescale"},
        {"seed": 1},
    ):
        given = {"calibration": CALIBRATION, "evaluation": EVALUATION, **change}
        expected = measure_curve(classifier, method="random", removed=COUNTS, **given)
        found = measure_curve(classifier, method="random", removed=COUNTS, store=store, **given)
        assert found == expected
        assert found.loss != first.loss


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(DataError, match="choose a folder that exists"):
        Store(tmp_path / "nowhere" / "results.jsonl").put(["key"], 1)


def curve(method: str, accuracy: tuple[float, ...], seed: int = 0) -> Curve:
    return Curve(method, None, seed, 8, (0, 4, 8), accuracy, (0.0, 0.0, 0.0))


def test_area_band_and_table_by_hand():
    flat, falling = curve("flat", (0.9, 0.9, 0.9)), curve("falling", (0.9, 0.7, 0.5))
    assert (flat.area, falling.area) == (pytest.approx(0.9), pytest.approx(0.7))
    table = areas([falling, flat, curve("falling", (0.9, 0.9, 0.5), seed=1)])
    assert list(table["method"]) == ["flat", "falling"]
    assert list(table["seeds"]) == [1, 2]
    np.testing.assert_allclose(
        table.loc[1, ["area", "low", "high"]].astype(float), [0.75, 0.7, 0.8]
    )
    between = band([curve("random", (0.9, share, 0.5)) for share in (0.5, 0.6, 0.7)])
    np.testing.assert_allclose(between["median"], [0.9, 0.6, 0.5])
    np.testing.assert_allclose(between["low"], [0.9, 0.51, 0.5])
    assert list(between["kept"]) == [8, 4, 0]
    assert list(flat.frame()["kept"]) == [8, 4, 0]


def test_an_area_leaves_out_what_is_not_defined():
    nan = float("nan")
    assert curve("ends", (0.8, 0.4, nan)).area == pytest.approx(0.6)
    assert np.isnan(curve("nothing", (0.8, nan, nan)).area)
