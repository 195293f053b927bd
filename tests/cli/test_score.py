"""`bhpvas score`: its JSON keys and numbers."""

from __future__ import annotations

import numpy as np

from bhpvas.cli.main import main
from bhpvas.criteria import CRITERIA, score
from bhpvas.data.reading import read_dataset
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import load_classifier
from tests.cli.conftest import run


def test_score(capsys, files):
    found = run(capsys, "score", "--model", files[0], "--data", files[1], "--remove", "L1H2")
    expected = score(
        load_classifier(files[0]), read_dataset(files[1]), mask=HeadMask.parse("L1H2", 2, 4)
    )
    assert (found["layers"], found["heads"], found["sentences"]) == (2, 4, 12)
    assert list(found["criteria"]) == ["importance", "stability", "similarity"]
    for name, one in found["criteria"].items():
        assert one["higher_means"] == CRITERIA[name].higher_means
        assert one["values"][1][2] is None
        values = np.array(one["values"], dtype=float)
        np.testing.assert_allclose(values, expected.values[name], rtol=1e-6)
    assert np.array(found["similarity_matrix"], dtype=float).shape == (8, 8)
    assert found["similarity_unit"] == "token"


def test_score_says_what_a_sample_of_similarity_is_where_there_is_one(capsys, files, monkeypatch):
    def unit(criteria: str) -> str | None:
        common = ["--model", files[0], "--data", files[1], "--no-cache"]
        return run(capsys, "score", *common, "--criteria", criteria).get("similarity_unit")

    assert unit("similarity-maps") is None
    monkeypatch.setattr("bhpvas.criteria.similarity._LARGEST_TOKEN_WIDTH", 1)
    assert unit("similarity") == "sentence"


def test_score_by_every_criterion(capsys, files):
    found = run(capsys, "score", "--model", files[0], "--data", files[1], "--criteria", "all")
    assert list(found["criteria"]) == list(CRITERIA)


def test_an_unknown_criterion_is_refused_before_anything_is_loaded(capsys):
    assert main(["score", "--model", "./nowhere", "--criteria", "magic"]) == 2
    assert "'magic' is no criterion; choose from importance" in capsys.readouterr().err
