"""`bhpvas propose`: the scheme that it writes."""

from __future__ import annotations

from dataclasses import fields

import pytest

from bhpvas.cli.propose import Options, lines
from bhpvas.data.reading import read_dataset
from bhpvas.heads import HeadMask
from bhpvas.model.classifier import load_classifier
from bhpvas.scheme.learnt import LearntSentences
from bhpvas.scheme.scheme import load_scheme
from bhpvas.search import METHODS, Proposal, propose
from bhpvas.tasks.single_label import SingleLabel
from tests.cli.conftest import run


def test_propose_writes_a_scheme_with_reasons(files, proposed):
    path, document = proposed
    scheme = load_scheme(path).matches(load_classifier(files[0]))
    expected = propose(load_classifier(files[0]), read_dataset(files[1]), "importance", heads=3)
    assert scheme.mask == expected.mask
    assert document["removed_heads"] == [str(head) for head in scheme.removed_heads]
    step = scheme.step(1)
    assert (step.what, step.method, step.seed) == ("remove", "importance", 0)
    assert step.settings["reasons"] == [[str(head), why] for head, why in expected.removals]
    assert document["reasons"] == step.settings["reasons"]
    assert step.settings["calibration"]["sentences"] == 12


def test_propose_respects_its_constraints(capsys, files, tmp_path):
    found = run(
        capsys, "propose", "--model", files[0], "--calibration", files[1], "--heads", "4",
        "--method", "fisher", "--protect", "L0H0,L0H1", "--min-per-layer", "1",
        "--out", str(tmp_path / "s.json"), "--sentences", "8", "--seed", "5",
    )  # fmt: skip
    assert not {"L0H0", "L0H1"} & set(found["removed_heads"])
    assert len(found["removed_heads"]) == 4
    assert found["protected"] == ["L0H0", "L0H1"]
    assert found["calibration"]["sentences"] == 8
    nothing = run(
        capsys, "propose", "--model", files[0], "--calibration", files[1], "--heads", "0",
        "--out", str(tmp_path / "none.json"),
    )  # fmt: skip
    assert nothing["removed_heads"] == []
    assert len(load_scheme(tmp_path / "none.json").steps) == 1


def test_the_help_names_the_methods_whose_file_holds_a_compensation():
    """By hand, since the registry imports torch."""
    (limit,) = [one for one in fields(Options) if one.name == "max_drop"]
    named = limit.metadata["help"].partition("as the file is written: by ")[2]
    made_for_it = sorted(name for name, one in METHODS.items() if one.for_compensation)
    assert named.startswith(f"{' and '.join(made_for_it)} with compensated weights")


@pytest.mark.parametrize(("method", "how"), [("fisher", "as masked"), ("shares", "compensated")])
def test_that_no_head_goes_within_a_drop_is_said(method: str, how: str) -> None:
    given = {"heads": 3, "max_drop": 0.02, "out": "s.json"}
    options = Options(**{one.name: given.get(one.name) for one in fields(Options)})
    start = HeadMask.parse("", 2, 4)
    found = Proposal(method, start, (), {}, 0, "a.tsv", 1040, LearntSentences.of([1]))
    assert lines(options, SingleLabel(("no", "yes")), found, None)[1:] == [
        f"No head goes: without the first one alone, {how}, the accuracy on the 1,040 sentences "
        "drops by more than 2 points."
    ]
