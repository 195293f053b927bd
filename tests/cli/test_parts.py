"""A file that names its parts in a column: which of them each command reads, and says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bhpvas.cli.main import main
from tests.cli.conftest import run
from tests.conftest import tiny_dataset


@pytest.fixture
def parted(tmp_path: Path) -> str:
    """The tiny sentences, each third one in a part to learn from."""
    data = tiny_dataset()
    rows = zip(data.texts, data.labels, strict=True)
    lines = [
        f"{sentence}\t{label}\t{'test' if number % 3 else 'Train'}"
        for number, (sentence, label) in enumerate(rows)
    ]
    (tmp_path / "parted.tsv").write_text("\n".join(["text\tlabel\tset", *lines]) + "\n")
    return str(tmp_path / "parted.tsv")


@pytest.mark.parametrize(
    ("command", "part"), [("evaluate", "test"), ("ablate", "Train"), ("score", "Train")]
)
def test_a_command_reads_its_part(capsys, files, parted, command: str, part: str) -> None:
    usual = [command, "--model", files[0], "--data", parted, "--no-cache"]
    usual += ["--criteria", "importance"] * (command == "score")
    read = run(capsys, *usual)["read"]
    assert (read["sentences"], read["split"], read["part"]) == (
        {"test": 8, "Train": 4}[part], "set", part
    )  # fmt: skip
    read = run(capsys, *usual, "--split", "")["read"]
    assert (read["sentences"], read["split"], read["part"]) == (12, None, None)


def test_a_proposal_learns_from_one_part_and_is_measured_on_the_other(
    capsys, files, parted, tmp_path
) -> None:
    out = str(tmp_path / "s.json")
    usual = ["--model", files[0], "--heads", "2", "--method", "importance", "--out", out]
    assert run(capsys, "propose", "--calibration", parted, *usual)["calibration"]["sentences"] == 4
    usual = ["evaluate", "--model", files[0], "--scheme", out, "--data", parted]
    assert run(capsys, *usual)["n"] == 8


def test_the_part_is_said(capsys, files, parted) -> None:
    assert main(["evaluate", "--model", files[0], "--data", parted]) == 0
    said = capsys.readouterr().out
    assert '"label" as label, "set" as split, part "test", matched by number' in said
    assert main(["evaluate", "--model", files[0], "--data", parted, "--split", "use"]) == 2
    assert "parted.tsv has no column 'use'" in capsys.readouterr().err
