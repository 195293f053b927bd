"""What is known of a family stands in its own file, and is read without torch."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification

from bhpvas.model.families import FAMILIES
from tests.tiny import CONFIGS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "bhpvas" / "model" / "families"
#: As people write them; BERT also stands for the whole kind.
TITLES = {one.title for one in FAMILIES.values()} - {"BERT"}


def named(source: str) -> Iterator[str]:
    """Families that a module names in its code: in a text or as a part of a model."""
    tree = ast.parse(source)
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    documented = {id(node.value) for node in statements}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in FAMILIES:
            yield node.attr
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in documented:
                continue
            if node.value in FAMILIES:
                yield node.value
            yield from (one for one in TITLES if re.search(rf"\b{one}\b", node.value))


def test_nothing_else_names_a_family() -> None:
    for path in [*(ROOT / "bhpvas").rglob("*.py"), *(ROOT / "pages").glob("*.py")]:
        if FOLDER not in path.parents:
            assert list(named(path.read_text(encoding="utf-8"))) == [], path


@pytest.mark.parametrize(
    "source", ["kind = 'roberta'", "layers = model.bert.encoder.layer", "f'a DistilBERT{s}'"]
)
def test_the_rule_finds_what_breaks_it(source: str) -> None:
    assert len(list(named(source))) == 1
    assert list(named('"""As BERT and RoBERTa do."""\ntitle = "heads of BERT"')) == []


def test_files_of_a_model_are_read_without_torch() -> None:
    code = (
        "import sys; from bhpvas.model.config import read_info; read_info(); "
        "sys.exit(bool({'torch', 'transformers', 'streamlit'} & {*sys.modules}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_part_of_a_layer_is_found_once(name: str) -> None:
    model = AutoModelForSequenceClassification.from_config(CONFIGS[name](2))
    family = FAMILIES[name]
    layers = family.layers(model)
    assert len(layers) == model.config.num_hidden_layers == family.sizes(model.config.to_dict())[0]
    for number, layer in enumerate(layers):
        without = family.without(model.config.to_dict(), number)
        named = [name for name in family.parts.values() if f"{name}.weight" not in without]
        parts = [part for part in vars(layer).values() if callable(part)]
        assert len({id(part) for part in parts}) == len(parts) >= len(named)
        assert layer.up.out_features == layer.down.in_features == 64


def test_every_family_has_a_tiny_model() -> None:
    # The same as RoBERTa but for their names.
    assert {*FAMILIES} - {*CONFIGS} == {"xlm-roberta", "camembert"}
