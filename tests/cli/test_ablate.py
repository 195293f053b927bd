"""`bhpvas ablate`: its JSON keys and numbers."""

from __future__ import annotations

import numpy as np

from bhpvas.data.reading import read_dataset
from bhpvas.evaluation.ablation import ablate
from bhpvas.model.classifier import load_classifier
from tests.cli.conftest import run


def test_ablate(capsys, files):
    found = run(capsys, "ablate", "--model", files[0], "--data", files[1])
    expected = ablate(load_classifier(files[0]), read_dataset(files[1]))
    np.testing.assert_allclose(found["loss_change"], expected.loss_change, atol=1e-6)
    np.testing.assert_allclose(found["accuracy_change"], expected.accuracy_change, atol=1e-9)
    assert found["baseline"]["accuracy"] == expected.baseline.accuracy
