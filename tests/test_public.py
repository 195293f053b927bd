"""What ``import bhpvas`` offers: names that resolve, are typed, documented, and cost no time."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bhpvas


def typed() -> dict[str, str]:
    """Public names and their modules as type checkers read them."""
    tree = ast.parse(Path(bhpvas.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.asname: node.module.removeprefix("bhpvas.")
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.asname == alias.name
    }


def test_type_checkers_and_programs_see_the_same_names():
    assert typed() == bhpvas._HOME
    assert set(bhpvas.__all__) == {*typed(), "__version__"} == set(dir(bhpvas))


@pytest.mark.parametrize("name", bhpvas.__all__)
def test_every_public_name_is_there_and_documented(name):
    found = getattr(bhpvas, name)
    if callable(found):
        assert (found.__doc__ or "").strip().endswith(
            (".", ")", "'", "]")
        ) or ">>>" in found.__doc__


def test_another_name_is_said_to_be_missing():
    with pytest.raises(AttributeError, match="no attribute 'magic'"):
        bhpvas.magic  # noqa: B018


def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys, bhpvas; print(sorted({'torch', 'transformers', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
