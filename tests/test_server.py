"""The app's server is Streamlit's, and loads what the first page needs while nobody waits yet."""

from __future__ import annotations

import sys
import threading

import pytest

from bhpvas.cli import main
from bhpvas.ui import server


def test_what_the_first_page_needs_is_imported_beside_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[str] = []
    monkeypatch.setattr(server.cli, "main", lambda prog_name: started.append(prog_name))
    server.main()
    server.wait()
    assert "bhpvas imports" not in {thread.name for thread in threading.enumerate()}
    assert started == ["streamlit"]
    assert set(server.FIRST) <= set(sys.modules)


def test_the_app_is_started_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr("subprocess.call", lambda given, **_: asked.append(given) or 0)
    assert main(["app", "--no-browser"]) == 0
    assert asked[0][1:4] == ["-m", server.__name__, "run"]
