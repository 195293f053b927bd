"""What ``import bhpvas`` offers: names that resolve, are typed, documented, and cost no time."""

from __future__ import annotations

import ast
import subprocess
import sys
from doctest import DocTestParser
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


@pytest.mark.parametrize("name", sorted(bhpvas._HOME))
def test_every_public_name_shows_how_it_is_used(name):
    """The examples run as tests of their modules; each begins with what it imports from here."""
    found = getattr(bhpvas, name)
    # A dict has no docstring of its own, so the package's shows the registries.
    text = found.__doc__ if callable(found) else bhpvas.__doc__
    lines = [example.source for example in DocTestParser().get_examples(text)]
    assert any(line.startswith(("import bhpvas", "from bhpvas import ")) for line in lines)
    assert callable(found) or any(f"bhpvas.{name}" in line for line in lines)


def test_another_name_is_said_to_be_missing():
    with pytest.raises(AttributeError, match="no attribute 'magic'"):
        bhpvas.magic  # noqa: B018


HEAVY = {"torch", "transformers", "pandas", "scipy", "streamlit", "plotly", "spacy", "umap"}
LIGHT = {
    "the package": "import bhpvas",
    "--help": "from bhpvas.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    "info": "from bhpvas.cli.main import main\nassert main(['info']) == 0",
}


@pytest.mark.parametrize("what", LIGHT)
def test_what_answers_at_once_loads_nothing_heavy(what):
    code = f"{LIGHT[what]}\nimport sys; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
