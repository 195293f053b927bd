"""Every row of the tables of columns and labels in docs/data.md, as a file of that kind is read."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from bhpvas.data.dataset import Dataset
from bhpvas.data.reading import read_dataset
from bhpvas.errors import DataError
from tests.data.csv_files import csv_file

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"
SENTENCES = ["It rained all night.", "The lamp broke again.", "We left the house early."]


def rows(first: str) -> list[list[str]]:
    """The rows of the table whose first column has that title."""
    table = PAGE.read_text(encoding="utf-8").partition(f"| {first} |")[2].partition("\n\n")[0]
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def options(cell: str) -> dict[str, Any]:
    """An option of the command line, as a reader's keywords."""
    words = shlex.split("".join(names(cell)))
    if words == ["--skip-unlabelled"]:
        return {"skip_unlabelled": True}
    pairs = zip(words[::2], words[1::2], strict=True)
    found = {name.strip("-").replace("-", "_"): value for name, value in pairs}
    return {name: int(v) if name == "labels_from" else v for name, v in found.items()}


COLUMNS = rows("columns that hold sentences")
LABELS = rows("labels of the file")
PARTS = rows("a column")


def test_there_are_rows() -> None:
    assert len(COLUMNS) > 10 and len(LABELS) > 10 and len(PARTS) > 10


@pytest.mark.parametrize("row", COLUMNS, ids=lambda row: f"{row[0]} and {row[1]}")
def test_columns(row: list[str]) -> None:
    texts, labels, what, hint = names(row[0]), names(row[1]), row[2], (row[3:] or [""])[0]
    lines = [",".join([*labels, *texts])]
    for number, sentence in enumerate(SENTENCES):
        lines.append(",".join([str(number % 2)] * len(labels) + [sentence] * len(texts)))

    def read(**how: Any) -> Dataset:
        return read_dataset(csv_file(*lines), name="a.csv", **how)

    if what.startswith("nothing"):
        with pytest.raises(DataError) as caught:
            read()
        candidates = labels if "label" in what else texts
        assert all(f"{name} ('" in str(caught.value) for name in candidates)
        assert next(iter(options(hint))) in str(caught.value)
    else:
        said = read().provenance
        pair = texts[1] if "pairs" in what else None
        assert (said.text, said.pair, said.label) == (texts[0], pair, labels[0])
        assert bool(said.notes) == ("said" in what)
    if hint:
        chosen = options(hint)
        if "pair" in chosen and "text" not in chosen:
            chosen["text"] = texts[0]
        said = read(**chosen).provenance
        assert all(getattr(said, role) == (name or None) for role, name in chosen.items())


@pytest.mark.parametrize("row", LABELS, ids=lambda row: f"{row[0]} for {row[1]}")
def test_labels(row: list[str]) -> None:
    labels, model, what, hint = names(row[0]), names(row[1]), row[2], (row[3:] or [""])[0]
    named = [label.partition(" = ") for label in labels]
    records = [
        {"text": f"row {number}", "label": label, **({"label_text": name} if name else {})}
        for number, (label, _, name) in enumerate(named)
    ]

    def read(**how: Any) -> Dataset:
        return read_dataset(csv_file(*map(json.dumps, records)), name="a.jsonl", **how).aligned(
            model
        )

    if what.startswith("refused"):
        with pytest.raises(DataError) as caught:
            read()
        assert shlex.split("".join(names(hint)) or "a.jsonl")[0] in str(caught.value)
        assert "both lists" not in what or all(
            name in str(caught.value) for name in (*model, *(name for *_, name in named))
        )
    else:
        found = read()
        way = found.provenance.matched
        assert way is not None and way.rpartition(" ")[2] in what
        assert ("said" in what) <= bool(found.provenance.notes)
    if hint:
        found = read(**options(hint))
        if "skip_unlabelled" in options(hint):
            assert sum(found.provenance.left_out.values()) == 1
            assert len(found) == len(labels) - 1
        else:
            start = options(hint)["labels_from"]
            assert found.labels.tolist() == [int(label) - start for label, *_ in named]


@pytest.mark.parametrize("row", PARTS, ids=lambda row: f"{row[0]} with {row[1]}")
def test_parts(row: list[str]) -> None:
    (column,), parts, hint = names(row[0]), names(row[1]), (row[4:] or [""])[0]
    rows_of: dict[str, list[str]] = {}
    for part in parts:
        withheld = f"`{part}` without labels" in row[1]
        rows_of[part] = [
            f"In {part} it was {word},{'' if withheld else place},{part}"
            for place, word in enumerate(("bad", "good"))
        ]
    file = [f"text,label,{column}", *(line for lines in rows_of.values() for line in lines)]

    def read(purpose: Any, **how: Any) -> Dataset:
        return read_dataset(csv_file(*file), name="a.csv", part=purpose, **how)

    for purpose, said in (("evaluation", row[2]), ("calibration", row[3])):
        if said.startswith("nothing"):
            with pytest.raises(DataError, match=r"names no part.*--split"):
                read(purpose)
            continue
        data = read(purpose)
        chosen = names(said) or parts
        expected = [line.split(",")[0] for part in chosen for line in rows_of[part]]
        assert list(data.texts) == expected
        assert (data.provenance.part or "") == (chosen[0] if len(chosen) == 1 else "")
        assert bool(data.provenance.notes) == ("said" in said)
    if hint:
        whole, split = read("evaluation", **options(hint)), options(hint)["split"]
        assert whole.provenance.split == (split or None)
        assert (len(whole) == 2 * len(parts)) == (not split)
