"""Imports run in one direction, without circles, and Streamlit stays where the screen is made."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# From the ground up: each imports from those above it in this list, never from those below it. A
# name is a module or a package of bhpvas with all that is in it; `bhpvas` alone is its __init__.py.
FLOORS = (
    "version",
    "errors",
    "progress",
    "neurons",
    "heads",
    "text",
    "stats",
    "tasks",
    "storage",
    "data",
    "model",
    "scheme",
    "criteria",
    "evaluation",
    "interpret",
    "recovery",
    "search",
    "export",
    "charts",
    "report",
    "bhpvas",
    "ui.state",
    "ui.jobs",
    "ui.persistence",
    "ui.widgets",
    "ui.pages",
    "ui",
    "cli",
    "__main__",
    "pages",
    "streamlit_app",
)
MAY_IMPORT_STREAMLIT = ("ui", "pages", "streamlit_app")
PACKAGES = [name for name in FLOORS if (ROOT / "bhpvas" / name.replace(".", "/")).is_dir()]


def sources() -> list[Path]:
    """Every Python file of the library and the app, relative to the root."""
    found = [*(ROOT / "bhpvas").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    found += ROOT.glob("streamlit_app.py")
    return sorted(path.relative_to(ROOT) for path in found)


def module_of(path: Path) -> str:
    """The full name by which a file is imported."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def unit_of(module: str) -> str:
    """The name in FLOORS that stands for a module: the longest that it lies in."""
    name = module.removeprefix("bhpvas.")
    parts = name.split(".")
    known = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((one for one in known if one in FLOORS), parts[0])


def imported(source: str, path: Path) -> set[str]:
    """Full names of all that a file imports, wherever in the file it does."""
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
    unit = unit_of(module_of(path))
    if unit not in FLOORS:
        return [f"{path} has no place in FLOORS: give it one."]
    found = []
    for name in sorted(imported(source, path)):
        top = name.split(".")[0]
        if top == "streamlit" and unit.split(".")[0] not in MAY_IMPORT_STREAMLIT:
            found.append(f"{path} imports streamlit.")
        if top not in ("bhpvas", "pages", "streamlit_app"):
            continue
        target = unit_of(name) if unit_of(name) in FLOORS else "bhpvas"
        if FLOORS.index(target) > FLOORS.index(unit):
            found.append(f"{path} imports {name}, which stands above it.")
    return found


@pytest.mark.parametrize("path", sources(), ids=str)
def test_imports_run_downward(path: Path) -> None:
    assert faults((ROOT / path).read_text(encoding="utf-8"), path) == []


def circle_in(modules: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, by what each imports; often none."""
    try:
        TopologicalSorter(modules).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    known = {module_of(path): path for path in sources()}
    modules: dict[str, set[str]] = {}
    for module, path in known.items():
        names = imported((ROOT / path).read_text(encoding="utf-8"), path)
        # `from bhpvas.heads import HeadId` counts as bhpvas.heads.
        found = {name if name in known else name.rpartition(".")[0] for name in names}
        modules[module] = found & known.keys()
    assert circle_in(modules) == []
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []


def packages_in(names: Iterable[str]) -> set[str]:
    return {unit_of(name) for name in names if name.startswith("bhpvas.")} & {*PACKAGES}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_lives_in_it_and_what_it_imports(package: str) -> None:
    folder = Path("bhpvas", *package.split("."))
    said = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")))
    assert said is not None
    sentences = re.split(r"(?<=\.)\s+", said.strip())
    assert len(sentences) == 3, sentences
    below = packages_in(
        name
        for path in sources()
        if unit_of(module_of(path)) == package
        for name in imported((ROOT / path).read_text(encoding="utf-8"), path)
    ) - {package}
    last = " ".join(sentences[-1].split())
    assert last.startswith("It imports ") and last.endswith("the files at the root."), last
    named = {*re.findall(r"[a-z]+(?:\.[a-z]+)*", last)} & {*PACKAGES}
    assert below <= named
    assert all(FLOORS.index(one) < FLOORS.index(package) for one in named)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bhpvas/heads.py", "from bhpvas.model.engine import predict"),
        ("bhpvas/heads.py", "import bhpvas.model.engine"),
        ("bhpvas/heads.py", "from bhpvas import model"),
        ("bhpvas/heads.py", "from . import model"),
        ("bhpvas/heads.py", "from .model.engine import predict"),
        ("bhpvas/heads.py", "from bhpvas import __version__"),
        ("bhpvas/heads.py", "def f():\n    from bhpvas.ui.state import x"),
        ("bhpvas/data/tables.py", "from bhpvas.model.engine import predict"),
        ("bhpvas/criteria/fisher.py", "from ..search import SEARCHES"),
        ("bhpvas/charts/head_map.py", "import streamlit as st"),
        ("bhpvas/cli/main.py", "from streamlit.web import bootstrap"),
        ("bhpvas/ui/state/session.py", "from bhpvas.ui.jobs import tasks"),
        ("bhpvas/ui/jobs/tasks.py", "from bhpvas.ui.pages.samples import views"),
        ("bhpvas/ui/state/session.py", "import pages.workbench"),
        ("bhpvas/brand_new.py", ""),
    ],
)
def test_the_rule_finds_what_breaks_it(path: str, source: str) -> None:
    assert len(faults(source, Path(path))) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bhpvas/model/engine.py", "from bhpvas.model.classifier import Classifier\nimport torch"),
        ("bhpvas/criteria/fisher.py", "from bhpvas.criteria.base import Criterion"),
        ("bhpvas/criteria/__init__.py", "from . import fisher\nfrom .base import CRITERIA"),
        ("bhpvas/ui/jobs/tasks.py", "import streamlit as st\nfrom bhpvas import __version__"),
        ("bhpvas/ui/jobs/tasks.py", "from bhpvas.ui.state import session"),
        ("pages/workbench.py", "import streamlit as st\nfrom bhpvas.charts import head_map"),
        ("streamlit_app.py", "from bhpvas.ui import sidebar"),
        ("bhpvas/data/hub.py", "import datasets"),
    ],
)
def test_the_rule_allows_what_keeps_it(path: str, source: str) -> None:
    assert faults(source, Path(path)) == []
