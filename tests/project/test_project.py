"""What stands around the code: the commands that README shows, and what a wheel carries."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_readme_shows_each_command_once_and_ci_finds_the_second() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    install = "python3.11 -m venv .venv && .venv/bin/pip install -c constraints.txt -e "
    assert lines.count(install + ". && .venv/bin/bhpvas app") == 1
    assert [line for line in lines if "'.[dev]'" in line] == [
        install + "'.[dev]' && .venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder"
    ]


@pytest.mark.slow
def test_a_wheel_carries_the_sample_data_and_the_app(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    # With -c the folder that Python runs in is searched before the installed packages.
    code = (
        "from bhpvas.data.reading import sample_splits\n"
        "from bhpvas.storage.paths import app_script, sample_data_folder\n"
        "print(sample_data_folder(), app_script().parent, len(sample_splits().evaluation))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=installed, check=True, capture_output=True, text=True
    )
    app = installed / "bhpvas" / "app"
    assert done.stdout.split() == [str(app / "sample_data"), str(app), "480"]
    assert (app / "streamlit_app.py").is_file()
    assert (app / "sample_data" / "model" / "model.safetensors").is_file()
    assert (app / "pages" / "workbench.py").is_file()
    assert (installed / "bhpvas" / "py.typed").is_file()
