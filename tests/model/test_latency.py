"""Timing with a clock that the test turns, so that no answer depends on the machine."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.model.latency import ROUNDS, WARM_UP, Latencies, measure_latency
from bhpvas.model.pruning import remove_heads


def made(*columns: list[float]) -> Latencies:
    names = tuple("abcd"[: len(columns)])
    return Latencies(names, np.array(columns).T, 1, 16, 1, "cpu")


def test_times_and_ratios_are_medians_of_rounds():
    latencies = made([0.010, 0.020, 0.030], [0.005, 0.010, 0.030])
    assert latencies.milliseconds("a").value == pytest.approx(20)
    assert latencies.speed_up("a").value == 1
    assert latencies.speed_up("b").value == pytest.approx(2)  # of 2, 2 and 1


def test_a_machine_that_slows_down_changes_no_ratio():
    drift = np.linspace(1, 3, ROUNDS)
    found = made(list(0.02 * drift), list(0.01 * drift)).speed_up("b")
    assert found == pytest.approx((2, 2, 2))


def test_every_model_takes_its_turn_and_what_warms_up_does_not_count(classifier):
    ticks = iter(range(10_000))
    calls: list[tuple[int, int]] = []
    found = measure_latency(
        {"whole": (classifier, HeadMask(2, 4)), "less": (classifier, HeadMask.parse("L0H1", 2, 4))},
        batch=2,
        length=5,
        rounds=6,
        clock=lambda: float(next(ticks)),
        progress=lambda done, total: calls.append((done, total)),
    )
    assert found.seconds.shape == (6, 2)
    assert (found.seconds == 1).all()
    assert next(ticks) == 2 * 2 * (WARM_UP + 6)
    assert calls == [(done, 2 * (WARM_UP + 6)) for done in range(1, 2 * (WARM_UP + 6) + 1)]
    assert (found.names, found.batch, found.length) == (("whole", "less"), 2, 5)


@pytest.mark.parametrize(("batch", "length"), [(1, 0), (0, 5), (1, 41)])
def test_what_the_model_cannot_read_is_one_sentence(classifier, batch, length):
    with pytest.raises(ModelError, match="cannot be timed"):
        measure_latency({"whole": (classifier, HeadMask(2, 4))}, batch=batch, length=length)


def test_a_shared_model_is_smaller_and_leaves_the_original_whole(classifier):
    mask = HeadMask.parse("L0H1,L1H0", 2, 4)
    before = {name: one.clone() for name, one in classifier.model.state_dict().items()}
    shared, copied = (remove_heads(classifier, mask, shared=each) for each in (True, False))
    for name, one in copied.state_dict().items():
        assert (shared.state_dict()[name] == one).all(), name
    ours = {one.data_ptr() for one in classifier.model.parameters()}
    sliced = [one for one in shared.parameters() if one.data_ptr() not in ours]
    assert len(sliced) == 2 * 8  # weights and biases of query, key, value and output, two layers
    for name, one in classifier.model.state_dict().items():
        assert (before[name] == one).all(), name
