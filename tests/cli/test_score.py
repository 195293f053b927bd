"""`bhpvas score`: its JSON keys and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from bhpvas.cli.main import main
from bhpvas.criteria import (
    CRITERIA,
    DEFAULT_CRITERIA,
    DEFAULT_NEURON_CRITERIA,
    NEURON_CRITERIA,
    score,
)
from bhpvas.data.reading import read_dataset
from bhpvas.export import export_model
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import load_classifier
from bhpvas.neurons import NeuronSet
from bhpvas.scheme.scheme import Scheme
from tests.cli.conftest import run
from tests.tiny import with_dead_heads


def test_score(capsys, files):
    found = run(capsys, "score", "--model", files[0], "--data", files[1], "--remove", "L1H2")
    expected = score(
        load_classifier(files[0]), read_dataset(files[1]), mask=HeadMask.parse("L1H2", 2, 4)
    )
    assert (found["layers"], found["heads"], found["sentences"]) == (2, 4, 12)
    assert list(found["criteria"]) == ["importance", "stability", "similarity"]
    for name, one in found["criteria"].items():
        assert one["higher_means"] == CRITERIA[name].higher_means
        assert one["values"][1][2] is None
        values = np.array(one["values"], dtype=float)
        np.testing.assert_allclose(values, expected.values[name], rtol=1e-6)
    assert np.array(found["similarity_matrix"], dtype=float).shape == (8, 8)
    assert found["similarity_unit"] == "token"


def test_score_says_what_a_sample_of_similarity_is_where_there_is_one(capsys, files, monkeypatch):
    def unit(criteria: str) -> str | None:
        common = ["--model", files[0], "--data", files[1], "--no-cache"]
        return run(capsys, "score", *common, "--criteria", criteria).get("similarity_unit")

    assert unit("similarity-maps") is None
    monkeypatch.setattr("bhpvas.criteria.similarity._LARGEST_TOKEN_WIDTH", 1)
    assert unit("similarity") == "sentence"


def test_what_is_undefined_is_null_and_said_and_dead_heads_are_named(capsys, files, tmp_path):
    dead = [HeadId(0, 1), HeadId(1, 3)]
    whole = load_classifier(files[0])
    with_dead_heads(whole, dead, "values").model.save_pretrained(tmp_path)
    whole.tokenizer.save_pretrained(tmp_path)
    arguments = ["--model", str(tmp_path), "--data", files[1], "--remove", "L0H2"]
    found = run(capsys, "score", *arguments, "--criteria", "importance,stability")
    assert found["dead_heads"] == ["L0H1", "L1H3"]
    importance, stability = found["criteria"].values()
    assert importance["undefined"] == [] and stability["undefined"] == ["L0H1", "L1H3"]
    assert [importance["values"][0][head] for head in (1, 2)] == [0.0, None]
    assert [stability["values"][0][head] for head in (1, 2)] == [None, None]
    assert main(["score", *arguments, "--criteria", "stability"]) == 0
    said = capsys.readouterr().out
    assert said.count("   undef") == 2 and said.count("×") == 1
    assert "undef: undefined of a head that puts out nothing" in said
    assert "These heads put out nothing and are first to go: L0H1, L1H3" in said


def test_score_by_every_criterion(capsys, files):
    found = run(capsys, "score", "--model", files[0], "--data", files[1], "--criteria", "all")
    assert list(found["criteria"]) == list(CRITERIA)


def test_an_unknown_criterion_is_refused_before_anything_is_loaded(capsys):
    assert main(["score", "--model", "./nowhere", "--criteria", "magic"]) == 2
    assert "'magic' is no criterion of heads; choose from importance" in capsys.readouterr().err


# --- neurons --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "criteria", "heads", "neurons"),
    [
        ("neurons", None, (), DEFAULT_NEURON_CRITERIA),
        ("neurons", "all", (), tuple(NEURON_CRITERIA)),
        ("heads,neurons", None, DEFAULT_CRITERIA, DEFAULT_NEURON_CRITERIA),
        ("neurons,heads", "surgeon,stability", ("stability",), ("surgeon",)),
        ("heads,neurons", "fisher", ("fisher",), ("fisher",)),
    ],
)
def test_each_unit_is_scored_by_the_criteria_that_it_has(
    capsys, files, units, criteria, heads, neurons
):
    more = [] if criteria is None else ["--criteria", criteria]
    common = ["--model", files[0], "--data", files[1], "--remove", "L1H2"]
    found = run(capsys, "score", *common, "--units", units, *more)
    assert tuple(found["criteria"]) == heads
    assert tuple(found["neurons"]) == tuple(found["neuron_criteria"]) == neurons
    assert found["neurons_kept"] == [64, 64]
    expected = score(
        load_classifier(files[0]),
        read_dataset(files[1]),
        heads,
        neurons=neurons,
        mask=HeadMask.parse("L1H2", 2, 4),
    )
    for name, values in expected.neurons.items():
        np.testing.assert_allclose(found["neurons"][name], values, rtol=1e-6)
        assert found["neuron_criteria"][name]["higher_means"] == "keep"


def test_neurons_that_a_model_lacks_are_null_and_counted(capsys, files, tmp_path):
    whole, data = load_classifier(files[0]), read_dataset(files[1])
    gone = NeuronSet.of_layers(2, 64, {0: range(64), 1: [0, 9]})
    scheme = Scheme.of(whole).removing((), "by hand", neurons=gone)
    export_model(whole, scheme, tmp_path / "out", dataset=data)
    more = ["--model", str(tmp_path / "out"), "--data", files[1], "--units", "neurons"]
    found = run(capsys, "score", *more)
    for values in found["neurons"].values():
        assert values[0] == [None] * 64
        assert [place for place, one in enumerate(values[1]) if one is None] == [0, 9]
    assert found["neurons_kept"] == [0, 62]
    assert main(["score", *more, "--criteria", "importance"]) == 0
    said = capsys.readouterr().out
    values = found["neurons"]["importance"][1]
    _, *cells = next(line for line in said.splitlines() if line.startswith("L1")).split()
    least = min(one for one in values if one is not None)
    assert cells[:3] == ["62", f"{least:.3g}", str(values.index(least))]
    assert next(line for line in said.splitlines() if line.startswith("L0")).split() == ["L0", "0"]
    assert "Importance of neurons (higher = keep), 12 sentences" in said
    assert "put out nothing" not in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ["--units", "neurons", "--criteria", "stability"],
            "'stability' is no criterion of neurons;",
        ),
        (["--criteria", "surgeon"], "'surgeon' is no criterion of heads; choose from imp"),
        (
            ["--units", "heads,neurons", "--criteria", "stability"],
            "--criteria stability has none of neurons: name one of importance, fisher, activation, "
            "surgeon, or leave neurons out of --units.",
        ),
        (["--units", ""], "'' is no unit to measure; choose from heads, neurons."),
    ],
)
def test_criteria_of_another_unit_are_refused_before_anything_is_loaded(capsys, more, said):
    assert main(["score", "--model", "./nowhere", *more]) == 2
    assert said in capsys.readouterr().err
