"""What chose the heads never measures them unsaid: every command that measures counts, and says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bhpvas.cli.main import main
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import load_classifier
from bhpvas.model.engine import predict
from bhpvas.scheme.scheme import Scheme
from tests.cli.conftest import run
from tests.tiny import many_sentences, save_tiny

#: Sentences of either half.
HALF = 40
ALL = f"All {HALF} sentences were learnt from (choice of heads by importance)"
PART = f"{HALF} of the {2 * HALF} sentences were learnt from (choice of heads by importance)"


@dataclass(frozen=True)
class World:
    """A tiny model, and files of sentences: two halves, both, and one half written otherwise."""

    folder: Path

    @property
    def model(self) -> list[str]:
        return ["--model", str(self.folder / "model")]

    def data(self, name: str) -> list[str]:
        return [*self.model, "--data", self.path(f"{name}.tsv")]

    def calibration(self, name: str) -> list[str]:
        return [*self.model, "--calibration", self.path(f"{name}.tsv")]

    def path(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    found = World(tmp_path_factory.mktemp("learnt"))
    classifier = load_classifier(save_tiny(found.folder / "model", seed=1))  # gives both answers
    texts = tuple(dict.fromkeys(many_sentences(400).texts))[: 2 * HALF]
    labels = predict(classifier, classifier.encode_texts(texts), classifier.full_mask()).argmax(1)
    labels = np.where(np.arange(2 * HALF) % 8, labels, 1 - labels)
    rows = [f"{text}\t{label}" for text, label in zip(texts, labels, strict=True)]
    otherwise = [row.upper().replace(" ", "  ") for row in rows[:HALF]]
    parts = {"a": rows[:HALF], "b": rows[HALF:], "ab": rows, "shouted": otherwise}
    for name, some in parts.items():
        Path(found.path(f"{name}.tsv")).write_text("\n".join(["sentence\tlabel", *some]) + "\n")
    search = ["propose", "--method", "importance", "--heads", "3", *found.calibration("a")]
    assert main([*search, "--out", found.path("chosen.json")]) == 0
    return found


def evaluated(capsys, world: World, data: str, scheme: str = "chosen.json") -> tuple[dict, str]:
    """What `evaluate` prints of a scheme, as JSON and as lines."""
    words = ["evaluate", *world.data(data), "--scheme", world.path(scheme)]
    found = run(capsys, *words)
    assert main(words) == 0
    return found, capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "learnt", "said"),
    [
        ("a", HALF, f"warning     {ALL}, so the accuracy may look better than it is. Measure on"),
        ("b", 0, f"learnt from none of the {HALF} sentences"),
        (
            "ab",
            HALF,
            f"warning     {PART}, so the accuracy may look better than it is. On the 40 oth",
        ),
        ("shouted", HALF, f"warning     {ALL}"),
    ],
)
def test_evaluate_counts_what_chose_the_heads(capsys, world, data, learnt, said):
    found, lines = evaluated(capsys, world, data)
    assert found["learnt_from"] == learnt and said in lines
    assert ("warning" in lines) == (learnt > 0)
    if data == "ab":  # the others are the other half, measured alone
        others, _ = evaluated(capsys, world, "b")
        names = ("n", "accuracy", "accuracy_interval", "accuracy_change")
        assert found["unseen"] == {name: others[name] for name in names}
    else:
        assert found["unseen"] is None


def test_without_a_scheme_nothing_was_learnt_and_nothing_is_said(capsys, world):
    for remove in ([], ["--remove", "L0H1"]):
        found = run(capsys, "evaluate", *world.data("a"), *remove)
        assert (found["learnt_from"], found["unseen"]) == (0, None)
        assert main(["evaluate", *world.data("a"), *remove]) == 0
        assert "learnt" not in capsys.readouterr().out


def test_a_file_that_does_not_hold_its_sentences_is_not_taken_for_one_without(
    capsys, world, tmp_path
):
    document = json.loads(Path(world.path("chosen.json")).read_text())
    del document["fingerprints"], document["steps"][1]["learnt_from"]
    (tmp_path / "old.json").write_text(json.dumps(document))
    found, lines = evaluated(capsys, world, "b", str(tmp_path / "old.json"))
    assert (found["learnt_from"], found["unseen"]) == (None, None)
    assert f"learnt from nobody knows how many of the {HALF} sentences" in lines
    assert "warning     The scheme does not hold which sentences were learnt from (choice" in lines


def test_what_was_drawn_learnt_from_nothing(capsys, world, tmp_path):
    out = ["--out", str(tmp_path / "drawn.json")]
    search = ["propose", "--method", "random", "--heads", "2", *world.calibration("a")]
    assert main([*search, *out]) == 0
    assert "removed by random, learnt from no sentence; written" in capsys.readouterr().out
    found, _ = evaluated(capsys, world, "a", str(tmp_path / "drawn.json"))
    assert found["learnt_from"] == 0


@pytest.mark.parametrize("method", ["compensate", "finetune"])
def test_recover_counts_what_earlier_steps_learnt_from_and_keeps_its_own(
    capsys, world, tmp_path, method
):
    for data, earlier, altogether in (("a", HALF, HALF), ("b", 0, 2 * HALF)):
        out = str(tmp_path / f"{data}.json")
        words = ["recover", "--scheme", world.path("chosen.json"), "--method", method]
        words += [*world.calibration(data), "--out", out]
        assert run(capsys, *words)["learnt_from"] == earlier
        assert main(words) == 0
        said = f"{ALL}, so what is said of held-out ones may look better than it is. Measure on"
        assert (f"warning     {said}" in capsys.readouterr().out) == (earlier > 0)
        found, lines = evaluated(capsys, world, "ab", out)
        assert found["learnt_from"] == altogether
        assert f"weights by {method}" in lines


def test_compare_says_it_of_every_scheme(capsys, world, tmp_path):
    drawn = str(tmp_path / "drawn.json")
    search = ["propose", "--method", "random", "--heads", "2", *world.calibration("a")]
    assert run(capsys, *search, "--out", drawn)["weights"] is None
    chosen, table = world.path("chosen.json"), tmp_path / "table.csv"
    words = ["compare", drawn, chosen, *world.data("ab"), "--random", "0", "--out", str(table)]
    rows = run(capsys, *words)["rows"]
    assert [row["learnt_from"] for row in rows] == [0, 0, HALF]
    alone, _ = evaluated(capsys, world, "ab")
    assert [row["unseen"] for row in rows] == [None, None, alone["unseen"]]
    last = pd.read_csv(table).iloc[-1]
    low, high = alone["unseen"]["accuracy_interval"]
    assert last[["learnt_from", "unseen_sentences"]].tolist() == [HALF, HALF]
    assert last[
        ["unseen_accuracy", "unseen_accuracy_low", "unseen_accuracy_high", "unseen_change"]
    ].tolist() == pytest.approx(
        [alone["unseen"]["accuracy"], low, high, alone["unseen"]["accuracy_change"]["change"]]
    )
    assert main(words) == 0
    warnings = [one for one in capsys.readouterr().out.splitlines() if one.startswith("warning")]
    (warning,) = warnings
    assert warning.startswith(f"warning     {chosen}: {PART}, so the accuracy may look")


def test_an_export_says_it_on_its_card_and_is_not_fresh_itself(capsys, world, tmp_path):
    words = ["export", "--scheme", world.path("chosen.json"), "--format", "transformers"]
    for data, learnt, said in (("ab", HALF, PART), ("b", 0, f"none of the {HALF} sentences was")):
        folder = tmp_path / data
        found = run(capsys, *words, *world.data(data), "--out", str(folder))
        alone, _ = evaluated(capsys, world, data)
        assert (found["learnt_from"], found["unseen"]) == (learnt, alone["unseen"])
        card = (folder / "README.md").read_text()
        assert said in card and "as long as" not in card
        assert f", learnt from {HALF} different sentences of a.tsv)" in card
    # The folder is a model, and what made it does not measure it unsaid either.
    smaller = ["--model", str(tmp_path / "ab")]
    for data, learnt in (("a", HALF), ("ab", HALF), ("b", 0)):
        words = ["evaluate", *smaller, *world.data(data)[2:]]
        found = run(capsys, *words)
        assert found["learnt_from"] == learnt
        assert (found["unseen"] is not None) == (data == "ab")
        assert main(words) == 0
        said = "were learnt from (making of this model), so the accuracy"
        assert (said in capsys.readouterr().out) == (learnt > 0)
    # Nor does a scheme that prunes it further, by hand.
    further = str(tmp_path / "further.json")
    Scheme.of(load_classifier(smaller[1])).removing(parse_heads("L0H0,L0H1,L0H2")).save(further)
    words = ["compare", further, *smaller, *world.data("ab")[2:], "--random", "0"]
    rows = run(capsys, *words, "--out", str(tmp_path / "table.csv"))["rows"]
    assert [row["learnt_from"] for row in rows] == [HALF, HALF]
    assert rows[0]["unseen"]["accuracy_change"] is None  # it is what the others are compared with
    assert rows[1]["unseen"]["n"] == HALF
    # An export of a scheme that holds no sentences: nobody knows.
    path = tmp_path / "ab" / "scheme" / "scheme.json"
    document = json.loads(path.read_text())
    del document["fingerprints"], document["steps"][1]["learnt_from"]
    for text in (json.dumps(document), "no scheme at all"):
        path.write_text(text)
        assert run(capsys, "evaluate", *smaller, *world.data("b")[2:])["learnt_from"] is None


def test_a_report_says_it_beside_the_accuracy(capsys, world, tmp_path):
    words = ["report", "--scheme", world.path("chosen.json"), "--random", "0"]
    alone, _ = evaluated(capsys, world, "ab")
    for calibration, data, learnt, shared in (
        ("shouted", "ab", HALF, HALF),
        ("a", "b", 0, 0),
        ("b", "shouted", HALF, 0),
    ):
        out = tmp_path / "report.html"
        more = ["--calibration", world.path(f"{calibration}.tsv"), "--out", str(out)]
        found = run(capsys, *words, *world.data(data), *more)
        assert (found["learnt_from"], found["shared_sentences"]) == (learnt, shared)
        if data == "ab":
            assert found["unseen"] == alone["unseen"]
        page = out.read_text(encoding="utf-8")
        said = ALL if data != "ab" else PART
        assert (said in found["summary"][1]) == (learnt > 0)
        fresh = "The scheme learnt from none of these sentences."
        assert (fresh in found["summary"][1]) == (learnt == 0)
        assert ("and nothing learns from it" in page) == (learnt == shared == 0)
        assert ("are calibration sentences as well" in page) == (shared > 0)
        assert (f"{learnt} of the {found['after']['n']} sentences learnt from" in page) == (
            learnt > 0
        )


@pytest.mark.parametrize("ending", [".json", ".zip"])
def test_the_drop_asked_for_is_that_of_the_file(capsys, world, tmp_path, ending):
    """Measured by `evaluate` on the sentences that it was asked of, of what was written."""
    search = ["propose", "--heads", "6", *world.calibration("ab")]
    for drop in (0.1, 0.2):
        out = str(tmp_path / f"{drop}{ending}")
        found = run(capsys, *search, "--max-drop", str(drop), "--out", out)
        change = evaluated(capsys, world, "ab", out)[0]["accuracy_change"]["change"]
        assert found["removed_heads"] and -change <= drop + 1e-9
        assert Path(found["weights"]).suffix == (".zip" if ending == ".zip" else ".safetensors")
        heads = ["--remove", ",".join(found["removed_heads"])]
        masked = run(capsys, "evaluate", *world.data("ab"), *heads)["accuracy_change"]["change"]
        assert -masked > drop  # so a file without the compensation would not keep it
    assert main([*search, "--max-drop", "0.1", "--out", out]) == 0
    said = f"holds on the {2 * HALF} sentences as the scheme is written: with compensation"
    assert said in capsys.readouterr().out


def test_what_is_not_compensated_yet_is_said(capsys, world, tmp_path):
    out = str(tmp_path / "s.json")
    search = ["propose", "--heads", "2", *world.calibration("a"), "--out", out]
    assert main(search) == 0
    assert f"bhpvas recover --scheme {out} --out" in capsys.readouterr().out
    assert main([*search, "--method", "importance", "--max-drop", "0.5"]) == 0
    said = capsys.readouterr().out
    assert "as the scheme is written: as masked." in said and "bhpvas recover" not in said
    assert run(capsys, *search, "--method", "importance")["weights"] is None
