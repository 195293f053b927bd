"""What the commands print and write, against the schemas in docs/schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import jsonschema
import pytest

from bhpvas.cli.main import _COMMANDS, main
from bhpvas.cli.options import DataOptions
from bhpvas.data.provenance import Match
from bhpvas.heads import HeadId
from bhpvas.model.classifier import load_classifier
from bhpvas.model.engine import predict
from bhpvas.scheme.scheme import Scheme
from tests.conftest import tiny_dataset
from tests.tiny import many_sentences, save_tiny

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def schema(name: str) -> jsonschema.Draft202012Validator:
    document = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


READ = schema("evaluate").schema["$defs"]["read"]
# Of the 122 tokens that are read of the sentences below, two are of no word that is known.
UNKNOWN = 2 / 122


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    """A tiny model, labelled sentences of which one is too long for it and two have a word that it
    does not know, and a scheme with two removals and a recovery.
    """
    folder = tmp_path_factory.mktemp("contract")
    save_tiny(folder / "model")
    data = tiny_dataset()
    rows = [f"{text}\t{label}" for text, label in zip(data.texts, data.labels, strict=True)]
    rows += [f"the film is good{' and long' * 20}\t1", "the xyzzy film\t0"]
    (folder / "data.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    found = {name: str(folder / name) for name in ("model", "data.tsv", "s.json", "r.json")}
    common = ["--model", found["model"], "--calibration", found["data.tsv"]]
    assert main(["propose", *common, "--heads", "3", "--out", found["s.json"]]) == 0
    assert main(["recover", *common, "--scheme", found["s.json"], "--out", found["r.json"]]) == 0
    return found


COMMANDS = {
    "info": [[]],
    "score": [
        [],
        ["--criteria", "all"],
        ["--remove", "L0H1"],
        ["--criteria", "stability"],
        ["--units", "neurons"],
        ["--units", "heads,neurons", "--criteria", "all"],
    ],
    "ablate": [
        [],
        ["--remove", "L0H1,L1H0"],
        ["--units", "neurons", "--by", "activation"],
        ["--units", "heads,neurons"],
    ],
    "evaluate": [[], ["--remove", "L0H1"], ["--scheme", "r.json"]],
    "roles": [["--min-count", "5"], []],
    "export": [["--scheme", "r.json", "--format", "dense"]],
    "report": [["--scheme", "r.json", "--calibration", "data.tsv", "--random", "2"]],
    "propose": [["--heads", "2", "--method", "random"], ["--heads", "2", "--max-drop", "1"]],
    "recover": [["--scheme", "s.json"]],
    "compare": [["s.json", "r.json", "--random", "1"]],
}
#: Commands that write a file, and those whose only sentences are learnt from.
WRITE = ("propose", "recover", "compare", "export", "report")
LEARN = ("propose", "recover")


@pytest.mark.parametrize(
    ("command", "more"),
    [(command, more) for command, each in COMMANDS.items() for more in each],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_command_prints_what_its_schema_says(capsys, files, tmp_path, command, more):
    arguments = ["--model", files["model"], *(files.get(word, word) for word in more)]
    if command != "info":
        arguments += ["--calibration" if command in LEARN else "--data", files["data.tsv"]]
    if command in WRITE:
        arguments += ["--out", str(tmp_path / "out")]
    assert main([command, *arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    schema(command).validate(document)
    for key in schema(command).schema["required"]:
        less = {name: value for name, value in document.items() if name != key}
        assert not schema(command).is_valid(less), f"{key} may be missing"


#: Every command that reads sentences, as it has to be called.
READING = {name: more[0] for name, more in COMMANDS.items() if name != "info"}


@pytest.mark.parametrize("command", READING)
def test_what_was_read_is_said_by_every_command(capsys, files, tmp_path, command):
    """As JSON under one key, and in one line; of both splits where both are read."""
    words = [command, "--model", files["model"], *(files.get(one, one) for one in READING[command])]
    words += ["--calibration" if command in LEARN else "--data", files["data.tsv"]]

    def said(*more: str) -> str:
        out = ["--out", str(tmp_path / f"out{len(more)}")]
        assert main([*words, *(out if command in WRITE else []), *more]) == 0
        return capsys.readouterr().out

    found, text = json.loads(said("--json")), said()
    both = command == "report"
    keys = ["read", "read_calibration"] if both else ["read"]
    assert [key for key in found if key.startswith("read")] == keys
    line = (
        'column "sentence" as text, "label" as label, matched by number (negative 7, positive 7), '
        f"{100 * UNKNOWN:.1f}% unknown tokens, 1 sentence cut"
    )
    for key, begin in zip(keys, ("read        ", "calibration "), strict=False):
        record = found[key]
        assert set(record) == set(READ["properties"]) and record["dataset"] == "data.tsv"
        jsonschema.Draft202012Validator(READ).validate(record)
        assert (record["text"], record["pair"], record["label"]) == ("sentence", None, "label")
        assert record["labels_matched_by"] == "number"
        assert record["rows_per_label"] == {"negative": 7, "positive": 7}
        assert record["sentences"] == 14 and record["notes"] == []
        assert record["unknown_share"] == pytest.approx(UNKNOWN)
        assert record["truncated_share"] == pytest.approx(1 / 14)
        (own,) = [one for one in text.splitlines() if one.startswith(begin)]
        assert own == begin + line
    if command in ("export", "report"):
        out = tmp_path / "out0"
        page = out / "README.md" if command == "export" else out
        facts = page.read_text(encoding="utf-8").partition("Unknown tokens")[2][:400]
        facts = facts.replace("\\", "")  # of Markdown
        assert facts.count("1.6%") == facts.count("1 (7.1%)") == 1 + both


def test_no_command_that_reads_sentences_is_left_out():
    takes_data = {
        one.__name__.rpartition(".")[2] for one in _COMMANDS if issubclass(one.Options, DataOptions)
    }
    assert READING.keys() == takes_data


def test_notes_follow_in_lines_of_their_own(capsys, files, tmp_path):
    """Labels that were exchanged: said wherever the unpruned model is measured."""
    # A model that gives both answers.
    classifier = load_classifier(save_tiny(tmp_path / "model", seed=1))
    Scheme.of(classifier).removing([HeadId(0, 1)]).save(tmp_path / "one.json")
    scheme = ["--scheme", str(tmp_path / "one.json")]
    texts = many_sentences(60).texts
    answers = predict(classifier, classifier.encode_texts(texts), classifier.full_mask()).argmax(1)
    data = tmp_path / "turned.tsv"
    rows = [f"{text}\t{1 - answer}" for text, answer in zip(texts, answers, strict=True)]
    data.write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    common = ["--model", str(tmp_path / "model"), "--data", str(data)]
    calls = {
        "evaluate": ["--remove", "L0H1"],
        "ablate": [],
        "compare": [scheme[1], "--random", "0", "--out", str(tmp_path / "t.csv")],
        "export": [*scheme, "--format", "dense", "--out", str(tmp_path / "e")],
        "report": [*scheme, "--random", "0", "--calibration", files["data.tsv"]],
    }
    calls["report"] += ["--out", str(tmp_path / "r.html")]
    for command, more in calls.items():
        assert main([command, *common, *more]) == 0
        *_, last = capsys.readouterr().out.splitlines()
        assert last.startswith("note        The labels look exchanged: "), command
        if command != "export":
            assert main([command, *common, *more, "--json"]) == 0
            (note,) = json.loads(capsys.readouterr().out)["read"]["notes"]
            assert last == f"note        {note}"
    for page in (tmp_path / "r.html", tmp_path / "e" / "README.md"):
        assert "The labels look exchanged" in page.read_text(encoding="utf-8")
    assert main(["ablate", *common, "--remove", "L0H1"]) == 0  # of a pruned model nothing is told
    assert "note " not in capsys.readouterr().out


def test_the_schemas_say_the_same_of_what_was_read():
    assert set(get_args(Match)) == set(READ["properties"]["labels_matched_by"]["enum"]) - {None}
    for name in COMMANDS.keys() - {"info"}:
        document = schema(name).schema
        assert document["$defs"]["read"] == READ
        assert "read" in document["required"]


@pytest.mark.parametrize("name", ["s.json", "r.json"])
def test_a_scheme_file_is_what_its_schema_says(files, name):
    document = json.loads(Path(files[name]).read_text(encoding="utf-8"))
    schema("scheme").validate(document)
    *_, last = document["steps"]
    assert (last["what"] == "recover") == (name == "r.json")
    for broken in (
        {"removed_heads": ["H1"]},
        {"format": {"name": "bhpvas-scheme", "version": 3}},
        {"steps": [{**last, "what": "forget"}]},
        {"steps": [{**last, "what": "recover", "weights": "../secret"}]},
        {"steps": []},
    ):
        assert not schema("scheme").is_valid(document | broken), broken


def test_every_schema_is_one_and_is_used():
    names = {path.stem for path in SCHEMAS.glob("*.json")}
    assert names == {*COMMANDS, "scheme"}
