"""`bhpvas recover`: the weights that it writes, and what Ctrl-C leaves of fine-tuning."""

from __future__ import annotations

import json
import signal
from dataclasses import fields

import numpy as np
import pytest

from bhpvas.cli.main import main
from bhpvas.cli.recover import Options, tuning_names
from bhpvas.data.reading import read_dataset
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.model.classifier import load_classifier
from bhpvas.recovery import recover
from bhpvas.recovery.finetuning import TuningSettings, finetune
from bhpvas.scheme.bundle import read_scheme_file
from bhpvas.scheme.scheme import load_scheme
from tests.cli.conftest import run
from tests.tiny import many_sentences


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


def test_the_errors_are_of_the_sentences_that_were_held_out(capsys, files, tmp_path, proposed):
    main([
        "recover", "--model", files[0], "--scheme", proposed[0], "--calibration", files[1],
        "--out", str(tmp_path / "recovered.json"),
    ])  # fmt: skip
    assert "measured on 3 held-out sentences of the 12 of" in capsys.readouterr().out


@pytest.fixture
def sentences(tmp_path):
    """A file with 120 different sentences, which is enough to train on."""
    data = many_sentences(120)
    assert len({*data.texts}) == 120
    rows = [f"{text}\t{label}" for text, label in zip(data.texts, data.labels, strict=True)]
    path = tmp_path / "train.tsv"
    path.write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
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

    monkeypatch.setattr("bhpvas.cli.output.Bar.__call__", show)
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


def test_the_command_line_offers_every_setting_with_its_default():
    defaults = {
        field.name: field.default for field in fields(TuningSettings) if field.name != "seed"
    }
    options = {field.name: field for field in fields(Options)}
    assert set(tuning_names()) == set(defaults)
    for name in tuning_names():
        kind, said = options[name].type, options[name].metadata["help"]
        assert f"{type(defaults[name]).__name__} | None" == kind
        if kind != "bool | None":
            assert f"(default: {np.format_float_positional(defaults[name], trim='-')})" in said


def test_errors_of_feed_forward_parts_are_said_beside_those_of_attention(capsys, files, tmp_path):
    """Of a scheme without neurons alone nothing else is refitted."""
    common = ["--model", files[0], "--calibration", files[1]]
    narrow, out = str(tmp_path / "narrow.json"), str(tmp_path / "out.json")
    target = ["--target", "parameters=0.9", "--units", "neurons"]
    assert main(["propose", *common, *target, "--out", narrow]) == 0
    capsys.readouterr()
    assert main(["recover", *common, "--scheme", narrow, "--out", out]) == 0
    said = capsys.readouterr().out
    layers = load_scheme(out).steps[-1].settings["feed_forward"]
    assert layers and said.count(" feed-forward error ") == len(layers)
