"""Results on disk: found as they were, by all that decides them, and never in the way."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.cli import main
from bhpvas.criteria import CRITERIA, NEURON_CRITERIA, score
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.errors import BhpvasError
from bhpvas.evaluation.ablation import ablate
from bhpvas.evaluation.evaluation import evaluate, evaluate_progressively
from bhpvas.evaluation.widths import ablate_widths
from bhpvas.heads import HeadId, HeadMask
from bhpvas.interpret.align import sentences_of
from bhpvas.interpret.roles import find_roles
from bhpvas.interpret.sentence_map import Components, pca_map
from bhpvas.model.classifier import load_classifier
from bhpvas.model.result_key import result_key
from bhpvas.model.weights import Weights
from bhpvas.scheme.scheme import Scheme
from bhpvas.storage import results
from bhpvas.storage.paths import cache_folder
from bhpvas.storage.results import (
    COMPUTING,
    ResultKey,
    Results,
    code_version,
    kept_results,
    packed,
    unpacked,
)
from bhpvas.ui.jobs import runner
from bhpvas.ui.jobs.runner import Job, JobRunner
from bhpvas.ui.state.session import Session
from tests.folders import read_only
from tests.interpret.roles.hand_made import parse_of_words
from tests.project.test_architecture import imported
from tests.tiny import save_tiny

NAME = ResultKey("thing", "model", None, HeadMask(2, 4), ("data", "print"))
ROOT = Path(__file__).resolve().parents[2]


def other(number: int) -> ResultKey:
    return dataclasses.replace(NAME, what=f"thing {number}")


def same(one: Any, two: Any) -> None:
    """Assert that two values are of one type and equal to the last bit."""
    assert type(one) is type(two)
    if isinstance(one, np.ndarray):
        assert one.dtype == two.dtype and one.shape == two.shape
        assert one.tobytes() == two.tobytes()
        assert two.flags.writeable
    elif dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            same(getattr(one, field.name), getattr(two, field.name))
    elif isinstance(one, dict):
        same(list(one.items()), list(two.items()))
    elif isinstance(one, list | tuple):
        assert len(one) == len(two)
        for first, second in zip(one, two, strict=True):
            same(first, second)
    else:
        assert one == two or (one != one and two != two)


@pytest.fixture(scope="module")
def found(classifier, dataset) -> dict[str, Any]:
    """One result of every kind that is kept."""
    mask = classifier.full_mask().without([HeadId(0, 3)])
    states = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    components = Components.of(states)
    parses = [
        parse_of_words(words, [0, *range(len(words) - 1)], ["ROOT"] + ["det"] * (len(words) - 1))
        for words in (text.split() for text in dataset.texts)
    ]
    return {
        "scores": score(
            classifier, dataset, tuple(CRITERIA), neurons=tuple(NEURON_CRITERIA), mask=mask
        ),
        "ablation": ablate(classifier, dataset, mask),
        "widths": ablate_widths(classifier, dataset, mask),
        "evaluation": evaluate(classifier, dataset, mask),
        "part": next(evaluate_progressively(classifier, dataset, mask, first=4)),
        "components": (components, components.coordinates(states)),
        "map": pca_map(components.coordinates(states)),
        "roles": find_roles(
            classifier, dataset, sentences=sentences_of(classifier, dataset, parses)
        ),
    }


KINDS = ("scores", "ablation", "widths", "evaluation", "part", "components", "map", "roles")


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_comes_back_to_the_last_bit(found, kind, tmp_path):
    kept = Results(tmp_path)
    kept.put(NAME, found[kind])
    same(found[kind], Results(tmp_path).get(NAME))


def test_containers_and_numbers_come_back_as_they_were():
    value = {
        (1, "a"): [None, True, 0.1, float("inf"), float("nan"), "é\n", ("x",)],
        HeadId(1, 2): frozenset({HeadId(0, 1), HeadId(0, 0)}),
        "arrays": (np.zeros((0, 3), dtype=np.int16), np.array(True), np.eye(3)[::2].T),
    }
    same(value, unpacked(packed(value)))


def test_what_cannot_be_kept_is_our_mistake():
    with pytest.raises(TypeError, match="cannot be kept"):
        packed(object())


def test_nothing_is_made_twice(tmp_path):
    made: list[int] = []

    def make() -> int:
        made.append(1)
        return 7

    assert [Results(tmp_path).recall(NAME, make) for _ in "ab"] == [7, 7]
    assert len(made) == 1


# --- what names a result --------------------------------------------------------------------------


def test_whatever_decides_a_result_is_in_its_name(classifier, dataset, tmp_path, monkeypatch):
    kept, mask = Results(tmp_path), classifier.full_mask()
    name = result_key("scores", classifier, dataset, mask, names=("importance",))
    kept.put(name, 1)
    bias = classifier.model.classifier.bias
    changed = classifier.with_weights(Weights({"classifier.bias": bias + 1}))
    labels = 1 - dataset.labels
    others = {
        "another computation": result_key(
            "ablation", classifier, dataset, mask, names=("importance",)
        ),
        "other settings": result_key("scores", classifier, dataset, mask, names=("fisher",)),
        "another mask": result_key(
            "scores", classifier, dataset, mask.without([HeadId(0, 0)]), names=("importance",)
        ),
        "changed weights": result_key("scores", changed, dataset, mask, names=("importance",)),
        "weights named by their hash": result_key(
            "scores", classifier, dataset, mask, weights="f", names=("importance",)
        ),
        "other labels": result_key(
            "scores",
            classifier,
            dataclasses.replace(dataset, labels=labels),
            mask,
            names=("importance",),
        ),
        "another name of the data": result_key(
            "scores",
            classifier,
            dataclasses.replace(dataset, name="b"),
            mask,
            names=("importance",),
        ),
    }
    assert kept.get(name) == 1
    assert {case: kept.get(one) for case, one in others.items()} == dict.fromkeys(others)
    by_hash = result_key(
        "scores", classifier, dataset, mask, weights=changed.weights.fingerprint, names=("a",)
    )
    assert by_hash == result_key("scores", changed, dataset, mask, names=("a",))
    monkeypatch.setattr(results, "code_version", lambda: "another")
    assert kept.get(name) is None


def test_equal_masks_have_one_name_however_they_came_about(tmp_path):
    kept, heads = Results(tmp_path), [HeadId(1, head) for head in range(4)]
    kept.put(dataclasses.replace(NAME, mask=HeadMask(2, 4).without(heads)), 1)
    mask = HeadMask(2, 4)
    for head in reversed(heads):
        mask = mask.without([head])
    assert kept.get(dataclasses.replace(NAME, mask=mask)) == 1


def test_the_same_model_elsewhere_is_the_same_and_its_files_decide(tmp_path):
    one = load_classifier(save_tiny(tmp_path / "a")).identity
    assert load_classifier(save_tiny(tmp_path / "b")).identity == one
    assert load_classifier(tmp_path / "a", dtype="bfloat16").identity != one
    assert load_classifier(save_tiny(tmp_path / "c", seed=1)).identity != one
    file = tmp_path / "b" / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    tokenizer["normalizer"]["lowercase"] = False
    file.write_text(json.dumps(tokenizer))
    assert load_classifier(tmp_path / "b").identity != one


def test_the_code_version_follows_what_computes_and_no_label(tmp_path, monkeypatch):
    package = tmp_path / "bhpvas"
    sources = "heads.py criteria/fisher.py data/tables.py storage/results.py ui/frame.py"
    names = sources.split()
    for name in names:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("one = 1\n")
    monkeypatch.setattr(results, "__file__", str(package / "storage" / "results.py"))

    def version() -> str:
        code_version.cache_clear()
        return code_version()

    try:
        seen = [version()]
        (package / "ui" / "frame.py").write_text("one = 2\n")
        (package / "charts").mkdir()
        (package / "charts" / "labels.py").write_text("")
        assert version() == seen[0]
        for name in names[:-1]:
            (package / name).write_text("one = 2\n")
            seen.append(version())
        (package / "criteria" / "fisher.py").rename(package / "criteria" / "gradients.py")
        seen.append(version())
        monkeypatch.setattr(results, "versions", lambda *names: {"torch": "0"})
        seen.append(version())
        assert len(set(seen)) == len(seen) == 7
    finally:
        code_version.cache_clear()


def test_what_computes_imports_nothing_that_the_code_version_leaves_out():
    package = ROOT / "bhpvas"
    roots = {path.stem for path in package.glob("*.py")}
    for path in (path for name in COMPUTING for path in (package / name).rglob("*.py")):
        names = imported(path.read_text(encoding="utf-8"), path.relative_to(ROOT))
        used = {name.split(".")[1] for name in names if name.startswith("bhpvas.")}
        assert used <= {*COMPUTING} | roots | {"__version__"}, path


# --- the folder -----------------------------------------------------------------------------------

WRITER = """
import sys
import numpy as np
from bhpvas.storage.results import ResultKey, Results
from bhpvas.heads import HeadMask
kept = Results(sys.argv[1], 400_000)
for turn in range(60):
    for number in range(8):
        name = ResultKey(f"thing {number}", "model", None, HeadMask(2, 4), ("data", "print"))
        kept.put(name, np.full(10_000, number))
        found = kept.get(name)
        assert found is None or (found == number).all()
print(kept._complained)
"""


def test_two_processes_may_write_at_once(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in "ab"
    ]
    for writer in writers:
        said, complaint = writer.communicate(timeout=300)
        assert (writer.returncode, said.split(), complaint) == (0, [b"False"], b"")
    files = list(tmp_path.iterdir())
    assert {file.suffix for file in files} == {".result"}
    assert 0 < sum(file.stat().st_size for file in files) <= 400_000


def test_what_was_not_used_for_longest_leaves(tmp_path):
    kept = Results(tmp_path, most_bytes=3 * 9_000)
    for number in range(3):
        kept.put(other(number), np.zeros(1_000))
        used = 1_000_000 + number
        os.utime(kept._file(other(number)), (used, used))
    assert kept.get(other(0)) is not None
    kept.put(other(3), np.zeros(1_000))
    assert [kept.get(other(number)) is not None for number in range(4)] == [True, False, True, True]


def test_what_is_larger_than_all_room_drives_nothing_out(tmp_path):
    kept = Results(tmp_path, most_bytes=9_000)
    kept.put(other(0), np.zeros(1_000))
    kept.put(other(1), np.zeros(10_000))
    assert kept.get(other(0)) is not None and kept.get(other(1)) is None


def test_files_that_a_dead_process_left_are_swept_up(tmp_path):
    old, new, foreign = tmp_path / ".a.tmp", tmp_path / ".b.tmp", tmp_path / "notes.txt"
    for file in (old, new, foreign):
        file.write_text("half")
    os.utime(old, (1, 1))
    os.utime(foreign, (1, 1))
    Results(tmp_path).put(NAME, 1)
    assert (old.exists(), new.exists(), foreign.exists()) == (False, True, True)


DAMAGE = {
    "cut short": lambda content: content[: len(content) // 2],
    "one bit": lambda content: content[:90] + bytes([content[90] ^ 1]) + content[91:],
    "something else": lambda content: b"<html>",
    "nothing": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_said_removed_and_made_anew(tmp_path, caplog, damage):
    kept = Results(tmp_path)
    kept.put(NAME, np.arange(9))
    (file,) = tmp_path.iterdir()
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert kept.get(NAME) is None
    assert str(file) in caplog.text and len(caplog.records) == 1
    assert not file.exists()
    assert (kept.recall(NAME, lambda: np.arange(9)) == np.arange(9)).all()


@pytest.fixture
def unusable(tmp_path: Path) -> Path:
    """A folder that cannot be made: root may write to what is read-only, but not into a file."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "folder"


def test_a_folder_that_cannot_be_used_is_said_once_and_no_more(unusable, caplog):
    kept = Results(unusable)
    with caplog.at_level(logging.WARNING):
        assert [kept.recall(other(number), lambda: 7) for number in range(3)] == [7, 7, 7]
    assert len(caplog.records) == 1 and str(unusable) in caplog.text


def test_a_read_only_folder_is_still_read(tmp_path, caplog, monkeypatch):
    Results(tmp_path).put(NAME, 7)
    read_only(monkeypatch, tmp_path)
    kept = Results(tmp_path)
    assert (kept.get(NAME), kept.recall(other(1), lambda: 8)) == (7, 8)
    assert len(caplog.records) == 1


def test_a_full_disk_is_said_once_and_leaves_nothing(tmp_path, caplog, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    kept = Results(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    assert [kept.recall(other(number), lambda: 7) for number in range(3)] == [7, 7, 7]
    assert len(caplog.records) == 1 and "No space left on device" in caplog.text
    assert list(tmp_path.iterdir()) == []


# --- where it is ----------------------------------------------------------------------------------


def test_the_environment_chooses_the_folder_or_none(tmp_path, monkeypatch):
    monkeypatch.setenv("BHPVAS_CACHE", str(tmp_path))
    monkeypatch.setenv("BHPVAS_CACHE_MB", "5")
    assert (kept_results().folder, kept_results().most_bytes) == (tmp_path, 5_000_000)
    monkeypatch.setenv("BHPVAS_CACHE", "OFF")
    assert kept_results().folder is None
    monkeypatch.delenv("BHPVAS_CACHE")
    assert kept_results().folder == cache_folder() / "results"
    monkeypatch.setenv("BHPVAS_CACHE_MB", "much")
    with pytest.raises(BhpvasError, match="BHPVAS_CACHE_MB is 'much'"):
        kept_results()


@pytest.mark.skipif(sys.platform != "linux", reason="the convention of Linux")
def test_the_folder_is_that_of_the_system(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "bhpvas"


def test_off_finds_and_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = Results(None)
    kept.put(NAME, 1)
    assert kept.get(NAME) is None and list(tmp_path.iterdir()) == []


# --- who uses it ----------------------------------------------------------------------------------


def test_a_runner_finds_what_another_has_kept(tmp_path):
    def work(job: Job) -> int:
        return 7

    jobs = JobRunner(kept=Results(tmp_path))
    for key in (NAME, "only in memory"):
        with jobs.watching(key, work) as job:
            assert job.finished.wait(30)
    while not list(tmp_path.glob("*.result")):  # kept once whoever watched has the answer
        time.sleep(0.01)
    again = JobRunner(kept=Results(tmp_path))
    assert (again.result(NAME), again.result("only in memory")) == (7, None)
    (file,) = tmp_path.iterdir()
    file.unlink()
    assert again.result(NAME) == 7


def opened(folder: Path, dataset: Dataset) -> AppTest:
    """The app on a tiny model, by a server that has just started, with everything measured."""
    runner.shared.clear()
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
    app.session_state["bhpvas"] = Session(
        model=str(folder),
        data=Splits(dataset, dataset, "by hand"),
        scheme=Scheme.of(load_classifier(folder)),
    )
    return app.run()


def test_the_app_shows_at_once_what_an_earlier_server_measured(tmp_path, dataset, monkeypatch):
    monkeypatch.setenv("BHPVAS_CACHE", str(tmp_path / "kept"))
    folder = save_tiny(tmp_path / "model")
    try:
        app = opened(folder, dataset)
        shown = [one.value for one in app.html]
        assert not app.exception
        assert any("Accuracy</span>" in one and "% " in one for one in shown)
        while len(list((tmp_path / "kept").glob("*.result"))) < 2:
            time.sleep(0.01)
        for function in ("criteria.score", "evaluation.evaluation.evaluate_progressively"):
            monkeypatch.setattr(f"bhpvas.{function}", None)
        app = opened(folder, dataset)
        assert [one.value for one in app.html] == shown
        assert not app.exception
        monkeypatch.setenv("BHPVAS_CACHE", "off")
        assert opened(folder, dataset).exception  # since it has to compute
    finally:
        runner.shared.clear()


@pytest.fixture
def model(tmp_path, dataset) -> list[str]:
    """A tiny model's folder and a labelled file, as options of a command."""
    save_tiny(tmp_path / "model")
    rows = [f"{text}\t{label}" for text, label in zip(dataset.texts, dataset.labels, strict=True)]
    (tmp_path / "data.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    return ["--model", str(tmp_path / "model"), "--data", str(tmp_path / "data.tsv")]


COMMANDS = {
    "score": ("bhpvas.criteria.score", ["--criteria", "all"]),
    "ablate": ("bhpvas.evaluation.ablation.ablate", []),
    "evaluate": ("bhpvas.evaluation.evaluation.evaluate", ["--remove", "L0H3"]),
    "roles": ("bhpvas.interpret.roles.find_roles", ["--min-count", "2"]),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_the_same_without_computing(command, model, tmp_path, monkeypatch, capsys):
    function, more = COMMANDS[command]
    call = [command, *model, *more, "--json"]

    def said(*options: str) -> str:
        assert main.main([*call, *options]) == 0
        return capsys.readouterr().out

    monkeypatch.setenv("BHPVAS_CACHE", str(tmp_path / "kept"))
    fresh = said("--no-cache")
    assert not (tmp_path / "kept").exists()
    assert said() == fresh
    assert list((tmp_path / "kept").iterdir())
    monkeypatch.setattr(function, None)
    assert said() == fresh
    with pytest.raises(TypeError):
        said("--no-cache")
    with pytest.raises(TypeError):
        said(*(["--remove", "L1H1"] if command != "roles" else ["--min-count", "3"]))
