"""docs/architecture.md, followed to the letter: its walk adds a criterion to a copy of the package.

And what it says of the layers names every module that there is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bhpvas.model.classifier import load_classifier
from tests.conftest import tiny_dataset
from tests.project.test_architecture import PACKAGES
from tests.reference import head_outputs
from tests.tiny import save_tiny

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

_IN_THE_APP = """
import sys
from pathlib import Path
from streamlit.testing.v1 import AppTest
from bhpvas.criteria import CRITERIA
from bhpvas.model.classifier import load_classifier
from bhpvas.data.dataset import Splits
from bhpvas.scheme.scheme import Scheme
from bhpvas.ui.state.session import Session
from tests.conftest import tiny_dataset

model, name = sys.argv[1:]
app = AppTest.from_file(str(Path("streamlit_app.py").resolve()), default_timeout=120)
data = tiny_dataset()
app.session_state["bhpvas"] = Session(
    model=model, data=Splits(data, data, "by hand"), scheme=Scheme.of(load_classifier(model))
)
app.run()
assert not app.exception and not app.error, [one.value for one in (*app.exception, *app.error)]
app.selectbox(key="colour").set_value(name).run()
assert not app.exception, app.exception[0].value
assert any(one.value.startswith("Bright: what the head puts out") for one in app.caption)
(table,) = [one.value for one in app.dataframe if name in one.value]
print(",".join(f"{value:.6f}" for value in table.set_index("head").sort_index()[name]))
app.switch_page("pages/learn.py").run()
app.segmented_control(key="learn-view").set_value("Criteria").run()
app.selectbox(key="learn-criterion").set_value(name).run()
assert not app.exception, app.exception[0].value
assert any(CRITERIA[name].formula in one.value for one in app.latex)
"""


def block(language: str) -> str:
    """The one code block of the page in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout on which steps 1 and 2 were done, with a tiny model and data."""
    copy = tmp_path_factory.mktemp("walk")
    for name in ("bhpvas", "pages", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "streamlit_app.py", copy)
    (copy / "sample_data").symlink_to(ROOT / "sample_data")
    (place,) = re.findall(r"\A# (\S+)\n", block("python"))
    assert not (copy / place).exists()
    (copy / place).write_text(block("python"), encoding="utf-8")
    apply = ["git", "apply", "--recount", "-"]
    subprocess.run(apply, cwd=copy, input=block("diff"), text=True, check=True)
    save_tiny(copy / "model")
    data = tiny_dataset()
    rows = [f"{text}\t{label}" for text, label in zip(data.texts, data.labels, strict=True)]
    (copy / "data.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    return copy


def run(walked: Path, *command: str) -> str:
    """What a Python command prints in the copy."""
    environment = os.environ | {"PYTHONPATH": str(walked)}
    done = subprocess.run(
        [sys.executable, *command], cwd=walked, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def expected(walked: Path) -> np.ndarray:
    """The new criterion by the slow, obvious way: one sentence at a time, ``[L, H]``."""
    classifier = load_classifier(walked / "model")
    lengths = [
        np.linalg.norm(head_outputs(classifier, text), axis=-1).mean(-1)
        for text in tiny_dataset().texts
    ]
    return np.mean(lengths, 0)


@pytest.mark.slow
def test_the_command_line_scores_the_new_criterion(walked: Path, expected: np.ndarray) -> None:
    asked = ["--model", "model", "--data", "data.tsv", "--criteria", "loudness", "--json"]
    found = json.loads(run(walked, "-m", "bhpvas", "score", *asked))["criteria"]["loudness"]
    assert found["higher_means"] == "keep"
    np.testing.assert_allclose(found["values"], expected, rtol=1e-4)


@pytest.mark.slow
def test_it_orders_removals(walked: Path, expected: np.ndarray) -> None:
    asked = ["--model", "model", "--calibration", "data.tsv", "--heads", "1", "--method"]
    run(walked, "-m", "bhpvas", "propose", *asked, "loudness", "--out", "scheme.json")
    (_, step) = json.loads((walked / "scheme.json").read_text())["steps"]
    layer, head = np.unravel_index(expected.argmin(), expected.shape)
    assert step["heads"] == [f"L{layer}H{head}"]


@pytest.mark.slow
def test_the_app_shows_it_with_its_values_and_teaches_it(
    walked: Path, expected: np.ndarray
) -> None:
    said = run(walked, "-c", _IN_THE_APP, "model", "loudness").split()[-1]
    np.testing.assert_allclose([*map(float, said.split(","))], expected.ravel(), rtol=1e-3)


def test_the_copy_keeps_the_rules_of_the_house(walked: Path) -> None:
    from tests.project.test_architecture import faults

    for name in ("loudness", "scoring"):
        path = Path("bhpvas", "criteria", f"{name}.py")
        assert faults((walked / path).read_text(encoding="utf-8"), path) == []
    subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--config",
            str(ROOT / "pyproject.toml"),
            "bhpvas/criteria",
        ],
        cwd=walked,
        check=True,
        capture_output=True,
    )


def test_the_commands_of_the_page_are_those_that_are_tested() -> None:
    lines = block("bash").splitlines()
    assert [line.split()[1] for line in lines] == ["score", "propose", "app"]


def test_the_page_names_only_modules_that_there_are() -> None:
    named = {*re.findall(r"`([\w/]+\.py)`", PAGE)}
    assert len(named) > 12
    for one in named:
        assert (ROOT / one).exists() or (ROOT / "bhpvas" / one).exists(), one


@pytest.mark.parametrize("where", ["picture", "page"])
def test_picture_and_page_name_every_room(where: str) -> None:
    picture = (ROOT / "docs" / "images" / "architecture.svg").read_text(encoding="utf-8")
    text = picture if where == "picture" else PAGE
    for name in (*PACKAGES, "pages", "heads", "stats"):
        assert re.search(rf"\b{name.rpartition('.')[2]}\b", text), name
