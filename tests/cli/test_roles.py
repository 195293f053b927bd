"""`bhpvas roles`: its JSON keys, its numbers, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from bhpvas.cli.main import main
from bhpvas.data.reading import read_dataset
from bhpvas.interpret.roles import DIRECTIONS, RoleSettings, find_roles
from bhpvas.model.classifier import load_classifier
from tests.cli.conftest import run
from tests.interpret.pipelines import save_chain

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schemas" / "roles.json"


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


def test_roles_refuse_in_one_line(capsys, files):
    common = ["roles", "--model", files[0], "--data", files[1], "--json"]
    assert main([*common, "--min-count", "0"]) == 2
    assert "at least 1 dependent" in capsys.readouterr().err
    assert main([*common, "--parser", "de_core_news_nowhere"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "'de_core_news_nowhere' is not installed" in captured.err


@pytest.fixture
def german(tmp_path):
    """A file of German sentences, two of which are too short to be told by themselves."""
    texts = [
        "Das Essen war kalt und der Kellner ist nicht freundlich gewesen.",
        "Ich war noch nie so enttäuscht von einem Hotel.",
        "Wunderbar.",
        "Schrecklich.",
    ]
    rows = [f"{text}\t{place % 2}" for place, text in enumerate(texts)]
    path = tmp_path / "german.tsv"
    path.write_text("\n".join(["sentence\tlabel", *rows]), encoding="utf-8")
    return str(path)


def test_german_gets_a_sentence_and_no_relation(capsys, files, german):
    common = ["roles", "--model", files[0], "--data", german, "--max-unknown", "1"]
    common += ["--min-count", "1"]
    found = run(capsys, *common)
    assert found["relations"] == {} and found["parser"]["looked_for"] == []
    assert found["parser"]["not_english"] == 4 and found["parser"]["named"] is False
    assert "The sentences are plainly not English" in found["parser"]["note"]
    assert "--parser en_core_web_sm" in found["parser"]["note"]
    jsonschema.validate(found, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert main(common) == 0
    shown = capsys.readouterr().out
    assert "plainly not English" in shown and "looked for no relation" in shown


def test_the_english_half_of_pairs_has_relations(capsys, files, tmp_path):
    rows = [
        f"the film is good .\tDer Film ist nicht gut und auch nicht neu.\t{at % 2}"
        for at in range(4)
    ]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(["sentence1\tsentence2\tlabel", *rows]), encoding="utf-8")
    found = run(capsys, "roles", "--model", files[0], "--data", str(path), "--max-unknown", "1")
    assert found["relations"]["det"]["count"] == 4
    assert {"det", "nsubj"} <= set(found["parser"]["looked_for"])
    assert found["parser"]["not_english"] == 4
    assert "4 of the 8 texts are plainly not English" in found["parser"]["note"]


def test_a_parser_that_is_named_parses_whatever_it_is_given(capsys, files, german, tmp_path):
    common = ["roles", "--model", files[0], "--data", german, "--max-unknown", "1"]
    common += ["--min-count", "1"]
    run(capsys, *common)  # what is kept of it is not taken for the others
    asked = run(capsys, *common, "--parser", "en_core_web_sm")
    assert asked["relations"] and asked["parser"]["named"] is True
    assert (asked["parser"]["not_english"], asked["parser"]["note"]) == (None, None)
    assert main([*common, "--parser", "en_core_web_sm"]) == 0
    assert "whether it fits the text was not checked" in capsys.readouterr().out
    folder = save_chain(tmp_path / "chain")
    found = run(capsys, *common, "--parser", folder)
    assert list(found["relations"]) == ["nsubj:pass"] == found["parser"]["looked_for"]
    # Every word but the first of each sentence, marks apart, depends on the one before it.
    assert found["relations"]["nsubj:pass"]["count"] == 10 + 8
    assert found["relations"]["nsubj:pass"]["offset"] == -1
    assert found["relations"]["nsubj:pass"]["baseline"] == 1
    assert (found["parser"]["name"], found["parser"]["language"]) == (folder, "de")
    jsonschema.validate(found, json.loads(SCHEMA.read_text(encoding="utf-8")))
