"""`bhpvas export`: the folder that it writes, and how it refuses."""

from __future__ import annotations

import pytest

from bhpvas.cli.main import main
from tests.cli.conftest import run


def test_an_export_takes_the_zip_that_recover_writes(capsys, files, tmp_path, proposed):
    recovered = str(tmp_path / "r.zip")
    common = ["--model", files[0], "--calibration", files[1], "--scheme", proposed[0]]
    run(capsys, "recover", *common, "--out", recovered)
    common = ["--model", files[0], "--data", files[1], "--scheme", recovered]
    found = run(capsys, "export", *common, "--format", "dense", "--out", str(tmp_path / "out"))
    assert found["after"]["accuracy"] == run(capsys, "evaluate", *common)["accuracy"]
    again = run(capsys, "evaluate", "--model", str(tmp_path / "out"), "--data", files[1])
    assert again["predictions"] == run(capsys, "evaluate", *common)["predictions"]


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
    assert (
        "8 sentences of 32 tokens in PyTorch, " in said
        and "in turns (95% intervals): before " in said
    )


def test_export_refuses_in_one_line(capsys, files, tmp_path, pruned):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    for format, out, more, message in (
        ("tflite", "out", [], "'tflite' is no format; choose from transformers, onnx, dense"),
        ("dense", "full", [], "exists already"),
        ("dense", "no/out", [], "choose a folder that exists"),
        ("dense", "out", ["--int8"], "int8 is for the format onnx"),
        ("dense", "out", ["--batch", "0"], "0 sentences of 32 tokens cannot be timed"),
        ("dense", "out", ["--length", "41"], "8 sentences of 41 tokens cannot be timed"),
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

    # The card is the last thing that is written.
    monkeypatch.setattr("bhpvas.export.writing.model_card", interrupted)
    before = set(tmp_path.iterdir())
    arguments = ["--model", files[0], "--data", files[1], "--scheme", pruned]
    assert main(["export", *arguments, "--format", "dense", "--out", str(tmp_path / "out")]) == 1
    assert set(tmp_path.iterdir()) == before
    assert "interrupted; nothing was written" in capsys.readouterr().err
