"""What the commands print and write, against the schemas in docs/schemas."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from bhpvas.cli.main import main
from tests.conftest import tiny_dataset
from tests.tiny import save_tiny

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def schema(name: str) -> jsonschema.Draft202012Validator:
    document = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    """A tiny model, labelled sentences, and a scheme with two removals and a recovery."""
    folder = tmp_path_factory.mktemp("contract")
    save_tiny(folder / "model")
    data = tiny_dataset()
    rows = [f"{text}\t{label}" for text, label in zip(data.texts, data.labels, strict=True)]
    (folder / "data.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    found = {name: str(folder / name) for name in ("model", "data.tsv", "s.json", "r.json")}
    common = ["--model", found["model"], "--calibration", found["data.tsv"]]
    assert main(["propose", *common, "--heads", "3", "--out", found["s.json"]]) == 0
    assert main(["recover", *common, "--scheme", found["s.json"], "--out", found["r.json"]]) == 0
    return found


COMMANDS = {
    "info": [[]],
    "score": [[], ["--criteria", "all"], ["--remove", "L0H1"], ["--criteria", "stability"]],
    "ablate": [[], ["--remove", "L0H1,L1H0"]],
    "evaluate": [[], ["--remove", "L0H1"], ["--scheme", "r.json"]],
    "roles": [["--min-count", "5"], []],
    "export": [["--scheme", "r.json", "--format", "dense"]],
    "report": [["--scheme", "r.json", "--calibration", "data.tsv", "--random", "2"]],
}


@pytest.mark.parametrize(
    ("command", "more"),
    [(command, more) for command, each in COMMANDS.items() for more in each],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_command_prints_what_its_schema_says(capsys, files, tmp_path, command, more):
    arguments = ["--model", files["model"], *(files.get(word, word) for word in more)]
    if command != "info":
        arguments += ["--data", files["data.tsv"]]
    if command in ("export", "report"):
        arguments += ["--out", str(tmp_path / "out")]
    assert main([command, *arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    schema(command).validate(document)
    for key in schema(command).schema["required"]:
        less = {name: value for name, value in document.items() if name != key}
        assert not schema(command).is_valid(less), f"{key} may be missing"


@pytest.mark.parametrize("name", ["s.json", "r.json"])
def test_a_scheme_file_is_what_its_schema_says(files, name):
    document = json.loads(Path(files[name]).read_text(encoding="utf-8"))
    schema("scheme").validate(document)
    *_, last = document["steps"]
    assert (last["what"] == "recover") == (name == "r.json")
    for broken in (
        {"removed_heads": ["H1"]},
        {"format": {"name": "bhpvas-scheme", "version": 2}},
        {"steps": [{**last, "what": "forget"}]},
        {"steps": [{**last, "what": "recover", "weights": "../secret"}]},
        {"steps": []},
    ):
        assert not schema("scheme").is_valid(document | broken), broken


def test_every_schema_is_one_and_is_used():
    names = {path.stem for path in SCHEMAS.glob("*.json")}
    assert names == {*COMMANDS, "scheme"}
