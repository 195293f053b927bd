"""Searches to a latency: prices that hold for what was timed, and times told in full."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from bhpvas.errors import BhpvasError
from bhpvas.model.cost import flops_per_sentence
from bhpvas.model.latency import Latencies
from bhpvas.model.latency_table import LatencyTable
from bhpvas.model.runtimes import Timing
from bhpvas.scheme.scheme import Scheme
from bhpvas.search import latency
from bhpvas.search.budget import Costs, Target
from bhpvas.search.latency import Stopwatch
from bhpvas.search.registry import TO_TARGET
from bhpvas.search.sensitivity import Sublayer
from bhpvas.search.target import narrow_to
from tests.tiny import many_sentences

DATA = many_sentences(60)
TIMING = Timing("torch", 2, 5)
CHOICES = {"heads": [*range(5)], "neurons": [*range(0, 65, 8)]}
WIDTHS = {"heads": np.array([0, 1, 4]), "neurons": np.array([0, 32, 64])}


def table_of(neurons: list[float]) -> LatencyTable:
    """A table in which 4 heads take 2 s and neurons as given, in each of two layers."""
    added = {"heads": np.array([[0, 0.5, 2.0]] * 2), "neurons": np.array([neurons] * 2)}
    return LatencyTable(2, WIDTHS, added, 1.0, 5 + 2 * neurons[-1])


@pytest.fixture
def machine(monkeypatch):
    """A machine on which a pass takes 8 s, three quarters of them in proportion to its FLOPs."""

    def seconds(classifier, mask) -> float:
        geometry, full = classifier.geometry, classifier.full_mask()
        left = flops_per_sentence(geometry, mask, [5]) / flops_per_sentence(geometry, full, [5])
        return 8.0 * (0.25 + 0.75 * left)

    def time_passes(passes, timing, device="cpu", *, rounds=21, **settings) -> Latencies:
        took = np.array([[one() for one in passes.values()]] * rounds)
        return Latencies(tuple(passes), took, timing.batch, timing.length, 3, device, timing.engine)

    monkeypatch.setattr(latency, "pass_of", lambda one, mask, timing: lambda: seconds(one, mask))
    monkeypatch.setattr(latency, "time_passes", time_passes)
    monkeypatch.setattr(latency, "latency_table", lambda *given, **more: table_of([0, 1.0, 2.0]))
    return seconds


@pytest.mark.parametrize(
    "text",
    [
        "latency=0.4,engine=onnx,batch=1,length=64",
        "latency=12ms,engine=onnx-int8,batch=8,length=32",
    ],
)
def test_a_target_of_time_is_written_as_it_is_read(text):
    assert str(Target.parse(text)) == text


def test_a_target_of_time_has_stated_defaults():
    assert Target.parse("latency=0.4") == Target("latency", 0.4, None, Timing("torch", 8, 32))
    given = Timing("onnx", 1, 64)
    assert Target.parse("latency=1.5ms", given) == Target("latency", None, 1.5, given)
    assert Target.parse("latency=0.5,batch=3", given).timing == Timing("onnx", 3, 64)


@pytest.mark.parametrize(
    "text",
    ["latency", "latency=0", "latency=1.1", "latency=-3ms", "latency=ms", "latency=infms",
     "latency=nanms", "latency=0.5,threads=2", "latency=0.5,batch=x", "flops=0.5,batch=2",
     "flops=5ms"],
)  # fmt: skip
def test_what_is_no_target_of_time_is_said(text):
    with pytest.raises(BhpvasError, match=r"is no target: .* or a time, such as latency=12ms"):
        Target.parse(text)


def test_an_engine_that_does_not_exist_is_said():
    with pytest.raises(BhpvasError, match="'tpu' is no engine; choose from torch"):
        Target.parse("latency=0.5,engine=tpu")


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_prices_hold_for_the_unpruned_model_and_for_the_one_that_was_timed(
    classifier, machine, share
):
    costs = Stopwatch(classifier, TIMING).costs(Target("latency", share, None, TIMING), CHOICES)
    assert costs.whole == pytest.approx(8.0)
    assert costs.budget == pytest.approx(8 * share)
    full = {Sublayer(layer, what): CHOICES[what][-1] for layer in range(2) for what in CHOICES}
    assert costs.share_of(full) == pytest.approx(1)
    plans = [latency._alike(2, CHOICES, step / 50) for step in range(51)]
    same = [
        plan
        for plan in plans
        if costs.share_of(plan) * 8
        == pytest.approx(machine(classifier, latency._mask(classifier, plan)))
    ]
    assert same and min(same, key=lambda plan: costs.share_of(plan)) != full


def test_milliseconds_are_held_against_the_machine_as_it_is_now(classifier, machine):
    """The table is of a time when a pass took 9 s."""
    target = Target("latency", None, 4000.0, TIMING)
    assert Stopwatch(classifier, TIMING).costs(target, CHOICES).budget == pytest.approx(4.0)


def test_where_wider_is_faster_the_wider_part_is_chosen():
    table = table_of([0, 3.0, 2.0])
    costs = Costs(
        lambda one, counts: table.price(one.layer, one.what, counts), table.rest, table.whole, 5.5
    )
    rng = np.random.default_rng(0)
    moves = {
        Sublayer(layer, what): np.sort(rng.random(len(CHOICES[what])))[::-1]
        for layer in range(2)
        for what in CHOICES
    }
    plan = costs.allotted(CHOICES, moves)
    assert costs.share_of(plan) * costs.whole <= 5.5 + 1e-9
    moved = {one: dict(zip(CHOICES[one.what], moves[one], strict=True)) for one in moves}
    best = min(
        sum(moved[one][count] for one, count in zip(moves, counts, strict=True))
        for counts in product(*(CHOICES[one.what] for one in moves))
        if costs.share_of(dict(zip(moves, counts, strict=True))) * costs.whole <= 5.5 * 0.999
    )
    assert sum(moved[one][count] for one, count in plan.items()) <= best + 1e-9
    assert {plan[Sublayer(layer, "neurons")] for layer in range(2)} <= {0, 8, 16, 64}


@pytest.mark.parametrize("method", TO_TARGET)
def test_a_search_to_a_time_tells_what_was_expected_and_what_is(classifier, machine, method):
    target = Target("latency", 0.6, None, TIMING)
    (found,) = narrow_to(classifier, DATA, [target], method)
    said = found.record()["milliseconds"]
    assert found.cost <= 0.6
    assert said["predicted"] == pytest.approx(8000 * found.cost)
    took = machine(classifier, found.mask)
    assert said["measured"] == pytest.approx(1000 * took)
    assert said["interval"] == pytest.approx([1000 * took] * 2)
    assert said["unpruned"] == pytest.approx(8000)
    assert said["speed_up"]["measured"] == pytest.approx(8 / took)
    assert said["speed_up"]["predicted"] == pytest.approx(1 / found.cost)
    assert {name: said[name] for name in ("engine", "batch", "length", "threads")} == {
        "engine": "torch", "batch": 2, "length": 5, "threads": 3,
    }  # fmt: skip
    step = found.on(Scheme.of(classifier)).steps[1]
    assert step.settings["milliseconds"] == said
    assert Target.parse(step.settings["target"]) == target


def test_what_no_narrowing_reaches_is_said(classifier, machine):
    with pytest.raises(BhpvasError, match=r"cannot be reached: .*, latency=\d+\.\d\dms stays\."):
        narrow_to(classifier, DATA, [Target("latency", None, 1000.0, TIMING)])
