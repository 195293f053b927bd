"""Fixtures of the command line's tests: a tiny model, labelled sentences, schemes."""

from __future__ import annotations

import json

import pytest

from bhpvas.cli.main import main
from bhpvas.heads import HeadId
from bhpvas.model.classifier import load_classifier
from bhpvas.scheme.scheme import Scheme
from tests.conftest import tiny_dataset
from tests.tiny import save_tiny


@pytest.fixture(scope="session")
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


@pytest.fixture
def proposed(capsys, files, tmp_path):
    """A proposal's scheme file, and what the command said of it."""
    out = str(tmp_path / "proposed.json")
    arguments = ["--model", files[0], "--calibration", files[1], "--heads", "3", "--out", out]
    return out, run(capsys, "propose", "--method", "importance", *arguments)


@pytest.fixture
def pruned(files, tmp_path) -> str:
    """A scheme file that removes three heads of the tiny model."""
    path = tmp_path / "pruned.json"
    heads = [HeadId(0, 1), HeadId(1, 0), HeadId(1, 3)]
    Scheme.of(load_classifier(files[0])).removing(heads).save(path)
    return str(path)
