"""What the commands take of labels: rows that have none, numbers that count from one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bhpvas.cli.main import main
from tests.tiny import save_tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("model")))


@pytest.mark.parametrize("command", ["evaluate", "ablate", "score"])
def test_labels_that_need_a_word(capsys, model: str, tmp_path: Path, command: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\na good film,2\na bad film,1\nthe film,-1\na fine meal,2\n")
    usual = [command, "--model", model, "--data", str(path), "--no-cache", "--json"]
    usual += ["--criteria", "importance"] if command == "score" else []
    assert main(usual) == 2
    assert "--labels-from 1" in capsys.readouterr().err
    assert main([*usual, "--labels-from", "1"]) == 2
    said = capsys.readouterr().err
    assert "Line 4 of a.csv is labelled '-1'" in said and "--skip-unlabelled" in said
    assert main([*usual, "--labels-from", "1", "--skip-unlabelled"]) == 0
    found = json.loads(capsys.readouterr().out)
    if command == "evaluate":
        right = found["predictions"] == [1, 0, 1]
        assert found["n"] == 3 and (found["accuracy"] == 1) == right
