"""Nasty schemes: wrong values field by field, zips, and the weights of a recovery."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from safetensors.torch import save

from bhpvas.heads import parse_heads
from bhpvas.model.weights import Weights, load_weights
from bhpvas.scheme import schema
from bhpvas.scheme.bundle import read_scheme_file
from bhpvas.scheme.scheme import Scheme
from tests.project.nasty import refused
from tests.project.nasty.test_models import POISON, RAW


@cache
def scheme() -> Scheme:
    about = {"id": "sample", "revision": None, "fingerprint": "f"}
    start = Scheme.started(about, 2, 4, data={"name": "d", "fingerprint": "f"}, time="2024-01-01")
    one = start.removing(parse_heads("L0H1"), time="2024-01-01")
    return one.removing(parse_heads("L1H1,L1H2"), time="2024-01-01").undone()


WRONG: list[Any] = [None, 3, "x", [], {}, True, 1.5]


def scheme_cases() -> Iterator[tuple[str, bytes]]:
    def changed(change: Callable[[Any], Any]) -> bytes:
        document = json.loads(scheme().to_json())
        change(document)
        return json.dumps(document).encode()

    places: dict[str, tuple[Callable[[Any], Any], type[BaseModel]]] = {
        "the scheme": (lambda document: document, schema.File),
        "its format": (lambda document: document["format"], schema.Format),
        "its model": (lambda document: document["model"], schema.Model),
        "its geometry": (lambda document: document["geometry"], schema.Geometry),
        "its first step": (lambda document: document["steps"][0], schema.Change),
        "its second step": (lambda document: document["steps"][1], schema.Change),
    }
    for place, (find, model) in places.items():
        alone = Draft202012Validator(model.model_json_schema() | {"required": []})
        for key, known in model.model_fields.items():
            if known.is_required():
                yield f"{place} without {key}", changed(lambda d, f=find, k=key: f(d).pop(k))
            for value in WRONG:
                if (key, value) != ("fingerprint", "x") and not alone.is_valid({key: value}):
                    yield (
                        f"{key} of {place} = {value!r}",
                        changed(lambda d, f=find, k=key, v=value: f(d).update({k: v})),
                    )
    for name, change in {
        "a later version": lambda d: d["format"].update(version=3),
        "another format": lambda d: d["format"].update(name="other"),
        "no steps": lambda d: d.update(steps=[]),
        "a current step that is not there": lambda d: d.update(current=9),
        "a redo that leads nowhere": lambda d: d.update(redo=[9]),
        "a redo that leads back": lambda d: d.update(redo=[0]),
        "an id that is used": lambda d: d.update(next_id=1),
        "an id beyond numbers": lambda d: d.update(next_id=2**60),
        "heads that are not there": lambda d: d["steps"][1].update(heads=["L9H9"]),
        "heads that went already": lambda d: d["steps"][2].update(heads=["L0H1"]),
        "a head that is no head": lambda d: d["steps"][1].update(heads=["<b>"]),
        "a restored head that is there": lambda d: d["steps"][1].update(what="restore"),
        "a parent that comes later": lambda d: d["steps"][1].update(parent=2),
        "a step that is its own parent": lambda d: d["steps"][1].update(parent=1),
        "a second start": lambda d: d["steps"][1].update(what="start"),
        "a step of no kind": lambda d: d["steps"][1].update(what="explode"),
        "a time of no kind": lambda d: d["steps"][1].update(time="yesterday"),
        "weights that are a path": lambda d: d["steps"][1].update(
            what="recover", heads=[], weights="../../etc/passwd"
        ),
        "no weights": lambda d: d["steps"][1].update(what="recover", heads=[]),
        "other heads gone than it says": lambda d: d.update(removed_heads=["L1H3"]),
        "no layers": lambda d: d["geometry"].update(layers=0),
        "a million heads": lambda d: d["geometry"].update(heads=10**6),
        "sentences that it does not hold": lambda d: d["steps"][1].update(learnt_from="0" * 16),
        "two steps of an id": lambda d: d["steps"][2].update(id=1),
        "a negative id": lambda d: d["steps"][2].update(id=-2),
    }.items():
        yield f"a scheme with {name}", changed(change)
    text = scheme().to_json().encode()
    for name, content in {
        "nothing": b"",
        "NUL": b"\x00",
        "a mark of UTF-16": b"\xff\xfe" + text,
        "a number that is not finite": text.replace(b'"metrics": {}', b'"metrics": {"a": NaN}', 1),
        "a number beyond all": text.replace(b'"metrics": {}', b'"metrics": {"a": 1e999}', 1),
        "half a surrogate pair": text.replace(b'"note": ""', b'"note": "\\ud800"', 1),
        "deep nesting": b"[" * 50_000,
        "its first half": text[: len(text) // 2],
        "a web page": b"<!doctype html><p>404",
        "a list": b"[]",
    }.items():
        yield f"a scheme of {name}", content


SCHEMES = list(scheme_cases())


@pytest.mark.parametrize(
    "content", [case[1] for case in SCHEMES], ids=[case[0] for case in SCHEMES]
)
def test_a_nasty_scheme_is_one_sentence(content: bytes) -> None:
    assert refused(lambda: read_scheme_file(content, "mine.json")).startswith("mine.json")


def packed(*entries: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def zip_cases() -> Iterator[tuple[str, bytes]]:
    text = scheme().to_json().encode()

    for path in (
        "SCHEME.JSON", "scheme.json ", "w.safetensors", "x.pkl", "x.bin",
        "../scheme.json", "/scheme.json", "C:\\scheme.json", "scheme.json/", "a/scheme.json",
        "0123456789abcdef.SAFETENSORS", "../0123456789abcdef.safetensors", "__MACOSX/scheme.json",
    ):  # fmt: skip
        yield f"a zip with {path!r}", packed((path, text))
    yield "a zip of nothing", packed()
    yield "a zip within a zip", packed(("scheme.json", packed(("scheme.json", text))))
    good = packed(("scheme.json", text))
    for place in (5, 20, 40, len(good) // 2, len(good) - 30, len(good) - 1):
        yield f"a zip cut at {place}", good[:place]


ZIPS = list(zip_cases())


@pytest.mark.parametrize("content", [case[1] for case in ZIPS], ids=[case[0] for case in ZIPS])
def test_a_nasty_zip_is_one_sentence(content: bytes) -> None:
    assert refused(lambda: read_scheme_file(content, "mine.zip")).startswith("mine.zip")


def test_a_zip_that_unpacks_to_too_much_is_one_sentence() -> None:
    bomb = packed(("scheme.json", b" " * (513 * 2**20)))
    assert refused(lambda: read_scheme_file(bomb, "mine.zip")).startswith("mine.zip")


def weight_cases() -> Iterator[tuple[str, bytes]]:
    good = save({"classifier.bias": torch.zeros(2)}, {"format": "bhpvas-weights"})
    for name, damage in RAW.items():
        yield f"weights of {name}", damage(good)
    for name, content in {
        "another format": save({"classifier.bias": torch.zeros(2)}, {"format": "pt"}),
        "no format": save({"classifier.bias": torch.zeros(2)}),
        "half precision": save({"a": torch.zeros(2).half()}, {"format": "bhpvas-weights"}),
        "whole numbers": save({"a": torch.zeros(2).long()}, {"format": "bhpvas-weights"}),
        "other content": save({"a": torch.ones(2)}, {"format": "bhpvas-weights"}),
    }.items():
        yield f"weights with {name}", content


WEIGHTS = list(weight_cases())


@pytest.mark.parametrize(
    "content", [case[1] for case in WEIGHTS], ids=[case[0] for case in WEIGHTS]
)
def test_nasty_weights_are_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = Weights({"classifier.bias": torch.zeros(2)}).file(tmp_path)
    path.write_bytes(content)
    refused(lambda: load_weights(path))
    assert path.read_bytes() == content


@pytest.mark.parametrize("value", list(POISON.values()), ids=list(POISON))
def test_weights_that_are_not_finite_are_one_sentence(tmp_path: Path, value: float) -> None:
    path = Weights({"classifier.bias": torch.tensor([0.0, value])}).save(tmp_path)
    said = "larger than 1e+09" if value == 3e38 else "not finite"
    assert said in refused(lambda: load_weights(path))
