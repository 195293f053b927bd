"""The app's server is Streamlit's, and loads what the first page needs while nobody waits yet."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bhpvas.cli.main import main
from bhpvas.ui import server

PAGES = Path(__file__).resolve().parents[2] / "pages"


def test_what_the_first_page_needs_is_imported_beside_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[str] = []
    monkeypatch.setattr(server.cli, "main", lambda prog_name: started.append(prog_name))
    server.main()
    server.load()
    assert started == ["streamlit"]
    assert set(server.FIRST) <= set(sys.modules)


def test_who_comes_later_waits_until_all_is_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "slow_first.py").write_text("import time\n\ntime.sleep(0.5)\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(server, "FIRST", ("slow_first",))
    seen = list[bool]()

    def visit() -> None:
        server.load()
        seen.append(hasattr(sys.modules["slow_first"], "whole"))

    visitors = [threading.Thread(target=visit) for _ in range(8)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert seen == [True] * 8


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.py")), ids=lambda page: page.stem)
def test_a_page_imports_nothing_before_the_frame_stands_around_it(page: Path) -> None:
    said, first, second, *_ = ast.parse(page.read_text(encoding="utf-8")).body
    assert ast.get_docstring(ast.Module([said], []))
    assert [ast.unparse(one) for one in (first, second)] == [
        "from bhpvas.ui import framed",
        "framed.ensure()",
    ]


def test_the_frame_is_made_sure_of_without_what_the_page_needs() -> None:
    code = "import sys; from bhpvas.ui import framed; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"torch", "transformers", "pandas", "bhpvas.ui.jobs.tasks"} & set(found)


def test_the_app_is_started_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr("subprocess.call", lambda given, **_: asked.append(given) or 0)
    assert main(["app", "--no-browser"]) == 0
    assert asked[0][1:4] == ["-m", server.__name__, "run"]


@pytest.mark.parametrize(
    ("variables", "words", "address"),
    [
        ({}, [], "localhost"),
        ({"BHPVAS_HOSTED": "0"}, [], "localhost"),
        ({"BHPVAS_HOSTED": "1"}, [], None),
        ({"STREAMLIT_SERVER_ADDRESS": "192.0.2.1"}, [], None),
        ({}, ["--address", "0.0.0.0"], "0.0.0.0"),
        ({"BHPVAS_HOSTED": "1"}, ["--address", "127.0.0.1"], "127.0.0.1"),
    ],
)
def test_a_person_s_own_computer_answers_nobody_else(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: list[str], address: str
) -> None:
    for name in ("BHPVAS_HOSTED", "STREAMLIT_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    asked: list[list[str]] = []
    monkeypatch.setattr("subprocess.call", lambda given, **_: asked.append(given) or 0)
    assert main(["app", *words]) == 0
    told = dict(zip(asked[0], asked[0][1:], strict=False))
    assert told.get("--server.address") == address


@pytest.mark.parametrize("port", ["0", "-1", "99999999"])
def test_a_port_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str], port: str) -> None:
    assert main(["app", "--port", port]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("address", ["", "nonsense.invalid", "203.0.113.77", "a" * 300])
def test_an_address_of_another_computer_is_one_line(
    capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert main(["app", "--address", address]) == 2
    assert capsys.readouterr().err.count("\n") == 1
