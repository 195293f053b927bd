"""Tables of latencies: exact where times are sums, kept by machine and sizes, of real parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bhpvas.errors import BhpvasError, ModelError
from bhpvas.heads import HeadId
from bhpvas.model import latency_table as tables
from bhpvas.model.classifier import load_classifier
from bhpvas.model.latency_parts import Part, first_neurons, passes_of_parts
from bhpvas.model.latency_table import LatencyTable, latency_table, measured_table
from bhpvas.model.layers import attend
from bhpvas.model.pruning import prune_layer
from bhpvas.model.runtimes import Timing, engine_named, pass_of
from bhpvas.storage.results import Results
from tests.tiny import VARIANTS, save_tiny

TIMING = Timing("torch", 2, 5)


def law(what: str, units: int, last: bool) -> float:
    """Seconds of a part; a first unit has a price of its own, and a wide part may be faster."""
    if units == 0:
        return 0.0
    each = {"heads": 0.03, "neurons": 0.002}[what] / (4 if last else 1)
    return 0.01 + each * units - (0.02 if units == 64 else 0)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_table_gives_back_times_that_are_sums(classifier, monkeypatch, engine):
    """Parts alone take half as long (cache), and each is called at a price of its own."""
    timed: list[Part] = []
    monkeypatch.setattr(tables, "pass_of", lambda *given: len)
    monkeypatch.setattr(
        tables,
        "passes_of_parts",
        lambda one, parts, timing: timed.extend(parts) or [len] * len(parts),
    )
    last = engine == "onnx"  # else the last layer is as all others
    whole = 0.5 + sum(
        law(what, n, at) for what, n in (("heads", 4), ("neurons", 64)) for at in (False, last)
    )

    def in_turns(passes, rounds, **settings) -> np.ndarray:
        alone = [0.2 + 0.5 * law(*part) for part in timed]
        noise = np.random.default_rng(0).exponential(size=(rounds, len(passes)))
        noise[rounds // 2] = 0  # other work never makes anything faster
        return np.array([[whole, 0.5, *alone]]) * (1 + noise)

    monkeypatch.setattr(tables, "in_turns", in_turns)
    table = measured_table(classifier, Timing(engine, 2, 5))
    assert (table.whole, table.rest) == pytest.approx((whole, 0.5))
    for layer in range(2):
        at = last and layer == 1
        for what, widths in table.widths.items():
            expected = [law(what, int(n), at) for n in widths]
            np.testing.assert_allclose(table.price(layer, what, widths), expected)
    middle = (law("neurons", 43, False) + law("neurons", 53, False)) / 2
    assert table.price(0, "neurons", [48])[0] == pytest.approx(middle)
    for what, most in (("heads", 4), ("neurons", 64)):
        assert table.widths[what][[0, -1]].tolist() == [0, most]


def test_a_model_without_time_in_its_parts_has_a_table_of_its_rest(classifier):
    ticks = iter(range(100_000))
    table = measured_table(classifier, TIMING, clock=lambda: float(next(ticks)))
    assert (table.whole, table.rest) == (1, 1)
    assert table.price(1, "heads", [0, 4]).tolist() == [0, 0]


def test_a_table_is_that_of_what_a_config_makes_a_pass_do(tmp_path, monkeypatch):
    results, calls = Results(tmp_path / "kept"), []
    made = LatencyTable(2, {}, {}, 0.0, 1.0)
    monkeypatch.setattr(tables, "measured_table", lambda *given, **how: calls.append(None) or made)
    for number, settings in enumerate([{}, {"position_buckets": 6}, {"pos_att_type": ["c2p"]}]):
        folder = save_tiny(tmp_path / str(number), "deberta-v2", settings=settings)
        for _ in range(2):
            latency_table(load_classifier(folder), TIMING, results=results)
        assert len(calls) == number + 1


def test_a_table_is_kept_by_machine_and_sizes_and_not_by_weights(tmp_path, monkeypatch):
    widths = {"heads": np.array([0, 4]), "neurons": np.array([0, 64])}
    made = LatencyTable(2, widths, {what: np.ones((2, 2)) for what in widths}, 1.0, 3.0)
    calls: list[Timing] = []
    monkeypatch.setattr(
        tables, "measured_table", lambda one, timing, **settings: calls.append(timing) or made
    )
    one = load_classifier(save_tiny(tmp_path / "one"))
    other = load_classifier(save_tiny(tmp_path / "other", seed=1))
    three = load_classifier(save_tiny(tmp_path / "three", labels=3))
    results = Results(tmp_path / "kept")

    def asked(classifier, timing=TIMING) -> int:
        before = len(calls)
        found = latency_table(classifier, timing, results=results)
        assert found.price(0, "heads", [4]) == made.price(0, "heads", [4])
        return len(calls) - before

    assert asked(one) == 1
    assert asked(other) == asked(one) == 0
    assert asked(three) == 1
    assert asked(one, TIMING._replace(length=6)) == asked(one, TIMING._replace(engine="onnx")) == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert asked(one) == 1
    monkeypatch.setattr(tables, "processor", lambda: "another")
    assert asked(one) == 1
    assert asked(replace(one, dtype=torch.bfloat16)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(  # heads may have biases, or rows of further projections, of their own
    "variant", ["bert", "mpnet", "deberta-v2, own projections"]
)
def test_parts_of_graphs_answer_as_the_layer_does(tmp_path, variant, last):
    family, settings = VARIANTS[variant]
    classifier = load_classifier(save_tiny(tmp_path, family, settings=settings))
    timing, number = Timing("onnx", 2, 5), 1 if last else 0
    states = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0))
    parts = [
        Part("heads", 1, last),
        Part("heads", 4, last),
        Part("neurons", 20, last),
        Part("heads", 0, last),
    ]
    answers = [torch.from_numpy(run()[0]) for run in passes_of_parts(classifier, parts, timing)]
    for heads, answer in zip((1, 4), answers, strict=False):
        gone = [HeadId(number, head) for head in range(heads, 4)]
        layer = prune_layer(classifier, number, classifier.full_mask().without(gone))
        norm = classifier.layers[0].feed_forward_norm  # of no consequence for times
        outputs, _ = attend(classifier, layer, states, None, first_only=last)
        expected = norm(layer.output(outputs.flatten(2)) + states[:, : 1 if last else 5])
        torch.testing.assert_close(answer, expected, atol=1e-4, rtol=0)
    short = states[:, :1] if last else states
    mask = classifier.full_mask().without_neurons(first_neurons(classifier, 20))
    layer = prune_layer(classifier, number, mask)
    norm = classifier.layers[0].feed_forward_norm
    expected = norm(layer.down(layer.activation(layer.up(short))) + short)
    torch.testing.assert_close(answers[2], expected, atol=1e-4, rtol=0)
    assert answers[3].shape == short.shape


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "onnx", "onnx-int8"])
def test_a_table_is_measured_on_every_engine(classifier, engine):
    table = measured_table(classifier, Timing(engine, 1, 4))
    assert table.whole > 0 and table.rest > 0
    assert all((one >= 0).all() and (one[:, 0] == 0).all() for one in table.added.values())


def test_what_cannot_be_timed_is_one_sentence(classifier):
    with pytest.raises(ModelError, match="cannot be timed: the model reads at least one sentence"):
        latency_table(classifier, Timing("torch", 1, 41))
    with pytest.raises(
        BhpvasError, match="'tflite' is no engine; choose from torch, onnx, onnx-int8"
    ):
        engine_named("tflite")


def test_a_pass_is_of_the_model_without_what_is_removed(classifier):
    mask = (
        classifier.full_mask().without([HeadId(0, 1)]).without_neurons(first_neurons(classifier, 3))
    )
    whole, pruned = (pass_of(classifier, one, TIMING)() for one in (classifier.full_mask(), mask))
    tokens = torch.from_numpy(TIMING.tokens(classifier))
    expected = classifier.model(input_ids=tokens).logits
    torch.testing.assert_close(whole, expected)
    assert not torch.allclose(pruned, expected, atol=1e-3)
