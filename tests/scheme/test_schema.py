"""The schema that is published is the one by which files are read."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from bhpvas.scheme import schema
from tests.scheme.test_old_files import branched, recovered

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "schemas" / "scheme.json"


def test_the_published_schema_is_printed_from_the_definition() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == schema.published(), (
        "print it anew: python -m bhpvas.scheme.schema > docs/schemas/scheme.json"
    )


@pytest.mark.parametrize("scheme", [branched().without_step(1), recovered()])
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
