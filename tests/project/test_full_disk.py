"""Where nothing can be written: one sentence, no half file, and what was there stays."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bhpvas.cli import main
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.errors import LimitError, ModelError, SchemeError, WorkspaceError
from bhpvas.export import FORMATS, ExportError, export_model
from bhpvas.heads import parse_heads
from bhpvas.model.classifier import Classifier
from bhpvas.model.weights import Weights
from bhpvas.recovery import recover
from bhpvas.report import Report, ReportError, save
from bhpvas.scheme.bundle import SchemeFile, read_weights
from bhpvas.scheme.scheme import Scheme
from bhpvas.storage import files
from bhpvas.storage.paths import workspaces_folder
from bhpvas.ui.jobs import models
from bhpvas.ui.jobs.runner import JobRunner
from bhpvas.ui.persistence.workspaces import UNUSED, Workspaces, new_id
from bhpvas.ui.state.session import Session
from tests.folders import full_disk
from tests.ui.driver import SCRIPT, fine

FULL = "make room"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BHPVAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BHPVAS_CACHE", "off")


@pytest.fixture
def pruned(classifier: Classifier) -> Scheme:
    return Scheme.of(classifier).removing(parse_heads("L0H1,L1H2"))


@pytest.fixture
def fitted(classifier: Classifier, dataset: Dataset, pruned: Scheme) -> Weights:
    return recover(classifier, dataset, pruned.mask).weights


def listing(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_is_whole_or_not_there(
    classifier: Classifier, dataset: Dataset, pruned: Scheme, format: str, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    for room in (0, 1500, 20_000):  # config, tokenizer and weights in turn do not fit
        with full_disk(room), pytest.raises(ExportError, match=FULL):
            export_model(classifier, pruned, target / "made", format, dataset=dataset)
        assert listing(target) == set()


def test_a_scheme_its_weights_and_a_report_stay_as_they_were(
    pruned: Scheme, fitted: Weights, tmp_path: Path
) -> None:
    report = Report("<p>new</p>", None)  # type: ignore[arg-type]  # of which only the text is saved
    pruned.save(tmp_path / "scheme.json")
    (tmp_path / "report.html").write_text("old")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk():
        with pytest.raises(SchemeError, match=FULL):
            pruned.undone().save(tmp_path / "scheme.json")
        with pytest.raises(ModelError, match=FULL):
            fitted.save(tmp_path)
        with pytest.raises(ReportError, match=FULL):
            save(report, tmp_path / "report.html")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_weights_of_an_opened_scheme_need_room_to_be_looked_at(
    classifier: Classifier, pruned: Scheme, fitted: Weights, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    scheme = pruned.recovered(fitted.fingerprint, "compensate")
    file = SchemeFile(scheme, read_weights(scheme, tmp_path))
    with full_disk(), pytest.raises(SchemeError, match=FULL):
        file.checked(classifier, "mine.zip")
    assert file.checked(classifier, "mine.zip") == (fitted,)


@pytest.mark.parametrize(
    ("command", "out"),
    [
        (["propose", "--heads", "2", "--method", "random"], "scheme.json"),
        (["recover", "--scheme", "S"], "recovered.json"),
        (["recover", "--scheme", "S"], "recovered.zip"),
        (["compare", "S", "--random", "0"], "table.csv"),
        (["export", "--scheme", "S", "--format", "dense"], "folder"),
        (["report", "--scheme", "S", "--random", "0"], "report.html"),
        (["evaluate", "--scheme", "Z"], None),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
def test_a_command_says_it_in_a_line_and_leaves_nothing(
    command: list[str],
    out: str | None,
    classifier: Classifier,
    pruned: Scheme,
    fitted: Weights,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fitted.save(tmp_path)
    scheme = pruned.recovered(fitted.fingerprint, "compensate")
    scheme.save(tmp_path / "S")
    (tmp_path / "Z").write_bytes(SchemeFile(scheme, read_weights(scheme, tmp_path)).to_bytes())
    data = tmp_path / "data.csv"
    rows = [f"a {word} film,{label}" for word in ("good", "dull", "bad") for label in (0, 1)]
    data.write_text("\n".join(["text,label", *rows]))
    words = [str(tmp_path / word) if word in ("S", "Z") else word for word in command]
    words += ["--model", classifier.source]
    if command[0] not in ("propose", "recover"):
        words += ["--data", str(data)]
    if command[0] in ("propose", "recover", "report"):
        words += ["--calibration", str(data)]
    if out is not None:
        words += ["--out", str(tmp_path / "results" / out)]
    (tmp_path / "results").mkdir()
    before = listing(tmp_path)
    with full_disk():
        code = main.main(words)
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (2, 1), said
    assert FULL in said
    assert listing(tmp_path) == before


# --- the app's own files --------------------------------------------------------------------------


def test_a_job_that_meets_a_full_disk_ends_with_a_sentence(tmp_path: Path) -> None:
    def writing(_: Any) -> None:
        (tmp_path / "any").write_text("some")

    with full_disk(), JobRunner().watching("a", writing) as job:
        assert job.finished.wait(30)
    assert isinstance(job.error, LimitError)
    assert FULL in str(job.error)


def test_what_libraries_say_of_the_disk_is_understood() -> None:
    said = files.refused(Exception(f"Error: I/O error: no room (os error {errno.ENOSPC})"))
    assert said is not None and said.errno == errno.ENOSPC
    assert files.refused(Exception("shapes differ")) is None
    assert files.no_room(PermissionError(errno.EACCES, "Permission denied")) is None


@pytest.fixture
def app(classifier: Classifier, dataset: Dataset, pruned: Scheme) -> AppTest:
    data = Splits(dataset, dataset.take(range(10)), "by hand")
    found = AppTest.from_file(str(SCRIPT), default_timeout=120)
    found.session_state["bhpvas"] = Session(model=classifier.source, data=data, scheme=pruned)
    return found


def test_the_app_goes_on_says_it_and_keeps_all_once_there_is_room(
    app: AppTest, pruned: Scheme
) -> None:
    with full_disk():
        fine(app.run())
        assert "cannot be kept" in app.warning[0].value
    kept = Workspaces(workspaces_folder())
    assert kept.latest(1) == []
    fine(app.run())
    assert not app.warning
    (found,) = kept.latest(1)
    steps = found.content["scheme"]["steps"]
    assert [step["heads"] for step in steps] == [[], ["L0H1", "L1H2"]]


def test_weights_of_a_recovery_that_find_no_room_are_a_sentence(fitted: Weights) -> None:
    folder = models.weights_folder()
    with full_disk(), pytest.raises(ModelError, match=FULL):
        models.keep_weights(fitted)
    assert listing(folder) == set()
    assert models.keep_weights(fitted) == fitted.fingerprint


def test_weights_in_a_folder_that_is_only_read_are_read(
    classifier: Classifier, pruned: Scheme, fitted: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    scheme = pruned.recovered(models.keep_weights(fitted), "compensate")
    monkeypatch.setattr(os, "utime", refusing)
    session = Session(classifier.source, models.sample_data(), scheme)
    assert models.classifier_of(session, session.now).weights == fitted


def test_a_damaged_work_that_cannot_be_set_aside_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works, mine = Workspaces(tmp_path), new_id()
    path = tmp_path / f"{mine}.json"
    path.write_text("{")

    def refusing(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", refusing)
    with pytest.raises(WorkspaceError, match=f"damaged.*{path.name}"):
        works.read(mine)


def test_what_a_killed_server_left_half_written_leaves(tmp_path: Path) -> None:
    works = Workspaces(tmp_path)
    old, new = tmp_path / ".0123.tmp", tmp_path / ".4567.tmp"
    for path, age in ((old, UNUSED + 60), (new, 0)):
        path.write_bytes(b"half")
        then = path.stat().st_mtime - age
        os.utime(path, (then, then))
    works.tidy()
    assert listing(tmp_path) == {new}


def test_files_that_others_remove_meanwhile_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "there.json").touch()
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")  # seen, and no longer there
    assert list(files.files_of(tmp_path, "*.json")) == [tmp_path / "there.json"]
