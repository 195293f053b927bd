"""What a file may hold: every kind of damage is named, and the schema of it is published."""

import json
import tracemalloc
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from bhpvas.errors import SchemeError
from bhpvas.heads import HeadId, HeadMask
from bhpvas.scheme import schema
from bhpvas.scheme.scheme import Scheme, load_scheme
from tests.scheme.test_old_files import branched as old_branched
from tests.scheme.test_old_files import recovered
from tests.scheme.trees import (
    MODEL,
    NOON,
    branched,
    is_one_sentence,
    json_values,
)

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "schemas" / "scheme.json"


def test_the_published_schema_is_printed_from_the_definition() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == schema.published(), (
        "print it anew: python -m bhpvas.scheme.schema > docs/schemas/scheme.json"
    )


@pytest.mark.parametrize("scheme", [old_branched().without_step(1), recovered()])
def test_what_is_written_is_what_the_schema_says(scheme) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema.published()))
    document = json.loads(scheme.to_json())
    validator.validate(document)
    for place in (document, *(document[key] for key in ("format", "model", "geometry"))):
        for key in set(place) - set(scheme.extra) - {"licence"}:
            value = place.pop(key)
            assert not validator.is_valid(document), f"{key} may be missing"
            place[key] = value
    for step in document["steps"]:
        for key in step:
            less = {name: value for name, value in step.items() if name != key}
            assert not validator.is_valid(document | {"steps": [less]}), f"{key} may be missing"
    (start, *_) = document["steps"]
    assert not validator.is_valid(document | {"steps": [start | {"weights": "0" * 16}]})


def with_steps(layers: int, heads: int, steps: int) -> str:
    """A file whose start lacks all heads but one, which each of its steps removes anew."""
    every = list(HeadMask(layers, heads))
    scheme = Scheme.started(MODEL, layers, heads, time=NOON, pruned=frozenset(every[:-1]))
    document = json.loads(scheme.removing(every[-1:], time=NOON).to_json())
    (start, step) = document["steps"]
    document["steps"] = [start, *(step | {"id": number} for number in range(1, steps))]
    document["next_id"] = steps
    return json.dumps(document)


def test_a_file_that_would_fill_the_memory_is_refused_while_it_is_read():
    text = with_steps(100, 100, 3000)
    assert len(text) < 2**20
    tracemalloc.start()
    with pytest.raises(SchemeError, match="hold more than 1,000,000 removed heads") as caught:
        Scheme.from_json(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150e6  # unrefused: 1.5 GB
    assert is_one_sentence(str(caught.value))


def test_many_steps_of_a_large_model_are_read():
    text = with_steps(24, 16, 1000)
    assert len(Scheme.from_json(text).steps) == 1000


def damage(*path: str | int, to: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = to

    return change


DAMAGED = {
    "other program": (damage("format", "name", to="svg"), "'name' of 'format' is 'svg' and not"),
    "later version": (
        damage("format", "version", to=3),
        "'version' of 'format' is 3 and not 2 or less;",
    ),
    "version as text": (damage("format", "version", to="1"), "'version' of 'format' is '1'"),
    "version true": (damage("format", "version", to=True), "'version' of 'format' is True"),
    "no format": (lambda document: document.pop("format"), "no 'format'"),
    "no name": (lambda document: document.pop("name"), "the scheme has no 'name'"),
    "no fingerprint": (lambda document: document["model"].pop("fingerprint"), "'fingerprint'"),
    "model a text": (damage("model", to="sample"), "'model' is 'sample' and not an object;"),
    "no heads": (damage("geometry", "heads", to=0), "'heads' of 'geometry' is 0 and not 1 or more"),
    "a huge model": (damage("geometry", "layers", to=10**30), "that of no model"),
    "geometry too small": (damage("geometry", "layers", to=1), "'L1H0', no head of 1 layers"),
    "no steps": (damage("steps", to=[]), "'steps' is \\[\\] and not a list with an entry"),
    "step a number": (damage("steps", 2, to=4), "step number 2 is 4 and not an object"),
    "first is no start": (damage("steps", 0, "what", to="remove"), "'what' of step number 0"),
    "start with heads": (damage("steps", 0, "heads", to=["L0H0"]), "its 'removed_heads' are not"),
    "start with parent": (damage("steps", 0, "parent", to=3), "step number 0 has the parent 3, no"),
    "two starts": (damage("steps", 2, "what", to="start"), "'start', which cannot stand there"),
    "what of a later version": (
        damage("steps", 4, "what", to="merge"),
        "'merge' and not 'start', ",
    ),
    "recovered without weights": (
        lambda document: document["steps"][4].update(what="recover", heads=[]),
        "step number 4 has no 'weights'",
    ),
    "recovered with heads": (
        lambda document: document["steps"][4].update(what="recover", weights="0" * 16),
        r"'heads' of step number 4 is \['L0H3'\] and not an empty list",
    ),
    "weights elsewhere": (
        lambda document: document["steps"][4].update(
            what="recover", heads=[], weights="../../etc/passwd"
        ),
        "'weights' of step number 4 is '../../etc/passwd' and not hexadecimal digits",
    ),
    "weights a number": (
        lambda document: document["steps"][4].update(what="recover", heads=[], weights=7),
        "'weights' of step number 4 is 7 and not text",
    ),
    "unknown parent": (damage("steps", 2, "parent", to=17), "has the parent 17, no step before"),
    "no parent": (damage("steps", 2, "parent", to=None), "has the parent None"),
    "cycle": (damage("steps", 3, "parent", to=4), "step number 3 has the parent 4"),
    "own parent": (damage("steps", 3, "parent", to=3), "step number 3 has the parent 3"),
    "same id twice": (damage("steps", 2, "id", to=1), "id 1, which is already taken"),
    "negative id": (
        damage("steps", 4, "id", to=-4),
        "'id' of step number 4 is -4 and not 0",
    ),
    "no such head": (damage("steps", 2, "heads", to=["L0H9"]), "names 'L0H9', no head of 2"),
    "head a number": (
        damage("steps", 2, "heads", to=[3]),
        "'heads' of step number 2 is 3 and not",
    ),
    "head without end": (damage("steps", 2, "heads", to=["L" + "9" * 5000 + "H0"]), "not a head"),
    "removed before": (damage("steps", 2, "heads", to=["L0H3"]), "cannot remove the heads 'L0H3'"),
    "never removed": (damage("steps", 4, "heads", to=["L1H1"]), "cannot restore"),
    "step without heads": (damage("steps", 2, "heads", to=[]), "cannot remove the heads ''"),
    "settings a list": (damage("steps", 2, "settings", to=[]), "'settings' of step number 2"),
    "seed a text": (damage("steps", 2, "seed", to="7"), "'7' and not a whole number"),
    "no time": (damage("steps", 2, "time", to="noon"), "'noon' and not an ISO 8601 time"),
    "current elsewhere": (damage("current", to=8), "current step 8 is none"),
    "other removed heads": (damage("removed_heads", to=["L0H3"]), "'removed_heads' are not those"),
    "redo elsewhere": (damage("redo", to=[2]), "leads to 2, which is no step after 3"),
    "redo to a list": (
        damage("redo", to=[[]]),
        r"number 0 of 'redo' is \[\] and",
    ),
    "next id taken": (damage("next_id", to=4), "'next_id' 4 is not above"),
    "next id too large": (damage("next_id", to=10**400), "and not a number below"),
}


@pytest.mark.parametrize(("change", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_named(change: Callable[[Any], Any], message: str):
    document = json.loads(branched().to_json())
    change(document)
    with pytest.raises(SchemeError, match=message) as caught:
        Scheme.from_json(json.dumps(document), source="mine.json")
    assert str(caught.value).startswith("mine.json is no scheme that this version of bhpvas")
    assert is_one_sentence(str(caught.value))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON from line 1, column 1"),
        (b"L0H3,L5H11", "not JSON from line 1"),
        (b"[]", r"the scheme is \[\] and not an object"),
        (b'{"format": 1}', "'format' is 1 and not an object"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "bytes, numbers or nesting"),
        (b"[" * 100_000, "bytes, numbers or nesting"),
        (b'{"format": NaN}', "bytes, numbers or nesting"),
        (b'{"format": 1e999}', "bytes, numbers or nesting"),
        (b'{"format": "\\ud800"}', "bytes, numbers or nesting"),
        (b'{"format": 1' + b"0" * 5000 + b"}", "bytes, numbers or nesting"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_files_that_are_no_scheme(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(SchemeError, match=message) as caught:
        load_scheme(path)
    assert "mine.json" in str(caught.value)
    assert is_one_sentence(str(caught.value))


def opens_or_says_why(content: str | bytes) -> None:
    try:
        scheme = Scheme.from_json(content)
    except SchemeError as error:
        assert is_one_sentence(str(error).replace("...", "…"))
        assert len(str(error)) < 600
    else:
        assert Scheme.from_json(scheme.to_json()) == scheme
        scheme = scheme.undone().redone().at(scheme.steps[0].id)
        assert Scheme.from_json(scheme.removing([HeadId(0, 0)]).to_json()).current == scheme.next_id


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The path of every entry in a JSON document."""
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    else:
        entries = []
    return [
        place for key, entry in entries for place in [(*path, key), *places(entry, (*path, key))]
    ]


DOCUMENT = json.loads(branched().to_json())
fitting_values = json_values | st.sampled_from(
    ["L0H0", "L1H2", "L9H9", "start", "remove", "restore", ["L0H3"], 0, 1, 2, 3, 4, 5, -1, 10**20]
)


@settings(max_examples=600)
@given(
    st.lists(st.tuples(st.sampled_from(places(DOCUMENT)), fitting_values), min_size=1, max_size=3)
)
def test_changed_entries_open_or_say_why(changes: list[tuple[tuple, Any]]):
    document = deepcopy(DOCUMENT)
    for path, value in changes:
        try:
            damage(*path, to=value)(document)
        except (LookupError, TypeError):  # an earlier change took this place away
            reject()
    opens_or_says_why(json.dumps(document))


@given(st.sampled_from(places(DOCUMENT)))
def test_missing_entries_open_or_say_why(path: tuple):
    document = deepcopy(DOCUMENT)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    opens_or_says_why(json.dumps(document))


@settings(max_examples=300)
@given(st.integers(0, 10_000), st.integers(0, 30), st.binary(max_size=6))
def test_changed_bytes_open_or_say_why(start: int, length: int, instead: bytes):
    content = branched().to_json().encode()
    start %= len(content)
    opens_or_says_why(content[:start] + instead + content[start + length :])
