"""docs/architecture.md says where to change what: every file and name that it gives is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def rows() -> dict[str, tuple[list[str], list[str]]]:
    """What to change, with the files or folders to open, and the names to look for."""
    (section,) = re.findall(r"## Where to change what\n(.*?)\n## ", PAGE, re.DOTALL)
    found = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and "`" in line:
            marked = [re.findall(r"`([^`]+)`", cell) for cell in cells[1:]]
            files = [one for one in marked[0] + marked[1] if "/" in one]
            found[cells[0]] = files, [one for one in marked[1] if "/" not in one]
    return found


def defined(file: Path) -> set[str]:
    """The names that a module defines at its top."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {one.name for one in tree.body if isinstance(one, ast.ClassDef | ast.FunctionDef)}
    for one in tree.body:
        targets = one.targets if isinstance(one, ast.Assign) else [getattr(one, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_the_page_says_it_of_ten_changes_and_more() -> None:
    assert len(rows()) >= 10


@pytest.mark.parametrize("change", rows())
def test_files_and_names_are_there(change: str) -> None:
    files, names = rows()[change]
    assert files and names
    assert [one for one in files if not (ROOT / one).exists()] == []
    there = set().union(*(defined(ROOT / one) for one in files if one.endswith(".py")))
    assert set(names) <= there
