"""`bhpvas compare`: its table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bhpvas.cli.compare import lines
from bhpvas.cli.main import main
from bhpvas.evaluation.learnt_from import LearntFrom
from tests.cli.conftest import run


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
    first, *others = found["rows"]
    assert first["change_low"] is first["mcnemar_p"] is first["loss_change"] is None
    assert all(row["mcnemar_p"] <= row["mcnemar_p_corrected"] <= 1 for row in others)
    assert [row["accuracy"] for row in found["rows"]] == list(frame["accuracy"])
    for path, row in zip((proposed[0], recovered), found["rows"][1:], strict=True):
        alone = run(capsys, "evaluate", *common, "--data", files[1], "--scheme", path)
        assert row["accuracy"] == alone["accuracy"]
        assert row["loss"] == pytest.approx(alone["loss"], abs=1e-6)
        assert row["flipped"] == len(alone["flipped"])
        assert row["random_low"] <= row["random_median"] <= row["random_high"]


def test_cells_of_a_table_are_no_formulas(capsys, files, tmp_path, pruned, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("=s.json").write_text(Path(pruned).read_text())
    arguments = ["--model", files[0], "--data", files[1], "--random", "0", "--out", "t.csv"]
    assert main(["compare", "=s.json", *arguments]) == 0
    assert pd.read_csv("t.csv")["scheme"].tolist() == ["unpruned", "'=s.json"]


def test_what_does_not_exist_is_a_dash(capsys, files, tmp_path, pruned):
    """The unpruned model is compared with nothing, and no random masks were asked for."""
    arguments = ["--model", files[0], "--data", files[1], "--random", "0"]
    assert main(["compare", pruned, *arguments, "--out", str(tmp_path / "t.csv")]) == 0
    names, first = (line.split() for line in capsys.readouterr().out.splitlines()[:2])
    row = dict(zip(names, first, strict=True))
    assert row["scheme"] == "unpruned"
    assert row["change_low"] == row["mcnemar_p"] == row["random_low"] == "—"
    assert "nan" not in " ".join(first).lower()


def test_a_small_p_is_not_printed_as_zero():
    table = pd.DataFrame({"scheme": ["unpruned", "a.json"], "mcnemar_p": [np.nan, 2e-7]})
    table["mcnemar_p_corrected"] = [np.nan, 0.0002]
    (shown,) = lines(table, [LearntFrom(40, 0, (), ())] * 2)
    names, unpruned, other = (line.split() for line in shown.splitlines())
    assert dict(zip(names, unpruned, strict=True))["mcnemar_p"] == "—"
    said = dict(zip(names, other, strict=True))
    assert (said["mcnemar_p"], said["mcnemar_p_corrected"]) == ("<0.0001", "0.0002")
