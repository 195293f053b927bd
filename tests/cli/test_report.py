"""`bhpvas report`: its page and numbers, and how it refuses."""

from __future__ import annotations

import shlex
from html import unescape

from bhpvas.cli.main import main
from tests.cli.conftest import run


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
