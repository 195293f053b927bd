"""Memory that is free, and what a person reads where it does not suffice."""

from __future__ import annotations

import gc
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bhpvas.cli import main
from bhpvas.data.dataset import Dataset, Splits
from bhpvas.errors import LimitError, ModelError
from bhpvas.heads import parse_heads
from bhpvas.model import engine, memory
from bhpvas.model.classifier import load_classifier
from bhpvas.model.config import read_files, read_info
from bhpvas.recovery import recover
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.jobs import measuring, models
from bhpvas.ui.jobs.runner import Job, JobRunner
from bhpvas.ui.state.session import Session, Variant
from tests.tiny import save_tiny
from tests.ui.driver import open_app, open_dialog, session, use

KB, GB = 1024, 2**30
#: No machine has so much, so the system refuses it at once.
ENDLESS = 2**60


def system(root: Path, files: dict[str, str]) -> Path:
    """A root folder whose system says this."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


MACHINE = {"proc/meminfo": f"MemTotal: 9 kB\nMemAvailable: {8 * GB // KB} kB\nHugePages_Free: 0\n"}


def group(folder: str, most: str, used: int, *, version: int = 2) -> dict[str, str]:
    """A control group that has taken so many GB, one of which the system can take back."""
    names = {
        2: ("memory.max", "memory.current", "inactive_file"),
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    }[version]
    content = (f"{most}\n", f"{used * GB}\n", f"anon 7\n{names[2]} {GB}\n")
    files = (*names[:2], "memory.stat")
    return {
        f"sys/fs/cgroup/{folder}/{name}": text for name, text in zip(files, content, strict=True)
    }


def test_free_is_what_the_machine_has(tmp_path: Path) -> None:
    assert memory.available(system(tmp_path, MACHINE)) == 8 * GB


def test_nobody_knows_where_the_system_does_not_say(tmp_path: Path) -> None:
    assert memory.available(tmp_path) is None


@pytest.mark.parametrize(
    ("said", "groups", "left"),
    [
        ("0::/mine\n", group("mine", str(4 * GB), 2), 3),
        ("0::/mine/inner\n", group("mine/inner", "max", 2) | group("mine", str(2 * GB), 2), 1),
        ("0::/\n", group("", str(9 * GB), 7), 3),
        ("0::/mine\n", group("mine", "max", 2), 8),
        ("0::/mine\n", group("mine", str(2 * GB), 9), 0),
        ("5:cpu,memory:/far\n0::/\n", group("memory", str(4 * GB), 3, version=1), 2),
        ("4:cpu:/mine\n", group("memory/mine", str(GB), 1, version=1), 8),
    ],
)
def test_a_container_may_leave_less(
    tmp_path: Path, said: str, groups: dict[str, str], left: int
) -> None:
    root = system(tmp_path, MACHINE | {"proc/self/cgroup": said} | groups)
    assert memory.available(root) == left * GB


def test_this_system_says_something_sensible_or_nothing() -> None:
    found = memory.available()
    assert (found is not None) == (sys.platform == "linux")
    assert found is None or 2**20 < found < 2**50


# --- a model that is too large --------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "tiny")


def free(monkeypatch: pytest.MonkeyPatch, count: int | None) -> None:
    monkeypatch.setattr("bhpvas.model.files.available", lambda: count)


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("bfloat16", 2)])
def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, size: int
) -> None:
    needed = size * read_info(folder).geometry.parameters
    free(monkeypatch, needed)
    load_classifier(folder, dtype=dtype)
    free(monkeypatch, needed - 1)
    with monkeypatch.context() as loading:
        loading.setattr("transformers.AutoModelForSequenceClassification.from_pretrained", None)
        with pytest.raises(ModelError, match=r"'tiny' take 0 MB of memory, and 0 MB are free"):
            load_classifier(folder, dtype=dtype)
    free(monkeypatch, None)
    load_classifier(folder, dtype=dtype)


def test_the_sentence_names_both_sizes_and_the_command_ends_with_2(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "bhpvas.model.classifier.read_files",
        lambda *given: replace(read_files(*given), numbers=3_000_000_000),
    )
    free(monkeypatch, 2_500_000_000)
    assert main.main(["evaluate", "--model", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "take 12,000 MB of memory, and 2,500 MB are free here: choose a smaller model" in said


def test_memory_that_runs_out_while_loading_is_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def filling(*_: Any, **__: Any) -> None:
        torch.empty(ENDLESS, dtype=torch.uint8)

    monkeypatch.setattr("transformers.AutoModelForSequenceClassification.from_pretrained", filling)
    with pytest.raises(ModelError, match="'tiny' does not fit into the memory"):
        load_classifier(folder)


@pytest.mark.parametrize("hosted", [False, True])
def test_the_app_says_it_and_stays_as_it_was(
    folder: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hosted: bool
) -> None:
    monkeypatch.setenv("BHPVAS_HOME", str(tmp_path / "home"))
    small, large = str(folder), str(save_tiny(tmp_path / "large", seed=1))
    if hosted:
        monkeypatch.setenv("BHPVAS_HOSTED", "1")
        monkeypatch.setenv("BHPVAS_MODELS", f"{small},{large}")
    scheme = Scheme.of(models.classifier_named(small)).removing(parse_heads("L0H1"))
    app = open_app(Session(small, Splits(dataset, dataset, "by hand"), scheme))
    before = session(app).scheme
    open_dialog(app)
    if hosted:
        app.selectbox(key="model-offered").set_value(large)
    else:
        app.text_input(key="model-id").set_value(large)
    free(monkeypatch, 1000)
    use(app)
    (error,) = app.error
    assert "'large' take 0 MB of memory, and 0 MB are free here" in error.value
    assert session(app).scheme == before
    free(monkeypatch, None)
    use(app)
    assert session(app).model == large


# --- work that takes too much ---------------------------------------------------------------------


def of_torch(*_: Any) -> None:
    torch.empty(ENDLESS, dtype=torch.uint8)


def of_numpy(*_: Any) -> None:
    np.zeros(ENDLESS, dtype=np.uint8)


@pytest.mark.parametrize("much", [of_torch, of_numpy])
def test_a_job_without_memory_ends_with_a_sentence_and_the_next_one_works(much: Any) -> None:
    jobs = JobRunner()
    with jobs.watching("much", much) as job:
        assert job.finished.wait(30)
    assert isinstance(job.error, LimitError)
    assert "more memory than is free" in str(job.error)
    with jobs.watching("little", lambda job: "done") as job:
        assert job.finished.wait(30)
    assert job.result == "done"


def test_what_a_job_without_memory_held_is_free_at_once() -> None:
    held = []

    def much(job: Job) -> None:
        large = np.zeros(3)
        held.append(weakref.ref(large))
        of_numpy(large)

    gc.disable()
    try:
        jobs = JobRunner()
        with jobs.watching("much", much) as job:
            assert job.finished.wait(30)
        assert held[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("much", [of_torch, of_numpy])
def test_a_command_without_memory_ends_with_a_sentence(
    much: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bhpvas.cli.info.run", much)
    assert main.main(["info"]) == 2
    assert "more memory than is free" in capsys.readouterr().err


def test_other_errors_stay_what_they_are() -> None:
    assert memory.limit_error(RuntimeError("shapes differ")) is None
    assert memory.limit_error(ValueError("no")) is None


# --- models that stay in memory -------------------------------------------------------------------


def test_of_three_models_the_least_used_leaves_with_all_that_belongs_to_it(
    tmp_path: Path, dataset: Dataset
) -> None:
    models._loaded.clear()
    first, second, third = (str(save_tiny(tmp_path / str(n), seed=n)) for n in range(3))
    scheme = Scheme.of(models.classifier_named(second)).removing(parse_heads("L0H1"))
    fitted = recover(models.classifier_named(second), dataset, scheme.mask).weights
    scheme = scheme.recovered(models.keep_weights(fitted), "compensate")
    mine = Session(second, models.sample_data(), scheme)
    changed = models.classifier_of(mine, Variant(scheme.mask, fitted.fingerprint))
    states = measuring._states()
    engine.predict(changed, changed.encode(dataset), scheme.mask, cache=states)
    assert states._entries.used
    leaving = [changed, changed.model, models.classifier_named(second).model]
    leaving += [next(changed.model.parameters())]
    left = [weakref.ref(one) for one in leaving]
    used = weakref.ref(models.classifier_named(first))
    del changed, leaving, fitted
    # As the runner does it: what is frozen is never looked at again, so nothing may need that.
    gc.collect()
    gc.freeze()
    try:
        models.classifier_named(first)
        models.classifier_named(third)
        assert used() is not None
        assert [one() for one in left] == [None] * len(left)
    finally:
        gc.unfreeze()
