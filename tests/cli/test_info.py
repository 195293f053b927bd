"""`bhpvas info`: its JSON keys."""

from __future__ import annotations

from bhpvas.model.classifier import load_classifier
from tests.cli.conftest import run


def test_info(capsys, files):
    found = run(capsys, "info", "--model", files[0])
    classifier = load_classifier(files[0])
    assert {"layers": 2, "heads": 4, "hidden_size": 32}.items() <= found.items()
    assert found["parameters"] == classifier.geometry.parameters
    assert found["labels"] == ["negative", "positive"]
