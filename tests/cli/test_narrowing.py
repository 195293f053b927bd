"""`bhpvas propose` to a target: schemes of heads and neurons that other commands measure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bhpvas.cli.main import main
from bhpvas.model.classifier import load_classifier
from bhpvas.model.latency import Latencies
from bhpvas.model.latency_table import LatencyTable
from bhpvas.model.runtimes import Timing
from bhpvas.scheme.scheme import load_scheme
from bhpvas.search import latency
from bhpvas.search.budget import Target
from bhpvas.search.target import narrow_to
from tests.cli.conftest import run
from tests.cli.test_contract import schema
from tests.tiny import many_sentences, save_tiny


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tiny model and sentences, as files."""
    folder = tmp_path_factory.mktemp("narrowing")
    model = save_tiny(folder / "model")
    data = many_sentences(60)
    rows = [f"{text}\t{label}" for text, label in zip(data.texts, data.labels, strict=True)]
    (folder / "data.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    return str(model), str(folder / "data.tsv")


def common(files) -> list[str]:
    return ["propose", "--model", files[0], "--calibration", files[1]]


@pytest.mark.parametrize("out", ["s.json", "s.zip"])
def test_a_target_is_written_with_its_weights_and_measured(capsys, files, tmp_path, out):
    path = str(tmp_path / out)
    found = run(capsys, *common(files), "--target", "flops=0.4", "--out", path)
    schema("propose").validate(found)
    (expected,) = narrow_to(load_classifier(files[0]), many_sentences(60), [Target("flops", 0.4)])
    assert found["removed_heads"] == [str(head) for head in sorted(expected.mask.removed)]
    assert found["cost"] == pytest.approx(expected.cost)
    measured = run(
        capsys, "evaluate", "--model", files[0], "--scheme", path, "--data", files[1], "--no-cache"
    )
    assert measured["neurons_kept"] == found["neurons_kept"]
    assert measured["removed_heads"] == found["removed_heads"]
    assert measured["learnt_from"] == measured["n"] == 60
    whole = run(capsys, "evaluate", "--model", files[0], "--data", files[1], "--no-cache")
    share = measured["flops_per_sentence"] / whole["flops_per_sentence"]
    assert share == pytest.approx(found["cost"])
    assert whole["neurons_kept"] == [64, 64]


def test_a_family_is_one_scheme_for_each_reduction(capsys, files, tmp_path):
    folder = tmp_path / "family"
    found = run(capsys, *common(files), "--family", "1.5,3", "--out", str(folder))
    schema("propose").validate(found)
    assert [one["target"] for one in found["family"]] == ["flops=0.666667", "flops=0.333333"]
    assert sorted(path.name for path in folder.glob("*.json")) == ["1.5.json", "3.json"]
    table = run(
        capsys, "compare", "--model", files[0], "--data", files[1], "--random", "1",
        *(one["scheme"] for one in found["family"]), "--out", str(tmp_path / "t.csv"),
    )  # fmt: skip
    schema("compare").validate(table)
    removed = [row["neurons_removed"] for row in table["rows"]]
    kept = [sum(one["neurons_kept"]) for one in found["family"]]
    assert removed == [0, *(128 - count for count in kept)]
    assert all(row["random_median"] is None for row in table["rows"])


def test_a_family_that_cannot_be_leaves_no_folder(capsys, files, tmp_path):
    for folder, before in ((tmp_path / "new", []), (tmp_path, [tmp_path])):
        out = ["--out", str(folder)]
        assert main([*common(files), "--family", "1.5,9999", *out]) == 2
        assert "cannot be reached" in capsys.readouterr().err
        assert [one for one in (folder,) if one.exists()] == before
    assert not list(tmp_path.iterdir())
    assert main([*common(files), "--family", "2,2.0000001", "--out", str(tmp_path / "new")]) == 2
    assert "no list of reductions" in capsys.readouterr().err


def test_methods_say_what_they_end_with(capsys, files, tmp_path):
    path = str(tmp_path / "s.json")
    words = [*common(files), "--target", "flops=0.5", "--out", path, "--method"]
    for method, recovery in (
        ("random", None),
        ("mask-search", "rescale"),
        ("shares", "compensate"),
    ):
        found = run(capsys, *words, method)
        schema("propose").validate(found)
        assert (found["method"], found["recovery"]) == (method, recovery)
        assert (found["weights"] is None) == (recovery is None)
        assert ("expected" in found) == (method == "shares")
        steps = json.loads(Path(path).read_text(encoding="utf-8"))["steps"]
        assert [one["method"] for one in steps[1:]] == [method, *([recovery] if recovery else [])]
        assert main([*words, method]) == 0
        said = capsys.readouterr().out
        if recovery:
            assert "Refitted, the answers move by" in said
            assert "60 sentences of data.tsv that it learnt from;" in said
        else:
            assert "As masked, the answers move by" in said
            assert "60 sentences of data.tsv, from which nothing was learnt;" in said
            again = said[said.index("bhpvas recover") :].split(",")[0].split()
            more = ["--model", files[0], "--calibration", files[1]]
            assert main([*again[1:-1], str(tmp_path / "r.json"), *more]) == 0
            capsys.readouterr()


def test_the_terminal_says_what_each_layer_keeps(capsys, files, tmp_path):
    path = str(tmp_path / "s.json")
    arguments = ["--target", "parameters=0.9", "--units", "neurons", "--multiple-of", "8"]
    assert main([*common(files), *arguments, "--out", path]) == 0
    said = capsys.readouterr().out
    assert "layer 0 keeps 4 of 4 heads and " in said
    assert "% of the parameters stay." in said
    assert main(["evaluate", "--model", files[0], "--scheme", path, "--data", files[1]]) == 0
    kept = load_scheme(path).mask.neurons
    assert kept is not None
    assert all(count % 8 == 0 for count in kept.counts)
    assert f"heads and {128 - len(kept)} of 128 neurons kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Give a number of heads with --heads"),
        (["--target", "time=3"], "'time=3' is no target"),
        (["--family", "2,x"], "no list of reductions"),
        (["--family", "0.5"], "no list of reductions"),
        (["--family", "2,2"], "no list of reductions"),
        (["--target", "flops=0.5", "--units", "layers"], "'layers' is no unit"),
        (
            ["--target", "flops=0.5", "--method", "greedy"],
            "'greedy' is a method for a number of heads alone",
        ),
        (["--heads", "1", "--method", "magnitude"], "'magnitude' is a method to a target alone"),
        (["--heads", "1", "--multiple-of", "8"], "--multiple-of goes with --target or --family"),
        (["--family", "2,inf"], "no list of reductions"),
        (["--target", "flops=0.00001"], "cannot be reached"),
        (["--heads", "1", "--engine", "onnx"], "--engine goes with a latency, such as --target la"),
        (["--target", "flops=0.9", "--units", "heads", "--multiple-of", "8"], "add the unit neuro"),
        (["--target", "flops=0.5", "--batch", "1"], "--batch goes with a latency"),
        (["--family", "2", "--length", "9"], "--length goes with --target latency=0.5"),
        (["--target", "latency=5ms", "--engine", "tpu"], "'tpu' is no engine"),
        (["--target", "latency=0.5", "--length", "41"], "cannot be timed"),
    ],
)
def test_what_does_not_go_together_is_said(capsys, files, tmp_path, arguments, said):
    assert main([*common(files), *arguments, "--out", str(tmp_path / "s.json")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_report_says_what_goes_and_by_which_sentences_it_was_chosen(capsys, files, tmp_path):
    path = str(tmp_path / "s.json")
    run(capsys, *common(files), "--target", "flops=0.5", "--out", path)
    report = ["report", "--model", files[0], "--data", files[1], "--calibration", files[1]]
    found = run(
        capsys, *report, "--scheme", path, "--random", "0", "--out", str(tmp_path / "r.html")
    )
    evaluated = run(capsys, "evaluate", *report[1:5], "--scheme", path)
    assert found["neurons_kept"] == evaluated["neurons_kept"]
    assert found["after"]["accuracy"] == evaluated["accuracy"]
    assert "choice of heads and neurons by shares" in " ".join(found["summary"])


def test_a_comparison_says_where_no_random_masks_stand(capsys, files, tmp_path):
    both, heads, table = (str(tmp_path / name) for name in ("b.json", "h.json", "t.csv"))
    run(capsys, *common(files), "--target", "flops=0.5", "--method", "magnitude", "--out", both)
    run(capsys, *common(files), "--heads", "2", "--method", "random", "--out", heads)
    for schemes, said in (([both, heads], True), ([heads], False)):
        compare = ["compare", *schemes, "--model", files[0], "--data", files[1]]
        compare += ["--random", "2", "--out", table]
        beside = [row["random_median"] for row in run(capsys, *compare)["rows"][1:]]
        assert [one is None for one in beside] == [True, False][-len(schemes) :]
        assert main(compare) == 0
        assert ("random masks lack no neurons" in capsys.readouterr().out) == said


def test_a_recovery_and_a_training_go_on_from_there(capsys, files, tmp_path):
    path, again, tuned = (str(tmp_path / name) for name in ("s.json", "r.json", "t.json"))
    first = run(capsys, *common(files), "--target", "flops=0.5", "--out", path)
    more = ["--model", files[0], "--calibration", files[1]]
    found = run(capsys, "recover", *more, "--scheme", path, "--out", again)
    assert found["removed_heads"] == first["removed_heads"]
    assert [one["layer"] for one in found["feed_forward"]] == [0, 1]
    run(capsys, "recover", *more, "--scheme", path, "--method", "finetune", "--out", tuned)
    steps = json.loads(Path(tuned).read_text(encoding="utf-8"))["steps"]
    assert [step["what"] for step in steps] == ["start", "remove", "recover", "recover"]


def test_a_target_of_time_is_told_beside_what_was_measured(capsys, files, tmp_path, monkeypatch):
    """On a machine whose passes take 2 ms a layer, less what neurons take of them."""

    def pass_of(classifier, mask, timing):
        assert timing == Timing("onnx", 1, 12)
        gone = 0 if mask.neurons is None else len(mask.neurons) / 128
        return lambda: 0.004 * (1 - 0.8 * gone)

    def time_passes(passes, timing, device="cpu", *, rounds=21, **settings):
        took = np.array([[one() for one in passes.values()]] * rounds)
        return Latencies(tuple(passes), took, timing.batch, timing.length, 1, device, timing.engine)

    widths = {"heads": np.array([0, 4]), "neurons": np.array([0, 64])}
    added = {"heads": np.zeros((2, 2)), "neurons": np.array([[0, 0.002]] * 2)}
    table = LatencyTable(2, widths, added, 0.001, 0.005)
    monkeypatch.setattr(latency, "pass_of", pass_of)
    monkeypatch.setattr(latency, "time_passes", time_passes)
    monkeypatch.setenv("BHPVAS_CACHE", str(tmp_path / "kept"))
    on_disk = list[bool]()

    def latency_table(*given, results, **more):
        on_disk.append(results.folder is not None)
        return table

    monkeypatch.setattr(latency, "latency_table", latency_table)
    timing = ["--engine", "onnx", "--batch", "1", "--length", "12", "--units", "neurons"]
    path = str(tmp_path / "s.json")
    arguments = [*common(files), "--target", "latency=2.5ms", *timing, "--out", path]
    found = run(capsys, *arguments)
    schema("propose").validate(found)
    assert found["target"] == "latency=2.5ms,engine=onnx,batch=1,length=12"
    kept = sum(found["neurons_kept"]) / 128
    assert 2.4 < found["milliseconds"]["measured"] <= 2.5
    assert found["milliseconds"]["measured"] == pytest.approx(4 * (0.2 + 0.8 * kept))
    assert found["milliseconds"]["predicted"] == pytest.approx(found["milliseconds"]["measured"])
    assert found["cost"] == pytest.approx(found["milliseconds"]["predicted"] / 4)
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "1 sentence of 12 tokens in ONNX Runtime: 2." in said
    assert "the unpruned model in turns with it 4.00 ms" in said
    assert main([*arguments, "--no-cache"]) == 0
    assert on_disk == [True, True, False]
