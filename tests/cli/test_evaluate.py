"""`bhpvas evaluate`: its JSON keys, its numbers, and how it refuses a scheme."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bhpvas.cli.main import main
from bhpvas.data.reading import read_dataset
from bhpvas.evaluation.evaluation import evaluate
from bhpvas.heads import HeadId, HeadMask
from bhpvas.model.classifier import load_classifier
from bhpvas.scheme.scheme import Scheme
from tests.cli.conftest import run
from tests.tiny import save_tiny


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
    assert found["f1_of"] == "positive"


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


def test_a_scheme_of_another_model_is_refused(capsys, files, tmp_path):
    other = load_classifier(save_tiny(tmp_path / "other", seed=5))
    Scheme.of(other).removing([HeadId(0, 0)]).save(tmp_path / "s.json")
    arguments = ["--data", files[1], "--scheme", str(tmp_path / "s.json")]
    assert main(["evaluate", "--model", files[0], *arguments]) == 2
    assert "was made for the model" in capsys.readouterr().err
    assert main(["evaluate", *arguments]) == 2
    assert "name it with --model" in capsys.readouterr().err


def test_an_empty_name_of_a_scheme_is_not_the_unpruned_model(capsys, files):
    assert main(["evaluate", "--model", files[0], "--data", files[1], "--scheme", ""]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_only_numbers_get_a_minus_sign(capsys, files, tmp_path):
    data = tmp_path / "my-reviews.tsv"
    data.write_bytes(Path(files[1]).read_bytes())
    assert main(["evaluate", "--model", files[0], "--data", str(data), "--remove", "L0H1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("12 sentences of my-reviews.tsv, 7 of 8 heads kept\n")
    assert "(95% interval \N{MINUS SIGN}" in shown
    assert "\nF1 of positive 0." in shown


def test_a_file_without_a_header_and_a_folder_with_parts(capsys, files, tmp_path):
    lines = [f"{n % 2}\tThe film number {n} went on." for n in range(6)]
    path = tmp_path / "films.tsv"
    path.write_text("\n".join(f"{line} Café" for line in lines), "latin-1")
    assert main(["evaluate", "--model", files[0], "--data", str(path)]) == 2
    assert "--encoding latin-1" in capsys.readouterr().err
    said = ["--data", str(path), "--encoding", "latin-1", "--max-unknown", "1"]
    assert main(["evaluate", "--model", files[0], *said]) == 2
    assert "say --no-header" in capsys.readouterr().err
    columns = ["--no-header", "--text", "2", "--label", "1"]
    found = run(capsys, "evaluate", "--model", files[0], *said, *columns)
    assert found["n"] == 6
    for part, count in (("train", 4), ("test", 2)):
        for number in range(2 * count):
            text = (
                tmp_path / "films" / part / ("negative", "positive")[number % 2] / f"{number}.txt"
            )
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(f"The film number {number} went on.")
    said = ["--max-unknown", "1", "--data", str(tmp_path / "films")]
    assert run(capsys, "evaluate", "--model", files[0], *said)["n"] == 4
    scored = run(capsys, "score", "--model", files[0], *said, "--criteria", "confidence")
    assert scored["sentences"] == 8
