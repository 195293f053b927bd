"""Latency: what is timed, in which order, what the medians say; no machine's speed is judged."""

from __future__ import annotations

import pytest
import torch

from bhpvas import latency as module
from bhpvas.errors import ModelError
from bhpvas.heads import HeadMask
from bhpvas.latency import Latency, interleaved, latency
from bhpvas.progress import Cancelled


class Clock:
    """A clock that jobs move on by hand."""

    def __init__(self) -> None:
        self.now, self.order = 0.0, ""

    def __call__(self) -> float:
        return self.now

    def job(self, name: str, *seconds: float):
        left = list(seconds)

        def run() -> None:
            self.order += name
            self.now += left.pop(0)

        return run


def test_two_jobs_take_turns_and_warm_up_does_not_count():
    clock = Clock()
    jobs = clock.job("a", 9, 9, 1, 2, 3), clock.job("b", 8, 8, 4, 5, 6)
    seen = []
    found = interleaved(
        jobs, 3, warm_up=2, clock=clock, progress=lambda done, total: seen.append((done, total))
    )
    assert found == ((1, 2, 3), (4, 5, 6))
    assert clock.order == "baabbaabba"
    assert seen[0] == (0, 3) and seen[-1] == (3, 3) and seen == sorted(seen)


def test_medians_and_the_spread_of_the_ratios():
    found = Latency(1, 8, "cpu", 2, (2.0, 6.0, 4.0, 100.0, 5.0), (1.0, 2.0, 4.0, 10.0, 2.0))
    assert (found.unpruned, found.pruned) == (5.0, 2.0)
    # The rounds' ratios are 2, 3, 1, 10 and 2.5.
    assert found.speed_up == 2.5
    assert found.speed_up_range == (2.0, 3.0)


def test_what_is_timed_is_the_unpruned_and_the_smaller_model(classifier, monkeypatch):
    sizes = []

    def watched(jobs, rounds, *, progress):
        forward = torch.nn.Linear.forward
        for job in jobs:
            shapes = []
            monkeypatch.setattr(
                torch.nn.Linear,
                "forward",
                lambda self, states, shapes=shapes: (
                    shapes.append((*states.shape[:2], self.out_features)),
                    forward(self, states),
                )[1],
            )
            job()
            monkeypatch.undo()
            sizes.append(shapes[0])  # the first query matrix
        return (1.0,) * rounds, (0.5,) * rounds

    monkeypatch.setattr(module, "interleaved", watched)
    found = latency(
        classifier, HeadMask.parse("L0H1,L0H2", 2, 4), batch_size=3, length=7, repeats=4
    )
    assert sizes == [(3, 7, 32), (3, 7, 16)]
    assert found.speed_up == 2 and len(found.pruned_seconds) == 4


def test_a_real_measurement_has_a_positive_time_for_each_round(classifier):
    found = latency(classifier, classifier.full_mask(), batch_size=2, length=40, repeats=3)
    assert len(found.unpruned_seconds) == len(found.pruned_seconds) == 3
    assert min(found.unpruned_seconds + found.pruned_seconds) > 0
    assert found.threads == torch.get_num_threads() and found.device == "cpu"


@pytest.mark.parametrize(
    "sizes", [{"length": 41}, {"length": 0}, {"batch_size": 0}, {"repeats": 1}], ids=str
)
def test_sizes_that_cannot_be_timed_are_refused(classifier, sizes):
    with pytest.raises(ModelError, match="1 to 40 tokens"):
        latency(classifier, classifier.full_mask(), **sizes)


def test_it_can_be_stopped(classifier):
    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        latency(classifier, classifier.full_mask(), progress=stop)
