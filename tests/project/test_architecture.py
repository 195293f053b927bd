"""Imports run in one direction, and Streamlit stays where the screen is made."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# From the ground up: a module imports from its own floor and from those below. A name stands for a
# module or for a package with all that is in it; `bhpvas` alone is the package's own __init__.py.
FLOORS = (
    (
        "calibration",
        "cls_map",
        "datasets",
        "errors",
        "files",
        "groups",
        "heads",
        "hub",
        "memory",
        "model_files",
        "paths",
        "processes",
        "progress",
        "significance",
        "spill",
        "tables",
        "umap_layout",
        "version",
        "weights",
    ),
    ("classifier",),
    ("engine", "results"),
    (
        "ablation",
        "comparison",
        "cost",
        "criteria",
        "estimate",
        "evaluation",
        "links",
        "roles",
        "saliency",
        "scheme_files",
        "schemes",
        "sentence",
        "slices",
        "syntax",
        "workspaces",
    ),
    ("curves", "export", "latency", "recovery", "search", "surgery"),
    ("charts",),
    ("report",),
    ("bhpvas",),
    ("__main__", "cli", "ui"),
    ("pages", "streamlit_app"),
)
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MAY_IMPORT_STREAMLIT = {"ui", "pages", "streamlit_app"}


def sources() -> list[Path]:
    """Every Python file of the library and the app, relative to the root."""
    found = [*(ROOT / "bhpvas").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    found += ROOT.glob("streamlit_app.py")
    return sorted(path.relative_to(ROOT) for path in found)


def unit_of(path: Path) -> str:
    """The name that stands for a file in FLOORS."""
    parts = path.with_suffix("").parts
    if parts[0] != "bhpvas":
        return parts[0]
    return "bhpvas" if parts[1] == "__init__" else parts[1]


def imported(source: str, path: Path) -> set[str]:
    """Full names of all that a file imports, wherever in the file it does.

    ``from bhpvas import heads`` counts as ``bhpvas.heads`` if that is a module.
    """
    names: set[str] = set()
    package = [*path.parts[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def faults(source: str, path: Path) -> list[str]:
    """What a file imports against the rule."""
    unit = unit_of(path)
    if unit not in FLOOR_OF:
        return [f"{path} has no place in FLOORS: give it one."]
    found = []
    for name in sorted(imported(source, path)):
        top, *rest = name.split(".")
        if top == "streamlit" and unit not in MAY_IMPORT_STREAMLIT:
            found.append(f"{path} imports streamlit.")
        target = (rest[0] if rest and rest[0] in FLOOR_OF else top) if top == "bhpvas" else top
        if FLOOR_OF.get(target, 0) > FLOOR_OF[unit]:
            found.append(f"{path} imports {name}, which stands above it.")
    return found


@pytest.mark.parametrize("path", sources(), ids=str)
def test_imports_run_downward(path: Path) -> None:
    assert faults((ROOT / path).read_text(encoding="utf-8"), path) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bhpvas/heads.py", "from bhpvas.model.engine import predict"),
        ("bhpvas/heads.py", "import bhpvas.model.engine"),
        ("bhpvas/heads.py", "from bhpvas import engine"),
        ("bhpvas/heads.py", "from . import engine"),
        ("bhpvas/heads.py", "from .engine import predict"),
        ("bhpvas/heads.py", "from bhpvas import __version__"),
        ("bhpvas/heads.py", "def f():\n    from bhpvas.ui.state import x"),
        ("bhpvas/criteria/fisher.py", "from ..search import SEARCHES"),
        ("bhpvas/charts/head_map.py", "import streamlit as st"),
        ("bhpvas/cli/main.py", "from streamlit.web import bootstrap"),
        ("bhpvas/ui/state.py", "import pages.workbench"),
        ("bhpvas/brand_new.py", ""),
    ],
)
def test_the_rule_finds_what_breaks_it(path: str, source: str) -> None:
    assert len(faults(source, Path(path))) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bhpvas/model/engine.py", "from bhpvas.model.classifier import Classifier\nimport torch"),
        ("bhpvas/criteria/fisher.py", "from bhpvas.criteria.registry import Criterion"),
        ("bhpvas/criteria/__init__.py", "from . import fisher\nfrom .registry import CRITERIA"),
        ("bhpvas/ui/state.py", "import streamlit as st\nfrom bhpvas import __version__"),
        ("pages/workbench.py", "import streamlit as st\nfrom bhpvas.charts import head_map"),
        ("streamlit_app.py", "from bhpvas.ui import sidebar"),
        ("bhpvas/data/hub.py", "import datasets"),
    ],
)
def test_the_rule_allows_what_keeps_it(path: str, source: str) -> None:
    assert faults(source, Path(path)) == []
