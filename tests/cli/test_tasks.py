"""Every command with models that give a score, a probability or several labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bhpvas.cli.main import main
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_info
from tests.cli.test_contract import schema
from tests.tasks.conftest import *  # noqa: F403
from tests.tasks.conftest import NAMES, save_task

HEADS = "L0H1,L1H2"
FORMATS = {"score": ["onnx"], "probability": ["transformers"], "labels": ["dense", "transformers"]}
HEADLINES = {"score": "pearson", "probability": "pearson", "labels": "f1_micro"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def common(folder: Path, kind: str) -> list[str]:
    return ["--model", str(folder / kind)]


@pytest.fixture
def data(folder: Path, kind: str) -> list[str]:
    return ["--data", str(folder / f"{kind}.tsv")]


@pytest.fixture
def learn(folder: Path, kind: str) -> list[str]:
    return ["--calibration", str(folder / f"{kind}.tsv")]


def printed(capsys: pytest.CaptureFixture[str], command: str, *words: str) -> dict[str, Any]:
    assert main([command, *words, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    schema(command).validate(document)
    return document


def text(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 0
    return capsys.readouterr().out


def test_evaluate_says_the_metrics_of_the_task(capsys, common, data, kind, folder):
    found = printed(capsys, "evaluate", *common, *data, "--remove", HEADS)
    classifier = load_classifier(folder / kind)
    assert found["task"] == classifier.task.name == read_info(folder / kind).task.name
    assert found["headline"] == found["headline_change"]["metric"] == HEADLINES[kind]
    assert found["accuracy"] is found["f1"] is found["accuracy_change"] is None
    assert (found["mcnemar"] is None) == (kind != "labels")
    assert found["metrics"].keys() >= {HEADLINES[kind], "loss"}
    assert ("mrr" in found["metrics"]) == (kind == "probability")
    assert len(found["predictions"]) == found["n"] == found["read"]["sentences"] == 72
    said = text(capsys, "evaluate", *common, *data, "--remove", HEADS)
    title = classifier.task.headline.title
    assert f"\n{title}  " in said and "accuracy" not in said.casefold()
    assert f"{len(found['flipped'])} answers changed: {found['flipped_if']}" in said


def test_ablation_is_the_change_of_the_headline(capsys, common, data, kind, folder):
    found = printed(capsys, "ablate", *common, *data, "--units", "heads,neurons")
    assert found["accuracy_change"] is None
    classifier = load_classifier(folder / kind)
    from bhpvas.data.reading import read_dataset

    sentences = read_dataset(data[1], task=classifier.task)
    whole = evaluate(classifier, sentences)
    for head in ("L0H1", "L1H2"):
        gone = classifier.full_mask().without(parse_heads(head))
        alone, at = evaluate(classifier, sentences, gone), (int(head[1]), int(head[3]))
        change = alone.headline_value - whole.headline_value
        assert np.array(found["headline_change"])[at] == pytest.approx(change, abs=1e-5)
        loss = alone.loss - whole.loss
        assert np.array(found["loss_change"])[at] == pytest.approx(loss, abs=1e-4)
    assert found["widths"][0]["headline_change"][0] == 0
    assert "accuracy" not in text(capsys, "ablate", *common, *data)


def test_from_open_to_exported(capsys, common, data, learn, kind):
    printed(capsys, "score", *common, *data, "--units", "heads,neurons")
    for method in ("greedy", "shares"):
        how = ["--heads", "2", "--method", method]
        printed(capsys, "propose", *common, *learn, *how, "--out", "s.json")
    drop = text(
        capsys, "propose", *common, *learn, "--heads", "2", "--max-drop", "1", "--out", "d.zip"
    )
    name = {"labels": "micro F1"}.get(kind, "Pearson correlation")
    assert f"A drop of at most 1 of the {name} holds" in drop
    printed(capsys, "propose", *common, *learn, "--target", "flops=0.7", "--out", "t.json")
    printed(capsys, "recover", *common, *learn, "--scheme", "s.json", "--out", "r.json")
    tuned = printed(
        capsys,
        *("recover", *common, *learn, "--scheme", "s.json", "--out", "f.json"),
        *("--method", "finetune", "--evaluations", "2"),
    )
    assert tuned["best"]["accuracy"] is None and tuned["best"]["metric"] == name
    table = printed(
        capsys, "compare", "s.json", "r.json", *common, *data, "--random", "2", "--out", "t.csv"
    )
    first, _, recovered = table["rows"]
    assert first[HEADLINES[kind]] is not None and first["change"] is None
    assert recovered["random_low"] <= recovered["random_high"]
    assert ("mcnemar_p" in recovered) == (kind == "labels")
    for format in FORMATS[kind]:
        out = ["--format", format, "--out", format]
        found = printed(capsys, "export", *common, *data, "--scheme", "r.json", *out)
        after = found["after"]["metrics"][HEADLINES[kind]]["value"]
        assert after == pytest.approx(recovered[HEADLINES[kind]], abs=1e-3)
        card = Path(format, "README.md").read_text(encoding="utf-8")
        assert f"| {name} (95% interval) |" in card and "accuracy" not in card.casefold()
    if "transformers" in FORMATS[kind]:
        again = printed(capsys, "evaluate", "--model", "transformers", *data)
        assert again["metrics"][HEADLINES[kind]]["value"] == pytest.approx(after, abs=1e-3)


def test_sentences_not_learnt_from_are_measured_by_the_headline(capsys, common, data, kind, folder):
    lines = Path(data[1]).read_text(encoding="utf-8").splitlines(keepends=True)
    Path("some.tsv").write_text("".join(lines[:31]), encoding="utf-8")
    how = ["--calibration", "some.tsv", "--heads", "2", "--method", "importance"]
    printed(capsys, "propose", *common, *how, "--out", "s.json")
    found = printed(capsys, "evaluate", *common, *data, "--scheme", "s.json")
    assert found["learnt_from"] == 30 and found["unseen"]["metric"] == HEADLINES[kind]
    said = text(capsys, "evaluate", *common, *data, "--scheme", "s.json")
    assert "On the 42 others: " in said and "accuracy" not in said
    compared = printed(capsys, "compare", "s.json", *common, *data, "--random", "0", "--out", "c")
    assert compared["rows"][1]["unseen"] == found["unseen"]


def test_a_threshold_changes_what_is_answered(capsys, folder):
    common = ["--model", str(folder / "labels"), "--data", str(folder / "labels.tsv")]
    low, usual, high = (
        printed(capsys, "evaluate", *common, *more)
        for more in (["--threshold", "0.2"], [], ["--threshold", "0.9"])
    )
    counts = [sum(map(len, one["predictions"])) for one in (low, usual, high)]
    assert counts[0] > counts[1] > counts[2]
    assert low["loss"] == usual["loss"]
    assert main(["evaluate", *common, "--threshold", "1.5"]) == 2
    assert "A threshold of 1.5 cannot be" in capsys.readouterr().err
    score = ["--model", str(folder / "score"), "--data", str(folder / "score.tsv")]
    assert main(["evaluate", *score, "--threshold", "0.5"]) == 2
    assert "this one gives one score: leave it out" in capsys.readouterr().err


def test_info_names_the_task(capsys, common, kind):
    found = printed(capsys, "info", *common)
    assert found["task"] == ("multi_label_classification" if kind == "labels" else "regression")
    assert found["labels"] == ([*NAMES] if kind == "labels" else ["LABEL_0"])
    read_as = {"score": ", the score is the output as it is\n", "labels": "\n"}
    sigmoid = ", the score is the sigmoid of the output\n"
    assert found["task"] + read_as.get(kind, sigmoid) in text(capsys, "info", *common)


def test_the_report_says_what_the_task_says(capsys, common, data, learn, kind, folder):
    printed(capsys, "propose", *common, *learn, "--heads", "2", "--method", "random", "--out", "s")
    words = [*common, *data, *learn, "--scheme", "s", "--out", "r.html", "--random", "1"]
    found = printed(capsys, "report", *words)
    task = load_classifier(folder / kind).task
    assert found["before"]["headline"] == found["headline_change"]["metric"] == HEADLINES[kind]
    assert f"the {task.headline.title_in_text} goes from" in found["summary"][1]
    ranked = Path("r.html").read_text(encoding="utf-8").count("nDCG@10, mean of queries")
    assert bool(ranked) == (kind == "probability")


def test_the_sample_sentences_have_no_scores(capsys, folder):
    assert main(["evaluate", "--model", str(folder / "score")]) == 2
    assert "which is no number, and the model gives a score" in capsys.readouterr().err


def test_an_activation_is_read_from_where_sentence_transformers_writes_it(tmp_path):
    path = save_task(tmp_path / "m", "score")
    config = {"activation_fn": "torch.nn.modules.activation.Sigmoid", "model_type": "CrossEncoder"}
    for content, expected in ((json.dumps(config), "sigmoid"), ("{", "identity")):
        (path / "config_sentence_transformers.json").write_text(content, encoding="utf-8")
        assert read_info(path).task.activation == expected  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["propose", "report"])
def test_sample_sentences_that_do_not_suit_a_model_are_said_to_be_those(
    capsys, common, data, learn, kind, command
):
    assert main(["propose", *common, *learn, "--heads", "2", "--out", "s.json"]) == 0
    words = ["--heads", "2"] if command == "propose" else [*data, "--scheme", "s.json"]
    assert main([command, *common, *words, "--out", "o"]) == 2
    said = capsys.readouterr().err
    assert "The sample sentences, from which is learnt where none are named" in said
    assert "name sentences with its labels by --calibration" in said and "--label" not in said
