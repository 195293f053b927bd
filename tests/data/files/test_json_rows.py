"""JSON in its three forms: the same objects are read from each, and faults have their line."""

from __future__ import annotations

import io
import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhpvas.data import tables
from bhpvas.data.files import file, json_rows
from bhpvas.data.files.formats import read_table
from bhpvas.data.tables import Table
from bhpvas.errors import DataError

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
CELL = st.one_of(TEXT, st.integers(-99, 99), st.none(), st.booleans(), st.lists(TEXT, max_size=2))
RECORDS = st.lists(
    st.fixed_dictionaries({"text": TEXT}, optional={"label": CELL, "[{": CELL}),
    min_size=1,
    max_size=5,
)


def table_of(content: str | bytes, name: str = "a.json") -> Table:
    data = content.encode() if isinstance(content, str) else content
    return read_table(io.BytesIO(data), name=name)


def records(table: Table) -> list[dict[str, Any]]:
    return [
        dict(zip(piece.cells, row, strict=True))
        for piece in table.pieces()
        for row in zip(*piece.cells.values(), strict=True)
    ]


def error_of(content: str, name: str = "a.json") -> str:
    with pytest.raises(DataError) as error:
        records(table_of(content, name))
    message = str(error.value)
    assert "\n" not in message
    return message


@given(RECORDS, st.sampled_from([None, 1]), st.booleans(), st.integers(1, 40))
def test_every_form_holds_the_same_objects(
    rows: list[dict[str, Any]], indent: int | None, ascii: bool, at_once: int
) -> None:
    keys = dict.fromkeys(key for row in rows for key in row)
    expected = [{key: row.get(key) for key in keys} for row in rows]
    lines = "\n".join(json.dumps(row, ensure_ascii=ascii) for row in rows)
    array = json.dumps(rows, indent=indent, ensure_ascii=ascii)
    inside = {"schema": {"a": [1, {}]}, "n": len(rows), "data": rows, "more": []}
    object = json.dumps(inside, indent=indent, ensure_ascii=ascii)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "AT_ONCE", at_once)
        for content, name, form in (
            (lines, "a.jsonl", ""),
            (lines, "a.json", "one object on each line"),
            (array, "a.json", "an array of objects"),
            (array, "a.jsonl", "an array of objects"),
            (object, "a.json", "the array in one object"),
        ):
            table = table_of(content, name)
            assert records(table) == expected
            assert table.form == form


def test_an_object_stands_on_the_line_where_it_begins() -> None:
    table = table_of('\n[\n {"text":\n  "a"},\n\n {"text": "b"}, {"text": "c"}\n]\n')
    assert [number for piece in table.pieces() for number in piece.numbers] == [3, 6, 6]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"text": "a"},\n{"text": ]', "Line 2 of a.json is not JSON (Expecting value)"),
        ('[{"text": "a"}\n{"text": "b"}]', "Line 2 of a.json is not JSON (, or ] should stand"),
        ('[{"text": "a"}\n', "Line 2 of a.json is not JSON (, or ] should stand where the end is)"),
        ('[{"text": "a"}, 3]', "Line 1 of a.json holds no JSON object"),
        ('[{"text": "a"},]', "Line 1 of a.json is not JSON (no object follows the last comma)"),
        ('[{"text": "a"}]\n[]', "Line 2 of a.json is not JSON (the end should stand where [ is)"),
        ("[" * 100_000, "Line 1 of a.json holds no JSON object"),
        ('[{"text": ' + "[" * 100_000, "Line 1 of a.json is not JSON"),
        ('{"text": "a"}\n{"text": ', "Line 2 of a.json is not JSON"),
        ('{"text": "a"} {"text": "b"}', "Line 1 of a.json is not JSON"),
        ('{"text": ["a", "b"], "label": [0, 1]}', "a.json is one object of lists and not a list"),
        ('{"a": {"text": "b"}, "b": {"text": "b"}}', "a.json is one object of objects and not a"),
        ('{"train": [["a", "b"]], "test": [["c", "d"]]}', "a.json is one object of lists and not"),
        ('{"a": [{"text": "a"}],\n"b": [{"text": "b"}]}', "a.json has several arrays of objects"),
        ('"text"', "Line 1 of a.json holds no JSON object"),
        ("[]", "a.json has no sentences"),
        ("  \n ", "a.json is empty"),
        ("text,label\na,1\n", "Line 1 of a.json is not JSON"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(content: str, said: str) -> None:
    assert error_of(content).startswith(said)


@pytest.mark.parametrize("orient", ["columns", "index", "split", "values"])
def test_forms_of_pandas_that_hold_no_rows_are_refused(orient: Any) -> None:
    frame = pd.DataFrame({"text": ["a", "b"], "label": [0, 1]})
    message = error_of(frame.to_json(orient=orient))
    assert message.startswith(("a.json", "Line 1 of a.json"))


def test_a_long_object_is_read_through_its_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "MAX_LINE", 50)
    monkeypatch.setattr(tables, "AT_ONCE", 20)
    rows = [{"text": f"film {number}"} for number in range(30)]
    content = json.dumps({"data": rows, "n": 30})
    assert records(table_of(content)) == rows
    assert records(table_of(json.dumps(rows))) == rows
    long = json.dumps([{"text": "x" * 200}])
    assert error_of(long).startswith("Line 1 of a.json is not JSON")
    assert error_of('{"n": 1, "words": ["' + "x" * 30 + '", "' + "y" * 30 + '"]}').startswith(
        "Line 1 of a.json is not JSON"
    )


def test_objects_of_an_array_with_other_keys_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "MAX_KEYS", 10)
    assert "different keys" in error_of(json.dumps([{f"k{n}": 0} for n in range(11)]))
    monkeypatch.setattr(tables, "MAX_CELLS", 5)
    assert "3 columns" in error_of('[{"a": 1, "b": 2}, {"c": 3}]')
