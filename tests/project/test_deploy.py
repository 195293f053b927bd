"""What a deployment reads: the Dockerfile, what goes into the image, and requirements.txt."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bhpvas.cli.main import main
from hatch_build import SHIPPED

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def health(port: int) -> int:
    """The exit code of the image's health check where the app has this port."""
    (command,) = re.findall(r"HEALTHCHECK .*CMD \\\n +(.*)", DOCKERFILE)
    python, *rest = shlex.split(command)
    assert python == "python"
    environment = os.environ | {"PORT": str(port)}
    return subprocess.run([sys.executable, *rest], env=environment, capture_output=True).returncode


@pytest.mark.browser
def test_the_health_check_knows_a_running_app(address: str) -> None:
    assert health(int(address.rsplit(":", 1)[1])) == 0


def test_the_health_check_knows_that_nothing_runs() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert health(free.getsockname()[1]) == 1


def test_the_image_starts_the_app_as_a_user_without_rights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = DOCKERFILE.splitlines()
    assert lines.index("USER bhpvas") < next(
        place for place, line in enumerate(lines) if line.startswith("CMD")
    )
    (command,) = re.findall(r'^CMD \["sh", "-c", "exec bhpvas (.*)"\]', DOCKERFILE, re.MULTILINE)
    (port,) = re.findall(r"PORT=(\d+)", DOCKERFILE)
    asked: list[list[str]] = []
    monkeypatch.setattr(subprocess, "call", lambda given, **_: asked.append(given) or 0)
    assert main(shlex.split(command.replace("$PORT", port))) == 0
    assert asked[0][asked[0].index("--server.port") + 1] == port
    assert asked[0][asked[0].index("--server.address") + 1] == "0.0.0.0"
    assert asked[0][asked[0].index("--server.headless") + 1] == "true"


def test_all_that_a_wheel_is_made_of_goes_into_the_image() -> None:
    taken = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert {"bhpvas", "hatch_build.py", "pyproject.toml", "README.md", "LICENSE", *SHIPPED} <= taken
    assert "constraints.txt" in taken and all((ROOT / name).exists() for name in taken)


def test_community_cloud_installs_this_checkout_with_the_tested_versions() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-c constraints.txt", "-e ."]


def test_the_first_start_on_a_machine_asks_nothing():
    """Streamlit would ask for an e-mail address before it opens anything."""
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["server"]["showEmailPrompt"] is False


def test_no_table_is_exported_but_by_our_own_button(tmp_path: Path) -> None:
    """Streamlit's own export runs formulas; its setting holds wherever the app is started from."""
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["client"]["disableDataExport"] is True
    asked = (
        "from streamlit import config; from bhpvas.storage.paths import app_script;"
        "config._main_script_path = str(app_script()); config.get_config_options(True);"
        "print(config.get_option('client.disableDataExport'))"
    )
    said = subprocess.run(
        [sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "True"
    for path in sorted((ROOT / "bhpvas" / "ui").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        assert source.count("st.dataframe(") <= source.count(" download("), path
